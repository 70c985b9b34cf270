//! The messages between stages.
//!
//! A session carries one partition of one stream from one stage to the next, under one epoch and one revision. Its
//! opener numbers the events that it sends (receipts, from 0, without gaps); the other side returns an outcome for each receipt.
//! The opener never has more events open than its credit allows.

use bytes::Bytes;

use crate::event::{Event, SharedOrigin};
use crate::name::{Epoch, Revision};
use crate::outcome::OutcomeRange;

/// Largest event that can travel between stages, with what transforms made of it, in bytes of bodies and properties. RocketMQ takes messages of
/// 4 MiB by default; brokers can be set up to take more.
pub const LARGEST_EVENT: usize = 128 << 20;

/// What may be sent before more is granted. Grants add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Events.
    pub events: u32,
    /// Bytes of bodies and properties.
    pub bytes: u64,
}

/// Which version of which stream a session is for. What it says is in the metadata store, where each side reads it for itself: an opener names a
/// version, it does not bring one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamVersion {
    /// The stream's name.
    pub name: String,
    /// Identity of its creation.
    pub uid: String,
    /// The revision that every event of the session is evaluated by.
    pub revision: Revision,
    /// The metadata store's revision up to which the opener knew the stream, and every connection and network. A copy that does not reach as far
    /// may not know this version, or the connections that it refers to, as they are now.
    pub as_of: u64,
}

/// The first message of a session.
#[derive(Clone, Debug)]
pub struct Open {
    /// The stream, at the revision that every event of this session is evaluated by.
    pub stream: StreamVersion,
    /// Where the events come from.
    pub origin: SharedOrigin,
    /// Epoch of the ownership of the partition. Only that of the partition's owner key is admitted.
    pub partition_epoch: Epoch,
    /// The requested shard.
    pub shard: u32,
    /// Epoch of the member's ownership of the shard, as the opener knows it.
    pub shard_epoch: Epoch,
}

/// Events for a filter, with consecutive receipts.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Receipt of the first event.
    pub first_receipt: u64,
    /// Revision that evaluates them.
    pub revision: Revision,
    /// The events, in source order.
    pub events: Vec<Event>,
}

/// From router to filter.
#[derive(Clone, Debug)]
pub enum FilterRequest {
    /// First, once.
    Open(Box<Open>),
    /// Events.
    Batch(Batch),
    /// Lets one event pass without delivering it.
    Skip(Skip),
}

/// An operator lets one event pass without delivering it.
///
/// Whoever holds the event resolves it as [`Outcome::Skipped`](crate::Outcome::Skipped), unless a target has it at that moment: then it is
/// resolved when the target's answer is a failure. An event that is not open is ignored, so a skip may be sent again in every session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Offset of the event in its partition.
    pub offset: u64,
    /// Why, as the operator wrote it.
    pub reason: String,
}

/// From dispatcher and filter back to their openers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The session is accepted; what may be sent at first.
    Opened(Credit),
    /// More may be sent.
    Credit(Credit),
    /// What became of some receipts.
    Outcomes(Vec<OutcomeRange>),
    /// Send nothing more, wait for the open outcomes, close, and look for the shard's next owner.
    Drain,
    /// Sent when the far side begins or ceases to wait: why it waits, or `None` when all is well.
    Trouble(Option<Trouble>),
}

/// Why deliveries wait, or will before long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong and with what.
    pub reason: String,
    /// Whether it is something a person must mend (a refused key, a missing topic) rather than wait for.
    pub permanent: bool,
    /// Offset of the event that blocks those behind it: it was refused for good and nothing may pass it over.
    pub blocked_offset: Option<u64>,
    /// Whether deliveries go on: the reason is what will stop them before long.
    pub goes_on: bool,
}

/// One event for the target of the session.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its receipt in this session.
    pub receipt: u64,
    /// The event as it came; the target takes from it what no parameter replaces.
    pub event: Event,
    /// What transforms made of it.
    pub parameters: Vec<Parameter>,
    /// Set when a transform cannot be applied to this event: it is not for the target, but for the dead-letter target.
    pub rejected: Option<String>,
}

impl Delivery {
    /// What the delivery weighs against byte limits.
    pub fn size(&self) -> usize {
        self.event.size() + self.parameters.iter().map(|parameter| parameter.value.as_ref().map_or(0, Bytes::len)).sum::<usize>()
    }

    /// What a target is sent, in bytes: as [`size`](Self::size), without the body that a parameter replaces.
    pub fn outgoing_size(&self) -> usize {
        let is_replaced = self.parameters.iter().any(|parameter| parameter.key == ParameterKey::Body);
        if is_replaced { self.size() - self.event.envelope.body.len() } else { self.size() }
    }
}

/// One value that a transform made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// What it is for.
    pub key: ParameterKey,
    /// The value; `None` when the transform found nothing: the message goes without it.
    pub value: Option<Bytes>,
}

/// What a value that a transform made is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKey {
    /// The message's body.
    Body,
    /// Its user properties, a JSON object.
    Properties,
    /// Its keys.
    Keys,
    /// Its tag.
    Tags,
    /// Its sharding key.
    ShardingKey,
}

/// From filter to dispatcher.
#[derive(Clone, Debug)]
pub enum DispatchRequest {
    /// First, once.
    Open(Box<Open>),
    /// Deliveries with consecutive receipts, in source order.
    Deliveries(Vec<Delivery>),
    /// Lets one event pass without delivering it.
    Skip(Skip),
}
