//! The trait of a metadata store, and what it answers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::error::Error;
use crate::transaction::{Outcome, Transaction};
use crate::watch::Watch;

/// A lease: what lets keys disappear with the process that wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.0)
    }
}

/// A key and its value as of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, without the namespace.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// The revision of the transaction that created the key, after its last deletion. A fencing number: greater means later.
    pub create_revision: u64,
    /// The revision of the transaction that wrote it last.
    pub mod_revision: u64,
    /// The lease that the key disappears with; absent: it stays until deleted.
    pub lease: Option<LeaseId>,
}

/// All keys under a prefix as of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, sorted by key.
    pub entries: Vec<Entry>,
    /// The revision that all of them were read at: watch after it to miss nothing.
    pub revision: u64,
}

/// A lease as granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Its identity.
    pub id: LeaseId,
    /// How long it lasts without renewal; may be longer than asked for.
    pub ttl: Duration,
}

/// A metadata store. Used as `Arc<dyn Metastore>`.
///
/// Every implementation passes the suite in `testing::conformance`. Reads are linearizable. Each call ends within a bound of the
/// implementation, with an error if need be; dropping a call's future is safe, but a dropped [`transact`](Self::transact) may still happen.
pub trait Metastore: Send + Sync + fmt::Debug {
    /// Reads one key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>>;

    /// Reads all keys that begin with `prefix`, however many, as of one revision.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Does all operations, atomically and at one revision, if all comparisons hold; else nothing.
    ///
    /// # Errors
    ///
    /// With [`Code::OutcomeUnknown`](crate::Code) it may or may not have happened: read back before going on. With
    /// [`Code::LeaseLost`](crate::Code) a lease it names is gone, and nothing was done.
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Outcome, Error>>;

    /// Follows the changes under `prefix` whose revision is greater than `after_revision`.
    fn watch<'a>(&'a self, prefix: &'a str, after_revision: u64) -> BoxFuture<'a, Result<Watch, Error>>;

    /// Grants a lease.
    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>>;

    /// Renews a lease and answers how long it lasts from now. [`Error::LeaseLost`] when it expired or was revoked.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>>;

    /// Ends a lease and deletes its keys. A lease that is already gone is no error.
    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>>;
}
