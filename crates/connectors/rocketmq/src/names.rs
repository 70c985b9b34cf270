//! What the requests of a source have in common: its topic, its group and its tags, as brokers know them.

use rocketbridge_model::resolved::RocketMqSource;

use crate::client::Client;

/// The names of a source on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Wire name of the topic.
    pub(crate) topic: String,
    /// Wire name of the group.
    pub(crate) group: String,
    /// The tag expression as brokers read it.
    pub(crate) expression: String,
    /// The tags that are wanted; empty for all.
    pub(crate) tags: Vec<String>,
}

impl Names {
    /// The names of a source.
    pub(crate) fn new(client: &Client, definition: &RocketMqSource) -> Self {
        let mut tags: Vec<_> = definition.tags.iter().map(|tag| tag.trim().to_owned()).collect();
        // `*` among the tags wants everything, as in RocketMQ's own expressions.
        if tags.iter().any(|tag| tag == "*") {
            tags.clear();
        }
        tags.retain(|tag| !tag.is_empty());
        Self {
            topic: client.wire_name(&definition.topic),
            group: client.wire_name(&definition.group),
            // Without spaces: brokers and clients differ in whether they cut them off.
            expression: if tags.is_empty() { "*".to_owned() } else { tags.join("||") },
            tags,
        }
    }

    /// The same topic and group, whatever the tags.
    pub(crate) fn unfiltered(&self) -> Self {
        Self { expression: "*".to_owned(), tags: Vec::new(), ..self.clone() }
    }
}
