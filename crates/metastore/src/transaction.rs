//! Changes of a store: guarded, atomic, bounded.
//!
//! The limits are those of etcd with its default settings. Every implementation enforces them the same way and before anything is
//! sent, so that what works in standalone works on a cluster.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::entry::LeaseId;
use crate::error::Error;

/// The most operations, and the most comparisons, in one transaction (etcd: `--max-txn-ops`, 128).
pub const MAX_OPERATIONS: usize = 128;

/// The most bytes of keys and values in one transaction (etcd: `--max-request-bytes`, 1.5 MiB; the rest is room for framing).
pub const MAX_BYTES: usize = 1 << 20;

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist.
    KeyAbsent(String),
    /// The key exists and was created at this revision.
    CreateRevision(String, u64),
    /// The key exists and was last written at this revision.
    ModRevision(String, u64),
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creates or overwrites a key.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Bytes,
        /// The lease it disappears with. Absent: it stays, even if a lease held the key before.
        lease: Option<LeaseId>,
    },
    /// Deletes a key; nothing happens if there is none.
    Delete(String),
    /// Deletes all keys that begin with this.
    DeletePrefix(String),
}

/// Comparisons and the operations that they guard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// All must hold.
    pub compares: Vec<Compare>,
    /// Done in this order, at one revision.
    pub operations: Vec<Operation>,
}

/// The result of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transacted {
    /// Whether all comparisons held, and so all operations were done.
    pub succeeded: bool,
    /// The store's revision after it: that of the operations, if it succeeded and changed anything.
    pub revision: u64,
}

impl Transaction {
    /// A transaction without guard or effect.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Adds the writing of a key that stays.
    #[must_use]
    pub fn put(self, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.operation(Operation::Put { key: key.into(), value: value.into(), lease: None })
    }

    /// Adds the writing of a key that disappears with `lease`.
    #[must_use]
    pub fn put_leased(self, key: impl Into<String>, value: impl Into<Bytes>, lease: LeaseId) -> Self {
        self.operation(Operation::Put { key: key.into(), value: value.into(), lease: Some(lease) })
    }

    /// Adds the deletion of a key.
    #[must_use]
    pub fn delete(self, key: impl Into<String>) -> Self {
        self.operation(Operation::Delete(key.into()))
    }

    /// Adds the deletion of all keys that begin with `prefix`.
    #[must_use]
    pub fn delete_prefix(self, prefix: impl Into<String>) -> Self {
        self.operation(Operation::DeletePrefix(prefix.into()))
    }

    /// Adds an operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// The bytes that count towards [`MAX_BYTES`].
    pub fn bytes(&self) -> usize {
        let compares: usize = self.compares.iter().map(|compare| compare.key().len()).sum();
        compares + self.operations.iter().map(Operation::bytes).sum::<usize>()
    }

    /// Checks the limits.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyOperations`], [`Error::TooLarge`], or [`Error::DuplicateKey`] when two operations touch the same key.
    pub fn validate(&self) -> Result<(), Error> {
        let operations = self.operations.len().max(self.compares.len());
        if operations > MAX_OPERATIONS {
            return Err(Error::TooManyOperations { given: operations, limit: MAX_OPERATIONS });
        }
        let bytes = self.bytes();
        if bytes > MAX_BYTES {
            return Err(Error::TooLarge { given: bytes, limit: MAX_BYTES });
        }
        self.duplicate().map_or(Ok(()), |key| Err(Error::DuplicateKey { key }))
    }

    fn duplicate(&self) -> Option<String> {
        let mut keys = BTreeSet::new();
        let mut prefixes: Vec<&str> = Vec::new();
        for operation in &self.operations {
            match operation {
                Operation::Put { key, .. } | Operation::Delete(key) => {
                    if !keys.insert(key.as_str()) {
                        return Some(key.clone());
                    }
                }
                Operation::DeletePrefix(prefix) => prefixes.push(prefix),
            }
        }
        for (index, prefix) in prefixes.iter().enumerate() {
            let overlaps = |other: &&str| other.starts_with(prefix) || prefix.starts_with(other);
            let within = keys.range(*prefix..).next().filter(|key| key.starts_with(prefix)).copied();
            if let Some(key) = within.or_else(|| prefixes[index + 1..].iter().copied().find(|other| overlaps(other))) {
                return Some(key.to_owned());
            }
        }
        None
    }
}

impl Compare {
    /// The key that is compared.
    pub fn key(&self) -> &str {
        match self {
            Self::KeyAbsent(key) | Self::CreateRevision(key, _) | Self::ModRevision(key, _) => key,
        }
    }
}

impl Operation {
    /// The bytes that count towards [`MAX_BYTES`].
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete(key) | Self::DeletePrefix(key) => key.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: transactions at and over each limit. *Guarantees*: the error names the limit; what is allowed passes.
    #[test]
    fn limits_are_named() {
        let puts = |count: usize| (0..count).fold(Transaction::new(), |all, number| all.put(format!("k{number}"), "v"));
        assert!(puts(MAX_OPERATIONS).validate().is_ok());
        let error = puts(MAX_OPERATIONS + 1).validate().expect_err("one too many");
        assert_eq!(error.to_string(), "transaction has 129 operations, the limit is 128");
        let large = Transaction::new().put("k", vec![0; MAX_BYTES]).validate().expect_err("one byte too many");
        assert_eq!(large.to_string(), "transaction has 1048577 bytes, the limit is 1048576");
        assert!(Transaction::new().put("k", vec![0; MAX_BYTES - 1]).validate().is_ok());
    }

    /// *Scenario*: operations that touch one key twice, in every form. *Guarantees*: refused, as etcd does.
    #[test]
    fn no_key_twice() {
        let twice = [
            Transaction::new().put("a", "1").put("a", "2"),
            Transaction::new().put("a", "1").delete("a"),
            Transaction::new().put("a/b", "1").delete_prefix("a/"),
            Transaction::new().delete_prefix("a/b").delete_prefix("a/"),
        ];
        for transaction in twice {
            assert!(matches!(transaction.validate(), Err(Error::DuplicateKey { .. })), "{transaction:?}");
        }
        let apart = Transaction::new().put("a", "1").delete("ab").delete_prefix("a/").delete_prefix("b/");
        assert!(apart.validate().is_ok());
    }
}
