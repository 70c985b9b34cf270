//! From a document as people write it to one that the model accepts: known fields only, under their own names, each of the right kind.

use rocketbridge_model::Violation;
use rocketbridge_model::secret::REDACTED;
use rocketbridge_model::validate::nearest;
use serde_json::{Map, Number, Value};

use crate::definition::fields::{Field, Shape, find};
use crate::text::{self, Content, Fault, Mark, Node, NodeMember};

/// Which names a document uses, and what it may write otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `kind` and snake_case.
    Native,
    /// The body of a `CreateEventStreaming` request, where nested objects may be JSON text.
    Original,
}

/// Most violations of a document that are shown.
const MOST: usize = 20;

/// Walks one document and collects what is wrong with it.
pub(super) struct Walk {
    style: Style,
    /// The first ones.
    violations: Vec<Violation>,
    /// How many there are besides.
    more: usize,
}

impl Walk {
    /// A walk over a document of this style.
    pub(super) fn new(style: Style) -> Self {
        Self { style, violations: Vec::new(), more: 0 }
    }

    /// Walks a document of these fields.
    pub(super) fn finish(mut self, fields: &'static [Field], members: Vec<NodeMember>) -> Result<Map<String, Value>, Vec<Violation>> {
        let object = self.message(fields, members, "");
        if self.more > 0 {
            self.violations.push(Violation::more(self.more));
        }
        if self.violations.is_empty() { Ok(object) } else { Err(self.violations) }
    }

    fn message(&mut self, fields: &'static [Field], members: Vec<NodeMember>, path: &str) -> Map<String, Value> {
        let mut taken = Map::new();
        let mut places: Vec<(&'static str, String, Mark)> = Vec::new();
        for NodeMember { mark, name, value } in members {
            let name = name.into_string();
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let Some(field) = find(fields, &name) else {
                self.unknown(fields, &name, &below);
                continue;
            };
            if value.content == Content::Null || matches!(field.shape, Shape::OutputOnly) {
                continue;
            }
            if let Some((_, earlier, place)) = places.iter().find(|(known, ..)| *known == field.name) {
                let rule = format!("the field is given twice, as {earlier} at {place} and as {name} at {mark}");
                self.refuse(&below, &name, rule, "remove one of the two");
                continue;
            }
            places.push((field.name, name, mark));
            if let Some(value) = self.value(field, value, &below) {
                taken.insert(field.name.to_owned(), value);
            }
        }
        taken
    }

    fn value(&mut self, field: &'static Field, node: Node, path: &str) -> Option<Value> {
        match field.shape {
            Shape::Text => match node.content {
                Content::Text(_) => self.text(node, is_secret(field.name), path),
                Content::Number(_) | Content::Bool(_) => {
                    if is_secret(field.name) {
                        return self.refuse(path, REDACTED, "text is needed", "write it in quotes");
                    }
                    let written = node.to_text();
                    self.refuse(path, &written, "text is needed", format!("write \"{written}\", in quotes"))
                }
                _ => self.refuse(path, describe(&node), "text is needed", "write a text"),
            },
            Shape::Count => self.integer(&node, path, 0, u32::MAX.into()),
            Shape::Integer => self.integer(&node, path, i64::MIN, i64::MAX),
            Shape::Json => match node.content {
                Content::Text(_) => self.text(node, false, path),
                Content::Object(_) | Content::List(_) => self.json(&node, path),
                _ => self.refuse(path, describe(&node), "JSON is needed, as text or as an object", "write {} to match every event"),
            },
            Shape::Word { words, prefix } => self.word(words, prefix, &node, path),
            Shape::Flag => match &node.content {
                Content::Bool(flag) => Some(Value::Bool(*flag)),
                Content::Text(text) => self.refuse(path, text.as_str(), "true or false is needed", "write true or false, without quotes"),
                _ => self.refuse(path, describe(&node), "true or false is needed", "write true or false"),
            },
            Shape::Texts => self.texts(node, path),
            Shape::Message(fields) | Shape::Value(fields) => {
                let node = self.unfold(node, path)?;
                match node.content {
                    Content::Object(members) => Some(Value::Object(self.message(fields, members, path))),
                    Content::Text(_) if matches!(field.shape, Shape::Value(_)) && is_secret(field.name) => {
                        self.refuse(path, REDACTED, "an object is needed", "write value and form: CONSTANT below it")
                    }
                    Content::Text(text) if matches!(field.shape, Shape::Value(_)) => {
                        let fix = format!("write {{\"value\": {:?}, \"form\": \"CONSTANT\"}}", text.as_str());
                        self.refuse(path, text.as_str(), "an object is needed", fix)
                    }
                    _ => self.refuse(path, describe(&node), "an object is needed", "write its fields below it"),
                }
            }
            Shape::Messages(fields) => {
                let node = self.unfold(node, path)?;
                match node.content {
                    Content::List(list) => Some(self.messages(fields, list, path)),
                    _ => self.refuse(path, describe(&node), "a list is needed", "write a list of objects"),
                }
            }
            Shape::OutputOnly => None,
        }
    }

    /// The characters of a text.
    fn text(&mut self, node: Node, is_secret: bool, path: &str) -> Option<Value> {
        let Content::Text(text) = node.content else { return None };
        if text.has_lone_surrogate() {
            let found = if is_secret { REDACTED } else { text.as_str() };
            return self.refuse(path, found, "half a surrogate pair is not a character", "write the whole pair, or the character itself");
        }
        Some(Value::String(text.into_string()))
    }

    /// JSON that stands in a document as it is: its text, every token as it was written.
    fn json(&mut self, node: &Node, path: &str) -> Option<Value> {
        match node.to_json() {
            Ok(json) => Some(Value::String(json)),
            Err(fault) => {
                let rule = format!("a JSON number is needed at {}", fault.mark);
                let fix = format!("write it as JSON does, such as 16 or 0.5e3, or \"{}\" in quotes for a text", fault.number);
                self.refuse(path, &fault.number, rule, fix)
            }
        }
    }

    fn messages(&mut self, fields: &'static [Field], list: Vec<Node>, path: &str) -> Value {
        let mut taken = Vec::with_capacity(list.len());
        for (index, node) in list.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            match node.content {
                Content::Object(members) => taken.push(Value::Object(self.message(fields, members, &path))),
                _ => drop(self.refuse(&path, describe(&node), "an object is needed", "write its fields")),
            }
        }
        Value::Array(taken)
    }

    /// A word in any case, or the API's name for it, which is what its JSON has.
    fn word(&mut self, words: &'static [&'static str], prefix: &str, node: &Node, path: &str) -> Option<Value> {
        let rule = format!("one of {} is allowed", words.join(", "));
        let Some(text) = node.as_str() else {
            return self.refuse(path, describe(node), rule, "write one of them, or leave the field out");
        };
        let plain = text.strip_prefix(prefix).unwrap_or(text);
        match words.iter().find(|word| word.eq_ignore_ascii_case(plain)) {
            Some(word) => Some(Value::String((*word).to_owned())),
            None if text.is_empty() => None,
            None => {
                let fix = match nearest(plain, words.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => "write one of them, or leave the field out".to_owned(),
                };
                self.refuse(path, text, rule, fix)
            }
        }
    }

    fn texts(&mut self, node: Node, path: &str) -> Option<Value> {
        match node.content {
            Content::List(list) => {
                let mut texts = Vec::with_capacity(list.len());
                for (index, item) in list.into_iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match item.content {
                        Content::Text(_) => texts.extend(self.text(item, false, &path)),
                        _ => drop(self.refuse(&path, describe(&item), "text is needed", "write it in quotes")),
                    }
                }
                Some(Value::Array(texts))
            }
            Content::Text(text) => {
                let fix = format!("write [{:?}]", text.as_str());
                self.refuse(path, text.as_str(), "a list of texts is needed", fix)
            }
            _ => self.refuse(path, describe(&node), "a list of texts is needed", "write a list"),
        }
    }

    /// Some SDKs write integers as text.
    fn integer(&mut self, node: &Node, path: &str, least: i64, most: i64) -> Option<Value> {
        let number = match &node.content {
            Content::Text(text) if text.as_str().is_empty() => return None,
            Content::Text(text) => text.as_str().parse().ok(),
            Content::Number(number) => whole(number),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return Some(Value::Number(Number::from(number)));
        }
        let found = match &node.content {
            Content::Text(text) => text.as_str(),
            Content::Number(number) => number,
            _ => describe(node),
        };
        let rule = if most == i64::MAX {
            "a whole number is needed".to_owned()
        } else {
            format!("a whole number from {least} to {most} is needed")
        };
        self.refuse(path, found, rule, "write digits only")
    }

    /// The object or list that an SDK wrote as JSON text; anything else as it is. `None` if the text has equal keys.
    fn unfold(&mut self, node: Node, path: &str) -> Option<Node> {
        let Content::Text(characters) = &node.content else { return Some(node) };
        if self.style != Style::Original {
            return Some(node);
        }
        match text::json::value(characters.as_str()) {
            Ok(unfolded) if matches!(unfolded.content, Content::Object(_) | Content::List(_)) => Some(unfolded),
            Err(faults) if faults.iter().any(|fault| matches!(fault, Fault::Twice { .. })) => {
                self.violations.extend(faults.into_iter().filter_map(|fault| twice(fault, path, " in its text")));
                None
            }
            _ => Some(node),
        }
    }

    fn is_full(&self) -> bool {
        self.violations.len() >= MOST
    }

    fn unknown(&mut self, fields: &'static [Field], name: &str, path: &str) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        let named = |field: &'static Field| match (self.style, field.original.first()) {
            (Style::Original, Some(original)) => *original,
            _ => field.name,
        };
        let names: Vec<&str> = fields.iter().filter(|field| !matches!(field.shape, Shape::OutputOnly)).map(named).collect();
        let fix = match nearest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("remove it; the fields are {}", names.join(", ")),
        };
        self.refuse(path, name, "there is no such field", fix);
    }

    fn refuse(&mut self, path: &str, found: &str, rule: impl Into<String>, fix: impl Into<String>) -> Option<Value> {
        if self.is_full() {
            self.more += 1;
        } else {
            self.violations.push(Violation::new(path, found, rule, fix));
        }
        None
    }
}

/// The kind of a value, without showing the value.
pub(super) fn describe(node: &Node) -> &'static str {
    match node.content {
        Content::Null => "nothing",
        Content::Bool(_) => "true or false",
        Content::Number(_) => "a number",
        Content::Text(_) => "a text",
        Content::List(_) => "a list",
        Content::Object(_) => "an object",
    }
}

/// The violation for a key that occurs twice; `None` for a fault of another kind.
pub(super) fn twice(fault: Fault, above: &str, within: &str) -> Option<Violation> {
    let Fault::Twice { path, name, first, second } = fault else { return None };
    let field = if above.is_empty() { path } else { format!("{above}.{path}") };
    Some(Violation::new(field, name, format!("the key occurs twice{within}, at {first} and at {second}"), "remove one of the two"))
}

/// A whole number in any form of YAML.
fn whole(number: &str) -> Option<i64> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        }
    }
    number.parse().ok()
}

fn is_secret(name: &str) -> bool {
    matches!(name, "instance_password" | "secret_key" | "security_token" | "client_key" | "egress_proxy_password")
}
