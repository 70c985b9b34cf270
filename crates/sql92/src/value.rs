//! What properties and literals are, and how two of them compare: as the Java objects do that RocketMQ makes of them.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::number::{double, whole};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'v> {
    /// None: a property that the message does not have.
    Null,
    Boolean(bool),
    Text(Cow<'v, str>),
    /// A whole number of 32 bits, as which literals are kept if they fit.
    Integer(i32),
    Long(i64),
    Double(f64),
}

/// Two values that do not compare: the evaluation of the whole expression ends, and the message does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incomparable;

impl Value<'_> {
    /// The order of two values, neither of which is [`Null`](Self::Null). A text is read as a value of the other's type. Values of types that have nothing to do
    /// with each other count as `Less`.
    pub(crate) fn compare(&self, other: &Self) -> Result<Ordering, Incomparable> {
        use Value::{Boolean, Double, Integer, Long, Text};
        Ok(match (self, other) {
            (Boolean(left), Boolean(right)) => left.cmp(right),
            (Text(left), Text(right)) => left.cmp(right),
            (Integer(left), Integer(right)) => left.cmp(right),
            (Long(left), Long(right)) => left.cmp(right),
            (Integer(left), Long(right)) => i64::from(*left).cmp(right),
            (Long(left), Integer(right)) => left.cmp(&i64::from(*right)),
            (Double(left), Double(right)) => doubles(*left, *right),
            (Double(left), Integer(right)) => doubles(*left, f64::from(*right)),
            (Integer(left), Double(right)) => doubles(f64::from(*left), *right),
            (Double(left), Long(right)) => doubles(*left, *right as f64),
            (Long(left), Double(right)) => doubles(*left as f64, *right),
            (Integer(left), Text(right)) => left.cmp(&whole(right).ok_or(Incomparable)?),
            (Text(left), Integer(right)) => whole::<i32>(left).ok_or(Incomparable)?.cmp(right),
            (Long(left), Text(right)) => left.cmp(&whole(right).ok_or(Incomparable)?),
            (Text(left), Long(right)) => whole::<i64>(left).ok_or(Incomparable)?.cmp(right),
            (Double(left), Text(right)) => doubles(*left, double(right).ok_or(Incomparable)?),
            (Text(left), Double(right)) => doubles(double(left).ok_or(Incomparable)?, *right),
            (Text(left), Boolean(right)) => left.eq_ignore_ascii_case("true").cmp(right),
            // Java casts the wrong one of the two.
            (Boolean(_), Text(_)) => return Err(Incomparable),
            (Boolean(_), _) | (_, Boolean(_)) | (Self::Null, _) | (_, Self::Null) => Ordering::Less,
        })
    }
}

/// `Double.compareTo`: what is no number comes last and equals itself, and -0.0 comes before 0.0.
fn doubles(left: f64, right: f64) -> Ordering {
    let canonical = |number: f64| if number.is_nan() { f64::NAN.copysign(1.0) } else { number };
    canonical(left).total_cmp(&canonical(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: each pair of types. *Guarantees*: numbers compare as numbers, texts are read as the other's type or end the evaluation.
    #[test]
    fn types_compare_as_in_java() {
        use Value::{Boolean, Double, Integer, Long, Text};
        let text = |text: &'static str| Text(Cow::Borrowed(text));
        let cases = [
            (Integer(3), Long(4), Ok(Ordering::Less)),
            (Long(4), Double(3.5), Ok(Ordering::Greater)),
            (Double(3.0), Integer(3), Ok(Ordering::Equal)),
            (text("3"), Integer(3), Ok(Ordering::Equal)),
            (text("3.0"), Integer(3), Err(Incomparable)),
            (text("3000000000"), Integer(3), Err(Incomparable)),
            (text("3000000000"), Long(3_000_000_000), Ok(Ordering::Equal)),
            (text("3"), Double(3.0), Ok(Ordering::Equal)),
            (Double(2.0), text("x"), Err(Incomparable)),
            (text("TRUE"), Boolean(true), Ok(Ordering::Equal)),
            (text("yes"), Boolean(false), Ok(Ordering::Equal)),
            (Boolean(true), text("true"), Err(Incomparable)),
            (Boolean(true), Integer(1), Ok(Ordering::Less)),
            (Integer(1), Boolean(false), Ok(Ordering::Less)),
            (Double(f64::NAN), Double(-f64::NAN), Ok(Ordering::Equal)),
            (Double(-0.0), Double(0.0), Ok(Ordering::Less)),
        ];
        for (left, right, expected) in cases {
            assert_eq!(left.compare(&right), expected, "{left:?} {right:?}");
        }
    }
}
