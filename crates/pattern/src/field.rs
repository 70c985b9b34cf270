//! What a pattern asks of one path of the event.

use smallvec::SmallVec;

use crate::condition::Condition;
use crate::leaves::{Leaf, Place, Value};
use crate::matching::Matching;
use crate::paths::Node;
use crate::view::EventError;

/// What is asked of one path of the event.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) node: Node,
    pub(crate) ask: Ask,
}

#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// A value for which one of these holds.
    OneOf(Box<[Condition]>),
    /// No value.
    Absent {
        /// Whether an object or an array counts as one.
        composites: bool,
    },
}

/// The first leaf that counts for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Nowhere,
    At(Place),
}

/// Places of leaves, in document order.
pub(crate) type Places = SmallVec<[Place; 4]>;

impl Field {
    /// The first leaf that has a value that is asked for; of a field that must be absent, the first one that has any.
    pub(crate) fn first(&self, matching: &Matching<'_, '_>) -> Result<Found, EventError> {
        for leaf in matching.leaves.as_slice() {
            if leaf.node == self.node && self.counts(leaf, matching)? {
                return Ok(Found::At(leaf.place));
            }
        }
        Ok(Found::Nowhere)
    }

    /// All such leaves.
    pub(crate) fn places(&self, matching: &Matching<'_, '_>) -> Result<Places, EventError> {
        let mut places = Places::new();
        for leaf in matching.leaves.as_slice() {
            if leaf.node == self.node && self.counts(leaf, matching)? {
                places.push(leaf.place);
                if leaf.place == Place::TOP {
                    // Consistent with everything: no other place is needed.
                    return Ok(SmallVec::from_slice(&[Place::TOP]));
                }
            }
        }
        Ok(places)
    }

    #[inline]
    fn counts(&self, leaf: &Leaf<'_>, matching: &Matching<'_, '_>) -> Result<bool, EventError> {
        match &self.ask {
            Ask::OneOf(conditions) => matching.any(conditions, leaf),
            Ask::Absent { composites } => Ok(*composites || leaf.value != Value::Composite),
        }
    }
}
