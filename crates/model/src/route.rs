//! The definition of a route as its user wrote it: many topics of one instance, copied to another.
//!
//! A route is carried out by streams, one for each topic and direction, which the controller makes, changes and removes: [`expand`] says which ones
//! there should be. Nothing here is checked: see [`crate::validate`].

mod access;
mod difference;
pub mod drift;
mod expand;
mod selection;
pub mod settings;
mod sync;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use expand::{Began, Ends, Expansion, Wanted, expand, probe, stream_name};
pub(crate) use selection::STREAM_PREFIX;
pub use selection::{GroupSelection, Renaming, Selection, Topic, is_own_group};
pub use sync::{Handling, Sync, SyncDefinition};

/// How often the progress of groups is translated unless a route says otherwise.
pub const TRANSLATION_INTERVAL: Duration = Duration::from_secs(1);

/// A route: topics of one instance, copied to another, or both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteDefinition {
    /// Unique name, at most 63 letters, digits, `-` and `_`.
    pub name: String,
    /// A description for people; it has no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The instance that topics are read from: name of a connection, or name servers, `host:port`, several separated by `;` or `,`.
    pub from: String,
    /// The instance that topics are copied to, written as `from`.
    pub to: String,
    /// Names and patterns of topics of `from`; `!` before one excludes what it names.
    pub topics: Vec<String>,
    /// How topics are called at `to`; absent: as they are called at `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<RenameDefinition>,
    /// Whether the same topics are also copied from `to` to `from`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub both_ways: bool,
    /// `MIRROR` (default) or `RULE`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    /// `earliest` (default), `latest`, or milliseconds since 1970.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// Names and patterns of consumer groups whose progress is translated; `!` before one excludes what it names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// How often progress is translated, milliseconds; absent: [`TRANSLATION_INTERVAL`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translation_interval_ms: Option<u32>,
}

impl RouteDefinition {
    /// How often the progress of groups is translated.
    pub fn translation_interval(&self) -> Duration {
        self.translation_interval_ms.map_or(TRANSLATION_INTERVAL, |milliseconds| Duration::from_millis(milliseconds.into()))
    }
}

/// How topics are called at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RenameDefinition {
    /// Put before the name of each topic that `topics` does not list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Put behind the name of each topic that `topics` does not list.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suffix: String,
    /// Topics with another name of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicName>,
}

/// A topic with another name at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopicName {
    /// Its name at `from`.
    pub from: String,
    /// Its name at `to`.
    pub to: String,
}

/// Which way a stream of a route goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From `from` to `to`.
    #[default]
    Forward,
    /// From `to` to `from`.
    Back,
}
