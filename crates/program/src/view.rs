//! What patterns and transforms see of an event: the RocketMQ event of Alibaba Cloud EventBridge, with what it lacks added.
//!
//! Nothing is formatted before something reads it. Sources: `source` and `type` are the hosted product's values; broker name,
//! queue, offsets, times and hosts are this project's additions.

use std::borrow::Cow;

use rocketbridge_model::{Event, Origin, Whence};
use rocketbridge_pattern::{Envelope, Message, Properties, Scalar};

/// Attributes in the order in which they are rendered.
const ATTRIBUTES: [&str; 10] =
    ["id", "source", "specversion", "type", "datacontenttype", "subject", "time", "dataschema", "aliyunregionid", "aliyunaccountid"];

/// Fields of `data` besides topic, properties and body, in the order in which they are rendered.
const FIELDS: [&str; 10] = [
    "msgId",
    "brokerName",
    "queueId",
    "queueOffset",
    "bornTimestamp",
    "bornHost",
    "storeTimestamp",
    "storeHost",
    "reconsumeTimes",
    "shardingKey",
];

/// An event in its origin.
pub struct View<'a> {
    /// The event.
    pub event: &'a Event,
    /// Where it was read.
    pub origin: &'a Origin,
    /// The event's body, plain if anything reads it.
    pub body: &'a [u8],
}

impl View<'_> {
    /// For patterns.
    pub fn message(&self) -> Message<'_> {
        Message {
            topic: &self.origin.topic,
            properties: Properties::new(self.event.envelope.properties.as_wire()),
            body: self.body,
            envelope: self,
        }
    }

    /// The producer's unique id, or where the message is stored.
    fn id(&self) -> Cow<'_, str> {
        match self.event.envelope.properties.get("UNIQ_KEY") {
            Some(id) => Cow::Borrowed(id),
            None => match self.event.whence(self.origin) {
                Whence::Stored { broker, queue, offset } => Cow::Owned(format!("{broker}-{queue}-{offset}")),
                Whence::Message(id) => Cow::Borrowed(id),
            },
        }
    }
}

impl View<'_> {
    /// Where the message is stored; nothing if its source does not tell.
    fn place(&self, name: &str) -> Option<Scalar<'_>> {
        let Whence::Stored { broker, queue, offset } = self.event.whence(self.origin) else { return None };
        match name {
            "brokerName" => Some(Scalar::Text(Cow::Borrowed(broker))),
            "queueId" => Some(Scalar::Integer(i64::from(queue))),
            _ => i64::try_from(offset).ok().map(Scalar::Integer),
        }
    }
}

impl Envelope for View<'_> {
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(given) = &self.event.attributes {
            let text = match name {
                "id" => &given.id,
                "source" => &given.source,
                "type" => &given.r#type,
                "subject" => &given.subject,
                "time" => &given.time,
                "datacontenttype" => &given.data_content_type,
                "dataschema" => &given.data_schema,
                "specversion" => return Some("1.0".into()),
                extension => &given.extensions.iter().find(|(candidate, _)| candidate == extension)?.1,
            };
            return (!text.is_empty()).then_some(Cow::Borrowed(text));
        }
        let some = |text: String| (!text.is_empty()).then_some(Cow::Owned(text));
        match name {
            "id" => Some(self.id()),
            "source" => Some("acs:mq".into()),
            "specversion" => Some("1.0".into()),
            "type" => Some("mq:Topic:SendMessage".into()),
            "datacontenttype" => Some("application/json; charset=utf-8".into()),
            "subject" => Some(Cow::Owned(format!(
                "acs:mq:{}:{}:{}%{}",
                self.origin.region, self.origin.account, self.origin.instance, self.origin.topic
            ))),
            "time" => jiff::Timestamp::from_millisecond(self.event.envelope.born_timestamp).ok().map(|time| Cow::Owned(time.to_string())),
            "aliyunregionid" => some(self.origin.region.to_string()),
            "aliyunaccountid" => some(self.origin.account.clone()),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<Scalar<'_>> {
        let envelope = &self.event.envelope;
        let host = |host: Option<std::net::SocketAddr>| host.map(|host| Scalar::Text(Cow::Owned(host.to_string())));
        match name {
            "msgId" => Some(Scalar::Text(self.id())),
            "brokerName" | "queueId" | "queueOffset" => self.place(name),
            "bornTimestamp" => Some(Scalar::Integer(envelope.born_timestamp)),
            "storeTimestamp" => Some(Scalar::Integer(envelope.store_timestamp)),
            "bornHost" => host(envelope.born_host),
            "storeHost" => host(envelope.store_host),
            "reconsumeTimes" => Some(Scalar::Integer(i64::from(envelope.reconsume_times))),
            "shardingKey" => envelope.properties.get("__SHARDINGKEY").map(|key| Scalar::Text(Cow::Borrowed(key))),
            _ => None,
        }
    }

    fn attribute_names(&self) -> Vec<Cow<'_, str>> {
        let mut names: Vec<Cow<'_, str>> = ATTRIBUTES.iter().copied().map(Cow::Borrowed).collect();
        if let Some(given) = &self.event.attributes {
            names.extend(given.extensions.iter().map(|(name, _)| Cow::Borrowed(name.as_str())));
        }
        names
    }

    fn field_names(&self) -> Vec<Cow<'_, str>> {
        FIELDS.iter().copied().map(Cow::Borrowed).collect()
    }
}
