//! The target side of a connector.

use std::sync::Arc;

use futures::future::BoxFuture;
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Origin, PartitionId};

use crate::error::Error;

/// Deliveries with the same key keep their order. One per partition of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey {
    /// The stream.
    pub stream: String,
    /// The partition.
    pub partition: PartitionId,
}

/// A target: the topic, over clients that other targets of the same instance share.
pub trait Target: Send + Sync {
    /// Delivers in order and answers one result per delivery, in the same order.
    ///
    /// It is called by one task per lane, one call at a time; the lanes of a target run side by side. After a failure that trying again
    /// may mend, nothing behind it in its order (its queue) is attempted: those answer the same error, so that a repeat is a contiguous replay
    /// there (invariant I4). What another queue took stays delivered.
    /// A delivery that the peer refuses for good (`Rejected`) does not stop the ones behind it.
    /// It answers only what the peer has confirmed as stored; a time-out is a failure, and then a repeat may duplicate.
    fn deliver<'a>(&'a self, lane: &'a LaneKey, origin: &'a Origin, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Result<(), Error>>>;

    /// The same target, which adds nothing of its own to a message that can be left out (where it came from, why it is here); `None` if this one
    /// adds nothing. For letters that are refused for good with it.
    fn bare(&self) -> Option<Arc<dyn Target>> {
        None
    }
}
