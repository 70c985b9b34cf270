//! Sources that hand out messages: each to one receiver, for a time, until the receiver acknowledges it.
//!
//! A message that was handed out has a *handle*, and nobody else gets the message while its *invisible time* lasts. The receiver extends that
//! time while the message is under way, and acknowledges the message when its outcome is known. A message whose invisible time ends is handed
//! out again, to whoever asks then: so what a receiver that died had is never lost. There are no offsets, and nothing is committed.
//!
//! Who receives has no part in which messages come: as many receivers as are useful may ask side by side, in one process or in several. Their
//! number is what makes the *partitions* of such a source; a message belongs to none of them.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rocketbridge_model::Event;
use rocketbridge_model::resolved::StartPosition;

use crate::error::Error;
use crate::offsets::PullLimits;

/// A source that hands out messages: the whole topic, for one group.
pub trait HandleSource: Send + Sync {
    /// What the source keeps to. It may change while the source is used (a topic gets more queues), so it is asked now and then.
    /// Errors: unreachable, unknown topic, refused credentials, a topic or group of a kind that cannot be received from.
    fn terms(&self) -> BoxFuture<'_, Result<Terms, Error>>;

    /// Messages that wait in the source for the group, and are not handed out; `None` if the source cannot say.
    fn waiting(&self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(async { Ok(None) })
    }

    /// Opens a way to receive. Whatever it holds (connections, tasks) it lets go when both halves are dropped.
    ///
    /// A system that can begin at a position makes the group begin there, if the group is new. The caller itself passes over messages that were
    /// stored before [`Start::wanted_since`], so a system that cannot need not try.
    fn open(&self, start: Start) -> BoxFuture<'_, Result<OpenReceiver, Error>>;

    /// What will stop receiving before long although it works now, for people: keys that end and cannot be renewed, say. `None` if nothing is known to be
    /// wrong.
    fn concern(&self) -> Option<String> {
        None
    }
}

/// What a source that hands out messages keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Receivers that it is worth having side by side, at least 1: the number of the source's partitions.
    pub partitions: u32,
    /// The invisible time to ask for. A receiver that dies has its messages handed out again after this long, and every message that is
    /// under way is extended about twice in it. At least 2 s.
    pub invisible: Duration,
    /// Most messages that one receive brings, at least 1.
    pub batch: u32,
    /// Most handles that one call of [`Handles`] takes, at least 1.
    pub handles: u32,
    /// Most messages that one partition should have under way: each costs an extension now and then.
    pub window: u32,
    /// Whether the source keeps an order: of each message group it hands out nothing more until what it handed out of it before is acknowledged
    /// or has become visible again. Then no message is acknowledged before all those that were received before it in the same partition have an outcome.
    pub is_ordered: bool,
}

/// Where a stream begins in a source that hands out messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// As the definition says.
    pub position: StartPosition,
    /// When the stream was started first, milliseconds since 1970.
    pub moment: i64,
}

impl Start {
    /// Messages that were stored before this are not wanted, milliseconds since 1970 by the clock of their broker; `None` if all are.
    pub fn wanted_since(&self) -> Option<i64> {
        match self.position {
            StartPosition::Earliest => None,
            StartPosition::Latest => Some(self.moment),
            StartPosition::Timestamp(time) => Some(time),
        }
    }
}

/// The two halves of a way to receive: one task receives, while another looks after what was received.
pub struct OpenReceiver {
    /// Receives.
    pub receiver: Box<dyn Receiver>,
    /// Extends, acknowledges, releases; several calls side by side. Also for handles that another receiver of the same source and group got.
    pub handles: Arc<dyn Handles>,
}

/// Receives messages.
pub trait Receiver: Send {
    /// Receives: at once if messages wait, else after a wait of at most some seconds, then perhaps none. Of what it is asked for it may bring less.
    ///
    /// The invisible time of each message has begun when it arrives, and not earlier than some network delay before.
    /// Dropping the future ends the request. What the source handed out meanwhile is given back at once if the system can, else it comes again
    /// after its invisible time. After an error it can be used again.
    fn receive(&mut self, limits: PullLimits, invisible: Duration) -> BoxFuture<'_, Result<Vec<Received>, Error>>;
}

/// A message that was handed out.
#[derive(Debug)]
pub struct Received {
    /// The message. Its offset means nothing and is replaced by the receiver's own number; where its broker stored it stands in
    /// [`Envelope::place`](rocketbridge_model::Envelope::place).
    pub event: Event,
    /// By what it is extended and acknowledged.
    pub handle: Handle,
    /// How often it has been handed out, this time included; 1 if the source does not say.
    pub attempt: u32,
}

/// What a source calls a message that it handed out. It stands for this one time that the message was handed out; extending may change it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    /// The message's identity in its system; may be empty where handles alone are enough.
    pub message: Arc<str>,
    /// The system's token.
    pub token: Arc<str>,
}

/// Looks after messages that were handed out.
///
/// Each call answers one result per handle, in the same order, and takes at most [`Terms::handles`] of them. An error with the code
/// [`Rejected`](crate::Code::Rejected) means that the handle counts no more: the message was acknowledged, or its invisible time is over and
/// it comes again. All other errors may pass, and say nothing of the message. Dropping a future leaves open what became of its handles.
pub trait Handles: Send + Sync {
    /// Makes the invisible time of each message last so long from now on. The new handle, or the same, takes the old one's place.
    fn extend<'a>(&'a self, handles: &'a [Handle], invisible: Duration) -> BoxFuture<'a, Vec<Result<Handle, Error>>>;

    /// Acknowledges: these messages have ended, and are not handed out again. One that is acknowledged twice is no error.
    fn acknowledge<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>>;

    /// Gives messages back: they are handed out again as soon as the source can. Where that is no sooner than the end of the invisible time
    /// that is left, nothing need be done.
    fn release<'a>(&'a self, handles: &'a [Handle]) -> BoxFuture<'a, Vec<Result<(), Error>>>;
}
