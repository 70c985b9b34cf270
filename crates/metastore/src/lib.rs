//! Metadata behind one trait: small values under keys, revisions, atomic guarded transactions, leases and watches.
//!
//! - [`store`]: the trait [`Metastore`]; [`entry`]: what it holds; [`transaction`]: how it is changed; [`watch`]: how changes are followed;
//! - [`mirror`]: a level-triggered copy of everything under a prefix: what consumers should use instead of a raw watch;
//! - [`etcd`]: on an etcd cluster; [`embedded`]: on a file of this process, for standalone;
//! - [`error`]: what can go wrong, and what to do then;
//! - `testing` (feature): the conformance suite that both implementations pass, and a real etcd on loopback.
//!
//! Keys are relative to a namespace that each implementation adds. Nothing here knows what the values mean.

pub mod embedded;
pub mod entry;
pub mod error;
pub mod etcd;
pub mod mirror;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transaction;
pub mod watch;

pub use embedded::Embedded;
pub use entry::{Entry, Fullness, LeaseGrant, LeaseId, Listing};
pub use error::{Code, Error};
pub use etcd::Etcd;
pub use mirror::{Mirror, Single, Snapshot};
pub use store::Metastore;
pub use transaction::{Compare, Operation, Transacted, Transaction};
pub use watch::{Change, Watch, WatchEvent};
