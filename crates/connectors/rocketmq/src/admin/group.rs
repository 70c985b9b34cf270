//! Consumer groups, as those ask who are no members: which there are, how far they have read, who consumes, and where they go on.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join_all, try_join_all};
use rocketbridge_connector::Error;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Admin;
use crate::committer::{OffsetTable, commit};
use crate::error::Failure;
use crate::remoting::code::{request, response};
use crate::remoting::{Request, json};
use crate::route::Queue;

/// The offsets that a group has committed in a topic, by queue.
pub type Progress = BTreeMap<Queue, u64>;

/// Offsets that groups have committed, as the masters of an instance told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffsets {
    /// By group and topic, as users of the instance call both.
    pub groups: BTreeMap<String, BTreeMap<String, Progress>>,
    /// Masters that did not tell theirs, by name, each with the reason, for people.
    pub silent: BTreeMap<String, String>,
}

/// The groups of a broker. What they are set up with is read by nobody here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupTable {
    #[serde(default)]
    subscription_group_table: BTreeMap<String, IgnoredAny>,
}

/// Who consumes with a group at a broker (`ConsumerConnection` of Apache RocketMQ).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumers {
    #[serde(default)]
    connection_set: Vec<Consumer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consumer {
    client_id: String,
}

impl CommittedOffsets {
    /// What a group has committed in a topic.
    pub fn of(&self, group: &str, topic: &str) -> Option<&Progress> {
        self.groups.get(group)?.get(topic)
    }

    /// Adds what a broker told: of each topic and group in a namespace (`prefix` of the wire names) that are wanted. An offset below zero was never committed.
    fn add(&mut self, broker: &str, table: OffsetTable, prefix: &str, is_wanted: &impl Fn(&str, &str) -> bool) {
        for (name, queues) in table.0 {
            let Some((topic, group)) = name.split_once('@') else { continue };
            let (Some(topic), Some(group)) = (topic.strip_prefix(prefix), group.strip_prefix(prefix)) else { continue };
            if !is_wanted(group, topic) {
                continue;
            }
            let progress = self.groups.entry(group.to_owned()).or_default().entry(topic.to_owned()).or_default();
            let committed = queues.into_iter().filter_map(|(id, offset)| Some((id, u64::try_from(offset).ok()?)));
            progress.extend(committed.map(|(id, offset)| (Queue { broker: broker.to_owned(), id }, offset)));
        }
    }
}

impl Admin {
    /// The groups that the masters of the instance know, RocketMQ's own included. Groups that only consume through brokers which make groups
    /// by themselves are known once they have been online.
    ///
    /// # Errors
    ///
    /// The name server or a master cannot be reached, or refuses.
    pub async fn groups(&self) -> Result<BTreeSet<String>, Error> {
        let attempt = || format!("list the groups of name server {}", self.client.name_servers());
        let masters = self.masters().await?;
        let asked = masters.values().map(|address| async move {
            let answer = self.client.ask(address, Request::new(request::GET_ALL_SUBSCRIPTION_GROUP_CONFIG)).await?;
            let table: GroupTable =
                json::read(&answer.body).map_err(|error| Failure::nonsense(address, format!("list of groups: {error}")))?;
            Ok(table.subscription_group_table)
        });
        let tables = try_join_all(asked).await.map_err(|failure: Failure| failure.during(attempt()))?;
        let prefix = self.client.wire_name("");
        let names = tables.iter().flat_map(BTreeMap::keys).filter_map(|name| name.strip_prefix(&prefix));
        Ok(names.map(str::to_owned).collect())
    }

    /// The offsets that groups have committed, of each group and topic for which `is_wanted` is true: one request for each master, however many groups and
    /// queues there are. With ACL, the answer needs the right to read all of the cluster (`GET_ALL_CONSUMER_OFFSET`).
    ///
    /// # Errors
    ///
    /// The name server cannot be asked for the masters, or no master answers. Where some do, the others are named in the result.
    pub async fn committed_offsets(&self, is_wanted: impl Fn(&str, &str) -> bool) -> Result<CommittedOffsets, Error> {
        let attempt = || format!("read the committed offsets of name server {}", self.client.name_servers());
        let prefix = self.client.wire_name("");
        let masters = self.masters().await?;
        let asked = masters.iter().map(|(broker, address)| async move {
            let answer = self.client.ask(address, Request::new(request::GET_ALL_CONSUMER_OFFSET)).await;
            let table = answer.and_then(|answer| {
                json::read::<OffsetTable>(&answer.body).map_err(|error| Failure::nonsense(address, format!("committed offsets: {error}")))
            });
            (broker, table)
        });
        let (mut offsets, mut failed) = (CommittedOffsets::default(), None);
        for (broker, table) in join_all(asked).await {
            match table {
                Ok(table) => offsets.add(broker, table, &prefix, &is_wanted),
                Err(failure) => {
                    let error = failure.during(attempt());
                    offsets.silent.insert(broker.clone(), error.reason.clone());
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if offsets.silent.len() == masters.len() => Err(error),
            _ => Ok(offsets),
        }
    }

    /// The clients that consume with a group, at any master, sorted. Members behind a proxy of 5.x that is no part of a broker are known to
    /// that proxy only, and not told here.
    ///
    /// # Errors
    ///
    /// The name server or a master cannot be reached, or refuses: then nobody knows.
    pub async fn consumers(&self, group: &str) -> Result<BTreeSet<String>, Error> {
        let attempt = || format!("list the consumers of group {group} through name server {}", self.client.name_servers());
        let wire = &self.client.wire_name(group);
        let masters = self.masters().await?;
        let asked = masters.values().map(|address| async move {
            let request = Request::new(request::GET_CONSUMER_CONNECTION_LIST).field("consumerGroup", wire.clone());
            let answer = self.client.exchange(address, request, crate::client::ANSWER).await?;
            match answer.code {
                response::SUCCESS => json::read::<Consumers>(&answer.body)
                    .map(|consumers| consumers.connection_set)
                    .map_err(|error| Failure::nonsense(address, format!("list of consumers: {error}"))),
                response::CONSUMER_NOT_ONLINE => Ok(Vec::new()),
                _ => Err(Failure::refused(address, &answer)),
            }
        });
        let consumers = try_join_all(asked).await.map_err(|failure| failure.during(attempt()))?;
        Ok(consumers.into_iter().flatten().map(|consumer| consumer.client_id).collect())
    }

    /// Sets from where a group goes on in a queue, without being its member: a consumer that is running does not notice. A group that the broker does not know is
    /// made, with RocketMQ's default settings; brokers of 4.x take offsets of groups that they do not know. RocketMQ's own tools show a group only once it has been online, as they
    /// look for its retry topic.
    ///
    /// # Errors
    ///
    /// The queue's broker has no master now, or refuses, as one does that does not have the topic.
    pub async fn set_committed(&self, group: &str, topic: &str, queue: &Queue, offset: u64) -> Result<(), Error> {
        let (wire_group, wire_topic) = (self.client.wire_name(group), self.client.wire_name(topic));
        let set = async {
            match commit(&self.client, &wire_topic, &wire_group, queue, offset).await {
                Err(Failure::Refused { code: response::SUBSCRIPTION_GROUP_NOT_EXIST, .. }) => {
                    let address = self.client.master(&wire_topic, &queue.broker).await?;
                    self.client.ask(&address, new_group(&wire_group)).await?;
                    commit(&self.client, &wire_topic, &wire_group, queue, offset).await
                }
                set => set,
            }
        };
        let Queue { broker, id } = queue;
        set.await.map_err(|failure| {
            failure.during(format!("set group {group} to offset {offset} of topic {topic}, broker {broker}, queue {id}"))
        })
    }
}

/// The request that makes a group as a broker makes one by itself (`SubscriptionGroupConfig` of Apache RocketMQ).
fn new_group(wire: &str) -> Request {
    let settings = serde_json::json!({
        "groupName": wire, "consumeEnable": true, "consumeFromMinEnable": true, "consumeBroadcastEnable": true, "retryQueueNums": 1,
        "retryMaxTimes": 16, "brokerId": 0, "whichBrokerWhenConsumeSlowly": 1, "notifyConsumerIdsChangedEnable": true,
    });
    Request::new(request::UPDATE_AND_CREATE_SUBSCRIPTION_GROUP).body(settings.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: the table of a broker, with unquoted numbers as Java writes them, of two namespaces. *Guarantees*: the offsets of what is wanted, by users' names; others' and
    /// malformed entries are passed over; an offset that was never committed is none.
    #[test]
    fn a_table_of_offsets_is_read() {
        let body = br#"{"dataVersion":{"counter":{}},"offsetTable":{"east%orders@east%billing":{0:7,1:-1,3:0},"orders@billing":{0:9},
            "east%bills@east%billing":{0:3},"nothing":{0:1}},"resetOffsetTable":{}}"#;
        let mut offsets = CommittedOffsets::default();
        let table: OffsetTable = json::read(body).expect("a table");
        offsets.add("b", table, "east%", &|group, topic| (group, topic) == ("billing", "orders"));
        let queue = |id| Queue { broker: "b".into(), id };
        assert_eq!(offsets.of("billing", "orders"), Some(&BTreeMap::from([(queue(0), 7), (queue(3), 0)])));
        assert_eq!((offsets.groups.len(), offsets.of("billing", "bills"), offsets.of("stock", "orders")), (1, None, None));
        let empty: OffsetTable = json::read(b"{}").expect("a broker without groups");
        assert!(empty.0.is_empty());
    }
}
