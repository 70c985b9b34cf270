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

/// How a delivery ended that the target has no complaint about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The peer has stored it now.
    #[default]
    Stored,
    /// The peer had it already, by a send whose answer was lost; it was not sent again.
    Known,
    /// The peer has stored it now, and may have had it before: that could not be found out.
    Unproven,
    /// It has been at the target before on its way through streams, and was not sent.
    Looped,
}

/// Whether the owner of a lane may still act for it: asked right before every byte that would have an effect on the peer, because a process
/// may be stopped at any point and go on when another one owns the lane.
#[derive(Clone)]
pub struct Permit(Arc<dyn Fn() -> bool + Send + Sync>);

impl Permit {
    /// A permit that holds while `holds` says so. It must be quick and must not block.
    pub fn new(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    /// One that always holds: for who owns nothing, such as tools.
    pub fn always() -> Self {
        Self::new(|| true)
    }

    /// Whether it holds now.
    pub fn holds(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Permit").field(&self.holds()).finish()
    }
}

/// A target: the topic, over clients that other targets of the same instance share.
pub trait Target: Send + Sync {
    /// Delivers in order and answers one result per delivery, in the same order.
    ///
    /// It is called by one task per lane, one call at a time; the lanes of a target run side by side. After a failure that trying again
    /// may mend, nothing behind it in its order (its queue) is attempted: those answer the same error, so that a repeat is a contiguous replay
    /// there (invariant I4). What another queue took stays delivered.
    /// A delivery that the peer refuses for good (`Rejected`) does not stop the ones behind it.
    /// It answers only what the peer has confirmed as stored; a time-out is a failure, and then a repeat may duplicate. A target that mirrors
    /// looks whether the peer has it before it repeats.
    /// Nothing is sent once `permit` no longer holds: what was not sent then answers `Unavailable`.
    fn deliver<'a>(
        &'a self,
        lane: &'a LaneKey,
        origin: &'a Origin,
        permit: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>>;

    /// The same target, which adds nothing of its own to a message that can be left out (where it came from, why it is here); `None` if this one
    /// adds nothing. For letters that are refused for good with it.
    fn bare(&self) -> Option<Arc<dyn Target>> {
        None
    }

    /// What will stop deliveries before long although it works now, for people: keys that end and cannot be renewed, say. `None` if nothing is known to be
    /// wrong.
    fn concern(&self) -> Option<String> {
        None
    }
}
