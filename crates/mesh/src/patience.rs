//! How long each stage waits, while a session ends in good order, for what is with the target.
//!
//! Each waits a little longer than the one behind it, so that the innermost gives up first and the outcomes it had reach the ledger. All
//! together stay below two seconds, in which a process must have ended at any load (invariant I8).

use std::time::Duration;

/// A dispatcher, for the group that is with the target. What is not confirmed by then is sent again: the target may have it twice.
pub const TARGET: Duration = Duration::from_millis(1_000);

/// A filter, for the dispatcher.
pub const DISPATCHER: Duration = Duration::from_millis(1_150);

/// A router, for the filter.
pub const FILTER: Duration = Duration::from_millis(1_300);
