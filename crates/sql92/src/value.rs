//! What properties and literals are, and how two of them compare: as the Java objects do that RocketMQ makes of them.

use std::borrow::Cow;
use std::cmp::Ordering;

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
            (Integer(left), Text(right)) => left.cmp(&whole(right)?),
            (Text(left), Integer(right)) => whole::<i32>(left)?.cmp(right),
            (Long(left), Text(right)) => left.cmp(&whole(right)?),
            (Text(left), Long(right)) => whole::<i64>(left)?.cmp(right),
            (Double(left), Text(right)) => doubles(*left, double(right)?),
            (Text(left), Double(right)) => doubles(double(left)?, *right),
            (Text(left), Boolean(right)) => left.eq_ignore_ascii_case("true").cmp(right),
            // Java casts the wrong one of the two.
            (Boolean(_), Text(_)) => return Err(Incomparable),
            (Boolean(_), _) | (_, Boolean(_)) | (Self::Null, _) | (_, Self::Null) => Ordering::Less,
        })
    }
}

/// `Integer.valueOf`, `Long.valueOf`.
fn whole<N: std::str::FromStr>(text: &str) -> Result<N, Incomparable> {
    text.parse().map_err(|_| Incomparable)
}

/// `Double.valueOf`, but for hexadecimal numbers: spaces around it do not count, nor does a `d` or `f` behind it.
pub(crate) fn double(text: &str) -> Result<f64, Incomparable> {
    let text = text.trim_matches(|character| character <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().map_err(|_| Incomparable);
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust reads names of what is no number in any case; Java as they are above only.
    if digits.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return Err(Incomparable);
    }
    digits.parse().map_err(|_| Incomparable)
}

/// `Double.compareTo`: what is no number comes last and equals itself, and -0.0 comes before 0.0.
fn doubles(left: f64, right: f64) -> Ordering {
    let canonical = |number: f64| if number.is_nan() { f64::NAN.copysign(1.0) } else { number };
    canonical(left).total_cmp(&canonical(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: texts that Java reads as numbers and texts that it does not. *Guarantees*: the same here.
    #[test]
    fn texts_are_numbers_as_in_java() {
        for (text, expected) in
            [("1", 1.0), (" +1.5e3\t", 1500.0), ("-.5", -0.5), ("5.", 5.0), ("1d", 1.0), ("2F", 2.0), ("1e400", f64::INFINITY)]
        {
            assert_eq!(double(text), Ok(expected), "{text}");
        }
        assert_eq!(double("-Infinity"), Ok(f64::NEG_INFINITY));
        assert!(double("NaN").is_ok_and(f64::is_nan));
        for text in ["", " ", "nan", "inf", "infinity", "1 2", "1_0", "0x10", "1dd", "."] {
            assert_eq!(double(text), Err(Incomparable), "{text}");
        }
    }

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
