//! What a pattern asks of one value.

mod cidr;
mod comparison;
mod fold;
mod range;
mod regexp;
mod wildcard;

pub(crate) use cidr::Cidr;
pub(crate) use comparison::{Comparison, Relation};
pub(crate) use fold::Folded;
pub(crate) use range::{Bound, Range};
pub(crate) use regexp::{Fault as RegexpFault, Regexp};
pub(crate) use wildcard::{Fault as WildcardFault, Wildcard};

use std::cmp::Ordering;
use std::fmt;

use memchr::memmem::Finder;

use crate::leaves::{Leaf, Value};
use crate::matching::Matching;
use crate::number::Number;
use crate::paths::Node;
use crate::view::EventError;

/// One condition. It holds for a leaf or it does not.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    /// One of many texts, which are sorted.
    AnyText(Box<[Box<str>]>),
    /// The value's text, whatever its type: the `alibaba` dialect's equality.
    Untyped(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Contains(Box<Finder<'static>>),
    EqualsFolded(Folded),
    PrefixFolded(Folded),
    SuffixFolded(Folded),
    Wildcard(Box<Wildcard>),
    Regexp(Box<Regexp>),
    Cidr(Cidr),
    Numeric(Box<Range>),
    /// The value is there.
    Exists,
    /// The path is there: objects and arrays count too.
    Present,
    /// The value is there, and none of these holds.
    Not(Box<[Condition]>),
    /// All of these hold.
    All(Box<[Condition]>),
    /// The value stands in this relation to another value of the event.
    Compare(Box<Comparison>),
}

impl Condition {
    pub(crate) fn holds(&self, leaf: &Leaf<'_>, matching: &Matching<'_, '_>) -> Result<bool, EventError> {
        let value = &leaf.value;
        Ok(match self {
            Self::Null => *value == Value::Null,
            Self::Bool(expected) => *value == Value::Bool(*expected),
            Self::Number(number) => {
                matches!(value, Value::Number(text) if number.compare(text, leaf.digits(text)) == Ordering::Equal)
            }
            Self::Text(expected) => text(value).is_some_and(|text| *text == **expected),
            Self::AnyText(expected) => text(value).is_some_and(|text| expected.binary_search_by(|known| (**known).cmp(text)).is_ok()),
            Self::Untyped(expected) => untyped(value).is_some_and(|text| *text == **expected),
            Self::Prefix(prefix) => text(value).is_some_and(|text| text.as_bytes().starts_with(prefix.as_bytes())),
            Self::Suffix(suffix) => text(value).is_some_and(|text| text.as_bytes().ends_with(suffix.as_bytes())),
            Self::Contains(finder) => text(value).is_some_and(|text| finder.find(text.as_bytes()).is_some()),
            Self::EqualsFolded(folded) => text(value).is_some_and(|text| folded.equals(text)),
            Self::PrefixFolded(folded) => text(value).is_some_and(|text| folded.starts(text)),
            Self::SuffixFolded(folded) => text(value).is_some_and(|text| folded.ends(text)),
            Self::Wildcard(wildcard) => text(value).is_some_and(|text| wildcard.matches(text)),
            Self::Regexp(regexp) => text(value).is_some_and(|text| regexp.matches(text)),
            Self::Cidr(cidr) => text(value).is_some_and(|text| cidr.contains(text)),
            Self::Numeric(range) => {
                matches!(value, Value::Number(text) if range.contains(text, leaf.digits(text)))
            }
            Self::Exists => *value != Value::Composite,
            Self::Present => true,
            Self::Not(conditions) => *value != Value::Composite && !matching.any(conditions, leaf)?,
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(leaf, matching)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Compare(comparison) => comparison.holds(leaf, matching)?,
        })
    }
}

impl Matching<'_, '_> {
    /// Whether any of `conditions` holds for `leaf`.
    #[inline]
    pub(crate) fn any(&self, conditions: &[Condition], leaf: &Leaf<'_>) -> Result<bool, EventError> {
        for condition in conditions {
            if condition.holds(leaf, self)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Condition {
    /// The same condition for a trie in which the node `n` of this one is `places[n]`.
    pub(crate) fn relocated(&self, places: &[Node]) -> Self {
        let all = |conditions: &[Self]| conditions.iter().map(|condition| condition.relocated(places)).collect();
        match self {
            Self::Not(conditions) => Self::Not(all(conditions)),
            Self::All(conditions) => Self::All(all(conditions)),
            Self::Compare(comparison) => {
                Self::Compare(Box::new(Comparison { other: places[comparison.other.index()], ..(**comparison).clone() }))
            }
            other => other.clone(),
        }
    }

    /// The nodes of other fields that the condition reads.
    pub(crate) fn others(&self) -> Vec<Node> {
        match self {
            Self::Not(conditions) | Self::All(conditions) => conditions.iter().flat_map(Self::others).collect(),
            Self::Compare(comparison) => vec![comparison.other],
            _ => Vec::new(),
        }
    }
}

fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn untyped<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::String(text) | Value::Number(text) => Some(text),
        Value::Bool(true) => Some("true"),
        Value::Bool(false) => Some("false"),
        Value::Null | Value::Opaque | Value::Composite => None,
    }
}

/// As it would be written in a pattern, for explanations.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = |f: &mut fmt::Formatter<'_>, name: &str, operand: &str| write!(f, "{{\"{name}\": {operand:?}}}");
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => f.write_str(number.text()),
            Self::Text(text) | Self::Untyped(text) => write!(f, "{text:?}"),
            Self::AnyText(texts) => write!(f, "one of {} texts", texts.len()),
            Self::Prefix(text) => operator(f, "prefix", text),
            Self::Suffix(text) => operator(f, "suffix", text),
            Self::Contains(finder) => operator(f, "contains", &String::from_utf8_lossy(finder.needle())),
            Self::EqualsFolded(folded) => operator(f, "equals-ignore-case", folded.text()),
            Self::PrefixFolded(folded) => write!(f, "{{\"prefix\": {{\"equals-ignore-case\": {:?}}}}}", folded.text()),
            Self::SuffixFolded(folded) => write!(f, "{{\"suffix\": {{\"equals-ignore-case\": {:?}}}}}", folded.text()),
            Self::Wildcard(wildcard) => operator(f, "wildcard", wildcard.text()),
            Self::Regexp(regexp) => operator(f, "regexp", regexp.text()),
            Self::Cidr(cidr) => write!(f, "{{\"cidr\": \"{cidr}\"}}"),
            Self::Numeric(range) => write!(f, "{{\"numeric\": {range}}}"),
            Self::Exists | Self::Present => f.write_str("{\"exists\": true}"),
            Self::Not(conditions) => list(f, "anything-but", conditions),
            Self::All(conditions) => list(f, "all-of", conditions),
            Self::Compare(comparison) => write!(f, "{comparison}"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, name: &str, conditions: &[Condition]) -> fmt::Result {
    write!(f, "{{\"{name}\": [")?;
    for (index, condition) in conditions.iter().enumerate() {
        write!(f, "{}{condition}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str("]}")
}
