//! Texts that are numbers, as Java reads them: `Integer.valueOf`, `Long.valueOf`, `Double.valueOf`.

/// The digit 0 of each script that has digits, as far as `Character.digit` knows them in one UTF-16 unit.
const ZEROS: [u32; 37] = [
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090,
    0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0,
    0xFF10,
];
/// Bits of the fraction of a double, and the exponents of its largest numbers and of its smallest normal ones (IEEE 754).
const FRACTION_BITS: u32 = 52;
const LARGEST_EXPONENT: i64 = 1_023;
const SMALLEST_EXPONENT: i64 = -1_022;
/// An exponent beyond which every number is infinite or nothing, however many digits it has.
const FAR: i64 = 1 << 40;

/// A whole number: digits of any script, with a sign or without.
pub(crate) fn whole<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.is_ascii() {
        return text.parse().ok();
    }
    let ascii = |character: char| digit(character).map_or(character, |digit| char::from(b'0' + digit));
    text.chars().map(ascii).collect::<String>().parse().ok()
}

fn digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS.iter().rev().find(|zero| **zero <= code)?;
    u8::try_from(code - zero).ok().filter(|digit| *digit < 10)
}

/// A floating-point number: spaces around it do not count, nor does a `d` or `f` behind it.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character| character <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let number = hexadecimal(digits)?;
        return Some(if text.starts_with('-') { -number } else { number });
    }
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust reads names of what is no number in any case; Java as they are above only.
    if digits.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    digits.parse().ok()
}

/// What follows `0x`: `1.8p3`, the exponent in decimal digits and never left out.
fn hexadecimal(text: &str) -> Option<f64> {
    let (significand, exponent) = text.split_once(['p', 'P'])?;
    let exponent = exponent.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(exponent);
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, fraction) = significand.split_once('.').unwrap_or((significand, ""));
    let are_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if unsigned.is_empty() || unsigned.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    if !are_digits(whole) || !are_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    // Too many digits for 64 bits are far beyond every double.
    let far = if exponent.starts_with('-') { -FAR } else { FAR };
    let exponent = exponent.parse::<i64>().map_or(far, |exponent| exponent.clamp(-FAR, FAR));
    let (mut bits, mut is_more, mut shift) = (0_u64, false, -4 * i64::try_from(fraction.len()).ok()?);
    for digit in whole.chars().chain(fraction.chars()).filter_map(|digit| digit.to_digit(16)) {
        if bits >> 60 == 0 {
            bits = bits << 4 | u64::from(digit);
        } else {
            is_more |= digit != 0;
            shift += 4;
        }
    }
    Some(nearest(bits, is_more, exponent + shift))
}

/// The double nearest to `bits` times 2 to the `exponent`, the even one of two; `is_more` if the number is greater by less than one bit.
fn nearest(bits: u64, is_more: bool, exponent: i64) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let bits_before = bits.leading_zeros();
    let bits = bits << bits_before;
    let exponent = exponent - i64::from(bits_before) + 63;
    if exponent > LARGEST_EXPONENT {
        return f64::INFINITY;
    }
    // Below the normal numbers, fewer bits are left.
    let dropped = i64::from(63 - FRACTION_BITS) + (SMALLEST_EXPONENT - exponent).max(0);
    if dropped > 64 {
        return 0.0;
    }
    let dropped = dropped as u32;
    let kept = bits.checked_shr(dropped).unwrap_or(0);
    let rest = bits << (64 - dropped);
    let half = 1 << 63;
    let is_up = rest > half || rest == half && (is_more || kept & 1 == 1);
    let biased = (exponent - SMALLEST_EXPONENT).max(0) as u64;
    // The leading bit of a normal number adds one to its exponent; a carry goes into the exponent, up to infinity.
    f64::from_bits((biased << FRACTION_BITS) + kept + u64::from(is_up))
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
            assert_eq!(double(text), Some(expected), "{text}");
        }
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").is_some_and(f64::is_nan));
        for text in ["", " ", "nan", "inf", "infinity", "1 2", "1_0", "1dd", ".", "５"] {
            assert_eq!(double(text), None, "{text}");
        }
        assert_eq!(
            (whole::<i32>("+5"), whole::<i32>("-５0"), whole::<i64>("٣"), whole::<i32>("3000000000")),
            (Some(5), Some(-50), Some(3), None)
        );
        assert_eq!((whole::<i32>("０x1"), whole::<i32>("二"), whole::<i32>(" 5"), whole::<i32>("")), (None, None, None, None));
    }

    /// *Scenario*: hexadecimal floating-point texts, at the edges of what a double holds too. *Guarantees*: the doubles that `Double.valueOf` of Java 17 returns
    /// (printed with `Double.doubleToLongBits`); none where it throws.
    #[test]
    fn hexadecimal_texts_are_numbers_as_in_java() {
        for (text, bits) in [
            ("0x1p3", 0x4020_0000_0000_0000),
            (" -0X1.8P1d ", 0xC008_0000_0000_0000),
            ("0x.8p0f", 0x3FE0_0000_0000_0000),
            ("0x10.p-4", 0x3FF0_0000_0000_0000),
            ("0x0p99999999999", 0),
            ("-0x0p0", 1 << 63),
            ("0x1p-1074", 1),
            ("0x1p-1075", 0),
            ("0x1.8p-1075", 1),
            ("0x1.0000000000001p-1075", 1),
            ("0x0.fffffffffffff8p-1022", 0x0010_0000_0000_0000),
            ("0x1.fffffffffffff7p1023", 0x7FEF_FFFF_FFFF_FFFF),
            ("0x1.fffffffffffff8p1023", 0x7FF0_0000_0000_0000),
            ("0x1p1024", 0x7FF0_0000_0000_0000),
            ("0x1p99999999999999999999", 0x7FF0_0000_0000_0000),
            ("0x1p-99999999999999999999", 0),
            ("0x1.00000000000008p0", 0x3FF0_0000_0000_0000),
            ("0x1.000000000000080000000001p0", 0x3FF0_0000_0000_0001),
            ("0x1.00000000000018p0", 0x3FF0_0000_0000_0002),
            ("0xfffffffffffffffffffp0", 0x44B0_0000_0000_0000),
        ] {
            assert_eq!(double(text).map(f64::to_bits), Some(bits), "{text}");
        }
        for text in ["0x10", "0xp1", "0x.p1", "0x1p", "0x1p+", "0x1.2.3p1", "0x1p1.0", "0xgp1", "x1p1", "0x1p1dd", "0x 1p1", "0x+1p1"] {
            assert_eq!(double(text), None, "{text}");
        }
    }
}
