//! What a filter says, and what a message makes of it. Three-valued: `NULL` is neither true nor false.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::number::double;
use crate::value::{Incomparable, Value};

/// A part of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Null,
    Boolean(bool),
    Text(Box<str>),
    Integer(i32),
    Long(i64),
    Double(f64),
    Property(Box<str>),
    Negate(Box<Expression>),
    Not(Box<Expression>),
    /// A property where a truth value is wanted. A text has none: it is false if it is there.
    Truth(Box<Expression>),
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Equal(Box<[Expression; 2]>),
    Compare(Relation, Box<[Expression; 2]>),
    Holds {
        place: Place,
        left: Box<Expression>,
        part: Box<str>,
        is_negated: bool,
    },
    In {
        property: Box<str>,
        texts: Vec<Box<str>>,
        is_negated: bool,
    },
}

/// An order that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Where in a text a part is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    Start,
    End,
}

impl Relation {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
        }
    }
}

impl Place {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            Self::Anywhere => text.contains(part),
            Self::Start => text.starts_with(part),
            Self::End => text.ends_with(part),
        }
    }
}

impl Expression {
    /// Whether it stands for a truth value.
    pub(crate) fn is_truth(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Integer(_) | Self::Long(_) | Self::Double(_) | Self::Property(_) | Self::Negate(_))
    }

    /// What a message makes of it. An error ends the evaluation of the whole.
    pub(crate) fn evaluate<'v, 'p: 'v>(&'v self, property: &impl Fn(&str) -> Option<Cow<'p, str>>) -> Result<Value<'v>, Incomparable> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(truth) => Value::Boolean(*truth),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Integer(number) => Value::Integer(*number),
            Self::Long(number) => Value::Long(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Property(name) => property(name).map_or(Value::Null, Value::Text),
            Self::Negate(of) => match of.evaluate(property)? {
                Value::Integer(number) => Value::Integer(number.wrapping_neg()),
                Value::Long(number) => Value::Long(number.wrapping_neg()),
                Value::Double(number) => Value::Double(-number),
                _ => Value::Null,
            },
            Self::Not(of) => match of.evaluate(property)? {
                Value::Boolean(truth) => Value::Boolean(!truth),
                _ => Value::Null,
            },
            Self::Truth(of) => match of.evaluate(property)? {
                Value::Null => Value::Null,
                value => Value::Boolean(value == Value::Boolean(true)),
            },
            Self::Or(parts) => any(parts, true, property)?,
            Self::And(parts) => any(parts, false, property)?,
            Self::Equal(sides) => equal(&sides[0].evaluate(property)?, &sides[1].evaluate(property)?)?,
            Self::Compare(relation, sides) => match sides[0].evaluate(property)? {
                Value::Null => Value::Null,
                left => compare(*relation, &left, &sides[1].evaluate(property)?)?,
            },
            Self::Holds { part, .. } if part.is_empty() => Value::Boolean(false),
            Self::Holds { place, left, part, is_negated } => match left.evaluate(property)? {
                Value::Text(text) => Value::Boolean(place.holds(&text, part) != *is_negated),
                _ => Value::Boolean(false),
            },
            Self::In { property: name, texts, is_negated } => match property(name) {
                Some(text) => Value::Boolean(texts.iter().any(|known| **known == *text) != *is_negated),
                None => Value::Null,
            },
        })
    }
}

/// `OR` if `decisive` is true, `AND` if it is false: the first decisive part decides, and else a `NULL` leaves it open.
fn any<'v, 'p: 'v>(
    parts: &'v [Expression],
    decisive: bool,
    property: &impl Fn(&str) -> Option<Cow<'p, str>>,
) -> Result<Value<'v>, Incomparable> {
    let mut is_open = false;
    for part in parts {
        match part.evaluate(property)? {
            Value::Boolean(truth) if truth == decisive => return Ok(Value::Boolean(decisive)),
            Value::Boolean(_) => {}
            _ => is_open = true,
        }
    }
    Ok(if is_open { Value::Null } else { Value::Boolean(!decisive) })
}

/// `=`: of two values that are `NULL` it is true, also where only `IS NULL` can ask for it.
fn equal<'v>(left: &Value<'_>, right: &Value<'_>) -> Result<Value<'v>, Incomparable> {
    Ok(match (left, right) {
        (Value::Null, Value::Null) => Value::Boolean(true),
        (Value::Null, _) => Value::Null,
        (_, Value::Null) => Value::Boolean(false),
        (left, right) => Value::Boolean(left == right || left.compare(right)?.is_eq()),
    })
}

/// `>`, `>=`, `<`, `<=` with a left side that is not `NULL`. Two texts are compared as floating-point numbers.
fn compare<'v>(relation: Relation, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'v>, Incomparable> {
    let order = match (left, right) {
        (_, Value::Null) => return Ok(Value::Null),
        (Value::Text(left), Value::Text(right)) => {
            let [left, right] = [left, right].map(|text| double(text).map(Value::Double).ok_or(Incomparable));
            left?.compare(&right?)?
        }
        (left, right) => left.compare(right)?,
    };
    Ok(Value::Boolean(relation.holds(order)))
}
