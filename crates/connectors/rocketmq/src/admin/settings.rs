//! How a topic is set up at each broker, and topics that are made after another one's settings.

use std::collections::BTreeMap;

use rocketbridge_connector::{Code, Error};
use serde::Deserialize;

use super::Admin;
use crate::error::Failure;
use crate::remoting::code::{request, response};
use crate::remoting::{Request, json};

/// The bit of a topic's permission that lets producers write (`PermName` of Apache RocketMQ).
pub(crate) const WRITE: u32 = 2;
/// The attribute that says which kind of messages a topic takes (5.x).
pub(crate) const MESSAGE_TYPE: &str = "message.type";

/// How a topic is set up at one broker (`TopicConfig` of Apache RocketMQ).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicSettings {
    /// Queues that consumers may read.
    pub read_queue_nums: u32,
    /// Queues that producers may write to.
    pub write_queue_nums: u32,
    /// 4 for readable, 2 for writable, 1 for inherited, added up.
    pub perm: u32,
    /// Attributes by name, such as `message.type`; brokers before 5.0 have none.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllSettings {
    #[serde(default)]
    topic_config_table: BTreeMap<String, TopicSettings>,
}

impl Admin {
    /// How a topic is set up at each master that has it, by the broker's name.
    ///
    /// # Errors
    ///
    /// The name server or a master cannot be reached. A topic that is nowhere has no settings, which is no error.
    pub async fn topic_settings(&self, topic: &str) -> Result<BTreeMap<String, TopicSettings>, Error> {
        let attempt = || format!("read the settings of topic {topic} through name server {}", self.client.name_servers());
        let masters = self.masters().await?;
        let wire = self.client.wire_name(topic);
        let mut all = BTreeMap::new();
        for (broker, address) in masters {
            let settings = self.settings_at(&address, &wire).await.map_err(|failure| failure.during(attempt()))?;
            all.extend(settings.map(|settings| (broker, settings)));
        }
        Ok(all)
    }

    /// The masters of all clusters: their addresses by the broker's name.
    pub(crate) async fn masters(&self) -> Result<BTreeMap<String, String>, Error> {
        let attempt = || format!("list the brokers of name server {}", self.client.name_servers());
        let clusters = self.clusters().await.map_err(|failure| failure.during(attempt()))?;
        clusters.masters(None).map_err(|reason| Error::new(Code::NotFound, attempt(), reason))
    }

    /// Sets a topic up at one broker. Attributes are given only if the broker does not have the topic yet; those of a topic that it has stay.
    ///
    /// # Errors
    ///
    /// The broker has no master, cannot be reached, or refuses.
    pub async fn set_topic(&self, broker: &str, topic: &str, settings: &TopicSettings, is_new: bool) -> Result<(), Error> {
        let attempt = format!("set up topic {topic} at broker {broker} through name server {}", self.client.name_servers());
        let masters = self.masters().await?;
        let Some(address) = masters.get(broker) else {
            return Err(Error::new(Code::Unavailable, attempt, "the broker has no master now"));
        };
        let mut request = self.set_up(topic, settings.read_queue_nums, settings.write_queue_nums, settings.perm);
        if is_new && !settings.attributes.is_empty() {
            let pairs = settings.attributes.iter().map(|(name, value)| format!("+{name}={value}"));
            request = request.field("attributes", pairs.collect::<Vec<_>>().join(","));
        }
        self.client.ask(address, request).await.map_err(|failure| failure.during(attempt))?;
        let queues = settings.write_queue_nums as usize;
        self.registered(topic, |route| route.writable().iter().filter(|queue| queue.broker == broker).count() >= queues).await;
        Ok(())
    }

    /// Brokers before 5.0 tell the settings of all topics at once only.
    async fn settings_at(&self, address: &str, wire: &str) -> Result<Option<TopicSettings>, Failure> {
        let request = Request::new(request::GET_TOPIC_CONFIG).field("topic", wire.to_owned()).field("lo", "true");
        let answer = self.client.exchange(address, request, crate::client::ANSWER).await?;
        let nonsense = |error: serde_json::Error| Failure::nonsense(address, format!("settings of a topic: {error}"));
        match answer.code {
            response::SUCCESS => json::read(&answer.body).map(Some).map_err(nonsense),
            response::TOPIC_NOT_EXIST => Ok(None),
            response::REQUEST_CODE_NOT_SUPPORTED => {
                let all = self.client.ask(address, Request::new(request::GET_ALL_TOPIC_CONFIG)).await?;
                let mut all: AllSettings = json::read(&all.body).map_err(nonsense)?;
                Ok(all.topic_config_table.remove(wire))
            }
            _ => Err(Failure::refused(address, &answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: settings as brokers of 5.3 and 4.9 tell them. *Guarantees*: both are read; what is not asked for is passed over.
    #[test]
    fn settings_are_read() {
        let five = br#"{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG",
            "topicName":"t","topicSysFlag":0,"writeQueueNums":4}"#;
        let settings: TopicSettings = json::read(five).expect("settings");
        assert_eq!((settings.read_queue_nums, settings.write_queue_nums, settings.perm), (8, 4, 6));
        assert_eq!(settings.attributes.get(MESSAGE_TYPE).map(String::as_str), Some("FIFO"));
        let four = br#"{"dataVersion":{"counter":1},"topicConfigTable":{"t":{"order":false,"perm":4,"readQueueNums":2,"topicName":"t","writeQueueNums":2}}}"#;
        let all: AllSettings = json::read(four).expect("settings");
        assert_eq!(
            all.topic_config_table["t"],
            TopicSettings { read_queue_nums: 2, write_queue_nums: 2, perm: 4, attributes: BTreeMap::new() }
        );
    }
}
