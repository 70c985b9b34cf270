//! How one end of a route is set up, over all its brokers.

use std::collections::{BTreeMap, BTreeSet};

/// How one end of a route is set up, as far as that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndSettings {
    /// Its topics, by name.
    pub topics: BTreeMap<String, TopicState>,
    /// Its subscription groups, by name, without RocketMQ's own.
    pub groups: BTreeMap<String, GroupState>,
    /// The topics that each group has read, by the group.
    pub readers: BTreeMap<String, BTreeSet<String>>,
    /// Whether its topics have attributes: from RocketMQ 5.0 on.
    pub has_attributes: bool,
    /// Its access control, or why it cannot be read, for people; `None` if it was not asked for.
    pub access: Option<Result<Access, String>>,
}

/// How a topic is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicState {
    /// Queues that consumers may read, over all brokers.
    pub read_queues: u32,
    /// Queues that producers may write to, over all brokers.
    pub write_queues: u32,
    /// What may be done at any broker: 4 for read, 2 for write, 1 for inherit, added up (`PermName` of Apache RocketMQ).
    pub permission: u32,
    /// Attributes, such as `message.type`.
    pub attributes: BTreeMap<String, String>,
}

/// How a subscription group is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Whether it may consume.
    pub consume_enable: bool,
    /// Whether it may consume by broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether it consumes in order; `None` where brokers do not know of it (4.x).
    pub consume_message_orderly: Option<bool>,
    /// Queues of its retry topic at a broker.
    pub retry_queue_nums: u32,
    /// How often a message is tried again; -1 for the broker's default.
    pub retry_max_times: i32,
}

/// Access control of an instance (ACL 2.0).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The users that every broker has.
    pub users: BTreeSet<String>,
    /// The rules that every broker has.
    pub rules: Vec<AccessRule>,
}

/// What a subject may or may not do with a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessRule {
    /// Whom it is about: `User:NAME`.
    pub subject: String,
    /// `Custom` or `Default`.
    pub policy: String,
    /// What it is about: `Topic:orders`, `Group:billing`.
    pub resource: String,
    /// `Pub`, `Sub`, `Create`, `Update`, `Delete`, `Get`, `List`, `All`.
    pub actions: BTreeSet<String>,
    /// Addresses that requests come from; empty for all.
    pub source_ips: BTreeSet<String>,
    /// Whether it allows; else it denies.
    pub allows: bool,
}

impl AccessRule {
    /// The rule for people: what it decides, for what, from where.
    pub fn shown(&self) -> String {
        let joined = |texts: &BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let from = if self.source_ips.is_empty() { String::new() } else { format!(" from {}", joined(&self.source_ips)) };
        format!("{} {}{from}", if self.allows { "allow" } else { "deny" }, joined(&self.actions))
    }
}
