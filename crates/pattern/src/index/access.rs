//! What a rule is filed under, and what an event's leaf looks up.
//!
//! Both sides derive the same hashes. Different things may have one hash: whoever is found is evaluated anyway.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

use crate::condition::{Condition, Folded, untyped};
use crate::leaves::{Leaf, Value};
use crate::paths::Node;

/// Something a rule is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) hash: u64,
    /// The node whose leaves look it up; none if every event does.
    pub(crate) node: Option<Node>,
    pub(crate) kind: Kind,
}

/// What a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// The whole value, with its type.
    Exact,
    /// The whole value's text, whatever its type.
    Untyped,
    /// The whole value's text, folded.
    Folded,
    /// So many bytes at the start.
    Prefix(u16),
    /// So many bytes at the end.
    Suffix(u16),
    /// [`GRAM`] bytes anywhere.
    Gram,
    /// Any value at all.
    Any,
    /// Every event.
    Always,
}

/// Bytes of the pieces of text that stand for wildcards and `contains`.
const GRAM: usize = 4;

/// Which kinds of keys there are at a node, and of each how many: what a leaf there has to look up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    kinds: Vec<(Kind, u32)>,
}

impl Access {
    pub(crate) fn add(&mut self, kind: Kind) {
        match self.kinds.binary_search_by_key(&kind, |(known, _)| *known) {
            Ok(place) => self.kinds[place].1 += 1,
            Err(place) => self.kinds.insert(place, (kind, 1)),
        }
    }

    pub(crate) fn remove(&mut self, kind: Kind) {
        if let Ok(place) = self.kinds.binary_search_by_key(&kind, |(known, _)| *known) {
            self.kinds[place].1 -= 1;
            if self.kinds[place].1 == 0 {
                self.kinds.remove(place);
            }
        }
    }

    /// The hashes under which rules about this leaf may be filed.
    pub(crate) fn look_up(&self, leaf: &Leaf<'_>, hasher: &RandomState, mut visit: impl FnMut(u64)) {
        let text = match &leaf.value {
            Value::String(text) => Some(&**text),
            _ => None,
        };
        for (kind, _) in &self.kinds {
            match (kind, text) {
                (Kind::Exact, _) => exact_of(leaf, hasher).into_iter().for_each(&mut visit),
                (Kind::Untyped, _) => {
                    untyped(&leaf.value).into_iter().for_each(|text| visit(hash(hasher, leaf.node, *kind, text.as_bytes())))
                }
                (Kind::Folded, Some(text)) => visit(hash(hasher, leaf.node, *kind, Folded::of(text).as_bytes())),
                (Kind::Prefix(length), Some(text)) => {
                    text.as_bytes().get(..usize::from(*length)).into_iter().for_each(|start| visit(hash(hasher, leaf.node, *kind, start)));
                }
                (Kind::Suffix(length), Some(text)) => {
                    let start = text.len().checked_sub(usize::from(*length));
                    start.into_iter().for_each(|start| visit(hash(hasher, leaf.node, *kind, &text.as_bytes()[start..])));
                }
                (Kind::Gram, Some(text)) => text.as_bytes().windows(GRAM).for_each(|gram| visit(hash(hasher, leaf.node, *kind, gram))),
                (Kind::Any, _) => visit(hash(hasher, leaf.node, *kind, b"")),
                (Kind::Folded | Kind::Prefix(_) | Kind::Suffix(_) | Kind::Gram | Kind::Always, _) => {}
            }
        }
    }
}

/// The key that every event looks up.
pub(crate) fn always(hasher: &RandomState) -> Key {
    Key { hash: hasher.hash_one(Kind::Always), node: None, kind: Kind::Always }
}

/// Keys such that a leaf at `node` for which one of `conditions` holds looks up one of them. `size` tells how many rules are filed under
/// a hash; where there is a choice the smallest number is chosen.
pub(crate) fn keys(node: Node, conditions: &[Condition], hasher: &RandomState, size: &impl Fn(u64) -> usize) -> Vec<Key> {
    let mut keys = Vec::with_capacity(conditions.len());
    for condition in conditions {
        if !add_keys(node, condition, hasher, size, &mut keys) {
            return vec![Key { hash: hash(hasher, node, Kind::Any, b""), node: Some(node), kind: Kind::Any }];
        }
    }
    keys
}

/// Adds the keys of one condition; false if it has none.
fn add_keys(node: Node, condition: &Condition, hasher: &RandomState, size: &impl Fn(u64) -> usize, keys: &mut Vec<Key>) -> bool {
    let key = |kind: Kind, bytes: &[u8]| Key { hash: hash(hasher, node, kind, bytes), node: Some(node), kind };
    let sized = |bytes: &[u8]| u16::try_from(bytes.len()).ok().filter(|&length| length > 0);
    let found = match condition {
        Condition::Null => Some(Key { hash: typed(hasher, node, TYPE_NULL, b""), node: Some(node), kind: Kind::Exact }),
        Condition::Bool(value) => {
            Some(Key { hash: typed(hasher, node, TYPE_BOOL, &[u8::from(*value)]), node: Some(node), kind: Kind::Exact })
        }
        Condition::Number(number) => {
            Some(Key { hash: hasher.hash_one((Kind::Exact, TYPE_NUMBER, node, number.digits())), node: Some(node), kind: Kind::Exact })
        }
        Condition::Text(text) => Some(Key { hash: typed(hasher, node, TYPE_TEXT, text.as_bytes()), node: Some(node), kind: Kind::Exact }),
        Condition::AnyText(texts) => {
            keys.extend(texts.iter().map(|text| Key {
                hash: typed(hasher, node, TYPE_TEXT, text.as_bytes()),
                node: Some(node),
                kind: Kind::Exact,
            }));
            return true;
        }
        Condition::Untyped(text) => Some(key(Kind::Untyped, text.as_bytes())),
        Condition::EqualsFolded(folded) => Some(key(Kind::Folded, folded.text().as_bytes())),
        Condition::Prefix(text) => sized(text.as_bytes()).map(|length| key(Kind::Prefix(length), text.as_bytes())),
        Condition::Suffix(text) => sized(text.as_bytes()).map(|length| key(Kind::Suffix(length), text.as_bytes())),
        Condition::Contains(finder) => finder.needle().windows(GRAM).map(|gram| key(Kind::Gram, gram)).min_by_key(|key| size(key.hash)),
        Condition::Wildcard(wildcard) => {
            wildcard.literals().flat_map(|literal| literal.windows(GRAM)).map(|gram| key(Kind::Gram, gram)).min_by_key(|key| size(key.hash))
        }
        Condition::All(all) => {
            let choices = all.iter().filter_map(|condition| {
                let mut keys = Vec::new();
                add_keys(node, condition, hasher, size, &mut keys).then_some(keys)
            });
            let Some(best) = choices.min_by_key(|keys| keys.iter().map(|key| size(key.hash)).sum::<usize>()) else {
                return false;
            };
            keys.extend(best);
            return true;
        }
        Condition::PrefixFolded(_)
        | Condition::SuffixFolded(_)
        | Condition::Regexp(_)
        | Condition::Cidr(_)
        | Condition::Numeric(_)
        | Condition::Exists
        | Condition::Present
        | Condition::Not(_)
        | Condition::Compare(_) => None,
    };
    keys.extend(found);
    found.is_some()
}

const TYPE_NULL: u8 = 0;
const TYPE_BOOL: u8 = 1;
const TYPE_NUMBER: u8 = 2;
const TYPE_TEXT: u8 = 3;

fn exact_of(leaf: &Leaf<'_>, hasher: &RandomState) -> Option<u64> {
    Some(match &leaf.value {
        Value::Null => typed(hasher, leaf.node, TYPE_NULL, b""),
        Value::Bool(value) => typed(hasher, leaf.node, TYPE_BOOL, &[u8::from(*value)]),
        Value::Number(text) => hasher.hash_one((Kind::Exact, TYPE_NUMBER, leaf.node, leaf.digits(text))),
        Value::String(text) => typed(hasher, leaf.node, TYPE_TEXT, text.as_bytes()),
        Value::Opaque | Value::Composite => return None,
    })
}

fn typed(hasher: &RandomState, node: Node, of: u8, bytes: &[u8]) -> u64 {
    hasher.hash_one((Kind::Exact, of, node, bytes))
}

fn hash(hasher: &RandomState, node: Node, kind: Kind, bytes: &[u8]) -> u64 {
    hasher.hash_one((kind, node, bytes))
}
