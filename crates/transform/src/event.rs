//! A RocketMQ message as transforms read it.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_pattern::{Message, Scalar, Value, is_system, property_value};

use crate::error::ApplyError;
use crate::path::{self, Path, Step};
use crate::render;
use crate::source::{Found, Readable};

/// A message whose body can be handed on without a copy.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    message: Message<'a>,
    body: &'a Bytes,
}

impl<'a> Event<'a> {
    /// The message, with this body instead of its own.
    #[must_use]
    pub fn new(message: Message<'a>, body: &'a Bytes) -> Self {
        Self { message: Message { body, ..message }, body }
    }

    /// The message, as patterns see it.
    #[must_use]
    pub fn message(&self) -> &Message<'a> {
        &self.message
    }

    fn find_in_data(&self, name: &str, rest: &[Step]) -> Option<Found<'_>> {
        match (name, rest) {
            ("topic", []) => Some(Found::Text(self.message.topic.into())),
            ("body", []) => Some(Found::Body(self.body.clone())),
            ("body", steps) => self.find_in_body(steps),
            ("systemProperties" | "userProperties", []) => {
                Some(Found::Json(render::properties(&self.message, name == "systemProperties").into()))
            }
            ("systemProperties" | "userProperties", [Step::Name(property)]) if is_system(property) == (name == "systemProperties") => {
                self.message.properties.get(property).map(|value| found(property_value(property, value)))
            }
            ("topic" | "systemProperties" | "userProperties", _) => None,
            (_, []) => self.message.envelope.field(name).map(|field| match field {
                Scalar::Text(text) => Found::Text(text),
                Scalar::Integer(number) => Found::Json(number.to_string().into()),
            }),
            _ => None,
        }
    }

    fn find_in_body(&self, steps: &[Step]) -> Option<Found<'_>> {
        // A body that is not JSON is data: it has nothing below it.
        let text = std::str::from_utf8(self.body).ok()?;
        let value = path::find(text, steps).ok().flatten()?;
        Some(match Found::from_json(value) {
            Found::Text(Cow::Borrowed(text)) => Found::Text(text.into()),
            Found::Json(Cow::Borrowed(text)) => Found::Part(self.body.slice_ref(text.as_bytes())),
            other => other,
        })
    }
}

impl Readable for Event<'_> {
    fn find(&self, path: &Path) -> Result<Option<Found<'_>>, ApplyError> {
        Ok(match path.steps() {
            [] => Some(Found::Json(render::event(&self.message).into())),
            [Step::Name(data)] if data == "data" => Some(Found::Json(render::data(&self.message).into())),
            [Step::Name(data), Step::Name(name), rest @ ..] if data == "data" => self.find_in_data(name, rest),
            [Step::Name(attribute)] => self.message.envelope.attribute(attribute).map(Found::Text),
            _ => None,
        })
    }
}

fn found(value: Value<'_>) -> Found<'_> {
    match value {
        Value::Number(text) => Found::Json(text),
        Value::String(text) => Found::Text(text),
        Value::Bool(value) => Found::Json(if value { "true" } else { "false" }.into()),
        Value::Null | Value::Opaque | Value::Composite => Found::Json("null".into()),
    }
}
