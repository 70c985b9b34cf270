//! Comparison of a value with another value of the same event.

use std::fmt;

use super::range::Bound;
use crate::leaves::{Leaf, Value};
use crate::matching::Matching;
use crate::number;
use crate::paths::Node;
use crate::view::EventError;

/// `{"field": "$.data.limit"}` in an exact place or in `numeric`.
///
/// It holds if it does for one of the other field's values that is consistent, as to arrays, with the value compared. An absent
/// field compares with nothing.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) other: Node,
    /// The other field as it was written.
    pub(crate) field: Box<str>,
    pub(crate) relation: Relation,
}

/// What is asked of the two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The same type and value.
    Same,
    /// Two numbers in this order.
    Numeric(Bound),
}

impl Comparison {
    pub(crate) fn holds(&self, leaf: &Leaf<'_>, matching: &Matching<'_, '_>) -> Result<bool, EventError> {
        for other in matching.leaves.as_slice() {
            if other.node != self.other {
                continue;
            }
            matching.spend()?;
            if matching.leaves.consistent(leaf.place, other.place) && self.relation.holds(&leaf.value, &other.value) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Relation {
    fn holds(self, one: &Value<'_>, other: &Value<'_>) -> bool {
        match (one, other) {
            (Value::Number(one), Value::Number(other)) => {
                let bound = match self {
                    Self::Same => Bound::Equal,
                    Self::Numeric(bound) => bound,
                };
                bound.allows(number::compare(one, other))
            }
            (Value::Opaque | Value::Composite, _) => false,
            _ => self == Self::Same && one == other,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.relation {
            Relation::Same => write!(f, "{{\"field\": {:?}}}", self.field),
            Relation::Numeric(bound) => write!(f, "{{\"numeric\": [\"{}\", {{\"field\": {:?}}}]}}", bound.sign(), self.field),
        }
    }
}
