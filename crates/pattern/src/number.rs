//! JSON numbers compared by their exact decimal value.
//!
//! `300`, `300.0` and `3.0e2` are equal; `0.1` and `0.1000000000000000055` are not, though they round to the same double.
//! The doubles decide wherever they differ; only where they are equal are the digits looked at.

use std::cmp::Ordering;

/// A number of a pattern, ready to be compared with those of events.
#[derive(Debug, Clone)]
pub(crate) struct Number {
    text: Box<str>,
    double: f64,
    short: bool,
}

/// Sign, magnitude and digits of a number's text.
struct Decimal<'a> {
    negative: bool,
    /// The integer digits, leading zeros removed, then the fraction digits, likewise if there was no integer digit left.
    digits: (&'a [u8], &'a [u8]),
    /// Power of ten of the first digit.
    magnitude: i64,
}

/// With no more digits than this, different decimals are different doubles.
const EXACT_DIGITS: usize = 15;

impl Number {
    /// `text` is a JSON number.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), double: parse(text), short: is_short(text) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn double(&self) -> f64 {
        self.double
    }

    /// Whether a double can stand for it: it neither overflows nor vanishes.
    pub(crate) fn fits_double(&self) -> bool {
        self.double.is_finite() && (self.double != 0.0 || Decimal::new(&self.text).is_zero())
    }

    /// How the number `text` compares with this one.
    pub(crate) fn compare(&self, text: &str) -> Ordering {
        self.compare_parsed(text, parse(text))
    }

    /// The same for a number whose nearest double is `double`.
    pub(crate) fn compare_parsed(&self, text: &str, double: f64) -> Ordering {
        match double.partial_cmp(&self.double) {
            Some(Ordering::Equal) if self.short && is_short(text) => Ordering::Equal,
            Some(Ordering::Equal) | None => Decimal::new(text).compare(&Decimal::new(&self.text)),
            Some(order) => order,
        }
    }
}

/// How two JSON numbers compare.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    Number::new(other).compare(one)
}

/// The double nearest to the JSON number `text`.
pub(crate) fn parse(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn is_short(text: &str) -> bool {
    // The sign and the point may count as digits: it only makes the slower comparison a little more frequent.
    text.len() <= EXACT_DIGITS && !text.bytes().any(|byte| byte | 0x20 == b'e')
}

impl<'a> Decimal<'a> {
    fn new(text: &'a str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 });
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let integer = integer.trim_start_matches('0');
        let kept = if integer.is_empty() { fraction.trim_start_matches('0') } else { fraction };
        let leading = if integer.is_empty() { -(length(fraction) - length(kept)) } else { length(integer) };
        Self { negative, digits: (integer.as_bytes(), kept.as_bytes()), magnitude: exponent.saturating_add(leading) }
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.digits.0.iter().chain(self.digits.1).copied()
    }

    fn is_zero(&self) -> bool {
        self.digits().all(|digit| digit == b'0')
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => {
                return if other.negative { Ordering::Greater } else { Ordering::Less };
            }
            (false, true) => {
                return if self.negative { Ordering::Less } else { Ordering::Greater };
            }
            (false, false) => {}
        }
        match (self.negative, other.negative) {
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| {
            let (mut one, mut two) = (self.digits(), other.digits());
            loop {
                match (one.next(), two.next()) {
                    (None, None) => return Ordering::Equal,
                    (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        order => return order,
                    },
                }
            }
        })
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: numbers in different notations and beyond the precision of doubles. *Guarantees*: decimal order, both ways round.
    #[test]
    fn numbers_compare_by_decimal_value() {
        use Ordering::{Equal, Less};
        for (one, other, expected) in [
            ("300", "300.0", Equal),
            ("300", "3.0e2", Equal),
            ("300", "30000E-2", Equal),
            ("0", "-0.0", Equal),
            ("0", "0e999", Equal),
            ("0.1", "0.10", Equal),
            ("0.1", "0.1000000000000000055", Less),
            ("12345678901234567890", "12345678901234567891", Less),
            ("-12345678901234567891", "-12345678901234567890", Less),
            ("-1", "0.5", Less),
            ("0.05", "0.5", Less),
            ("1e400", "1e401", Less),
            ("10e399", "1e400", Equal),
            ("-1e400", "1e-400", Less),
            ("0", "1e-400", Less),
            ("1e99999999999999999999", "2e99999999999999999999", Less),
            ("9007199254740993", "9007199254740993.0", Equal),
            ("9007199254740992", "9007199254740993", Less),
        ] {
            assert_eq!(compare(one, other), expected, "{one} {other}");
            assert_eq!(compare(other, one), expected.reverse(), "{other} {one}");
        }
    }
}
