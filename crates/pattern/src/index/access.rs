//! What a rule is filed under, and what an event's leaf looks up.
//!
//! Both sides derive the same hashes. Different things may have one hash: whoever is found is evaluated anyway.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::intervals::Intervals;
use super::rule::Filed;
use super::sequence::{Keyed, Sequence};
use crate::condition::{Bound, Condition, Folded, Range, untyped};
use crate::leaves::{Leaf, Value};
use crate::paths::Node;

/// Something a rule is filed under.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Key {
    /// A hash that leaves of the node look up.
    Hash { hash: u64, node: Node, kind: Kind },
    /// A range of numbers, of the node.
    Range { node: Node, least: f64, most: f64 },
    /// The group of this hash, of the node.
    Group { node: Node, hash: u128 },
    /// Every event.
    Always,
}

/// What a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The whole value, with its type.
    Exact,
    /// The whole value's text, whatever its type.
    Untyped,
    /// So many bytes at the start.
    Prefix(u16),
    /// So many bytes at the end.
    Suffix(u16),
    /// [`GRAM`] bytes anywhere.
    Gram,
    /// The whole value's text, folded.
    Folded,
    /// So many bytes at the start of the text, folded.
    FoldedPrefix(u16),
    /// So many bytes at the end of the text, folded.
    FoldedSuffix(u16),
    /// So many bits at the start of an IPv4 address.
    Network4(u8),
    /// So many bits at the start of an IPv6 address.
    Network6(u8),
}

/// Bytes of the pieces of text that stand for wildcards and `contains`.
const GRAM: usize = 4;

/// What a leaf of a node has to look up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Which kinds of hashes there are, and of each how many.
    kinds: Vec<(Kind, u32)>,
    pub(crate) intervals: Intervals,
    pub(crate) groups: Sequence<Group>,
}

/// Rules that ask the same of a node. It is asked once, whatever their number.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Of what is asked: as long as no two different questions ever have the same.
    pub(crate) hash: u128,
    pub(crate) conditions: Arc<[Condition]>,
    /// Whether it compares fields, which is bounded by each rule's own limit.
    pub(crate) compares: bool,
    pub(crate) rules: Sequence<Filed>,
}

impl Keyed for Group {
    fn key(&self) -> u64 {
        self.hash as u64
    }
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
            Value::String(text) => Some(text.as_bytes()),
            _ => None,
        };
        let mut folded: Option<SmallVec<[u8; 64]>> = None;
        let mut address: Option<Option<IpAddr>> = None;
        for (kind, _) in &self.kinds {
            let bytes = match (kind, text) {
                (Kind::Exact, _) => {
                    exact(leaf, hasher).into_iter().for_each(&mut visit);
                    continue;
                }
                (Kind::Untyped, _) => untyped(&leaf.value).map(str::as_bytes),
                (_, None) => return,
                (Kind::Prefix(length), Some(text)) => text.get(..usize::from(*length)),
                (Kind::Suffix(length), Some(text)) => last(text, *length),
                (Kind::Gram, Some(text)) => {
                    text.windows(GRAM).for_each(|gram| visit(hash(hasher, leaf.node, *kind, gram)));
                    continue;
                }
                (Kind::Folded | Kind::FoldedPrefix(_) | Kind::FoldedSuffix(_), Some(text)) => {
                    let folded = &**folded.get_or_insert_with(|| fold(text));
                    match kind {
                        Kind::FoldedPrefix(length) => folded.get(..usize::from(*length)),
                        Kind::FoldedSuffix(length) => last(folded, *length),
                        _ => Some(folded),
                    }
                }
                (Kind::Network4(bits), Some(text)) => {
                    if let Some(IpAddr::V4(address)) = *address.get_or_insert_with(|| parse_address(text)) {
                        visit(network(hasher, leaf.node, *kind, u128::from(u32::from(address)), 32 - u32::from(*bits)));
                    }
                    continue;
                }
                (Kind::Network6(bits), Some(text)) => {
                    if let Some(IpAddr::V6(address)) = *address.get_or_insert_with(|| parse_address(text)) {
                        visit(network(hasher, leaf.node, *kind, u128::from(address), 128 - u32::from(*bits)));
                    }
                    continue;
                }
            };
            if let Some(bytes) = bytes {
                visit(hash(hasher, leaf.node, *kind, bytes));
            }
        }
    }
}

fn last(text: &[u8], length: u16) -> Option<&[u8]> {
    text.len().checked_sub(usize::from(length)).map(|start| &text[start..])
}

fn fold(text: &[u8]) -> SmallVec<[u8; 64]> {
    if text.is_ascii() {
        text.iter().map(u8::to_ascii_lowercase).collect()
    } else {
        Folded::of(&String::from_utf8_lossy(text)).into_bytes().into()
    }
}

fn parse_address(text: &[u8]) -> Option<IpAddr> {
    // Most texts are seen to be none by their first byte.
    let first = text.first()?;
    if first.is_ascii_hexdigit() || *first == b':' { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

/// Keys such that a leaf at `node` for which one of `conditions` holds looks up one of them. `size` tells how many rules are filed under
/// a hash; where there is a choice the smallest number is chosen.
pub(crate) fn keys(node: Node, conditions: &[Condition], hasher: &RandomState, size: &impl Fn(u64) -> usize) -> Vec<Key> {
    let mut keys = Vec::with_capacity(conditions.len());
    let filing = Filing { node, hasher, size };
    if conditions.iter().all(|condition| filing.add(condition, &mut keys)) {
        return keys;
    }
    vec![Key::Group { node, hash: group_hash(conditions, hasher) }]
}

/// The hash of the group of rules that ask this of a node.
pub(crate) fn group_hash(conditions: &[Condition], hasher: &RandomState) -> u128 {
    // Everything a condition consists of is in what is printed of it for developers.
    let printed = format!("{conditions:?}");
    let half = |of: u8| u128::from(hasher.hash_one((of, &printed)));
    half(0) << 64 | half(1)
}

struct Filing<'f, S> {
    node: Node,
    hasher: &'f RandomState,
    size: &'f S,
}

impl<S: Fn(u64) -> usize> Filing<'_, S> {
    fn key(&self, kind: Kind, bytes: &[u8]) -> Key {
        Key::Hash { hash: hash(self.hasher, self.node, kind, bytes), node: self.node, kind }
    }

    fn exact(&self, hash: u64) -> Key {
        Key::Hash { hash, node: self.node, kind: Kind::Exact }
    }

    fn sized(&self, kind: impl Fn(u16) -> Kind, bytes: &[u8]) -> Option<Key> {
        let length = u16::try_from(bytes.len()).ok().filter(|&length| length > 0)?;
        Some(self.key(kind(length), bytes))
    }

    fn rarest_gram<'b>(&self, pieces: impl Iterator<Item = &'b [u8]>) -> Option<Key> {
        let grams = pieces.flat_map(|piece| piece.windows(GRAM)).map(|gram| self.key(Kind::Gram, gram));
        grams.min_by_key(|key| self.cost(key))
    }

    fn cost(&self, key: &Key) -> usize {
        cost(key, self.size)
    }

    /// Adds the keys of one condition; false if it has none.
    fn add(&self, condition: &Condition, keys: &mut Vec<Key>) -> bool {
        let (node, hasher) = (self.node, self.hasher);
        let found = match condition {
            Condition::Null => Some(self.exact(typed(hasher, node, TYPE_NULL, b""))),
            Condition::Bool(value) => Some(self.exact(typed(hasher, node, TYPE_BOOL, &[u8::from(*value)]))),
            Condition::Number(number) => Some(self.exact(hasher.hash_one((node, number.digits())))),
            Condition::Text(text) => Some(self.exact(typed(hasher, node, TYPE_TEXT, text.as_bytes()))),
            Condition::AnyText(texts) => {
                keys.extend(texts.iter().map(|text| self.exact(typed(hasher, node, TYPE_TEXT, text.as_bytes()))));
                return true;
            }
            Condition::Untyped(text) => Some(self.key(Kind::Untyped, text.as_bytes())),
            Condition::EqualsFolded(folded) => Some(self.key(Kind::Folded, folded.text().as_bytes())),
            Condition::PrefixFolded(folded) => self.sized(Kind::FoldedPrefix, folded.text().as_bytes()),
            Condition::SuffixFolded(folded) => self.sized(Kind::FoldedSuffix, folded.text().as_bytes()),
            Condition::Prefix(text) => self.sized(Kind::Prefix, text.as_bytes()),
            Condition::Suffix(text) => self.sized(Kind::Suffix, text.as_bytes()),
            Condition::Contains(finder) => self.rarest_gram(std::iter::once(finder.needle())),
            Condition::Wildcard(wildcard) => {
                let first = self.sized(Kind::Prefix, wildcard.first());
                let last = self.sized(Kind::Suffix, wildcard.last());
                let gram = self.rarest_gram(wildcard.literals());
                [first, last, gram].into_iter().flatten().min_by_key(|key| self.cost(key))
            }
            Condition::Regexp(regexp) => {
                let Some(prefixes) = regexp.prefixes() else { return false };
                let found: Option<Vec<Key>> = prefixes.iter().map(|prefix| self.sized(Kind::Prefix, prefix)).collect();
                let is_found = found.is_some();
                keys.extend(found.into_iter().flatten());
                return is_found;
            }
            Condition::Cidr(cidr) => Some(match cidr.network() {
                (IpAddr::V4(address), bits) => self.network(Kind::Network4(bits as u8), u128::from(u32::from(address)), 32 - bits),
                (IpAddr::V6(address), bits) => self.network(Kind::Network6(bits as u8), u128::from(address), 128 - bits),
            }),
            Condition::Numeric(range) => self.range(range),
            Condition::All(all) => {
                let choices = all.iter().filter_map(|condition| {
                    let mut keys = Vec::new();
                    self.add(condition, &mut keys).then_some(keys)
                });
                let Some(best) = choices.min_by_key(|keys| keys.iter().map(|key| self.cost(key)).sum::<usize>()) else {
                    return false;
                };
                keys.extend(best);
                return true;
            }
            Condition::Exists | Condition::Present | Condition::Not(_) | Condition::Compare(_) => None,
        };
        keys.extend(found);
        found.is_some()
    }

    fn network(&self, kind: Kind, address: u128, outside: u32) -> Key {
        Key::Hash { hash: network(self.hasher, self.node, kind, address, outside), node: self.node, kind }
    }

    /// One number, or the range from the largest lower bound to the smallest upper one, made a little wider: leaves are compared by approximate values.
    fn range(&self, range: &Range) -> Option<Key> {
        const SLACK: f64 = 1e-12;
        if let ([(Bound::Equal, number)], true) = (&*range.bounds, range.tolerance == 0.0) {
            return Some(self.exact(self.hasher.hash_one((self.node, number.digits()))));
        }
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        for (bound, number) in &range.bounds {
            let double = number.double();
            let slack = (double.abs() * SLACK).max(f64::MIN_POSITIVE) + range.tolerance;
            match bound {
                Bound::Equal => (least, most) = (least.max(double - slack), most.min(double + slack)),
                Bound::Less | Bound::LessOrEqual => most = most.min(double + slack),
                Bound::Greater | Bound::GreaterOrEqual => least = least.max(double - slack),
                Bound::NotEqual => {}
            }
        }
        (least > f64::NEG_INFINITY || most < f64::INFINITY).then_some(Key::Range { node: self.node, least, most })
    }
}

/// How many rules a leaf has to evaluate in vain for this key, as far as can be told.
pub(crate) fn cost(key: &Key, size: &impl Fn(u64) -> usize) -> usize {
    match key {
        Key::Hash { hash, kind, .. } => {
            let kind =
                match kind {
                    Kind::Exact | Kind::Untyped | Kind::Folded | Kind::Network4(24..) | Kind::Network6(48..) => 1,
                    Kind::Prefix(length) | Kind::Suffix(length) | Kind::FoldedPrefix(length) | Kind::FoldedSuffix(length) => {
                        if *length < 3 { 16 } else { 4 }
                    }
                    Kind::Network4(_) | Kind::Network6(_) => 16,
                    Kind::Gram => 32,
                };
            size(*hash) + kind
        }
        Key::Range { .. } => 128,
        Key::Group { .. } => 256,
        Key::Always => 1_024,
    }
}

const TYPE_NULL: u8 = 0;
const TYPE_BOOL: u8 = 1;
const TYPE_TEXT: u8 = 2;

fn exact(leaf: &Leaf<'_>, hasher: &RandomState) -> Option<u64> {
    Some(match &leaf.value {
        Value::Null => typed(hasher, leaf.node, TYPE_NULL, b""),
        Value::Bool(value) => typed(hasher, leaf.node, TYPE_BOOL, &[u8::from(*value)]),
        Value::Number(text) => hasher.hash_one((leaf.node, leaf.digits(text))),
        Value::String(text) => typed(hasher, leaf.node, TYPE_TEXT, text.as_bytes()),
        Value::Opaque | Value::Composite => return None,
    })
}

#[inline]
fn typed(hasher: &RandomState, node: Node, of: u8, bytes: &[u8]) -> u64 {
    hasher.hash_one((u64::from(node.number()) << 8 | u64::from(of), bytes))
}

fn hash(hasher: &RandomState, node: Node, kind: Kind, bytes: &[u8]) -> u64 {
    hasher.hash_one((u64::from(node.number()) << 32 | number(kind), bytes))
}

fn network(hasher: &RandomState, node: Node, kind: Kind, address: u128, outside: u32) -> u64 {
    hasher.hash_one((u64::from(node.number()) << 32 | number(kind), address.checked_shr(outside).unwrap_or(0)))
}

/// A number of its own for each kind, that is none of a type.
fn number(kind: Kind) -> u64 {
    let (kind, length) = match kind {
        Kind::Exact => (16, 0),
        Kind::Untyped => (17, 0),
        Kind::Folded => (18, 0),
        Kind::Gram => (19, 0),
        Kind::Prefix(length) => (20, length),
        Kind::Suffix(length) => (21, length),
        Kind::FoldedPrefix(length) => (22, length),
        Kind::FoldedSuffix(length) => (23, length),
        Kind::Network4(bits) => (24, u16::from(bits)),
        Kind::Network6(bits) => (25, u16::from(bits)),
    };
    kind << 16 | u64::from(length)
}
