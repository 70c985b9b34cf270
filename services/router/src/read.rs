//! What comes of reading or receiving ahead of a flow.

use rocketbridge_model::Event;

use crate::error::Error;

/// What a flow hears of its source.
pub(crate) enum Read {
    /// Events, or at least where the source stands.
    Events {
        /// In offset order.
        events: Vec<Event>,
        /// Where reading goes on.
        next_offset: u64,
        /// One beyond the newest offset stored, if the source has offsets.
        end: Option<u64>,
    },
    /// The source fails for longer than a hiccup, and is tried again.
    Failing(Error),
    /// The source is not what was read any more: the partition must be opened anew. Nothing follows.
    Moved,
}
