//! The path-driven walk: from one wanted member of a JSON text to the next, over all others.

use super::token::{self, StringEnd};
use super::{RawString, check, scan, skip, window};
use crate::leaves::{Leaves, Passed, Place, Value};
use crate::paths::{Names, Node, Paths, head};

/// What becomes of objects and arrays that no path leads into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// They are checked, like everything else.
    Checked,
    /// They are passed over, and remembered for whoever checks them if it matters.
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
        let names = self.paths.names(node);
        let mut at = token::space(bytes, at);
        if bytes.get(at) == Some(&b'}') {
            return Some(at + 1);
        }
        loop {
            if bytes.get(at) != Some(&b'"') {
                return None;
            }
            let start = at + 1;
            // Where a short name ends, and behind it a short value that is a string: found by one look, because each look waits for the last one.
            let mut near = 0;
            let (child, quote) = match window::at::<{ window::WIDE }>(bytes, start) {
                Some(window) => {
                    near = window::special(window);
                    let length = near.trailing_zeros() as usize;
                    if length < window::WIDE && window[length] == b'"' {
                        near &= near - 1;
                        (self.paths.find(names, &window[..length], window::head(window, length)), start + length)
                    } else {
                        near = 0;
                        self.long_name(names, start)?
                    }
                }
                None => self.long_name(names, start)?,
            };
            at = quote + 1;
            let first = match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
                Some([b':', first]) if *first > b' ' => {
                    at += 1;
                    *first
                }
                _ => {
                    near = 0;
                    at = token::space(bytes, at);
                    if bytes.get(at) != Some(&b':') {
                        return None;
                    }
                    at = token::space(bytes, at + 1);
                    *bytes.get(at)?
                }
            };
            at = match (child, first) {
                (Some(child), _) => self.value(at, child, place, depth)?,
                (None, b'"') => {
                    // The first of what is near is the value's own quote.
                    let behind = near & near.wrapping_sub(1);
                    let end = start + behind.trailing_zeros() as usize;
                    if behind != 0 && bytes.get(end) == Some(&b'"') { end + 1 } else { token::string(bytes, at + 1)?.quote + 1 }
                }
                (None, b'-' | b'0'..=b'9') => token::number(bytes, at)?,
                (None, _) => self.pass(at, depth)?,
            };
            at = match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
                Some([b',', b'"']) => at + 1,
                _ => {
                    at = token::space(bytes, at);
                    match bytes.get(at)? {
                        b',' => token::space(bytes, at + 1),
                        b'}' => return Some(at + 1),
                        _ => return None,
                    }
                }
            };
        }
    }

    /// The node that the name from `start` leads to, and the offset of its closing quote.
    #[inline(never)]
    fn long_name(&self, names: &Names, start: usize) -> Option<(Option<Node>, usize)> {
        let end = token::string(self.bytes, start)?;
        let name = self.string(start, end).decode();
        Some((self.paths.find(names, name.as_bytes(), head(name.as_bytes())), end.quote))
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
    fn pass(&mut self, at: usize, depth: u32) -> Option<usize> {
        match (self.bytes.get(at)?, self.rest) {
            (b'{' | b'[', Rest::Checked) => check::container(self.bytes, at, depth),
            (b'{' | b'[', Rest::Passed) => {
                let end = skip::container(self.bytes, at);
                self.leaves.doubt(Passed { text: self.text, start: at, end, depth });
                Some(end)
            }
            _ => token::value(self.bytes, at, depth),
        }
    }

    #[inline(always)]
    fn string(&self, start: usize, end: StringEnd) -> RawString<'e> {
        RawString { raw: self.text.get(start..end.quote).unwrap_or_default(), escaped: end.escaped }
    }
}
