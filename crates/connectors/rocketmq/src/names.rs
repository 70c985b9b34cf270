//! What the requests of a source have in common: its topic, its group and its filter, as brokers know them.

use std::sync::Arc;

use rocketbridge_model::Event;
use rocketbridge_model::properties::pairs;
use rocketbridge_model::resolved::RocketMqSource;
use rocketbridge_sql92::{Filter, Malformed};

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
    /// The SQL92 filter, if there is one.
    pub(crate) sql: Option<Arc<Sql>>,
}

/// An SQL92 filter of a source.
#[derive(Debug)]
pub(crate) struct Sql {
    /// As it is written, for brokers.
    pub(crate) text: String,
    /// The same, for ourselves.
    filter: Result<Filter, Malformed>,
}

impl Sql {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), filter: Filter::parse(text) }
    }

    /// Takes away the events that do not match. A definition with a text that is no filter is refused long before this.
    pub(crate) fn keep(&self, events: &mut Vec<Event>) -> Result<(), Malformed> {
        let filter = self.filter.as_ref().map_err(Malformed::clone)?;
        events.retain(|event| {
            let properties = event.envelope.properties.as_wire();
            filter.matches(|wanted| {
                // Java brokers keep properties in maps, from which they leave out empty values.
                let (_, value) = pairs(properties).filter(|(name, value)| *name == wanted.as_bytes() && !value.is_empty()).last()?;
                Some(String::from_utf8_lossy(value))
            })
        });
        Ok(())
    }
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
            sql: definition.sql.as_deref().map(|text| Arc::new(Sql::new(text))),
        }
    }

    /// The same topic and group, without a filter.
    pub(crate) fn unfiltered(&self) -> Self {
        Self { expression: "*".to_owned(), tags: Vec::new(), sql: None, ..self.clone() }
    }
}
