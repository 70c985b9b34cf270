//! Metadata behind one trait: small values under keys, revisions, atomic guarded transactions, leases and watches.
//!
//! - [`store`]: the trait [`Metastore`] and what it answers; [`transaction`]: what it is asked to change; [`watch`]: how changes arrive;
//! - [`key`]: how names become parts of keys, so that prefixes are unambiguous;
//! - [`mirror`]: a level-triggered copy of everything under a prefix: what consumers should use instead of a raw watch;
//! - [`etcd`]: on an etcd cluster; [`embedded`]: on a file of this process, for standalone;
//! - [`error`]: what can go wrong, and what to do then;
//! - `testing` (feature): the conformance suite that both implementations pass, and a real etcd on loopback.
//!
//! Keys are relative to a namespace that each implementation adds. Nothing here knows what the values mean.

pub mod embedded;
pub mod error;
pub mod etcd;
pub mod key;
pub mod mirror;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transaction;
pub mod watch;

pub use embedded::Embedded;
pub use error::{Code, Error};
pub use etcd::Etcd;
pub use mirror::{Mirror, Snapshot};
pub use store::{Entry, LeaseGrant, LeaseId, Listing, Metastore};
pub use transaction::{Compare, Operation, Outcome, Transaction};
pub use watch::{Change, Watch, WatchEvent};
