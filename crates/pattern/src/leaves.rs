//! What a pattern reads from an event: the leaves at the paths it wants, and where in which arrays each stands.

use std::borrow::Cow;
use std::cell::Cell;

use smallvec::SmallVec;

use crate::number::Digits;
use crate::paths::Node;

/// The value of a leaf.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'e> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as the text it was written with.
    Number(Cow<'e, str>),
    /// A string, its escapes resolved.
    String(Cow<'e, str>),
    /// Bytes that are no text: they exist, and equal nothing.
    Opaque,
    /// An object or an array, told only to who asked by [`Paths::want_composites`](crate::Paths::want_composites).
    Composite,
}

/// A value and where it was found.
#[derive(Debug, Clone)]
pub struct Leaf<'e> {
    /// The path.
    pub node: Node,
    /// The value.
    pub value: Value<'e>,
    /// The array elements around it.
    pub place: Place,
    /// The digits of a number, once somebody has asked for them.
    digits: Cell<Option<Digits>>,
}

/// The array elements around a leaf: [`Place::TOP`] is outside of all arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(u32);

/// One array of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Array(u32);

/// The leaves of one event, in the order of the event.
#[derive(Debug, Default)]
pub struct Leaves<'e> {
    leaves: SmallVec<[Leaf<'e>; 8]>,
    elements: SmallVec<[Element; 8]>,
    arrays: u32,
    /// Whether every text must be checked before its leaves are pushed.
    certain: bool,
    /// What was passed over and not checked.
    doubts: SmallVec<[Passed<'e>; 4]>,
}

/// An object or array that was passed over.
#[derive(Debug)]
pub(crate) struct Passed<'e> {
    pub(crate) text: &'e str,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// How many others are around it.
    pub(crate) depth: u32,
}

/// How much there was at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    leaves: usize,
    elements: usize,
    doubts: usize,
}

/// An element of an array: the element around the array, and the array. Its number is its place, less one.
#[derive(Debug, Clone, Copy)]
struct Element {
    around: Place,
    array: Array,
    depth: u32,
}

impl Place {
    /// Outside of all arrays.
    pub const TOP: Self = Self(0);
}

impl Leaf<'_> {
    /// The digits of the JSON number `text`, which is the leaf's own. They are found once.
    pub(crate) fn digits(&self, text: &str) -> Digits {
        self.digits.get().unwrap_or_else(|| {
            let digits = Digits::new(text);
            self.digits.set(Some(digits));
            digits
        })
    }
}

impl<'e> Leaves<'e> {
    /// Adds a value that is not inside an array.
    #[inline]
    pub fn push(&mut self, node: Node, value: Value<'e>) {
        self.push_at(node, value, Place::TOP);
    }

    /// Adds a value at `place`.
    #[inline]
    pub fn push_at(&mut self, node: Node, value: Value<'e>, place: Place) {
        self.leaves.push(Leaf { node, value, place, digits: Cell::new(None) });
    }

    /// Leaves of nothing but checked text.
    pub(crate) fn certain() -> Self {
        Self { certain: true, ..Self::default() }
    }

    /// Whether every text must be checked before its leaves are pushed.
    pub(crate) fn is_certain(&self) -> bool {
        self.certain
    }

    /// Remembers what was passed over.
    pub(crate) fn doubt(&mut self, passed: Passed<'e>) {
        self.doubts.push(passed);
    }

    /// What was passed over and not checked.
    pub(crate) fn doubts(&self) -> &[Passed<'e>] {
        &self.doubts
    }

    /// How much there is, for [`Leaves::rewind`].
    pub(crate) fn extent(&self) -> Extent {
        Extent { leaves: self.leaves.len(), elements: self.elements.len(), doubts: self.doubts.len() }
    }

    /// Forgets what was added since.
    pub(crate) fn rewind(&mut self, extent: Extent) {
        self.leaves.truncate(extent.leaves);
        self.elements.truncate(extent.elements);
        self.doubts.truncate(extent.doubts);
    }

    /// A new array, for [`Leaves::element`].
    pub fn open_array(&mut self) -> Array {
        self.arrays += 1;
        Array(self.arrays)
    }

    /// The next element of `array`, which itself stands at `around`.
    pub fn element(&mut self, array: Array, around: Place) -> Place {
        let depth = self.depth(around) + 1;
        self.elements.push(Element { around, array, depth });
        Place(u32::try_from(self.elements.len()).expect("an event has fewer than 2^32 array elements"))
    }

    /// All leaves.
    #[must_use]
    pub fn as_slice(&self) -> &[Leaf<'e>] {
        &self.leaves
    }

    /// Whether leaves at these two places can be of one match: no array is around both by different elements.
    #[must_use]
    pub fn consistent(&self, mut one: Place, mut other: Place) -> bool {
        if one == other || one == Place::TOP || other == Place::TOP {
            return true;
        }
        let common = self.depth(one).min(self.depth(other));
        one = self.ancestor(one, common);
        other = self.ancestor(other, common);
        while one != other {
            let (a, b) = (self.elements[one.0 as usize - 1], self.elements[other.0 as usize - 1]);
            if a.array == b.array {
                return false;
            }
            (one, other) = (a.around, b.around);
        }
        true
    }

    /// How many arrays are around `place`.
    pub(crate) fn depth(&self, place: Place) -> u32 {
        if place == Place::TOP { 0 } else { self.elements[place.0 as usize - 1].depth }
    }

    /// The element around `place` that has `depth` arrays around it, which must not be more than `place` has.
    pub(crate) fn ancestor(&self, mut place: Place, depth: u32) -> Place {
        while self.depth(place) > depth {
            place = self.elements[place.0 as usize - 1].around;
        }
        place
    }

    /// The array that the element at `place` belongs to; `None` outside of arrays.
    pub(crate) fn array(&self, place: Place) -> Option<Array> {
        (place != Place::TOP).then(|| self.elements[place.0 as usize - 1].array)
    }

    /// Which element of its array the one at `place` is, from 0. For explanations: it counts.
    pub(crate) fn index(&self, place: Place) -> usize {
        let own = place.0 as usize - 1;
        self.elements[..own].iter().filter(|element| element.array == self.elements[own].array).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: nested and separate arrays. *Guarantees*: only different elements of one array exclude each other.
    #[test]
    fn elements_of_one_array_exclude_each_other() {
        let mut leaves = Leaves::default();
        let outer = leaves.open_array();
        let first = leaves.element(outer, Place::TOP);
        let second = leaves.element(outer, Place::TOP);
        let inner = leaves.open_array();
        let inside = leaves.element(inner, first);
        let sibling = leaves.element(inner, first);
        let other = leaves.open_array();
        let beside = leaves.element(other, first);
        let elsewhere = leaves.open_array();
        let separate = leaves.element(elsewhere, Place::TOP);
        for (one, two, expected) in [
            (first, second, false),
            (first, inside, true),
            (second, inside, false),
            (inside, sibling, false),
            (inside, beside, true),
            (second, beside, false),
            (inside, separate, true),
            (Place::TOP, inside, true),
        ] {
            assert_eq!(leaves.consistent(one, two), expected, "{one:?} {two:?}");
            assert_eq!(leaves.consistent(two, one), expected, "{two:?} {one:?}");
        }
        assert_eq!(leaves.index(second), 1);
    }
}
