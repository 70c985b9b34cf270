//! JSON numbers compared by their exact decimal value.
//!
//! `300`, `300.0` and `3.0e2` are equal; `0.1` and `0.1000000000000000055` are not, though they round to the same double.
//! Numbers of up to [`MOST_DIGITS`] digits, which is nearly all, are compared as integers; only of longer ones are the texts looked at.

use std::cmp::Ordering;

/// A number of a pattern, ready to be compared with those of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    text: Box<str>,
    digits: Digits,
}

/// A number as an integer and a power of ten. Equal numbers have equal ones; different numbers have different ones if these are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digits {
    /// The first significant digits, with the number's sign; not a multiple of ten, unless it is zero or not exact.
    mantissa: i64,
    exponent: i32,
    /// Whether there are no more digits.
    exact: bool,
}

/// Sign, magnitude and digits of a number's text.
struct Decimal<'a> {
    negative: bool,
    /// The integer digits, leading zeros removed, then the fraction digits, likewise if there was no integer digit left.
    digits: (&'a [u8], &'a [u8]),
    /// Power of ten of the first digit.
    magnitude: i64,
}

/// Integers of as many digits fit an `i64`.
const MOST_DIGITS: usize = 18;
/// Exponents beyond are as good as this one: such numbers are compared by their texts.
const MOST_EXPONENT: i64 = 1 << 30;

impl Number {
    /// `text` is a JSON number.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), digits: Digits::new(text) }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn digits(&self) -> Digits {
        self.digits
    }

    /// The nearest double.
    pub(crate) fn double(&self) -> f64 {
        double(&self.text)
    }

    /// Whether a double can stand for it: it neither overflows nor vanishes.
    pub(crate) fn fits_double(&self) -> bool {
        let double = self.double();
        double.is_finite() && (double != 0.0 || self.digits.mantissa == 0)
    }

    /// How the number `text`, which has these digits, compares with this one.
    #[inline]
    pub(crate) fn compare(&self, text: &str, digits: Digits) -> Ordering {
        digits.compare(self.digits).unwrap_or_else(|| Decimal::new(text).compare(&Decimal::new(&self.text)))
    }
}

/// How two JSON numbers compare.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    let order = Digits::new(one).compare(Digits::new(other));
    order.unwrap_or_else(|| Decimal::new(one).compare(&Decimal::new(other)))
}

/// Whether two JSON numbers are equal, of which `other` has these digits.
pub(crate) fn equal(one: &str, other: &str, digits: Digits) -> bool {
    let order = Digits::new(one).compare(digits);
    order.unwrap_or_else(|| Decimal::new(one).compare(&Decimal::new(other))) == Ordering::Equal
}

/// The double nearest to the JSON number `text`.
pub(crate) fn double(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

impl Digits {
    /// `text` is a JSON number.
    #[inline]
    pub(crate) fn new(text: &str) -> Self {
        Self::short(text.as_bytes()).unwrap_or_else(|| Self::long(text))
    }

    /// Of a number without an exponent that has few digits, zeros included.
    #[inline]
    fn short(text: &[u8]) -> Option<Self> {
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let mut mantissa = 0_i64;
        let mut point = None;
        let mut at = 0;
        let mut digits = 0;
        while let Some(&byte) = unsigned.get(at) {
            if let Some(eight) = unsigned.get(at..).and_then(|rest| rest.first_chunk()).and_then(eight_digits) {
                digits += 8;
                if digits > MOST_DIGITS {
                    return None;
                }
                mantissa = mantissa * 100_000_000 + i64::from(eight);
                at += 8;
                continue;
            }
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    if digits > MOST_DIGITS {
                        return None;
                    }
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                }
                b'.' => point = Some(at),
                _ => return None,
            }
            at += 1;
        }
        let fraction = point.map_or(0, |point| unsigned.len() - point - 1);
        Some(Self::normal(if negative { -mantissa } else { mantissa }, -(fraction as i64), true))
    }

    #[cold]
    fn long(text: &str) -> Self {
        let decimal = Decimal::new(text);
        let significant = decimal.digits().collect::<Vec<_>>();
        let length = significant.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
        let kept = length.min(MOST_DIGITS);
        let mantissa = significant[..kept].iter().fold(0, |mantissa, digit| mantissa * 10 + i64::from(digit - b'0'));
        let mantissa = if decimal.negative { -mantissa } else { mantissa };
        Self::normal(mantissa, decimal.magnitude.saturating_sub(kept as i64), length <= MOST_DIGITS)
    }

    #[inline]
    fn normal(mut mantissa: i64, mut exponent: i64, exact: bool) -> Self {
        if mantissa == 0 {
            return Self { mantissa: 0, exponent: 0, exact };
        }
        while exact && mantissa % 10 == 0 {
            (mantissa, exponent) = (mantissa / 10, exponent + 1);
        }
        let bounded = exponent.clamp(-MOST_EXPONENT, MOST_EXPONENT);
        Self { mantissa, exponent: bounded as i32, exact: exact && bounded == exponent }
    }

    /// The value, to within a few parts in 10^15.
    pub(crate) fn approximate(self) -> f64 {
        // Powers up to this one are exact.
        const EXACT: i32 = 22;
        let mantissa = self.mantissa as f64;
        if (-EXACT..0).contains(&self.exponent) { mantissa / 10_f64.powi(-self.exponent) } else { mantissa * 10_f64.powi(self.exponent) }
    }

    /// How they compare, if the digits tell.
    #[inline]
    fn compare(self, other: Self) -> Option<Ordering> {
        if !(self.exact && other.exact) {
            return None;
        }
        let (difference, swapped) = (i64::from(self.exponent) - i64::from(other.exponent), self.exponent < other.exponent);
        let (upper, lower) = if swapped { (other, self) } else { (self, other) };
        let order = match difference.unsigned_abs() {
            0 => upper.mantissa.cmp(&lower.mantissa),
            // The product of two integers of 18 digits fits an `i128`.
            scale @ 1..=18 => (i128::from(upper.mantissa) * POWERS[scale as usize]).cmp(&i128::from(lower.mantissa)),
            // Whatever the upper one is, it is a longer integer than the lower one.
            _ => upper.mantissa.signum().cmp(&0).then_with(|| 0.cmp(&lower.mantissa)),
        };
        Some(if swapped { order.reverse() } else { order })
    }
}

const POWERS: [i128; 19] = {
    let mut powers = [1; 19];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = 10 * powers[index - 1];
        index += 1;
    }
    powers
};

/// The value of eight digits, if they are eight digits.
#[inline]
fn eight_digits(text: &[u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let word = u64::from_le_bytes(*text);
    // Digits are 0x30 to 0x39: the upper half is 3, and is still 3 with 6 more.
    let upper = 0xf0 * ONES;
    if (word & upper) ^ (0x30 * ONES) | (word.wrapping_add(6 * ONES) & upper) ^ (0x30 * ONES) != 0 {
        return None;
    }
    // Pairs of digits, then pairs of pairs, then both halves: the first digit is in the lowest byte.
    let pairs = (word & (0x0f * ONES)).wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32) as u32)
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

    /// *Scenario*: random numbers with few and many digits, shifted by exponents. *Guarantees*: integers decide as the texts would, and equal numbers have
    /// equal digits.
    #[test]
    fn digits_decide_as_the_texts_do() {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut texts = vec!["0".to_owned(), "-0.0".to_owned(), "0e5".to_owned(), "1e-30".to_owned(), "-1e30".to_owned()];
        for _ in 0..400 {
            let sign = ["", "-"][random(2) as usize];
            let length = random(10) as u32 + 1;
            let integer = if random(3) == 0 { "0".to_owned() } else { (1 + random(10_u64.pow(length))).to_string() };
            let zeros = "0".repeat(random(12) as usize);
            let fraction = match random(3) {
                0 => String::new(),
                1 => format!(".{zeros}{}", random(1_000_000)),
                _ => format!(".{}{zeros}{}", random(1 << 31), random(1 << 31)),
            };
            let exponent = if random(3) == 0 { format!("e{}", random(40) as i64 - 20) } else { String::new() };
            texts.push(format!("{sign}{integer}{fraction}{exponent}"));
        }
        for one in &texts {
            let padded = if one.contains('e') {
                one.replace('e', "00e").replacen("00e", if one.contains('.') { "00e" } else { ".00e" }, 1)
            } else {
                one.clone()
            };
            assert_eq!(compare(one, &padded), Ordering::Equal, "{one} {padded}");
            for other in &texts {
                let order = Decimal::new(one).compare(&Decimal::new(other));
                assert_eq!(compare(one, other), order, "{one} {other}");
                assert_eq!(
                    Digits::new(one) == Digits::new(other) && Digits::new(one).exact,
                    order == Ordering::Equal && Digits::new(one).exact,
                    "{one} {other}"
                );
            }
        }
        assert_eq!(eight_digits(b"12345678"), Some(12_345_678));
        assert_eq!(eight_digits(b"1234567."), None);
    }

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
