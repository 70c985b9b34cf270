//! How far consumer groups are, and who their members are.

use std::collections::{BTreeMap, BTreeSet};

use rocketbridge_connector::{Code, Error};
use rocketmq_client_rust::{ConsumerAdmin, ConsumerConnectionRead, MQAdminConsumerObservationReadExt};

use crate::administration::Administration;

/// How long the progress of a group may take at one broker, in milliseconds.
const STATS: u64 = 10_000;

/// How far a group is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupProgress {
    /// Messages a second that the group took, as brokers count them.
    pub tps: f64,
    /// Each queue that brokers know the group from, sorted.
    pub queues: Vec<QueueLag>,
}

/// How far a group is in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueLag {
    /// The topic, as users call it; a retry topic with its prefix.
    pub topic: String,
    /// The broker.
    pub broker: String,
    /// The queue's number.
    pub queue: u32,
    /// The offset that the group committed. Brokers say 0 for a queue where it never did.
    pub committed: u64,
    /// The offset that the next message gets.
    pub end: u64,
}

/// The members of a group that are connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMembers {
    /// Each one, sorted, though it is connected to several brokers.
    pub members: BTreeSet<GroupMember>,
    /// What they subscribe: the filter by the topic.
    pub subscriptions: BTreeMap<String, String>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupMember {
    /// Its identity.
    pub client: String,
    /// Its address without the port, which differs from broker to broker.
    pub host: String,
    /// The language of its client: `JAVA`, `RUST`, `GO`.
    pub language: String,
}

impl QueueLag {
    /// Messages that the group has not committed.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.committed)
    }
}

impl Administration {
    /// How far a group is in each queue that brokers know it from. `NotFound` if no broker knows the group.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn progress(&self, group: &str) -> Result<GroupProgress, Error> {
        let attempt = format!("read the progress of group {group}");
        let wire = self.wire_name(group);
        let mut progress = GroupProgress::default();
        let mut unknown = None;
        for address in self.masters().values() {
            let read = |relay: String| {
                ConsumerAdmin::examine_consume_stats(&self.library, wire.as_str().into(), None, None, Some(relay.into()), Some(STATS))
            };
            let stats = match self.at(address, &attempt, read).await {
                Ok(stats) => stats,
                Err(error) if error.code() == Code::NotFound => {
                    unknown = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            progress.tps += stats.get_consume_tps();
            let number = |offset: i64| u64::try_from(offset).unwrap_or_default();
            progress.queues.extend(stats.get_offset_table().iter().map(|(queue, offsets)| QueueLag {
                topic: self.own_name(queue.topic_str()).unwrap_or_else(|| queue.topic_str().to_owned()),
                broker: queue.broker_name().to_string(),
                queue: u32::try_from(queue.queue_id()).unwrap_or_default(),
                committed: number(offsets.get_consumer_offset()),
                end: number(offsets.get_broker_offset()),
            }));
        }
        if let Some(error) = unknown.filter(|_| progress.queues.is_empty()) {
            return Err(error);
        }
        progress.queues.sort();
        Ok(progress)
    }

    /// The members of a group that are connected; none is no error.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn members(&self, group: &str) -> Result<GroupMembers, Error> {
        let wire = self.wire_name(group);
        let read =
            |relay: String| MQAdminConsumerObservationReadExt::consumer_connection_at(&self.library, relay.into(), wire.as_str().into());
        let mut members = GroupMembers::default();
        for found in self.at_masters(&format!("list the members of group {group}"), read).await?.into_values() {
            let ConsumerConnectionRead::Online(connected) = found else { continue };
            members.members.extend(connected.get_connection_set().iter().map(|member| GroupMember {
                client: member.get_client_id().to_string(),
                host: member.get_client_addr().rsplit_once(':').map(|(host, _)| host.to_owned()).unwrap_or_default(),
                language: member.get_language().to_string(),
            }));
            members.subscriptions.extend(
                connected.get_subscription_table().iter().map(|(topic, subscribed)| {
                    (self.own_name(topic).unwrap_or_else(|| topic.to_string()), subscribed.sub_string.to_string())
                }),
            );
        }
        Ok(members)
    }

    /// The topics that each group committed offsets in, by the group; retry topics and RocketMQ's own groups left out.
    ///
    /// Through our own client: the library tells the groups of one topic only, from one broker that it picks by chance.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn topics_of_groups(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
        let groups = self.admin.topics_of_groups().await?;
        let own = |topics: BTreeSet<String>| -> BTreeSet<String> {
            topics.iter().filter_map(|topic| self.own_name(topic)).filter(|topic| !topic.starts_with("%RETRY%")).collect()
        };
        let named = groups.into_iter().filter_map(|(wire, topics)| Some((self.own_name(&wire)?, own(topics))));
        Ok(named.filter(|(group, topics)| !topics.is_empty() && !crate::group::is_system_group(group)).collect())
    }
}
