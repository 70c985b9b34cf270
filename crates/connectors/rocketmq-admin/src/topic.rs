//! Topics.

use std::collections::{BTreeMap, HashMap, HashSet};

use rocketbridge_connector::Error;
use rocketbridge_connector_rocketmq::TopicSettings;
use rocketmq_client_rust::TopicAdmin;
use rocketmq_model::topic::TopicConfig;

use crate::administration::Administration;

/// How long the settings of all topics of a broker may take, in milliseconds.
const TABLE: u64 = 10_000;

impl Administration {
    /// All topics that the name servers know, RocketMQ's own included, sorted, as users call them.
    ///
    /// # Errors
    ///
    /// The name server cannot be reached or refuses.
    pub async fn topics(&self) -> Result<Vec<String>, Error> {
        let server = self.name_servers().first().map_or("", String::as_str);
        let attempt = format!("list the topics of name server {server}");
        let list = self.at(server, &attempt, |_| TopicAdmin::fetch_all_topic_list(&self.library)).await?;
        let mut topics: Vec<String> = list.topic_list.iter().filter_map(|topic| self.own_name(topic)).collect();
        topics.sort();
        topics.dedup();
        Ok(topics)
    }

    /// How each topic is set up, by the topic, then by the broker's name.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn topic_settings(&self) -> Result<BTreeMap<String, BTreeMap<String, TopicSettings>>, Error> {
        let read = |relay: String| TopicAdmin::get_all_topic_config(&self.library, relay.into(), TABLE);
        let tables = self.at_masters("read the settings of all topics", read).await?;
        let mut topics = BTreeMap::<String, BTreeMap<String, TopicSettings>>::new();
        for (broker, mut table) in tables {
            for (wire, config) in table.take_topic_config_table().unwrap_or_default() {
                if let Some(topic) = self.own_name(&wire) {
                    topics.entry(topic).or_default().insert(broker.clone(), settings(&config));
                }
            }
        }
        Ok(topics)
    }

    /// Makes a topic at one broker, or changes it. Attributes are set beside those that the topic has.
    ///
    /// # Errors
    ///
    /// The broker has no master, cannot be reached, or refuses.
    pub async fn set_topic(&self, broker: &str, topic: &str, settings: &TopicSettings) -> Result<(), Error> {
        let attempt = format!("set up topic {topic} at broker {broker}");
        let address = self.master(broker, &attempt)?.to_owned();
        let mut config = TopicConfig::with_perm(self.wire_name(topic), settings.read_queue_nums, settings.write_queue_nums, settings.perm);
        // A plus before a name adds or changes an attribute (`AttributeParser` of Apache RocketMQ).
        let attributes = settings.attributes.iter().map(|(name, value)| (format!("+{name}").into(), value.as_str().into()));
        config.attributes = attributes.collect::<HashMap<_, _>>();
        self.at(&address, &attempt, |relay| TopicAdmin::create_and_update_topic_config(&self.library, relay.into(), config)).await
    }

    /// Removes a topic and its messages from all masters and name servers. One that is not there is no error to brokers.
    ///
    /// # Errors
    ///
    /// A server cannot be reached or refuses; then the topic may still stand at some.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        let attempt = format!("delete topic {topic}");
        let wire = self.wire_name(topic);
        let forget = |relay: String| TopicAdmin::delete_topic_in_broker(&self.library, HashSet::from([relay.into()]), wire.as_str().into());
        self.at_masters(&attempt, forget).await?;
        for server in self.name_servers() {
            let forget = |relay: String| {
                TopicAdmin::delete_topic_in_name_server(&self.library, HashSet::from([relay.into()]), None, wire.as_str().into())
            };
            self.at(server, &attempt, forget).await?;
        }
        Ok(())
    }
}

fn settings(config: &TopicConfig) -> TopicSettings {
    TopicSettings {
        read_queue_nums: config.read_queue_nums,
        write_queue_nums: config.write_queue_nums,
        perm: config.perm,
        attributes: config.attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}
