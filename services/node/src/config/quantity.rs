//! Durations and byte sizes as people write them: `9s`, `500ms`, `1m30s`, `8MiB`.

use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const DURATION_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 7] =
    [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a duration: whole numbers, each with one of `ms`, `s`, `m`, `h`, `d`. A bare number is refused, but for `0`.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let (number, unit, behind) = quantity(rest)?;
        let (_, scale) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.checked_mul(*scale)?)?;
        rest = behind;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Reads a byte size: a whole number with one of `B`, `kB`, `MB`, `GB`, `KiB`, `MiB`, `GiB`; a bare number counts bytes.
pub fn byte_size(text: &str) -> Option<ByteSize> {
    if let Ok(bytes) = text.parse() {
        return Some(ByteSize(bytes));
    }
    let (number, unit, behind) = quantity(text)?;
    let (_, scale) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    behind.is_empty().then(|| number.checked_mul(*scale).map(ByteSize))?
}

/// Writes a duration in the form that [`duration`] reads, in its largest whole unit.
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = DURATION_UNITS.iter().rev().find(|(_, scale)| milliseconds >= *scale && milliseconds.is_multiple_of(*scale));
    unit.map_or_else(|| "0s".to_owned(), |(name, scale)| format!("{}{name}", milliseconds / scale))
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = SIZE_UNITS.iter().rev().find(|(_, scale)| *scale % 1024 == 0 && self.0 >= *scale && self.0.is_multiple_of(*scale));
        let (name, scale) = unit.copied().unwrap_or(("B", 1));
        write!(formatter, "{}{name}", self.0 / scale)
    }
}

/// A number, its unit, and what stands behind.
fn quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = text[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let (number, rest) = text.split_at(digits);
    let (unit, behind) = rest.split_at(letters);
    Some((number.parse().ok()?, unit, behind))
}

/// For clap: a duration, or what is wrong with it.
pub fn duration_argument(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "a whole number with ms, s, m, h or d is needed, such as 9s or 500ms".to_owned())
}

/// For clap: a byte size, or what is wrong with it.
pub fn byte_size_argument(text: &str) -> Result<ByteSize, String> {
    byte_size(text).ok_or_else(|| "a whole number with B, kB, MB, GB, KiB, MiB or GiB is needed, such as 8MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, milliseconds) in [("0", 0), ("500ms", 500), ("9s", 9_000), ("1m30s", 90_000), ("2h", 7_200_000), ("1d", 86_400_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "9", "s", "9 s", "9x", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!([0, 500, 9_000, 90_000].map(|value| show_duration(Duration::from_millis(value))), ["0s", "500ms", "9s", "90s"]);
    }

    #[test]
    fn byte_sizes_are_read_and_written() {
        for (text, bytes) in [("0", 0), ("17", 17), ("17B", 17), ("4kB", 4_000), ("8MiB", 8 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(byte_size(text), Some(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "8Mib", "8 MiB", "8MiB1", "-1B", "18446744073709551615GiB"] {
            assert_eq!(byte_size(text), None, "{text}");
        }
        assert_eq!([0, 1000, 8 << 20, 3 << 30].map(|bytes| ByteSize(bytes).to_string()), ["0B", "1000B", "8MiB", "3GiB"]);
    }
}
