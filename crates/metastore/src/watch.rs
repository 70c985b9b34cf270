//! Watches report changes. A watch is only an ordered hint: a listing is the truth. Use [`Mirror`](crate::Mirror) instead of a raw watch.

use std::fmt;

use futures::future::BoxFuture;

use crate::entry::Entry;
use crate::error::Error;

/// The change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key was created or overwritten.
    Put(Entry),
    /// The key was deleted, or its lease ended.
    Delete {
        /// The key.
        key: String,
        /// The revision of the deletion.
        revision: u64,
    },
}

/// What a watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// All changes after the previous event up to and including `revision`, in order. A transaction is never split.
    Changes {
        /// The greatest revision among the changes.
        revision: u64,
        /// At least one.
        changes: Vec<Change>,
    },
    /// The server is alive and nothing changed.
    Progress,
}

/// A running watch. Dropping it ends it.
pub struct Watch(Box<dyn Feed>);

/// What an implementation provides behind [`Watch`].
pub trait Feed: Send {
    /// The next event. Must be cancel-safe.
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>>;
}

impl Watch {
    /// Wraps an implementation.
    pub fn new(feed: impl Feed + 'static) -> Self {
        Self(Box::new(feed))
    }

    /// The next event. Cancel-safe: a dropped call loses no event.
    ///
    /// # Errors
    ///
    /// Every error is final and has [`Code::Resync`](crate::Code) or worse: list again, then watch after the listing's revision.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        self.0.next().await
    }
}

impl Change {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(entry) => &entry.key,
            Self::Delete { key, .. } => key,
        }
    }

    /// The revision it changed at.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Put(entry) => entry.mod_revision,
            Self::Delete { revision, .. } => *revision,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watch").finish_non_exhaustive()
    }
}
