//! A RocketMQ message to try a transform on: what an event's text says of it, with a body of its own.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_codec::text::{Content, Mark, Node, NodeMember, json};
use rocketbridge_model::Properties;
use rocketbridge_pattern::{Envelope, Message, Scalar};
use rocketbridge_transform::Event;

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
        let fault =
            |faults: Vec<_>| format!("the event is not JSON: {}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        let node = json::value(event).map_err(fault)?;
        let Content::Object(mut members) = node.content else { return Err("the event is not a JSON object".to_owned()) };
        let mut data = object(take(&mut members, "data"), "data")?;
        let topic = take(&mut data, "topic").map(characters).unwrap_or_default();
        let mut pairs = Vec::new();
        for group in ["systemProperties", "userProperties"] {
            let properties = object(take(&mut data, group), &format!("data.{group}"))?;
            pairs.extend(properties.into_iter().map(|member| (member.name.into_string(), characters(member.value))));
        }
        let properties = Properties::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let properties = properties.map_err(|error| format!("the event's properties: {error}"))?;
        data.retain(|member| !matches!(member.name.as_str(), "body" | "bodyEncoding"));
        let fields = data.into_iter().map(|member| field(member.name.into_string(), member.value)).collect::<Result<_, _>>()?;
        let attributes = members.into_iter().map(|member| (member.name.into_string(), characters(member.value))).collect();
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

/// Takes a member out.
fn take(members: &mut Vec<NodeMember>, name: &str) -> Option<Node> {
    let place = members.iter().position(|member| member.name.as_str() == name)?;
    Some(members.remove(place).value)
}

/// The members of an object; none if it is absent.
fn object(node: Option<Node>, place: &str) -> Result<Vec<NodeMember>, String> {
    match node.map(|node| node.content) {
        None | Some(Content::Null) => Ok(Vec::new()),
        Some(Content::Object(members)) => Ok(members),
        Some(other) => Err(format!("{place}: found {}; an object is needed", text(other))),
    }
}

/// Attributes and properties are text: anything else as it was written.
fn characters(node: Node) -> String {
    text(node.content)
}

fn text(content: Content) -> String {
    match content {
        Content::Text(text) => text.into_string(),
        other => Node { mark: Mark { line: 1, column: 1 }, content: other }.to_text(),
    }
}

fn field(name: String, node: Node) -> Result<(String, Scalar<'static>), String> {
    let scalar = match &node.content {
        Content::Text(text) => Scalar::Text(Cow::Owned(text.as_str().to_owned())),
        Content::Number(number) if number.parse::<i64>().is_ok() => Scalar::Integer(number.parse().unwrap_or_default()),
        _ => return Err(format!("data.{name}: found {}; a field of a message is text or a whole number", node.to_text())),
    };
    Ok((name, scalar))
}
