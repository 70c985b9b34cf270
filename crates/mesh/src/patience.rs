//! How long each side waits while a session ends in good order.
//!
//! Whoever stops must have ended within two seconds at any load (invariant I8), so it waits for others only so long, each stage a little longer than
//! the one behind it: the innermost gives up first, and the outcomes that it had reach the ledger. Whoever goes on has no such hurry: it hears
//! the other side to its end, however slow both are, and gives up only on one that is silent for long.
//!
//! An owner that hands a shard over gives it up only after the opener has closed its half of the session, which the opener does when it has heard
//! `Drain`. So the news that the shard has passed on comes to an opener that is listening to the end already, and no race between the two
//! decides whether something is repeated.

use std::time::Duration;

/// A dispatcher that hands over, for the group that is with the target, and for the filter to hear of it. What is not confirmed by then is sent
/// again: the target may have it twice.
pub const TARGET: Duration = Duration::from_millis(1_000);

/// A filter that stops, for the dispatcher, and for the router to hear of it.
pub const DISPATCHER: Duration = Duration::from_millis(1_150);

/// A router that stops, for the filter.
pub const FILTER: Duration = Duration::from_millis(1_300);

/// A router that stops, for the broker to confirm its last commit; counted, like the others, from when it began to stop. What is not committed by
/// then is repeated.
pub const COMMIT: Duration = Duration::from_millis(1_700);

/// A process that stops, for what it has said to be taken by the network; counted from when it began to stop.
pub const NETWORK: Duration = Duration::from_millis(1_900);

/// An opener that goes on, for the other side to close a session that is finished. The other side is on its way to its own end, which it bounds by
/// the times above on its own clock; this is for one that hangs. A connection that breaks is noticed before.
pub const LATE: Duration = Duration::from_secs(10);

/// An opener, for the former owner of a shard that has passed on without `Drain`: it has lost its lease, or was too slow for its own patience. What
/// it still says is heard, so that what was delivered is not sent again.
pub const PASSED: Duration = Duration::from_secs(1);
