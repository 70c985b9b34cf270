//! How a topic is set up at a broker (`TopicConfig` of Apache RocketMQ): the one reader of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::client::{ANSWER, Client};
use crate::error::Failure;
use crate::remoting::code::{request, response};
use crate::remoting::{Request, json};

/// The bit of a topic's permission that lets producers write (`PermName` of Apache RocketMQ).
pub(crate) const WRITE: u32 = 2;
/// The attribute that says which kind of messages a topic takes (5.x).
pub(crate) const MESSAGE_TYPE: &str = "message.type";

/// `TopicAttributes.CLEANUP_POLICY_ATTRIBUTE` of Apache RocketMQ, and its value for a topic that keeps the newest message of each key.
const CLEANUP_POLICY: &str = "cleanup.policy";
const COMPACTION: &str = "COMPACTION";

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
    #[serde(default, deserialize_with = "attributes")]
    pub attributes: BTreeMap<String, String>,
}

impl TopicSettings {
    /// Whether the broker compacts the topic: it keeps the newest message of each key and removes others between them.
    pub fn is_compacted(&self) -> bool {
        self.attributes.get(CLEANUP_POLICY).is_some_and(|policy| policy == COMPACTION)
    }

    /// As a broker tells the settings of one topic.
    fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        json::read(body)
    }
}

/// What may stand in place of what: brokers of 4.x have no attributes, some write `null`, and stored ones begin with a plus sign.
fn attributes<'d, D: Deserializer<'d>>(read: D) -> Result<BTreeMap<String, String>, D::Error> {
    let attributes: Option<BTreeMap<String, Option<String>>> = Deserialize::deserialize(read)?;
    let given = attributes.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(given.map(|(name, value)| (name.strip_prefix('+').map_or(name.clone(), str::to_owned), value)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AllSettings {
    #[serde(default)]
    topic_config_table: BTreeMap<String, TopicSettings>,
}

/// How a topic (wire name) is set up at a broker; `None` if the broker does not have it. Brokers before 5.0 tell the settings of all topics at once only.
pub(crate) async fn at(client: &Client, address: &str, wire: &str) -> Result<Option<TopicSettings>, Failure> {
    let request = Request::new(request::GET_TOPIC_CONFIG).field("topic", wire.to_owned()).field("lo", "true");
    let answer = client.exchange(address, request, ANSWER).await?;
    let nonsense = |error: serde_json::Error| Failure::nonsense(address, format!("settings of a topic: {error}"));
    match answer.code {
        response::SUCCESS => TopicSettings::read(&answer.body).map(Some).map_err(nonsense),
        response::TOPIC_NOT_EXIST => Ok(None),
        response::REQUEST_CODE_NOT_SUPPORTED => {
            let all = client.ask(address, Request::new(request::GET_ALL_TOPIC_CONFIG)).await?;
            let mut all: AllSettings = json::read(&all.body).map_err(nonsense)?;
            Ok(all.topic_config_table.remove(wire))
        }
        _ => Err(Failure::refused(address, &answer)),
    }
}

/// Whether a broker compacts a topic (wire name): then it removes messages between others, and an offset without a message is no loss. One that does not answer is
/// taken not to.
pub(crate) async fn is_compacted(client: &Client, address: &str, wire: &str) -> bool {
    match at(client, address, wire).await {
        Ok(settings) => settings.is_some_and(|settings| settings.is_compacted()),
        Err(failure) => {
            tracing::debug!(topic = wire, address, ?failure, "the settings of the topic are not known");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: settings with attributes as brokers of 5.3.3 tell and store them, with none, and nonsense. *Guarantees*: an attribute has one name, however it was stored; only
    /// it says that a topic is compacted.
    #[test]
    fn a_topic_is_compacted_if_its_attribute_says_so() {
        let with = |attributes: &str| {
            let text = format!(
                r#"{{"attributes":{attributes},"order":false,"perm":6,"readQueueNums":1,"topicName":"t","topicSysFlag":0,"writeQueueNums":1}}"#
            );
            TopicSettings::read(text.as_bytes()).expect("settings")
        };
        assert!(with(r#"{"cleanup.policy":"COMPACTION"}"#).is_compacted());
        let stored = with(r#"{"+cleanup.policy":"COMPACTION","message.type":"NORMAL","+x":null}"#);
        assert!(stored.is_compacted());
        assert_eq!(stored.attributes.keys().collect::<Vec<_>>(), ["cleanup.policy", "message.type"]);
        for attributes in [r#"{"cleanup.policy":"DELETE"}"#, "{}", "null"] {
            assert!(!with(attributes).is_compacted(), "{attributes}");
        }
        assert!(TopicSettings::read(b"no").is_err() && TopicSettings::read(br#"{"topicName":"t"}"#).is_err());
    }

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
