//! Passing over JSON text without looking back: the inner loops of [`Reader`](super::Reader).
//!
//! Each function starts at an offset and returns the offset after what it passed, having checked every byte. They are loops over
//! local variables, and look at eight bytes at a time where text is plain: most of an event is passed here.

use super::Malformed;

/// Objects and arrays inside each other, at most. Deeper text is refused as malformed.
pub(super) const MAX_DEPTH: u32 = 512;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Which of the open containers are objects: one bit each.
struct Open {
    objects: [u64; MAX_DEPTH as usize / 64],
}

/// Passes one value; `around` containers are open around it.
pub(super) fn value(bytes: &[u8], mut at: usize, around: u32) -> Result<usize, Malformed> {
    let mut depth = around;
    let mut open = Open { objects: [0; MAX_DEPTH as usize / 64] };
    'value: loop {
        at = space(bytes, at);
        at = match bytes.get(at) {
            Some(b'"') => string(bytes, at + 1)?.0,
            Some(b'-' | b'0'..=b'9') => number(bytes, at)?,
            Some(bracket @ (b'{' | b'[')) => {
                if depth >= MAX_DEPTH {
                    return Err(malformed(at, "nested too deeply"));
                }
                let object = *bracket == b'{';
                at = space(bytes, at + 1);
                if bytes.get(at) == Some(if object { &b'}' } else { &b']' }) {
                    at + 1
                } else {
                    open.set(depth, object);
                    depth += 1;
                    if object {
                        at = key(bytes, at)?;
                    }
                    continue 'value;
                }
            }
            Some(b't') => word(bytes, at, b"true")?,
            Some(b'f') => word(bytes, at, b"false")?,
            Some(b'n') => word(bytes, at, b"null")?,
            _ => return Err(malformed(at, "expected a value")),
        };
        while depth > around {
            at = space(bytes, at);
            let object = open.is_object(depth - 1);
            match bytes.get(at) {
                Some(b',') => {
                    at += 1;
                    if object {
                        at = key(bytes, space(bytes, at))?;
                    }
                    continue 'value;
                }
                Some(b'}') if object => at += 1,
                Some(b']') if !object => at += 1,
                _ if object => {
                    return Err(malformed(at, "expected a comma or the end of the object"));
                }
                _ => return Err(malformed(at, "expected a comma or the end of the array")),
            }
            depth -= 1;
        }
        return Ok(at);
    }
}

/// Passes the characters of a string and its closing quote, from after its opening quote; and says whether it has escapes.
#[inline]
pub(super) fn string(bytes: &[u8], mut at: usize) -> Result<(usize, bool), Malformed> {
    let mut escaped = false;
    loop {
        at = plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            Some(_) => return Err(malformed(at, "control character in a string")),
            None => return Err(malformed(at, "string without an end")),
        }
    }
}

/// Passes a number.
#[inline]
pub(super) fn number(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits(bytes, at),
        _ => return Err(malformed(at, "expected a value")),
    };
    if bytes.get(at) == Some(&b'.') {
        at = some_digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = some_digits(bytes, at)?;
    }
    Ok(at)
}

/// Passes white space.
#[inline]
pub(super) fn space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Passes a member's name and its colon.
#[inline]
fn key(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if bytes.get(at) != Some(&b'"') {
        return Err(malformed(at, "expected a string"));
    }
    let at = space(bytes, string(bytes, at + 1)?.0);
    if bytes.get(at) == Some(&b':') { Ok(at + 1) } else { Err(malformed(at, "expected a colon")) }
}

fn word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Malformed> {
    if bytes[at..].starts_with(word) { Ok(at + word.len()) } else { Err(malformed(at, "expected a value")) }
}

/// Passes one escape, from its backslash.
pub(super) fn escape(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
            _ => Err(malformed(at, "expected four hexadecimal digits after \\u")),
        },
        _ => Err(malformed(at, "unknown escape in a string")),
    }
}

fn some_digits(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if matches!(bytes.get(at), Some(b'0'..=b'9')) { Ok(digits(bytes, at)) } else { Err(malformed(at, "expected a digit")) }
}

/// Passes digits.
#[inline]
fn digits(bytes: &[u8], mut at: usize) -> usize {
    const ZEROS: u64 = ONES * b'0' as u64;
    const UPPER: u64 = ONES * 0xf0;
    while let Some(word) = eight(bytes, at) {
        // Digits are 0x30 to 0x39: the upper half is 3, and is still 3 with 6 more.
        let others = ((word & UPPER) ^ ZEROS) | ((word.wrapping_add(ONES * 6) & UPPER) ^ ZEROS);
        if others != 0 {
            // A carry goes upwards only, so the first byte that is no digit is found right.
            return at + others.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Passes bytes that are neither a quote, a backslash nor a control character.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    // The lowest set bit marks the first byte below `limit`; bits above it may be wrong, and are not looked at.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    while let Some(word) = eight(bytes, at) {
        let special = below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

#[cold]
fn malformed(at: usize, what: &'static str) -> Malformed {
    Malformed { at, what }
}

impl Open {
    #[inline]
    fn set(&mut self, depth: u32, object: bool) {
        let (word, bit) = (&mut self.objects[depth as usize / 64], 1 << (depth % 64));
        *word = if object { *word | bit } else { *word & !bit };
    }

    #[inline]
    fn is_object(&self, depth: u32) -> bool {
        self.objects[depth as usize / 64] >> (depth % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a special byte at each place of a word. *Guarantees*: it is found there.
    #[test]
    fn plain_text_ends_at_the_first_special_byte() {
        for special in [b'"', b'\\', 0x1f, 0] {
            for at in 0..20 {
                let mut bytes = vec![b'\x7f'; 24];
                bytes[at] = special;
                assert_eq!(plain(&bytes, 0), at);
            }
        }
        assert_eq!(plain("éééééééé".as_bytes(), 0), 16);
    }

    /// *Scenario*: every byte that is no digit at each place among digits. *Guarantees*: it is found there.
    #[test]
    fn digits_end_at_the_first_other_byte() {
        for other in (0..=255).filter(|byte: &u8| !byte.is_ascii_digit()) {
            for at in 0..20 {
                let mut bytes = b"012345678901234567890123".to_vec();
                bytes[at] = other;
                bytes[at + 1] = 0xff;
                assert_eq!(digits(&bytes, 0), at, "{other}");
            }
        }
    }
}
