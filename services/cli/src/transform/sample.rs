//! A RocketMQ message to try a transform on: what an event's text says of it, with a body of its own.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_model::Properties;
use rocketbridge_pattern::{Envelope, Message, Scalar};
use rocketbridge_transform::Event;
use serde_json::{Map, Value};

/// The message.
#[derive(Debug)]
pub(super) struct Sample {
    topic: String,
    properties: Properties,
    attributes: Vec<(String, String)>,
    fields: Vec<(String, Scalar<'static>)>,
    body: Bytes,
}

impl Sample {
    /// The message that an event shows, with this body in place of its own. The error says what no message has.
    pub(super) fn read(event: &str, body: Bytes) -> Result<Self, String> {
        let tree = serde_json::from_str(event).map_err(|error| format!("the event is not JSON: {error}"))?;
        let Value::Object(mut members) = tree else { return Err("the event is not a JSON object".to_owned()) };
        let mut data = object(members.shift_remove("data"), "data")?;
        let topic = data.shift_remove("topic").map(characters).unwrap_or_default();
        let mut pairs = Vec::new();
        for group in ["systemProperties", "userProperties"] {
            let properties = object(data.shift_remove(group), &format!("data.{group}"))?;
            pairs.extend(properties.into_iter().map(|(name, value)| (name, characters(value))));
        }
        let properties = Properties::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let properties = properties.map_err(|error| format!("the event's properties: {error}"))?;
        for own in ["body", "bodyEncoding"] {
            data.shift_remove(own);
        }
        let fields = data.into_iter().map(|(name, value)| field(name, &value)).collect::<Result<_, _>>()?;
        let attributes = members.into_iter().map(|(name, value)| (name, characters(value))).collect();
        Ok(Self { topic, properties, attributes, fields, body })
    }

    /// As a transform reads it.
    pub(super) fn event(&self) -> Event<'_> {
        let properties = rocketbridge_pattern::Properties::new(self.properties.as_wire());
        Event::new(Message { topic: &self.topic, properties, body: &self.body, envelope: self }, &self.body)
    }
}

impl Envelope for Sample {
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| Cow::Borrowed(value.as_str()))
    }

    fn field(&self, name: &str) -> Option<Scalar<'_>> {
        self.fields.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.clone())
    }

    fn attribute_names(&self) -> Vec<Cow<'_, str>> {
        self.attributes.iter().map(|(name, _)| Cow::Borrowed(name.as_str())).collect()
    }

    fn field_names(&self) -> Vec<Cow<'_, str>> {
        self.fields.iter().map(|(name, _)| Cow::Borrowed(name.as_str())).collect()
    }
}

/// The members of an object; none if it is absent.
fn object(value: Option<Value>, place: &str) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(other) => Err(format!("{place}: found {other}; an object is needed")),
    }
}

/// Attributes and properties are text.
fn characters(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn field(name: String, value: &Value) -> Result<(String, Scalar<'static>), String> {
    let scalar = match value {
        Value::String(text) => Scalar::Text(Cow::Owned(text.clone())),
        other => match other.as_i64() {
            Some(number) => Scalar::Integer(number),
            None => return Err(format!("data.{name}: found {other}; a field of a message is text or a whole number")),
        },
    };
    Ok((name, scalar))
}
