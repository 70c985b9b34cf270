//! A rule as it is filed.
//!
//! Most rules ask for exact values of a few fields. Such a rule is kept in one piece of memory, with its name: where there are a million
//! of them, what an event costs is how many places in memory it leads to.

use std::sync::Arc;

use smallvec::SmallVec;

use super::sequence::Keyed;
use crate::condition::{Condition, untyped};
use crate::field::{Ask, Places};
use crate::join::{Term, satisfiable};
use crate::leaves::{Leaf, Leaves, Place, Value};
use crate::matching::Matching;
use crate::number;
use crate::paths::Node;
use crate::pattern::Logic;
use crate::view::EventError;

/// A rule and its number: later ones have larger numbers.
#[derive(Debug, Clone)]
pub(crate) struct Filed {
    pub(crate) number: u64,
    pub(crate) rule: Rule,
}

/// What a rule is made of.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// Exact values of some fields: see [`Exact`].
    Exact(Arc<[u8]>),
    /// Anything.
    General(Arc<General>),
}

/// A rule of any kind.
#[derive(Debug)]
pub(crate) struct General {
    name: Box<str>,
    logic: Logic,
    /// Whether it asks for nothing but one field, so that whoever knows that the field is satisfied knows that the rule is.
    one_field: bool,
}

/// A reader of the bytes of a rule that asks for exact values: the budget of combinations, the name, and for each field its node, the type
/// and the text of its value. Lengths are in two bytes.
#[derive(Clone, Copy)]
struct Exact<'r> {
    bytes: &'r [u8],
}

/// What an exact field asks for.
#[derive(Clone, Copy)]
struct Asked<'r> {
    node: Node,
    kind: u8,
    text: &'r str,
}

const NULL: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const UNTYPED: u8 = 5;

impl Keyed for Filed {
    fn key(&self) -> u64 {
        self.number
    }
}

impl Rule {
    /// The rule of this name and logic, whose nodes are those of the index.
    pub(crate) fn new(name: &str, logic: &Logic) -> Self {
        match exact(name, logic) {
            Some(bytes) => Self::Exact(bytes.into()),
            None => Self::General(Arc::new(General { name: name.into(), logic: logic.clone(), one_field: logic.is_one_field() })),
        }
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Exact(bytes) => {
                let mut exact = Exact { bytes };
                exact.number();
                exact.text()
            }
            Self::General(rule) => &rule.name,
        }
    }

    /// Whether one satisfied field is enough.
    pub(crate) fn is_one_field(&self) -> bool {
        matches!(self, Self::General(rule) if rule.one_field)
    }

    /// Whether an event with these leaves matches.
    pub(crate) fn matches(&self, leaves: &Leaves<'_>) -> Result<bool, EventError> {
        match self {
            Self::Exact(bytes) => matches_exact(bytes, leaves),
            Self::General(rule) => rule.logic.matches(leaves),
        }
    }

    /// Every node the rule reads, once for each place it is read in.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        match self {
            Self::Exact(bytes) => asked(bytes).1.map(|asked| asked.node).collect(),
            Self::General(rule) => rule.logic.nodes(),
        }
    }
}

/// The bytes of a rule that asks for one exact value of each of its fields.
fn exact(name: &str, logic: &Logic) -> Option<Vec<u8>> {
    if !logic.is_one_combination() || logic.fields.is_empty() {
        return None;
    }
    let mut bytes = logic.budget().to_le_bytes().to_vec();
    let text = |text: &str, bytes: &mut Vec<u8>| {
        bytes.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
        bytes.extend(text.as_bytes());
        Some(())
    };
    text(name, &mut bytes)?;
    for field in &logic.fields {
        let Ask::OneOf(conditions) = &field.ask else { return None };
        let [condition] = &**conditions else { return None };
        let (kind, value) = match condition {
            Condition::Null => (NULL, ""),
            Condition::Bool(true) => (TRUE, ""),
            Condition::Bool(false) => (FALSE, ""),
            Condition::Number(number) => (NUMBER, number.text()),
            Condition::Text(text) => (TEXT, &**text),
            Condition::Untyped(text) => (UNTYPED, &**text),
            _ => return None,
        };
        bytes.extend(field.node.number().to_le_bytes());
        bytes.push(kind);
        text(value, &mut bytes)?;
    }
    Some(bytes)
}

/// The budget, and what each field asks for.
fn asked(bytes: &[u8]) -> (u32, impl Iterator<Item = Asked<'_>>) {
    let mut exact = Exact { bytes };
    let budget = exact.number();
    exact.text();
    let fields = std::iter::from_fn(move || {
        let is_more = !exact.bytes.is_empty();
        is_more.then(|| Asked { node: Node::new(exact.number()), kind: exact.byte(), text: exact.text() })
    });
    (budget, fields)
}

fn matches_exact(bytes: &[u8], leaves: &Leaves<'_>) -> Result<bool, EventError> {
    let (budget, fields) = asked(bytes);
    let mut in_arrays = 0;
    for asked in fields {
        match leaves.as_slice().iter().find(|leaf| asked.is_met(leaf)) {
            Some(leaf) => in_arrays += usize::from(leaf.place != Place::TOP),
            None => return Ok(false),
        }
    }
    if in_arrays <= 1 {
        return Ok(true);
    }
    let places: SmallVec<[Places; 4]> = asked(bytes)
        .1
        .map(|asked| {
            let places: Places = leaves.as_slice().iter().filter(|leaf| asked.is_met(leaf)).map(|leaf| leaf.place).collect();
            if places.contains(&Place::TOP) { SmallVec::from_slice(&[Place::TOP]) } else { places }
        })
        .collect();
    let terms: SmallVec<[Term<'_>; 4]> = places.iter().map(|places| Term { places, absent: false }).collect();
    satisfiable(&terms, &Matching::new(leaves, budget))
}

impl Asked<'_> {
    #[inline]
    fn is_met(&self, leaf: &Leaf<'_>) -> bool {
        leaf.node == self.node
            && match (self.kind, &leaf.value) {
                (NULL, Value::Null) | (TRUE, Value::Bool(true)) | (FALSE, Value::Bool(false)) => true,
                (NUMBER, Value::Number(text)) => number::equal(self.text, text, leaf.digits(text)),
                (TEXT, Value::String(text)) => **text == *self.text,
                (UNTYPED, value) => untyped(value) == Some(self.text),
                _ => false,
            }
    }
}

impl<'r> Exact<'r> {
    fn take(&mut self, length: usize) -> &'r [u8] {
        let (taken, rest) = self.bytes.split_at_checked(length).unwrap_or_default();
        self.bytes = rest;
        taken
    }

    fn number(&mut self) -> u32 {
        self.take(size_of::<u32>()).first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn text(&mut self) -> &'r str {
        let length = self.take(size_of::<u16>()).first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
        std::str::from_utf8(self.take(usize::from(length))).expect("it was a text when it was written")
    }
}
