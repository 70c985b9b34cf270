//! The trait of a metadata store.

use std::fmt;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::entry::{Entry, Fullness, LeaseGrant, LeaseId, Listing};
use crate::error::Error;
use crate::transaction::{Transacted, Transaction};
use crate::watch::Watch;

/// A metadata store. Used as `Arc<dyn Metastore>`.
///
/// Every implementation passes the suite in `testing::conformance`. Reads are linearizable. Each call ends within a time limit of
/// the implementation, with an error if need be. Dropping a call's future is safe, but a dropped [`transact`](Self::transact) may still happen.
pub trait Metastore: Send + Sync + fmt::Debug {
    /// Reads one key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>>;

    /// Reads all keys that begin with `prefix`, however many, as of one revision.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Does all operations, atomically and at one revision, if all comparisons hold; otherwise does nothing.
    ///
    /// # Errors
    ///
    /// With [`Code::OutcomeUnknown`](crate::Code) the transaction may or may not have happened: read back before going on. With
    /// [`Code::LeaseLost`](crate::Code) a lease that it names is gone, and nothing was done.
    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, Error>>;

    /// Follows the changes under `prefix` whose revision is greater than `after_revision`.
    fn watch<'a>(&'a self, prefix: &'a str, after_revision: u64) -> BoxFuture<'a, Result<Watch, Error>>;

    /// Grants a lease.
    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>>;

    /// Renews a lease and returns how long it lasts from now. [`Error::LeaseLost`] when it expired or was revoked.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>>;

    /// Lets the store forget all changes before `revision`, if it keeps them. A watch that needs them starts over.
    fn compact(&self, revision: u64) -> BoxFuture<'_, Result<(), Error>> {
        let _ = revision;
        std::future::ready(Ok(())).boxed()
    }

    /// How full the store is; `None` if it has no quota.
    fn fullness(&self) -> BoxFuture<'_, Result<Option<Fullness>, Error>> {
        std::future::ready(Ok(None)).boxed()
    }

    /// Ends a lease and deletes its keys. A lease that is already gone is no error.
    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>>;
}
