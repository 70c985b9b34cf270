//! What a connector is: the interface between the data path and the systems at its two ends.
//!
//! A [`Source`] has one of two forms. *By offset*: it has partitions; a partition is read at explicit offsets and its progress is committed
//! when the ledger says so ([`OffsetSource`]). *By handle*: it hands out messages, each of which is extended while it is under way and acknowledged
//! when its outcome is known ([`HandleSource`]). Everything behind the router is the same for both.
//! A target takes deliveries in order and returns an outcome for each. Connectors keep no ledger and decide no retries:
//! they report what happened and whether a retry can help. All of them pass one contract suite.

mod error;
mod handles;
mod offsets;
mod source;
mod target;
#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;

use rocketbridge_model::resolved;

pub use error::{Code, Error, Remedy};
pub use handles::{Handle, HandleSource, Handles, OpenReceiver, Received, Receiver, Start, Terms};
pub use offsets::{OffsetSource, OpenPartition, Partition, PartitionCommitter, PartitionReader, PullLimits, Pulled, Survey};
pub use source::Source;
pub use target::{Arrival, LaneKey, Permit, Target};

/// Makes connectors from definitions. `dyn`, so that services do not depend on the connectors' client libraries.
///
/// Making one dials nothing: a source or target that cannot be reached says so when it is used.
pub trait Registry: Send + Sync {
    /// The source of a stream.
    fn source(&self, definition: &resolved::RocketMqSource) -> Source;
    /// The target of a stream that reads `source`. Targets of the same instance share their clients. It is made anew for each session, and may
    /// remember what the session's lane has sent.
    fn target(&self, definition: &resolved::RocketMqTarget, source: &resolved::RocketMqSource) -> Arc<dyn Target>;
    /// The dead-letter target of a stream.
    fn dead_letter(&self, definition: &resolved::DeadLetterTarget) -> Arc<dyn Target>;
}
