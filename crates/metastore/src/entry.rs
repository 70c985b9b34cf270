//! What a metadata store holds: entries, and the leases that let entries disappear.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// The identity of a lease. Keys that are written under a lease disappear with it, and so with the process that renews it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}", self.0)
    }
}

/// A key and its value at one revision.
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

/// All keys under a prefix at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, sorted by key.
    pub entries: Vec<Entry>,
    /// The revision at which all entries were read: watch from the next one to miss nothing.
    pub revision: u64,
}

/// A lease as granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Its identity.
    pub id: LeaseId,
    /// How long it lasts without renewal; may be longer than requested.
    pub ttl: Duration,
}

/// How much of a quota is used, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullness {
    /// What the store takes, with what it has forgotten and not given back.
    pub used: u64,
    /// Where it stops taking changes.
    pub quota: u64,
}
