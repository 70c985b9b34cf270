//! The stages of the path that an event takes.

use serde::{Deserialize, Serialize};

/// What a process of the mesh can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Owns source partitions.
    Router,
    /// Owns shards of streams.
    Filter,
    /// Owns shards of targets.
    Dispatcher,
    /// Serves the API and may lead.
    Controller,
}

impl Stage {
    /// What it is called in names, logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Filter => "filter",
            Self::Dispatcher => "dispatcher",
            Self::Controller => "controller",
        }
    }
}
