//! What is set up differently at the two ends of a route.

use super::settings::{AccessRule, GroupState, TopicState};
use super::sync::{Handling, Sync};

/// Something that is set up differently at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// What it is.
    pub kind: Kind,
    /// What it is called at the target.
    pub name: String,
    /// What differs; at least one.
    pub differences: Vec<Difference>,
    /// What ends the differences without a hindrance; `None` if nothing may be done.
    pub remedy: Option<Remedy>,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The setting: `queues`, `permission`, an attribute, a field of a group.
    pub setting: String,
    /// Its value at the source, for people; `-` for none.
    pub source: String,
    /// Its value at the target.
    pub target: String,
    /// Why nothing is done about it even where differences are ended; empty if something is.
    pub hindrance: String,
}

/// What may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A topic.
    Topic,
    /// A subscription group.
    Group,
    /// A rule of access control.
    Rule,
}

/// What ends differences at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The topic is set up so; made if it is not there.
    Topic(TopicState),
    /// The group is set up so at each broker; made if it is not there.
    Group(GroupState),
    /// The rule is set.
    Rule(AccessRule),
}

impl Drift {
    /// Whether differences of this kind are ended.
    pub fn is_applied(&self, sync: Sync) -> bool {
        let handling = match self.kind {
            Kind::Topic => sync.topics,
            Kind::Group => sync.groups,
            Kind::Rule => sync.acl,
        };
        handling == Handling::Apply && self.remedy.is_some()
    }
}
