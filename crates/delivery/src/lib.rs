//! The bookkeeping that keeps the promise: nothing acknowledged is ever lost.
//!
//! - [`outbox`]: what was sent to the next stage and has no outcome yet, kept for a replay;
//! - [`ledger`]: the outbox of a source partition, and the offset that may be committed;
//! - [`join`]: one outcome for an event from those of all its deliveries;
//! - [`credit`]: how much may be under way, on both sides of a session;
//! - [`budget`]: how much memory all of them together may hold, shared fairly;
//! - [`fence`]: refuses sessions of owners that have been succeeded.
//!
//! Everything here is synchronous and takes no clock: it can be tested by enumeration.

pub mod budget;
pub mod credit;
pub mod fence;
pub mod join;
pub mod ledger;
pub mod outbox;

pub use budget::{Budget, Share};
pub use credit::{Allowance, Grants};
pub use fence::Fence;
pub use join::Join;
pub use ledger::Ledger;
pub use outbox::Outbox;
