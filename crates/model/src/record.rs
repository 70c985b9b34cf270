//! A definition as it is stored.

use serde::{Deserialize, Serialize};

use crate::name::{PartitionId, Revision};
use crate::resolved::RocketMqSource;
use crate::route::{Began, Direction, RouteDefinition};
use crate::stream::StreamDefinition;

/// The newest layout that this build reads and writes. A reader takes every layout up to its own.
///
/// 2 added the dialect of a stream's pattern, 3 the mode of a stream and its loop guard. A record is written in the oldest layout that can say it, so that in an upgrade older
/// processes go on reading what they understand.
pub const SCHEMA: u32 = 3;

/// The layout that added the dialect of a stream's pattern.
const SCHEMA_OF_DIALECTS: u32 = 2;

/// The layout of everything that says nothing newer.
pub const OLDEST_SCHEMA: u32 = 1;

/// Whether a stream should run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Desired {
    /// Never started.
    #[default]
    Ready,
    /// It should run.
    Running,
    /// It was paused.
    Paused,
}

/// A stored stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRecord {
    /// Layout of this record.
    pub schema: u32,
    /// Identity of this creation: a stream made anew under the same name has another.
    pub uid: String,
    /// Version of the definition: counts what the data path can notice.
    pub revision: Revision,
    /// Counts every change, start and pause included; the etag is made from it.
    pub change: u64,
    /// Whether it should run.
    pub desired: Desired,
    /// When it was made, milliseconds since 1970.
    pub create_time: i64,
    /// When it was last changed, milliseconds since 1970.
    pub update_time: i64,
    /// Identity of the request that made it, so that a repeated request makes nothing twice.
    pub create_request_id: String,
    /// The route that made it and alone may change it; `None` for a stream of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What its user wrote.
    pub definition: StreamDefinition,
}

impl StreamRecord {
    /// The oldest layout that can say what the record says.
    pub fn layout(&self) -> u32 {
        let run = &self.definition.run_options;
        if !(run.mode.is_empty() && run.loop_guard.is_empty()) {
            SCHEMA
        } else if !self.definition.filter_pattern_dialect.is_empty() {
            SCHEMA_OF_DIALECTS
        } else {
            OLDEST_SCHEMA
        }
    }

    /// The AIP-154 etag: changes with every change of the record.
    pub fn etag(&self) -> String {
        let uid: String = self.uid.chars().take(8).collect();
        format!("\"{uid}-{}\"", self.change)
    }
}

/// A stored connection or network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record<D> {
    /// Layout of this record.
    pub schema: u32,
    /// Identity of this creation.
    pub uid: String,
    /// Counts every change; the etag is made from it.
    pub change: u64,
    /// When it was made, milliseconds since 1970.
    pub create_time: i64,
    /// When it was last changed, milliseconds since 1970.
    pub update_time: i64,
    /// Identity of the request that made it, so that a repeated request makes nothing twice.
    pub create_request_id: String,
    /// Made by the process itself, such as the connection [`EMBEDDED`](crate::connection::EMBEDDED). Users cannot change or delete it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub built_in: bool,
    /// What its user wrote.
    pub definition: D,
}

impl<D> Record<D> {
    /// The AIP-154 etag: changes with every change of the record.
    pub fn etag(&self) -> String {
        let uid: String = self.uid.chars().take(8).collect();
        format!("\"{uid}-{}\"", self.change)
    }
}

/// A stored route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteRecord {
    /// Layout of this record.
    pub schema: u32,
    /// Identity of this creation.
    pub uid: String,
    /// Version of the definition.
    pub revision: Revision,
    /// Counts every change, start and pause included; the etag is made from it.
    pub change: u64,
    /// Whether its streams should run.
    pub desired: Desired,
    /// When it was made, milliseconds since 1970.
    pub create_time: i64,
    /// When it was last changed, milliseconds since 1970.
    pub update_time: i64,
    /// Identity of the request that made it.
    pub create_request_id: String,
    /// When it was first started, milliseconds since 1970; 0 for never.
    pub started: i64,
    /// Whether every topic that there was at the first start has its stream, so that topics found from now on are later ones.
    pub complete: bool,
    /// Which end is in use.
    #[serde(skip_serializing_if = "Active::is_from")]
    pub active: Active,
    /// What its user wrote.
    pub definition: RouteDefinition,
}

/// Which end of a route is in use, as fail-overs left it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Active {
    /// `from`: streams run from there to `to`.
    #[default]
    From,
    /// Still `from`; a fail-over to `to` is under way.
    FailingOver,
    /// `to`: streams to there are paused, and those back run.
    To,
    /// Still `to`; a failback to `from` is under way.
    FailingBack,
}

impl Active {
    /// Whether nothing was ever failed over, or is back.
    pub fn is_from(&self) -> bool {
        *self == Self::From
    }

    /// Whether `to` is in use.
    pub fn is_to(self) -> bool {
        matches!(self, Self::To | Self::FailingBack)
    }
}

impl RouteRecord {
    /// The AIP-154 etag: changes with every change of the record that a user makes.
    pub fn etag(&self) -> String {
        let uid: String = self.uid.chars().take(8).collect();
        format!("\"{uid}-{}\"", self.change)
    }

    /// Whether streams go back from `to` to `from`: always if it goes both ways, else while `to` is in use.
    pub fn goes_back(&self) -> bool {
        self.definition.both_ways || self.active.is_to()
    }

    /// Whether streams of a direction should run.
    pub fn desired_of(&self, direction: Direction) -> Desired {
        match (direction, self.desired) {
            (Direction::Forward, Desired::Running) if self.active.is_to() => Desired::Paused,
            (_, desired) => desired,
        }
    }

    /// Whether and when its streams began.
    pub fn began(&self) -> Began {
        Began { started: self.started, complete: self.complete }
    }
}

/// The route that made a stream, and alone may change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The route's name.
    pub name: String,
    /// Identity of the route's creation.
    pub uid: String,
}

impl Owner {
    /// The owner that a stored route is.
    pub fn of(route: &RouteRecord) -> Self {
        Self { name: route.definition.name.clone(), uid: route.uid.clone() }
    }
}

/// An event that an operator lets pass, under `skips/{uid}/{partition}/{offset}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SkipRecord {
    /// Layout of this record.
    pub schema: u32,
    /// Why, as the operator wrote it.
    pub reason: String,
    /// When it was asked for, milliseconds since 1970.
    pub at: i64,
    /// Identity of the request; empty for none.
    pub request_id: String,
}

/// What a router found of the source of a stream, under `sources/{uid}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceRecord {
    /// Layout of this record.
    pub schema: u32,
    /// Identity of the stream's creation.
    pub uid: String,
    /// Instance, namespace and topic that the offsets belong to: with another source they mean nothing.
    pub source: String,
    /// Which form the source has: with the other one its partitions mean nothing.
    #[serde(skip_serializing_if = "SourceForm::is_offsets")]
    pub form: SourceForm,
    /// The source's partitions, sorted.
    pub partitions: Vec<SourcePartition>,
    /// When the source was first looked at, milliseconds since 1970: the moment of the stream's start. 0 in records of former versions.
    #[serde(skip_serializing_if = "is_zero")]
    pub started: i64,
    /// Whether that first look is still owed: nothing could be asked at the start, so that partitions found now begin with the moment of the start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    /// Partitions that were there at the start and could not say where they end: they too begin with the moment of the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<PartitionId>,
}

impl SourceRecord {
    /// A record without partitions, of a stream that starts now (milliseconds since 1970).
    pub fn new(uid: &str, source: &RocketMqSource, now: i64) -> Self {
        Self { schema: OLDEST_SCHEMA, uid: uid.to_owned(), source: source.identity(), started: now, ..Self::default() }
    }

    /// Whether the record's offsets belong to this source.
    pub fn is_of(&self, source: &RocketMqSource) -> bool {
        self.source == source.identity()
    }

    /// One partition.
    pub fn partition(&self, id: &PartitionId) -> Option<&SourcePartition> {
        self.partitions.iter().find(|partition| &partition.id == id)
    }
}

/// Which form a source has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceForm {
    /// It is read at offsets. Records of former versions say nothing, and mean this.
    #[default]
    Offsets,
    /// It hands out messages. Its partitions are those who receive side by side.
    Handles,
}

impl SourceForm {
    // serde asks for a reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_offsets(&self) -> bool {
        *self == Self::Offsets
    }
}

/// A partition of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourcePartition {
    /// Its identity within the source.
    pub id: PartitionId,
    /// RocketMQ: the broker's name; empty where the source hands out messages.
    pub broker: String,
    /// RocketMQ: the queue id; the partition's number where the source hands out messages.
    pub queue: u32,
    /// The offset that the stream began with in it; 0 where the source hands out messages.
    pub origin: u64,
    /// Since when the source has it no more, milliseconds since 1970; `None` while it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<i64>,
}

// serde asks for a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
