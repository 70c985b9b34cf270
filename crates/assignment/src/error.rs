//! What can go wrong with ownership.

use rocketbridge_metastore as metastore;
use rocketbridge_model::MemberId;
use rocketbridge_runtime::Retry;

use crate::unit::UnitId;

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Another process owns it.
    Held,
    /// This process no longer has the lease or the leadership that it acted under.
    Fenced,
    /// The metadata store failed.
    Metastore,
    /// The request can never succeed.
    Invalid,
}

/// An error of ownership.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The unit has an owner.
    #[error("claim {unit}: held by {owner}")]
    Held {
        /// The unit.
        unit: UnitId,
        /// Its owner.
        owner: MemberId,
    },
    /// The lease was lost before the claim was confirmed.
    #[error("claim {unit}: lease lost")]
    LeaseLost {
        /// The unit.
        unit: UnitId,
    },
    /// Another process holds the leader key by now.
    #[error("write plan: no longer the leader")]
    Deposed,
    /// The lease's time to live is too short for the renewals that must fit into it.
    #[error("lease of {0:?}: at least 2 s are needed")]
    ShortLease(std::time::Duration),
    /// A value cannot be written as JSON.
    #[error("encode {what}")]
    Encode {
        /// What it is.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The metadata store failed.
    #[error("{step}")]
    Metastore {
        /// What was attempted.
        step: String,
        /// Why it failed.
        #[source]
        source: metastore::Error,
    },
}

impl Error {
    pub(crate) fn store(step: impl Into<String>) -> impl FnOnce(metastore::Error) -> Self {
        let step = step.into();
        move |source| Self::Metastore { step, source }
    }

    /// What kind of error it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Held { .. } => Code::Held,
            Self::LeaseLost { .. } | Self::Deposed => Code::Fenced,
            Self::Metastore { .. } => Code::Metastore,
            Self::ShortLease(_) | Self::Encode { .. } => Code::Invalid,
        }
    }

    /// What to do next.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Held { .. } => Retry::Again,
            Self::LeaseLost { .. } | Self::Deposed => Retry::Fenced,
            Self::ShortLease(_) | Self::Encode { .. } => Retry::GiveUp,
            Self::Metastore { source, .. } => source.retry(),
        }
    }
}
