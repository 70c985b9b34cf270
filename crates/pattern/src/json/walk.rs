//! The path-driven walk: from one wanted member of a JSON text to the next, over all others.

use super::token::{self, StringEnd};
use super::{RawString, check, scan, skip};
use crate::leaves::{Leaves, Place, Value};
use crate::paths::{Node, Paths};

/// What becomes of objects and arrays that no path leads into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are checked, like everything else.
    Checked,
    /// They are passed over, because somebody checks the whole text if it matters.
    Passed,
}

/// Pushes the wanted leaves of `text`, which is the event's value at `node`; false if it is malformed, and then they are of no use.
///
/// Arrays are transparent: their elements are values at the same node, each at a [`Place`] of its own.
pub(crate) fn walk<'e>(text: &'e str, rest: Rest, paths: &Paths, node: Node, leaves: &mut Leaves<'e>) -> bool {
    let mut walk = Walk { text, bytes: text.as_bytes(), rest, paths, leaves };
    let start = token::space(walk.bytes, 0);
    let end = walk.value(start, node, Place::TOP, 0);
    end.is_some_and(|end| token::space(text.as_bytes(), end) == text.len())
}

struct Walk<'s, 'e> {
    text: &'e str,
    bytes: &'e [u8],
    rest: Rest,
    paths: &'s Paths,
    leaves: &'s mut Leaves<'e>,
}

impl<'e> Walk<'_, 'e> {
    /// Walks over the value at `at`; gives the offset after it.
    fn value(&mut self, at: usize, node: Node, place: Place, depth: u32) -> Option<usize> {
        let wanted = self.paths.is_wanted(node);
        let (end, value) = match *self.bytes.get(at)? {
            b'"' => {
                let end = token::string(self.bytes, at + 1)?;
                if wanted {
                    let value = Value::String(self.string(at + 1, end).decode());
                    self.leaves.push_at(node, value, place);
                }
                return Some(end.quote + 1);
            }
            b'-' | b'0'..=b'9' => {
                let end = token::number(self.bytes, at)?;
                if wanted {
                    let value = Value::Number(self.text.get(at..end)?.into());
                    self.leaves.push_at(node, value, place);
                }
                return Some(end);
            }
            bracket @ (b'{' | b'[') => {
                if depth >= scan::MAX_DEPTH {
                    return None;
                }
                if self.paths.wants_composites(node) {
                    self.leaves.push_at(node, Value::Composite, place);
                }
                return match bracket {
                    b'[' => self.array(at + 1, node, place, depth + 1),
                    _ if self.paths.has_children(node) => self.object(at + 1, node, place, depth + 1),
                    _ => self.pass(at, depth),
                };
            }
            b't' => (token::word(self.bytes, at, b"true")?, Value::Bool(true)),
            b'f' => (token::word(self.bytes, at, b"false")?, Value::Bool(false)),
            b'n' => (token::word(self.bytes, at, b"null")?, Value::Null),
            _ => return None,
        };
        if wanted {
            self.leaves.push_at(node, value, place);
        }
        Some(end)
    }

    /// From after an object's bracket to after its end.
    fn object(&mut self, at: usize, node: Node, place: Place, depth: u32) -> Option<usize> {
        let bytes = self.bytes;
        let mut at = token::space(bytes, at);
        if bytes.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            if bytes.get(at) != Some(&b'"') {
                return None;
            }
            let name = token::string(bytes, at + 1)?;
            let child = self.child(node, at + 1, name);
            at = token::space(bytes, name.quote + 1);
            if bytes.get(at) != Some(&b':') {
                return None;
            }
            at = token::space(bytes, at + 1);
            at = match child {
                Some(child) => self.value(at, child, place, depth)?,
                None => match *bytes.get(at)? {
                    b'"' => token::string(bytes, at + 1)?.quote + 1,
                    b'-' | b'0'..=b'9' => token::number(bytes, at)?,
                    _ => self.pass(at, depth)?,
                },
            };
            at = token::space(bytes, at);
            match bytes.get(at) {
                Some(b',') => at = token::space(bytes, at + 1),
                Some(b'}') => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// From after an array's bracket to after its end.
    fn array(&mut self, at: usize, node: Node, place: Place, depth: u32) -> Option<usize> {
        let bytes = self.bytes;
        let mut at = token::space(bytes, at);
        if bytes.get(at) == Some(&b']') {
            return Some(at + 1);
        }
        let array = self.leaves.open_array();
        loop {
            let element = self.leaves.element(array, place);
            at = self.value(at, node, element, depth)?;
            at = token::space(bytes, at);
            match bytes.get(at) {
                Some(b',') => at = token::space(bytes, at + 1),
                Some(b']') => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Passes an object, an array or a word that no path leads into.
    #[inline(never)]
    fn pass(&self, at: usize, depth: u32) -> Option<usize> {
        match (self.bytes.get(at)?, self.rest) {
            (b'{' | b'[', Rest::Checked) => check::container(self.bytes, at, depth),
            (b'{' | b'[', Rest::Passed) => Some(skip::container(self.bytes, at)),
            (b't', _) => token::word(self.bytes, at, b"true"),
            (b'f', _) => token::word(self.bytes, at, b"false"),
            (b'n', _) => token::word(self.bytes, at, b"null"),
            _ => None,
        }
    }

    /// The node that the name from `start` leads to.
    #[inline(always)]
    fn child(&self, node: Node, start: usize, end: StringEnd) -> Option<Node> {
        if end.escaped {
            return self.paths.descend(node, &self.string(start, end).decode());
        }
        self.paths.descend(node, self.text.get(start..end.quote)?)
    }

    #[inline(always)]
    fn string(&self, start: usize, end: StringEnd) -> RawString<'e> {
        RawString { raw: self.text.get(start..end.quote).unwrap_or_default(), escaped: end.escaped }
    }
}
