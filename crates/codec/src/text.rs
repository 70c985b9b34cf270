//! JSON and YAML as people write them: a tree that keeps every token.
//!
//! A number stays the text that was written, however long; members stay in their order; equal keys are faults that name both places.
//! So what a user writes is stored, compared and shown as it was written, and never passes through a double or a sorted map.
//!
//! - [`json`] and [`yaml`] read the two languages into a [`Node`];
//! - [`Node::to_json`] writes a node as JSON, token by token;
//! - [`same_json`] compares two JSON texts by their tokens.
//!
//! Limits: [`MOST_NESTED`] lists and objects inside each other, [`MOST_COPIED`] nodes and [`MOST_COPIED_BYTES`] bytes that aliases of YAML stand for,
//! [`MOST_TWICE`] keys that are told to occur twice. Reading takes time in proportion to the text.

pub mod json;
pub mod yaml;

use std::collections::HashMap;
use std::fmt;

use rocketbridge_pattern::json::Reader;

/// Lists and objects inside each other.
pub const MOST_NESTED: usize = 128;
/// Nodes that the aliases of a YAML text stand for together.
pub const MOST_COPIED: usize = 100_000;

/// Bytes of the texts that the aliases of a YAML text stand for together.
pub const MOST_COPIED_BYTES: usize = 16 << 20;
/// Keys of one value that are told to occur twice; others that do are not told.
pub const MOST_TWICE: usize = 20;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub content: Content,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written. YAML has forms that JSON lacks, such as `0x10` and `.5`.
    Number(String),
    /// A text.
    Text(Characters),
    /// A list.
    List(Vec<Node>),
    /// An object. No two members have the same name.
    Object(Vec<NodeMember>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMember {
    /// Where its name stands.
    pub mark: Mark,
    /// Its name.
    pub name: Characters,
    /// Its value.
    pub value: Node,
}

/// A text, with the escapes that it was written with.
#[derive(Clone, Debug)]
pub struct Characters {
    text: String,
    /// What stood between the quotes of a JSON string, if that differs.
    written: Option<Box<str>>,
}

/// A place in a text: line and column, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not of the language.
    #[error("{what} at {mark}")]
    Malformed {
        /// Where.
        mark: Mark,
        /// What is wrong there.
        what: String,
    },
    /// A key occurs twice in one object.
    #[error("{path}: the key occurs twice, at {first} and at {second}")]
    Twice {
        /// Path of the member.
        path: String,
        /// Its name.
        name: String,
        /// Where it stands first.
        first: Mark,
        /// Where it stands again.
        second: Mark,
    },
}

/// A number that JSON cannot represent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} at {mark} is not a JSON number")]
pub struct NotJson {
    /// Where.
    pub mark: Mark,
    /// As it was written.
    pub number: String,
}

impl Node {
    /// The members, if it is an object.
    pub fn members(&self) -> Option<&[NodeMember]> {
        match &self.content {
            Content::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The value of a member; of an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().find(|member| member.name.as_str() == name).map(|member| &member.value)
    }

    /// The characters, if it is a text.
    pub fn as_str(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Compact JSON with every token as it was written.
    ///
    /// # Errors
    /// A number has a form of YAML that JSON lacks.
    pub fn to_json(&self) -> Result<String, NotJson> {
        let mut out = String::new();
        self.write_json(&mut out)?;
        Ok(out)
    }

    /// Compact text for messages: numbers of any form as they were written.
    pub fn to_text(&self) -> String {
        match &self.content {
            Content::Number(number) => number.clone(),
            _ => self.to_json().unwrap_or_default(),
        }
    }

    fn write_json(&self, out: &mut String) -> Result<(), NotJson> {
        match &self.content {
            Content::Null => out.push_str("null"),
            Content::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Content::Number(number) => {
                if !is_json_number(number) {
                    return Err(NotJson { mark: self.mark, number: number.clone() });
                }
                out.push_str(number);
            }
            Content::Text(text) => text.write_json(out),
            Content::List(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    element.write_json(out)?;
                }
                out.push(']');
            }
            Content::Object(members) => {
                out.push('{');
                for (place, member) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    member.name.write_json(out);
                    out.push(':');
                    member.value.write_json(out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }

    /// Whether two nodes have the same tokens, wherever they stand.
    fn is_same(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::List(one), Content::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_same(other))
            }
            (Content::Object(one), Content::Object(other)) => {
                let is_same = |(one, other): (&NodeMember, &NodeMember)| one.name == other.name && one.value.is_same(&other.value);
                one.len() == other.len() && one.iter().zip(other).all(is_same)
            }
            (one, other) => one == other,
        }
    }
}

impl Characters {
    /// A text that was read from YAML or made by a program.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), written: None }
    }

    /// The characters. Half a pair of surrogates is U+FFFD in them.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same, owned.
    pub fn into_string(self) -> String {
        self.text
    }

    /// Whether an escape stands for half a pair of surrogates, which no text can hold.
    pub fn has_lone_surrogate(&self) -> bool {
        self.written.as_deref().is_some_and(rocketbridge_pattern::json::has_lone_surrogate)
    }

    fn write_json(&self, out: &mut String) {
        match &self.written {
            Some(written) => {
                out.push('"');
                out.push_str(written);
                out.push('"');
            }
            None => quote(&self.text, out),
        }
    }
}

/// Texts are equal if their characters are, however they were escaped. Half a pair of surrogates equals only the same half.
impl PartialEq for Characters {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && (self.written == other.written || !(self.has_lone_surrogate() || other.has_lone_surrogate()))
    }
}

impl Eq for Characters {}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Finds the place of byte offsets, which must not decrease, in one pass over the text.
#[derive(Debug)]
pub(crate) struct Marker<'t> {
    text: &'t str,
    offset: usize,
    mark: Mark,
}

impl<'t> Marker<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, offset: 0, mark: Mark { line: 1, column: 1 } }
    }

    pub(crate) fn at(&mut self, offset: usize) -> Mark {
        let offset = offset.min(self.text.len());
        for character in self.text.get(self.offset..offset).unwrap_or_default().chars() {
            if character == '\n' {
                self.mark = Mark { line: self.mark.line + 1, column: 1 };
            } else {
                self.mark.column += 1;
            }
        }
        self.offset = self.offset.max(offset);
        self.mark
    }
}

/// Where each name of an object stands, and which stand again.
#[derive(Debug, Default)]
struct Names(HashMap<String, Mark>);

impl Names {
    /// Takes a name in; the place where it stands already.
    fn again(&mut self, name: &str, mark: Mark) -> Option<Mark> {
        match self.0.get(name) {
            Some(first) => Some(*first),
            None => {
                self.0.insert(name.to_owned(), mark);
                None
            }
        }
    }
}

/// Whether two JSON texts have the same tokens: white space and the way in which strings are escaped mean nothing, everything
/// else does, also the form of a number and the order of members. A text that is not JSON is only the same as itself.
pub fn same_json(one: &str, other: &str) -> bool {
    one == other
        || match (json::value(one), json::value(other)) {
            (Ok(one), Ok(other)) => one.is_same(&other),
            _ => false,
        }
}

/// Whether this is a number as JSON writes them.
pub fn is_json_number(text: &str) -> bool {
    let mut reader = Reader::new(text);
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) && reader.number().is_ok() && reader.position() == text.len()
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The path to the value that is being read. Going down adds to it and coming back takes that away again, so that a path is written out only where a fault
/// names it: paths of many values that stand deep would cost more than the text.
#[derive(Debug, Default)]
struct Trail(String);

impl Trail {
    /// Goes to a member; the trail before it.
    fn member(&mut self, name: &str) -> usize {
        let before = self.0.len();
        if before > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        before
    }

    /// Goes to an element; the trail before it.
    fn element(&mut self, index: usize) -> usize {
        let before = self.0.len();
        self.0.push_str(&format!("[{index}]"));
        before
    }

    /// Comes back.
    fn back(&mut self, before: usize) {
        self.0.truncate(before);
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests;
