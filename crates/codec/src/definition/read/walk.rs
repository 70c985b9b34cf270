//! From a document as people wrote it to one that the model takes: known fields only, under their own names, each of the right kind.

use rocketbridge_model::Violation;
use rocketbridge_model::secret::REDACTED;
use rocketbridge_model::validate::nearest;
use serde_json::{Map, Number, Value};

use crate::definition::fields::{Field, Shape, find};

/// Which names and liberties a document has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `kind` and snake_case.
    Native,
    /// The body of a `CreateEventStreaming` request, where nested objects may be JSON text.
    Original,
}

/// Walks one document and collects what is wrong with it.
pub(super) struct Walk {
    style: Style,
    violations: Vec<Violation>,
}

impl Walk {
    /// A walk over a document of this style.
    pub(super) fn new(style: Style) -> Self {
        Self { style, violations: Vec::new() }
    }

    /// Walks a document of these fields.
    pub(super) fn finish(mut self, fields: &'static [Field], object: Map<String, Value>) -> Result<Map<String, Value>, Vec<Violation>> {
        let object = self.message(fields, object, "");
        if self.violations.is_empty() { Ok(object) } else { Err(self.violations) }
    }

    fn message(&mut self, fields: &'static [Field], object: Map<String, Value>, path: &str) -> Map<String, Value> {
        let mut taken = Map::new();
        for (name, value) in object {
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let Some(field) = find(fields, &name) else {
                self.unknown(fields, &name, &below);
                continue;
            };
            if value.is_null() || matches!(field.shape, Shape::OutputOnly) {
                continue;
            }
            if taken.contains_key(field.name) {
                self.refuse(&below, &name, "the field stands twice, under two names", "remove one of the two");
                continue;
            }
            if let Some(value) = self.value(field, value, &below) {
                taken.insert(field.name.to_owned(), value);
            }
        }
        taken
    }

    fn value(&mut self, field: &'static Field, value: Value, path: &str) -> Option<Value> {
        match field.shape {
            Shape::Text => match value {
                Value::String(_) => Some(value),
                Value::Number(_) | Value::Bool(_) => {
                    if is_secret(field.name) {
                        return self.refuse(path, REDACTED, "text is needed", "write it in quotes");
                    }
                    self.refuse(path, &value.to_string(), "text is needed", format!("write \"{value}\", in quotes"))
                }
                _ => self.refuse(path, &describe(&value), "text is needed", "write a text"),
            },
            Shape::Count => self.integer(value, path, 0, u32::MAX.into()),
            Shape::Integer => self.integer(value, path, i64::MIN, i64::MAX),
            Shape::Json => match value {
                Value::String(_) => Some(value),
                Value::Object(_) | Value::Array(_) => Some(Value::String(value.to_string())),
                _ => self.refuse(path, &describe(&value), "JSON is needed, as text or as an object", "write {} to match every event"),
            },
            Shape::Word { words, prefix } => self.word(words, prefix, value, path),
            Shape::Texts => self.texts(value, path),
            Shape::Message(fields) | Shape::Value(fields) => match self.unfold(value) {
                Value::Object(object) => Some(Value::Object(self.message(fields, object, path))),
                Value::String(_) if matches!(field.shape, Shape::Value(_)) && is_secret(field.name) => {
                    self.refuse(path, REDACTED, "an object is needed", "write value and form: CONSTANT below it")
                }
                Value::String(text) if matches!(field.shape, Shape::Value(_)) => {
                    let fix = format!("write {{\"value\": {text:?}, \"form\": \"CONSTANT\"}}");
                    self.refuse(path, &text, "an object is needed", fix)
                }
                other => self.refuse(path, &describe(&other), "an object is needed", "write its fields below it"),
            },
            Shape::Messages(fields) => match self.unfold(value) {
                Value::Array(list) => Some(self.messages(fields, list, path)),
                other => self.refuse(path, &describe(&other), "a list is needed", "write a list of objects"),
            },
            Shape::OutputOnly => None,
        }
    }

    fn messages(&mut self, fields: &'static [Field], list: Vec<Value>, path: &str) -> Value {
        let mut taken = Vec::with_capacity(list.len());
        for (index, value) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            match value {
                Value::Object(object) => taken.push(Value::Object(self.message(fields, object, &path))),
                other => drop(self.refuse(&path, &describe(&other), "an object is needed", "write its fields")),
            }
        }
        Value::Array(taken)
    }

    /// A word in any case, or the API's name for it, which is what its JSON has.
    fn word(&mut self, words: &'static [&'static str], prefix: &str, value: Value, path: &str) -> Option<Value> {
        let rule = format!("one of {} is allowed", words.join(", "));
        let Value::String(text) = value else {
            return self.refuse(path, &describe(&value), rule, "write one of them, or leave the field out");
        };
        let plain = text.strip_prefix(prefix).unwrap_or(&text);
        match words.iter().find(|word| word.eq_ignore_ascii_case(plain)) {
            Some(word) => Some(Value::String((*word).to_owned())),
            None if text.is_empty() => None,
            None => {
                let fix = match nearest(plain, words.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "write one of them, or leave the field out".to_owned(),
                };
                self.refuse(path, &text, rule, fix)
            }
        }
    }

    fn texts(&mut self, value: Value, path: &str) -> Option<Value> {
        match value {
            Value::Array(list) => {
                for (index, item) in list.iter().enumerate().filter(|(_, item)| !item.is_string()) {
                    self.refuse(&format!("{path}[{index}]"), &describe(item), "text is needed", "write it in quotes");
                }
                Some(Value::Array(list))
            }
            Value::String(text) => {
                let fix = format!("write [{text:?}]");
                self.refuse(path, &text, "a list of texts is needed", fix)
            }
            other => self.refuse(path, &describe(&other), "a list of texts is needed", "write a list"),
        }
    }

    /// Some SDKs write integers as text.
    fn integer(&mut self, value: Value, path: &str, least: i64, most: i64) -> Option<Value> {
        let number = match &value {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return Some(Value::Number(Number::from(number)));
        }
        let found = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => describe(&other),
        };
        let rule = if most == i64::MAX {
            "a whole number is needed".to_owned()
        } else {
            format!("a whole number from {least} to {most} is needed")
        };
        self.refuse(path, &found, rule, "write digits only")
    }

    /// The object or list that an SDK wrote as JSON text; anything else as it is.
    fn unfold(&self, value: Value) -> Value {
        match value {
            Value::String(text) if self.style == Style::Original => match serde_json::from_str(&text) {
                Ok(unfolded @ (Value::Object(_) | Value::Array(_))) => unfolded,
                _ => Value::String(text),
            },
            other => other,
        }
    }

    fn unknown(&mut self, fields: &'static [Field], name: &str, path: &str) {
        let named = |field: &'static Field| match (self.style, field.original.first()) {
            (Style::Original, Some(original)) => *original,
            _ => field.name,
        };
        let names: Vec<&str> = fields.iter().filter(|field| !matches!(field.shape, Shape::OutputOnly)).map(named).collect();
        let fix = match nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("remove it; known are {}", names.join(", ")),
        };
        self.refuse(path, name, "there is no such field", fix);
    }

    fn refuse(&mut self, path: &str, found: &str, rule: impl Into<String>, fix: impl Into<String>) -> Option<Value> {
        self.violations.push(Violation::new(path, found, rule, fix));
        None
    }
}

/// What kind of value stands somewhere, without showing it.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
    .to_owned()
}

fn is_secret(name: &str) -> bool {
    matches!(name, "instance_password" | "secret_key" | "security_token")
}
