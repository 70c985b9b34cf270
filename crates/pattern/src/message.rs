//! A RocketMQ message as patterns and transforms see it: CloudEvents attributes at the top, the message under `data`.

use std::borrow::Cow;

use rocketbridge_model::property::is_system;

use crate::leaves::{Leaves, Value};
use crate::paths::{Node, Paths};
use crate::properties::Properties;
use crate::view::{EventError, View};

/// The message, borrowed. What must be formatted or looked up stands behind [`Envelope`] and is asked for only if read.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// `data.topic`
    pub topic: &'a str,
    /// `data.systemProperties` and `data.userProperties`
    pub properties: Properties<'a>,
    /// `data.body`: JSON if it is JSON, a string if it is other text, and otherwise bytes that exist and equal nothing.
    pub body: &'a [u8],
    /// The CloudEvents attributes and the other fields of `data`.
    pub envelope: &'a dyn Envelope,
}

/// Everything about a message that may cost something to compute. Values are asked for one by one, when a pattern reads them.
pub trait Envelope {
    /// A CloudEvents attribute (`id`, `source`, `specversion`, `type`, `subject`, `time`, `datacontenttype` or an extension).
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>>;

    /// A field of `data` beside the topic, the properties and the body, such as `queueId`.
    fn field(&self, name: &str) -> Option<Scalar<'_>>;

    /// Names of the attributes there are, in the order in which the whole event is written.
    fn attribute_names(&self) -> Vec<Cow<'_, str>>;

    /// Names of the fields there are, in the order in which the whole event is written.
    fn field_names(&self) -> Vec<Cow<'_, str>>;
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Integer(i64),
}

/// An [`Envelope`] of values that are at hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fixed<'a> {
    /// Attributes by name.
    pub attributes: &'a [(&'a str, &'a str)],
    /// Fields of `data` by name.
    pub fields: &'a [(&'a str, Scalar<'a>)],
}

/// The body as the event shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// A JSON text, validated.
    Json(&'a str),
    /// Other text.
    Text(&'a str),
    /// Not UTF-8.
    Binary(&'a [u8]),
}

/// The one system property that is shown as a number.
const CONSUME_START_TIME: &str = "CONSUME_START_TIME";

impl<'a> Message<'a> {
    /// The body as the event shows it. Reads all of it.
    #[must_use]
    pub fn classify_body(&self) -> Body<'a> {
        let Ok(text) = simdutf8::basic::from_utf8(self.body) else {
            return Body::Binary(self.body);
        };
        if crate::json::is_json(text) { Body::Json(text) } else { Body::Text(text) }
    }

    fn read_data<'e>(&'e self, paths: &Paths, data: Node, leaves: &mut Leaves<'e>) {
        let (mut system, mut user) = (None, None);
        for (name, node) in paths.children(data) {
            match name {
                "topic" => leaf(paths, node, leaves, || Some(Value::String(self.topic.into()))),
                "systemProperties" => system = Some(node),
                "userProperties" => user = Some(node),
                "body" => self.read_body(paths, node, leaves),
                _ => leaf(paths, node, leaves, || self.envelope.field(name).map(Scalar::into_value)),
            }
        }
        if system.is_some() || user.is_some() {
            self.read_properties(paths, system, user, leaves);
        }
    }

    fn read_properties<'e>(&'e self, paths: &Paths, system: Option<Node>, user: Option<Node>, leaves: &mut Leaves<'e>) {
        for node in [system, user].into_iter().flatten() {
            composite(paths, node, leaves);
        }
        for (name, value) in self.properties.iter_bytes() {
            // A name that is not UTF-8 is none that a pattern could ask for.
            let Ok(name) = std::str::from_utf8(name) else {
                continue;
            };
            let reached = |group: Option<Node>| group.and_then(|node| paths.descend(node, name)).filter(|&node| paths.is_wanted(node));
            let (in_system, in_user) = (reached(system), reached(user));
            if in_system.is_none() && in_user.is_none() {
                continue;
            }
            if let Some(node) = if is_system(name) { in_system } else { in_user } {
                leaves.push(node, property_value(name, String::from_utf8_lossy(value)));
            }
        }
    }

    fn read_body<'e>(&'e self, paths: &Paths, node: Node, leaves: &mut Leaves<'e>) {
        if !paths.is_wanted(node) && !paths.has_children(node) && !paths.wants_composites(node) {
            return;
        }
        let Ok(text) = simdutf8::basic::from_utf8(self.body) else {
            return leaf(paths, node, leaves, || Some(Value::Opaque));
        };
        if leaves.push_part_of_json(paths, node, text).is_err() {
            leaf(paths, node, leaves, || Some(Value::String(text.into())));
        }
    }
}

impl View for Message<'_> {
    fn read<'e>(&'e self, paths: &Paths, leaves: &mut Leaves<'e>) -> Result<(), EventError> {
        for (name, node) in paths.children(Paths::ROOT) {
            if name == "data" {
                composite(paths, node, leaves);
                self.read_data(paths, node, leaves);
            } else {
                leaf(paths, node, leaves, || self.envelope.attribute(name).map(Value::String));
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Message<'_> {
    /// Without the body and the property values: they may be large, and are not ours to log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("topic", &self.topic).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl<'a> Scalar<'a> {
    fn into_value(self) -> Value<'a> {
        match self {
            Self::Text(text) => Value::String(text),
            Self::Integer(number) => Value::Number(number.to_string().into()),
        }
    }
}

impl Envelope for Fixed<'_> {
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
    }

    fn field(&self, name: &str) -> Option<Scalar<'_>> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn attribute_names(&self) -> Vec<Cow<'_, str>> {
        self.attributes.iter().map(|(name, _)| (*name).into()).collect()
    }

    fn field_names(&self) -> Vec<Cow<'_, str>> {
        self.fields.iter().map(|(name, _)| (*name).into()).collect()
    }
}

/// How a property of this name is shown: a string, but for the one that is a number.
#[must_use]
pub fn property_value<'a>(name: &str, value: Cow<'a, str>) -> Value<'a> {
    // Only a text that is a JSON number can be shown as one: no sign, no leading zero.
    let is_number =
        name == CONSUME_START_TIME && value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() && !value.starts_with('0');
    if is_number { Value::Number(value) } else { Value::String(value) }
}

fn leaf<'e>(paths: &Paths, node: Node, leaves: &mut Leaves<'e>, value: impl FnOnce() -> Option<Value<'e>>) {
    if paths.is_wanted(node)
        && let Some(value) = value()
    {
        leaves.push(node, value);
    }
}

fn composite(paths: &Paths, node: Node, leaves: &mut Leaves<'_>) {
    if paths.wants_composites(node) {
        leaves.push(node, Value::Composite);
    }
}
