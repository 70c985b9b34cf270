//! How an instance is set up as a whole, and what sets it up as another one is: what the sync of a route's ends asks for.

use std::collections::{BTreeMap, BTreeSet};

use rocketbridge_connector::Error;
use rocketbridge_connector_rocketmq::TopicSettings;
use rocketbridge_model::route::drift::{Drift, Remedy};
use rocketbridge_model::route::settings::{Access, AccessRule, EndSettings, GroupState, TopicState};

use crate::acl::Rule;
use crate::administration::Administration;
use crate::group::GroupSettings;

impl Administration {
    /// How the instance is set up, over all its masters; its access control only with `with_access`.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses. Access control that cannot be read is no error: the settings say so.
    pub async fn settings(&self, with_access: bool) -> Result<EndSettings, Error> {
        let topics = self.topic_settings().await?;
        let groups = self.groups(false).await?;
        let readers = self.topics_of_groups().await?;
        let access = if with_access { Some(self.access().await) } else { None };
        Ok(EndSettings {
            topics: topics.into_iter().map(|(name, brokers)| (name, topic_state(&brokers))).collect(),
            groups: groups.into_iter().filter_map(|(name, brokers)| Some((name, group_state(&brokers)?))).collect(),
            readers,
            has_attributes: !self.is_old(),
            access,
        })
    }

    /// Ends a difference, as far as it has a remedy.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses; then some may be set up.
    pub async fn set_up(&self, drift: &Drift) -> Result<(), Error> {
        match &drift.remedy {
            None => Ok(()),
            Some(Remedy::Topic(wanted)) => self.set_up_topic(&drift.name, wanted).await,
            Some(Remedy::Group(wanted)) => {
                for broker in self.masters().keys() {
                    self.set_group(broker, &drift.name, &group_settings(wanted)).await?;
                }
                Ok(())
            }
            Some(Remedy::Rule(wanted)) => self.set_rule(&rule(wanted)).await,
        }
    }

    async fn set_up_topic(&self, topic: &str, wanted: &TopicState) -> Result<(), Error> {
        let there = self.topic_settings().await?.remove(topic).unwrap_or_default();
        let brokers: Vec<&String> = if there.is_empty() { self.masters().keys().collect() } else { there.keys().collect() };
        for (broker, settings) in shares(wanted, &brokers, &there) {
            self.set_topic(broker, topic, &settings).await?;
        }
        Ok(())
    }

    /// Access control. Brokers without it refuse in many ways, so whatever goes wrong is told, and spoils nothing else.
    async fn access(&self) -> Result<Access, String> {
        let read = async { Ok::<_, Error>((self.users().await?, self.rules().await?)) };
        let (users, rules) = read.await.map_err(|error| error.to_string())?;
        let users = users.into_iter().map(|user| user.name).collect::<BTreeSet<_>>();
        Ok(Access { users, rules: rules.into_iter().map(access_rule).collect() })
    }
}

fn group_settings(state: &GroupState) -> GroupSettings {
    GroupSettings {
        consume_enable: state.consume_enable,
        consume_broadcast_enable: state.consume_broadcast_enable,
        consume_message_orderly: state.consume_message_orderly,
        retry_queue_nums: state.retry_queue_nums,
        retry_max_times: state.retry_max_times,
    }
}

/// What each broker gets of a topic: as many queues as the others, and never fewer than it has.
fn shares<'b>(wanted: &TopicState, brokers: &[&'b String], there: &BTreeMap<String, TopicSettings>) -> Vec<(&'b String, TopicSettings)> {
    let count = u32::try_from(brokers.len()).unwrap_or(u32::MAX).max(1);
    let share = |queues: u32, has: fn(&TopicSettings) -> u32, broker: &str| {
        let has_all: u32 = there.values().map(has).sum();
        let had = there.get(broker).map_or(0, has);
        // A topic with enough queues over all keeps them where they are.
        if has_all >= queues { had } else { queues.div_ceil(count).max(had) }
    };
    let settings = |broker: &'b String| {
        let settings = TopicSettings {
            read_queue_nums: share(wanted.read_queues, |settings| settings.read_queue_nums, broker),
            write_queue_nums: share(wanted.write_queues, |settings| settings.write_queue_nums, broker),
            perm: wanted.permission | there.get(broker).map_or(0, |settings| settings.perm),
            attributes: wanted.attributes.clone(),
        };
        (broker, settings)
    };
    brokers.iter().copied().map(settings).collect()
}

fn topic_state(brokers: &BTreeMap<String, TopicSettings>) -> TopicState {
    brokers.values().fold(TopicState::default(), |mut state, settings| {
        state.read_queues += settings.read_queue_nums;
        state.write_queues += settings.write_queue_nums;
        state.permission |= settings.perm;
        state.attributes.extend(settings.attributes.clone());
        state
    })
}

/// The group as it may do most at any broker, with the fewest retry queues.
fn group_state(brokers: &BTreeMap<String, GroupSettings>) -> Option<GroupState> {
    let state = |settings: &GroupSettings| GroupState {
        consume_enable: settings.consume_enable,
        consume_broadcast_enable: settings.consume_broadcast_enable,
        consume_message_orderly: settings.consume_message_orderly,
        retry_queue_nums: settings.retry_queue_nums,
        retry_max_times: settings.retry_max_times,
    };
    brokers.values().map(state).reduce(|one, other| GroupState {
        consume_enable: one.consume_enable || other.consume_enable,
        consume_broadcast_enable: one.consume_broadcast_enable || other.consume_broadcast_enable,
        retry_queue_nums: one.retry_queue_nums.min(other.retry_queue_nums),
        ..one
    })
}

fn access_rule(rule: Rule) -> AccessRule {
    let Rule { subject, policy, resource, actions, source_ips, decision } = rule;
    AccessRule { subject, policy, resource, actions, source_ips, allows: decision.eq_ignore_ascii_case("allow") }
}

fn rule(rule: &AccessRule) -> Rule {
    let AccessRule { subject, policy, resource, actions, source_ips, allows } = rule.clone();
    let decision = if allows { "Allow" } else { "Deny" }.to_owned();
    Rule { subject, policy, resource, actions, source_ips, decision }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(queues: u32, perm: u32) -> TopicSettings {
        TopicSettings { read_queue_nums: queues, write_queue_nums: queues, perm, attributes: BTreeMap::new() }
    }

    /// *Scenario*: a topic that is made, one that grows over two unlike brokers, one that has enough. *Guarantees*: at least as many queues as wanted, never fewer at a
    /// broker, no permission lost.
    #[test]
    fn brokers_share_the_queues() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let wanted = |queues: u32| TopicState { read_queues: queues, write_queues: queues, permission: 4, ..TopicState::default() };
        let shared = |queues: u32, there: &[(&String, TopicSettings)]| {
            let there: BTreeMap<_, _> = there.iter().map(|(broker, settings)| ((*broker).clone(), settings.clone())).collect();
            let shares = shares(&wanted(queues), &[&a, &b], &there);
            shares.into_iter().map(|(_, settings)| (settings.read_queue_nums, settings.write_queue_nums, settings.perm)).collect::<Vec<_>>()
        };
        assert_eq!(shared(7, &[]), [(4, 4, 4), (4, 4, 4)]);
        assert_eq!(shared(8, &[(&a, settings(6, 6)), (&b, settings(1, 4))]), [(6, 6, 6), (4, 4, 4)]);
        assert_eq!(shared(8, &[(&a, settings(7, 6)), (&b, settings(1, 6))]), [(7, 7, 6), (1, 1, 6)]);
    }

    #[test]
    fn brokers_are_added_up() {
        let brokers = BTreeMap::from([("a".to_owned(), settings(4, 6)), ("b".to_owned(), settings(2, 4))]);
        let state = topic_state(&brokers);
        assert_eq!((state.read_queues, state.write_queues, state.permission), (6, 6, 6));
        let usual = GroupSettings::default();
        let other = GroupSettings { consume_enable: false, retry_queue_nums: 3, ..usual.clone() };
        let state = group_state(&BTreeMap::from([("a".to_owned(), other), ("b".to_owned(), usual)])).expect("two");
        assert!(state.consume_enable && state.retry_queue_nums == 1);
        assert_eq!(group_state(&BTreeMap::new()), None);
    }
}
