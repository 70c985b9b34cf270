//! Files of definitions: YAML or JSON, one or several documents, native or the body of a `CreateEventStreaming` request.
//!
//! Native documents have a `kind` beside the fields of the API's messages in snake_case; what only the server writes (`uid`, `state`,
//! times …) is ignored, so that the output of `get` can be applied. A body of `CreateEventStreaming` is taken unchanged, also where
//! the SDKs write `Source`, `Sink`, `RunOptions`, `Tags` and `Transforms` as JSON text; its pattern is of the dialect `alibaba` unless
//! it says otherwise. Every error names file, document and field.

mod text;
mod walk;

use std::collections::HashMap;
use std::fmt;

use rocketbridge_model::Violation;
use rocketbridge_model::validate::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fields::{CONNECTION, Described, Field, NETWORK, ROUTE, STREAM};
use super::{Definition, Kind};
use crate::text::{Content, Node, NodeMember};
use walk::{Style, Walk};

/// A definition as it stood in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The definition.
    pub definition: Definition,
    /// The etag that was written beside it; empty for none. An update with it is refused if the definition has changed since.
    pub etag: String,
    /// Where it stood.
    pub place: Place,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name as given.
    pub file: String,
    /// The document, from 1.
    pub document: usize,
    /// The document's first line, from 1, where it is known.
    pub line: Option<usize>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The text is neither YAML nor JSON, or holds nothing.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong, with line and column of the file where they are known.
        reason: String,
    },
    /// A field is unknown or holds the wrong kind of value.
    #[error("{place}: {violation}")]
    Refused {
        /// Where.
        place: Place,
        /// What is wrong. The field's path is as it was written.
        violation: Violation,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, document {}", self.file, self.document)?;
        match self.line {
            Some(line) => write!(formatter, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// Errors after which no further document of a file is looked at.
const MOST_ERRORS: usize = 100;

/// Reads the definitions of a file, in their order. `file_name` only names the places. The error holds everything that is wrong.
pub fn read_definitions(text: &str, file_name: &str) -> Result<Vec<Document>, Vec<ReadError>> {
    let documents = text::documents(text, file_name)?;
    let mut read: Vec<Document> = Vec::new();
    let mut errors = Vec::new();
    let mut earlier: HashMap<(Kind, String), usize> = HashMap::new();
    for (place, value) in documents {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        match document(value) {
            Ok((definition, etag)) => {
                let key = (definition.kind(), definition.name().to_owned());
                match earlier.get(&key).filter(|_| !definition.name().is_empty()) {
                    Some(document) => {
                        let rule = format!("document {document} defines the same {}", definition.kind().as_str().to_lowercase());
                        let violation = Violation::new("name", definition.name(), rule, "remove one of the two, or rename it");
                        errors.push(ReadError::Refused { place, violation });
                    }
                    None => {
                        earlier.insert(key, place.document);
                        read.push(Document { definition, etag, place });
                    }
                }
            }
            Err(violations) => {
                errors.extend(violations.into_iter().map(|violation| ReadError::Refused { place: place.clone(), violation }));
            }
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(errors) }
}

fn document(node: Node) -> Result<(Definition, String), Vec<Violation>> {
    let Content::Object(mut members) = node.content else {
        let fix = "write kind: Stream and the stream's fields";
        return Err(vec![Violation::new("kind", walk::describe(&node), "a document is an object with a kind", fix)]);
    };
    let Some(kind) = take(&mut members, "kind") else {
        if members.iter().any(|member| member.name.as_str() == "EventStreamingName") {
            let mut stream = definition::<rocketbridge_model::StreamDefinition>(STREAM, members, Style::Original)?;
            if stream.filter_pattern_dialect.is_empty() {
                stream.filter_pattern_dialect = "alibaba".to_owned();
            }
            return Ok((Definition::Stream(Box::new(stream)), String::new()));
        }
        let rule = "a document has a kind, or is the body of a CreateEventStreaming request, with EventStreamingName";
        return Err(vec![Violation::new("kind", "", rule, "write kind: Stream, kind: Connection, kind: Network or kind: Route")]);
    };
    let etag = match take(&mut members, "etag") {
        None | Some(Node { content: Content::Null, .. }) => String::new(),
        Some(Node { content: Content::Text(etag), .. }) => etag.into_string(),
        Some(other) => return Err(vec![Violation::new("etag", walk::describe(&other), "text is needed", "write it in quotes")]),
    };
    let definition = match read_kind(&kind)? {
        Kind::Stream => Definition::Stream(Box::new(definition(STREAM, members, Style::Native)?)),
        Kind::Connection => Definition::Connection(Box::new(definition(CONNECTION, members, Style::Native)?)),
        Kind::Network => Definition::Network(Box::new(definition(NETWORK, members, Style::Native)?)),
        Kind::Route => Definition::Route(Box::new(definition(ROUTE, members, Style::Native)?)),
    };
    Ok((definition, etag))
}

fn take(members: &mut Vec<NodeMember>, name: &str) -> Option<Node> {
    let place = members.iter().position(|member| member.name.as_str() == name)?;
    Some(members.remove(place).value)
}

fn read_kind(node: &Node) -> Result<Kind, Vec<Violation>> {
    let words = Kind::ALL.map(Kind::as_str);
    let text = node.as_str().unwrap_or_default();
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == text) {
        return Ok(kind);
    }
    let fix = match nearest(text, words) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "write one of them".to_owned(),
    };
    let found = node.as_str().unwrap_or_else(|| walk::describe(node));
    Err(vec![Violation::new("kind", found, "one of Stream, Connection, Network, Route is allowed", fix)])
}

fn definition<D: Described + DeserializeOwned>(
    fields: &'static [Field],
    members: Vec<NodeMember>,
    style: Style,
) -> Result<D, Vec<Violation>> {
    let object = Walk::new(style).finish(fields, members)?;
    // The walk has left only what the model takes; a test holds the two together.
    serde_json::from_value(Value::Object(object)).map_err(|error| {
        vec![Violation::new("", "", error.to_string(), "please report this: the reader should have found the error earlier")]
    })
}

#[cfg(test)]
mod tests;
