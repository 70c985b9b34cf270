//! Why a partition does not flow, or a source cannot be looked over.

use rocketbridge_delivery::outbox::NotOpen;
use rocketbridge_mesh::definitions;
use rocketbridge_runtime::Retry;

use crate::continuity::Waiting;
use crate::sources;

/// A failed step of a router. It is shown in the status, and logged once where it is handled.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The stream cannot run as it is defined.
    #[error(transparent)]
    Definition(#[from] definitions::Error),
    /// The metadata store failed, or holds what cannot be read.
    #[error("{0}")]
    Store(String),
    /// A mirror needs queues with offsets.
    #[error(
        "a mirror reads queues at offsets, and the source hands out messages instead; name the instance's name servers instead of its proxies, or let \
         the stream not mirror"
    )]
    Unmirrored,
    /// Discovery has not found the partition yet, or has found that the source has it no more.
    #[error("the source's partitions are not known yet")]
    Undiscovered,
    /// The source failed.
    #[error(transparent)]
    Source(#[from] rocketbridge_connector::Error),
    /// The source does not hold the next offset, and it is too early to decide what that means.
    #[error(transparent)]
    Waiting(#[from] Waiting),
    /// The filter answered what it was not asked.
    #[error("the filter broke the protocol: {0}")]
    Protocol(#[from] NotOpen),
    /// The reader is gone. It never ends by itself.
    #[error("the reader ended")]
    ReaderEnded,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    /// The definition, or what it refers to.
    Definition,
    /// The metadata store.
    Store,
    /// The source.
    Source,
    /// Another process.
    Peer,
}

impl Error {
    /// The kind of failure.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Definition(_) | Self::Unmirrored => Code::Definition,
            Self::Store(_) => Code::Store,
            Self::Undiscovered | Self::Source(_) | Self::Waiting(_) => Code::Source,
            Self::Protocol(_) | Self::ReaderEnded => Code::Peer,
        }
    }

    /// What to do. Everything passes or is mended by people, so everything is tried again.
    pub(crate) fn retry(&self) -> Retry {
        Retry::Again
    }

    /// What stays the same when the same thing fails again: the message without the offset that was tried.
    pub(crate) fn sameness(&self) -> String {
        match self {
            Self::Source(error) => format!("{:?} {}", error.code, error.reason),
            _ => self.to_string(),
        }
    }
}

impl From<sources::Error> for Error {
    fn from(error: sources::Error) -> Self {
        Self::Store(rocketbridge_runtime::Chain(&error).to_string())
    }
}
