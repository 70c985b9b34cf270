//! What a connector is: the seam between the data path and the systems at its two ends.
//!
//! A source gives partitions; a partition is read at explicit offsets and its progress is committed when the ledger says so.
//! A target takes deliveries in order and answers an outcome for each. Connectors keep no ledger and decide no retries:
//! they say what happened and whether trying again can help. One contract suite holds for all of them.

mod error;
mod source;
mod target;

use std::sync::Arc;

use rocketbridge_model::resolved;

pub use error::{Code, Error, Remedy};
pub use source::{OpenPartition, Partition, PartitionCommitter, PartitionReader, PullLimits, Pulled, Source, Survey};
pub use target::{LaneKey, Target};

/// Makes connectors from definitions. `dyn`, so that services do not depend on the connectors' client libraries.
///
/// Making one dials nothing: a source or target that cannot be reached says so when it is used.
pub trait Registry: Send + Sync {
    /// The source of a stream.
    fn source(&self, definition: &resolved::RocketMqSource) -> Arc<dyn Source>;
    /// The target of a stream. Targets of the same instance share their clients.
    fn target(&self, definition: &resolved::RocketMqTarget) -> Arc<dyn Target>;
    /// The dead-letter target of a stream.
    fn dead_letter(&self, definition: &resolved::DeadLetterTarget) -> Arc<dyn Target>;
}
