//! Subscription groups.

use std::collections::BTreeMap;

use rocketbridge_connector::{Code, Error};
use rocketmq_client_rust::ConsumerAdmin;
use rocketmq_protocol::protocol::subscription::subscription_group_config::SubscriptionGroupConfig;

use crate::administration::Administration;

/// How long the settings of all groups of a broker may take, in milliseconds.
const TABLE: u64 = 10_000;

/// Groups that every RocketMQ has for its own use, as Java's `MixAll` lists them.
const SYSTEM_GROUPS: [&str; 6] =
    ["DEFAULT_CONSUMER", "TOOLS_CONSUMER", "SCHEDULE_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "__MONITOR_CONSUMER"];
/// How other groups of its own begin.
const SYSTEM_PREFIXES: [&str; 3] = ["CID_RMQ_SYS_", "CID_ONS", "CID_SYS_RMQ_"];

/// How a subscription group is set up at one broker (`SubscriptionGroupConfig` of Apache RocketMQ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// Whether the group may consume.
    pub consume_enable: bool,
    /// Whether it may consume by broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether it consumes in order; `None` where brokers do not know of it (4.x).
    pub consume_message_orderly: Option<bool>,
    /// Queues of its retry topic.
    pub retry_queue_nums: u32,
    /// How often a message is tried again before it is a dead letter; -1 for the broker's default.
    pub retry_max_times: i32,
}

impl Default for GroupSettings {
    /// What a group has that nobody set up.
    fn default() -> Self {
        Self {
            consume_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: Some(false),
            retry_queue_nums: 1,
            retry_max_times: 16,
        }
    }
}

impl Administration {
    /// How each subscription group is set up, by the group, then by the broker's name; with `all` also RocketMQ's own.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn groups(&self, all: bool) -> Result<BTreeMap<String, BTreeMap<String, GroupSettings>>, Error> {
        let read = |relay: String| ConsumerAdmin::get_all_subscription_group(&self.library, relay.into(), TABLE);
        let tables = self.at_masters("read the settings of all subscription groups", read).await?;
        let mut groups = BTreeMap::<String, BTreeMap<String, GroupSettings>>::new();
        for (broker, table) in &tables {
            for (wire, config) in table.get_subscription_group_table() {
                let named = self.own_name(wire).filter(|group| all || !is_system_group(group));
                if let Some(group) = named {
                    groups.entry(group).or_default().insert(broker.clone(), settings(config, self.is_old()));
                }
            }
        }
        Ok(groups)
    }

    /// How one group is set up, by the broker's name; empty if no broker has it.
    ///
    /// Read from the list of all groups: a broker that may make groups by itself would make one that it is asked for by name.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn group(&self, group: &str) -> Result<BTreeMap<String, GroupSettings>, Error> {
        Ok(self.groups(true).await?.remove(group).unwrap_or_default())
    }

    /// Makes a group at one broker, or changes it. What [`GroupSettings`] does not hold stays as it is.
    ///
    /// # Errors
    ///
    /// The broker has no master, cannot be reached, or refuses; a number is too great.
    pub async fn set_group(&self, broker: &str, group: &str, settings: &GroupSettings) -> Result<(), Error> {
        let attempt = format!("set up group {group} at broker {broker}");
        let address = self.master(broker, &attempt)?.to_owned();
        let wire = self.wire_name(group);
        let table = self.at(&address, &attempt, |relay| ConsumerAdmin::get_all_subscription_group(&self.library, relay.into(), TABLE));
        let table = table.await?;
        let there = table.get_subscription_group_table().get(wire.as_str()).cloned();
        let mut config = there.unwrap_or_else(|| SubscriptionGroupConfig::new(wire.as_str().into()));
        let retry_queues = i32::try_from(settings.retry_queue_nums);
        let retry_queues = retry_queues
            .map_err(|_| Error::new(Code::Rejected, attempt.clone(), "retry_queue_nums is too great: write at most 2147483647"))?;
        config.set_consume_enable(settings.consume_enable);
        config.set_consume_broadcast_enable(settings.consume_broadcast_enable);
        if let Some(orderly) = settings.consume_message_orderly {
            config.set_consume_message_orderly(orderly);
        }
        config.set_retry_queue_nums(retry_queues);
        config.set_retry_max_times(settings.retry_max_times);
        // Brokers take changes of attributes only, and none of them means that all stay.
        config.set_attributes(Default::default());
        let set = |relay: String| ConsumerAdmin::create_and_update_subscription_group_config(&self.library, relay.into(), config);
        self.at(&address, &attempt, set).await
    }

    /// Removes a group from all masters, with what it committed.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses; then the group may still stand at some.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let wire = self.wire_name(group);
        let forget =
            |relay: String| ConsumerAdmin::delete_subscription_group(&self.library, relay.into(), wire.as_str().into(), Some(true));
        self.at_masters(&format!("delete group {group}"), forget).await.map(drop)
    }
}

/// Whether RocketMQ made the group for its own use.
pub fn is_system_group(group: &str) -> bool {
    SYSTEM_GROUPS.contains(&group) || SYSTEM_PREFIXES.iter().any(|prefix| group.starts_with(prefix))
}

fn settings(config: &SubscriptionGroupConfig, is_old: bool) -> GroupSettings {
    GroupSettings {
        consume_enable: config.consume_enable(),
        consume_broadcast_enable: config.consume_broadcast_enable(),
        consume_message_orderly: (!is_old).then(|| config.consume_message_orderly()),
        retry_queue_nums: u32::try_from(config.retry_queue_nums()).unwrap_or_default(),
        retry_max_times: config.retry_max_times(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rocketmqs_own_groups_are_known() {
        for group in ["TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS", "CID_ONSAPI_PULL", "SELF_TEST_C_GROUP"] {
            assert!(is_system_group(group), "{group}");
        }
        assert!(!is_system_group("CID_orders") && !is_system_group("orders"));
    }
}
