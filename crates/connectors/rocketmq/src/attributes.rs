//! Attributes of a topic, as brokers of 5.x keep them with its configuration.

use serde::Deserialize;
use std::collections::HashMap;

use crate::client::Client;
use crate::remoting::code::request;
use crate::remoting::{Request, json};

/// `TopicAttributes.CLEANUP_POLICY_ATTRIBUTE` of Apache RocketMQ, and its value for a topic that keeps the newest message of each key.
const CLEANUP_POLICY: &str = "cleanup.policy";
const COMPACTION: &str = "COMPACTION";

/// What is read of the configuration of a topic.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    attributes: Option<HashMap<String, String>>,
}

/// Whether a broker compacts a topic (wire name): then it removes messages between others, and an offset without a message is no loss.
/// A broker that does not know the question (4.x) compacts none; one that does not answer is taken not to.
pub(crate) async fn is_compacted(client: &Client, address: &str, topic: &str) -> bool {
    let request = Request::new(request::GET_TOPIC_CONFIG).field("topic", topic.to_owned()).field("lo", "false");
    match client.ask(address, request).await {
        Ok(response) => compacts(&response.body),
        Err(failure) => {
            tracing::debug!(topic, address, ?failure, "the attributes of the topic are not known");
            false
        }
    }
}

fn compacts(body: &[u8]) -> bool {
    // Stored configurations name an attribute as it was set: with a plus sign.
    let attributes = json::read::<Configuration>(body).ok().and_then(|configuration| configuration.attributes).unwrap_or_default();
    let mut policies = attributes.iter().filter(|(name, _)| name.trim_start_matches('+') == CLEANUP_POLICY);
    policies.any(|(_, policy)| policy == COMPACTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: configurations as brokers of 5.3.3 and 4.9.7 write them, and nonsense. *Guarantees*: only the attribute says that a topic is compacted.
    #[test]
    fn a_topic_is_compacted_if_its_attribute_says_so() {
        let with = |attributes: &str| {
            format!(
                r#"{{"attributes":{attributes},"order":false,"perm":6,"readQueueNums":1,"topicName":"t","topicSysFlag":0,"writeQueueNums":1}}"#
            )
        };
        assert!(compacts(with(r#"{"cleanup.policy":"COMPACTION"}"#).as_bytes()));
        assert!(compacts(with(r#"{"+cleanup.policy":"COMPACTION","message.type":"NORMAL"}"#).as_bytes()));
        for body in [with(r#"{"cleanup.policy":"DELETE"}"#), with("{}"), with("null"), r#"{"topicName":"t"}"#.to_owned(), "no".to_owned()] {
            assert!(!compacts(body.as_bytes()), "{body}");
        }
    }
}
