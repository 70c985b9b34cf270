//! What people and tests ask of a cluster: topics, queues, offsets, progress.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use rocketbridge_connector::Error;
use rocketbridge_model::resolved::StartPosition;
use serde::Deserialize;

use crate::client::Client;
use crate::committer::{committed, committed_at};
use crate::error::Failure;
use crate::namespace::unwrapped;
use crate::offsets::Offsets;
use crate::producer::Producer;
use crate::remoting::code::request;
use crate::remoting::{Request, json};
use crate::route::Queue;
use crate::tail::Tail;

mod account;
mod group;
mod settings;
mod topic;

pub use account::Account;
pub use group::{CommittedOffsets, Progress};
pub use topic::TopicQueue;

/// Asks one instance.
#[derive(Clone)]
pub struct Admin {
    client: Arc<Client>,
}

/// What a queue holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueOffsets {
    /// The queue.
    pub queue: Queue,
    /// The oldest offset stored.
    pub minimum: u64,
    /// One beyond the newest offset stored.
    pub maximum: u64,
}

/// How far a consumer group is in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueProgress {
    /// The queue.
    pub queue: Queue,
    /// The offset the group has committed, if any.
    pub committed: Option<u64>,
    /// One beyond the newest offset stored.
    pub maximum: u64,
}

impl Admin {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self { client }
    }

    /// A topic or group as it is called on the wire.
    pub fn wire_name(&self, name: &str) -> String {
        self.client.wire_name(name)
    }

    /// A topic or group of the wire by the name that users use; `None` if it belongs to another namespace.
    pub fn own_name(&self, wire: &str) -> Option<String> {
        unwrapped(&self.client.settings().namespace, wire).map(Cow::into_owned)
    }

    /// All topics, RocketMQ's own included, sorted, as they are called on the wire.
    pub async fn topics(&self) -> Result<Vec<String>, Error> {
        let attempt = || format!("list the topics of name server {}", self.client.name_servers());
        let asked = self.client.ask_name_server(Request::new(request::GET_ALL_TOPICS)).await;
        let (address, response) = asked.map_err(|failure| failure.during(attempt()))?;
        let list: TopicList =
            json::read(&response.body).map_err(|error| Failure::nonsense(&address, error.to_string()).during(attempt()))?;
        Ok(list.topic_list.into_iter().collect())
    }

    /// The readable queues of a topic, sorted. `NotFound` if no name server knows it.
    pub async fn queues(&self, topic: &str) -> Result<Vec<Queue>, Error> {
        let route = self.client.fresh_route(&self.client.wire_name(topic)).await;
        let attempt = || format!("find the queues of topic {topic} through name server {}", self.client.name_servers());
        Ok(route.map_err(|failure| failure.during(attempt()))?.readable().to_vec())
    }

    /// What each queue of a topic holds.
    pub async fn offsets(&self, topic: &str) -> Result<Vec<QueueOffsets>, Error> {
        let wire = &self.client.wire_name(topic);
        let queues = self.queues(topic).await?;
        try_join_all(queues.into_iter().map(|queue| async move {
            let offsets = Offsets { client: &self.client, topic: wire, queue: &queue, address: None };
            let (minimum, maximum) = (offsets.minimum().await?, offsets.maximum().await?);
            Ok(QueueOffsets { minimum, maximum, queue })
        }))
        .await
        .map_err(|failure: Failure| failure.during(format!("read the offsets of topic {topic}")))
    }

    /// How far a consumer group is in each queue of a topic.
    pub async fn progress(&self, topic: &str, group: &str) -> Result<Vec<QueueProgress>, Error> {
        let (wire, wire_group) = (&self.client.wire_name(topic), &self.client.wire_name(group));
        let queues = self.queues(topic).await?;
        try_join_all(queues.into_iter().map(|queue| async move {
            let committed = committed(&self.client, wire, wire_group, &queue).await?;
            let maximum = Offsets { client: &self.client, topic: wire, queue: &queue, address: None }.maximum().await?;
            Ok(QueueProgress { queue, committed, maximum })
        }))
        .await
        .map_err(|failure: Failure| failure.during(format!("read the progress of group {group} in topic {topic}")))
    }

    /// The topics that each consumer group committed offsets in, by the group; as they are called on the wire. A group that read nothing yet is not there.
    ///
    /// # Errors
    ///
    /// The name server or a master cannot be reached.
    pub async fn topics_of_groups(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let attempt = || format!("list what groups committed, through name server {}", self.client.name_servers());
        let mut groups = BTreeMap::<String, BTreeSet<String>>::new();
        for address in self.masters().await?.into_values() {
            let committed = committed_at(&self.client, &address).await.map_err(|failure| failure.during(attempt()))?;
            for (topic, group) in committed {
                groups.entry(group).or_default().insert(topic);
            }
        }
        Ok(groups)
    }

    /// Sends messages to a topic.
    pub fn producer(&self, topic: &str) -> Producer {
        Producer::new(Arc::clone(&self.client), topic)
    }

    /// Follows a topic from a position, all its queues as they are now, only messages with one of the tags unless there are none. It
    /// commits nothing and is no group's member.
    pub async fn tail(&self, topic: &str, tags: &[String], start: StartPosition) -> Result<Tail, Error> {
        Tail::begin(Arc::clone(&self.client), topic, tags, start).await
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicList {
    #[serde(default)]
    topic_list: BTreeSet<String>,
}
