//! The set of paths somebody wants to read from an event, as a trie.
//!
//! A path is a list of names. A dot inside a name separates names, in a pattern and in an event alike: the key `"a.b"` and the
//! keys `{"a": {"b": …}}` are the same path.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// A trie over names. Node 0 is the event itself.
#[derive(Debug, Clone)]
pub struct Paths {
    entries: Vec<Entry>,
    /// Whether anybody wants to know that something is not there.
    absences: bool,
}

/// One path of the trie, wanted or on the way to wanted ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(u32);

#[derive(Debug, Clone, Default)]
struct Entry {
    names: Names,
    wanted: bool,
    composites: bool,
}

/// Up to [`FEW`] names are compared one after the other, which is faster than hashing; more are hashed.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    Few(Vec<Name>),
    Many(HashMap<Box<[u8]>, Node, RandomState>),
}

/// A name that goes on from a node, and where it leads.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    /// The first bytes of the text, by which most others are told apart from it.
    head: u64,
    text: Box<str>,
    node: Node,
}

const FEW: usize = 8;

impl Default for Paths {
    fn default() -> Self {
        Self { entries: vec![Entry::default()], absences: false }
    }
}

impl Paths {
    /// The event itself.
    pub const ROOT: Node = Node(0);

    /// The child of `node` by this name, made if it is not there yet. Dots in `name` separate names.
    pub fn insert(&mut self, node: Node, name: &str) -> Node {
        name.split('.').fold(node, |node, name| self.insert_one(node, name))
    }

    /// Asks for the values at `node`.
    pub fn want(&mut self, node: Node) {
        self.entries[node.index()].wanted = true;
    }

    /// Asks to be told of objects and arrays at `node` too, not only of the values in them.
    pub fn want_composites(&mut self, node: Node) {
        self.entries[node.index()].composites = true;
    }

    /// Asks to be told the truth about what is not there: then leaves must not be of an event that was not checked.
    pub(crate) fn want_absences(&mut self) {
        self.absences = true;
    }

    /// Whether that was asked.
    pub(crate) fn wants_absences(&self) -> bool {
        self.absences
    }

    /// Whether values at `node` are asked for.
    #[must_use]
    pub fn is_wanted(&self, node: Node) -> bool {
        self.entries[node.index()].wanted
    }

    /// Whether objects and arrays at `node` are asked for.
    #[must_use]
    pub fn wants_composites(&self, node: Node) -> bool {
        self.entries[node.index()].composites
    }

    /// Whether any path goes on below `node`.
    #[must_use]
    pub fn has_children(&self, node: Node) -> bool {
        match &self.entries[node.index()].names {
            Names::Few(children) => !children.is_empty(),
            Names::Many(_) => true,
        }
    }

    /// The names that go on below `node`.
    pub fn children(&self, node: Node) -> impl Iterator<Item = (&str, Node)> {
        let (few, many) = match &self.entries[node.index()].names {
            Names::Few(children) => (Some(children.iter().map(|child| (&*child.text, child.node))), None),
            Names::Many(children) => (None, Some(children.iter().map(|(name, child)| (name_of(name), *child)))),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The node that the event's key `key` leads to from `node`.
    #[inline]
    #[must_use]
    pub fn descend(&self, node: Node, key: &str) -> Option<Node> {
        self.find(self.names(node), key.as_bytes(), head(key.as_bytes()))
    }

    /// The names that go on below `node`, for [`Paths::find`].
    #[inline]
    pub(crate) fn names(&self, node: Node) -> &Names {
        &self.entries[node.index()].names
    }

    /// The node that the event's key leads to, which has these first bytes, from the node whose `names` these are.
    #[inline(always)]
    pub(crate) fn find(&self, names: &Names, key: &[u8], head: u64) -> Option<Node> {
        match names {
            Names::Few(few) => {
                for name in few {
                    if name.head == head && key.len() == name.text.len() && (key.len() <= HEAD || *key == *name.text.as_bytes()) {
                        return Some(name.node);
                    }
                    if key.get(name.text.len()) == Some(&b'.') && key.starts_with(name.text.as_bytes()) {
                        return self.find_rest(name.node, &key[name.text.len() + 1..]);
                    }
                }
                None
            }
            Names::Many(many) => match memchr::memchr(b'.', key) {
                None => many.get(key).copied(),
                Some(dot) => self.find_rest(*many.get(&key[..dot])?, &key[dot + 1..]),
            },
        }
    }

    #[inline(never)]
    fn find_rest(&self, node: Node, key: &[u8]) -> Option<Node> {
        self.find(self.names(node), key, head(key))
    }

    /// Adds the paths of `other` with what it wants of them, and says which node each of its nodes is here.
    pub(crate) fn merge(&mut self, other: &Self) -> Vec<Node> {
        let mut places = vec![Self::ROOT; other.entries.len()];
        self.absences |= other.absences;
        // A node is made before its children, so its place is known when theirs are asked for.
        for node in other.nodes() {
            let place = places[node.index()];
            let wanted = &other.entries[node.index()];
            self.entries[place.index()].wanted |= wanted.wanted;
            self.entries[place.index()].composites |= wanted.composites;
            for (name, child) in other.children(node) {
                places[child.index()] = self.insert_one(place, name);
            }
        }
        places
    }

    /// The same without a change, if nothing would change.
    pub(crate) fn locate(&self, other: &Self) -> Option<Vec<Node>> {
        if other.absences && !self.absences {
            return None;
        }
        let mut places = vec![Self::ROOT; other.entries.len()];
        for node in other.nodes() {
            let place = places[node.index()];
            let (here, wanted) = (&self.entries[place.index()], &other.entries[node.index()]);
            if (wanted.wanted && !here.wanted) || (wanted.composites && !here.composites) {
                return None;
            }
            for (name, child) in other.children(node) {
                places[child.index()] = here.names.get(name)?;
            }
        }
        Some(places)
    }

    /// Asks for everything at every node, objects and arrays too.
    pub(crate) fn want_everywhere(&mut self) {
        for entry in &mut self.entries {
            entry.wanted = true;
            entry.composites = true;
        }
    }

    /// The names and nodes from the root to `node`.
    pub(crate) fn way(&self, node: Node) -> Vec<(String, Node)> {
        let mut way = Vec::new();
        let mut below = node;
        // A node is made after the one above it, so that one is found among those before.
        for above in (0..node.0).rev().map(Node) {
            if let Some((name, _)) = self.children(above).find(|(_, child)| *child == below) {
                way.push((name.to_owned(), below));
                below = above;
            }
        }
        way.reverse();
        way
    }

    /// Asks no longer for the values at `node`.
    pub(crate) fn unwant(&mut self, node: Node) {
        self.entries[node.index()].wanted = false;
    }

    fn nodes(&self) -> impl Iterator<Item = Node> + use<> {
        (0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)).map(Node)
    }

    fn insert_one(&mut self, node: Node, name: &str) -> Node {
        if let Some(child) = self.entries[node.index()].names.get(name) {
            return child;
        }
        let child = Node(u32::try_from(self.entries.len()).expect("limits keep a trie far below 2^32 nodes"));
        self.entries.push(Entry::default());
        self.entries[node.index()].names.insert(name, child);
        child
    }
}

impl Node {
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Names {
    fn get(&self, name: &str) -> Option<Node> {
        match self {
            Self::Few(children) => children.iter().find(|child| *child.text == *name).map(|child| child.node),
            Self::Many(children) => children.get(name.as_bytes()).copied(),
        }
    }

    fn insert(&mut self, name: &str, node: Node) {
        match self {
            Self::Few(children) if children.len() < FEW => children.push(Name { head: head(name.as_bytes()), text: name.into(), node }),
            Self::Few(children) => {
                let mut many: HashMap<_, _, _> =
                    std::mem::take(children).into_iter().map(|child| (child.text.into_boxed_bytes(), child.node)).collect();
                many.insert(name.as_bytes().into(), node);
                *self = Self::Many(many);
            }
            Self::Many(children) => {
                children.insert(name.as_bytes().into(), node);
            }
        }
    }
}

fn name_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("names were texts when they were inserted")
}

/// Bytes of a name that are compared at once.
pub(crate) const HEAD: usize = size_of::<u64>();

/// The first bytes of a name, and zeros where it is shorter.
pub(crate) fn head(name: &[u8]) -> u64 {
    match name.first_chunk() {
        Some(head) => u64::from_le_bytes(*head),
        None => name.iter().rev().fold(0, |head, &byte| head << 8 | u64::from(byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: dots in keys of the pattern and of the event, few and many names. *Guarantees*: `a.b` and `a` then `b` are one path.
    #[test]
    fn a_dot_separates_names() {
        let mut paths = Paths::default();
        let a = paths.insert(Paths::ROOT, "a");
        let nested = paths.insert(a, "b.c");
        assert_eq!(paths.insert(Paths::ROOT, "a.b.c"), nested);
        for more in 0..20 {
            assert_eq!(paths.descend(Paths::ROOT, "a.b.c"), Some(nested));
            assert_eq!(paths.descend(a, "b.c"), Some(nested));
            assert_eq!(paths.descend(a, "bc"), None);
            assert_eq!(paths.descend(Paths::ROOT, "a."), None);
            paths.insert(Paths::ROOT, &format!("other{more}"));
            paths.insert(a, &format!("other{more}"));
        }
    }
}
