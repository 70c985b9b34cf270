//! Token by token, checked: strings, numbers, words, white space, and values that are short.
//!
//! Each function starts at an offset and gives the offset after what it passed, or nothing if it is malformed: then
//! [`scan`](super::scan) is asked what is wrong where.

use super::{scan, window};

/// The end of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringEnd {
    /// The offset of its closing quote.
    pub(super) quote: usize,
    /// Whether it has escapes.
    pub(super) escaped: bool,
}

/// Passes the characters of a string, from after its opening quote.
#[inline(always)]
pub(super) fn string(text: &[u8], at: usize) -> Option<StringEnd> {
    if let Some(window) = window::at::<{ window::BYTES }>(text, at) {
        let quote = at + window::plain(window);
        if text.get(quote) == Some(&b'"') {
            return Some(StringEnd { quote, escaped: false });
        }
    }
    long_string(text, at)
}

/// The same for a string that is longer, has escapes, or is at the end of the text.
#[inline(never)]
fn long_string(text: &[u8], mut at: usize) -> Option<StringEnd> {
    let mut escaped = false;
    loop {
        if let Some(window) = window::at::<{ window::BYTES }>(text, at) {
            let plain = window::plain(window);
            at += plain;
            if plain == window::BYTES {
                continue;
            }
        }
        match text.get(at)? {
            b'"' => return Some(StringEnd { quote: at, escaped }),
            b'\\' => {
                escaped = true;
                at = scan::escape(text, at).ok()?;
            }
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// Passes a number.
#[inline(always)]
pub(super) fn number(text: &[u8], at: usize) -> Option<usize> {
    let start = at + usize::from(text.get(at) == Some(&b'-'));
    if let Some(window) = window::at::<{ window::BYTES }>(text, start) {
        let digits = window::digits(window);
        let end = start + digits;
        if digits == 1 || (digits > 1 && digits < window::BYTES && window[0] != b'0') {
            match text.get(end) {
                Some(b'.') => {
                    if let Some(window) = window::at::<{ window::BYTES }>(text, end + 1) {
                        let digits = window::digits(window);
                        let end = end + 1 + digits;
                        if digits > 0 && digits < window::BYTES && !matches!(text.get(end), Some(b'e' | b'E')) {
                            return Some(end);
                        }
                    }
                }
                Some(b'e' | b'E') => {}
                _ => return Some(end),
            }
        }
    }
    long_number(text, at)
}

/// The same for a number that is longer, has an exponent, or is at the end of the text.
#[inline(never)]
fn long_number(text: &[u8], at: usize) -> Option<usize> {
    scan::number(text, at).ok()
}

/// Passes a value; `depth` containers are open around it.
#[inline(always)]
pub(super) fn value(text: &[u8], at: usize, depth: u32) -> Option<usize> {
    match text.get(at)? {
        b'"' => Some(string(text, at + 1)?.quote + 1),
        b'-' | b'0'..=b'9' => number(text, at),
        b'{' => object(text, at + 1, depth + 1),
        b'[' => array(text, at + 1, depth + 1),
        b't' => word(text, at, b"true"),
        b'f' => word(text, at, b"false"),
        b'n' => word(text, at, b"null"),
        _ => None,
    }
}

fn object(text: &[u8], at: usize, depth: u32) -> Option<usize> {
    let mut at = space(text, at);
    if depth > scan::MAX_DEPTH {
        return None;
    }
    if text.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    loop {
        if text.get(at) != Some(&b'"') {
            return None;
        }
        at = space(text, string(text, at + 1)?.quote + 1);
        if text.get(at) != Some(&b':') {
            return None;
        }
        at = space(text, value(text, space(text, at + 1), depth)?);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn array(text: &[u8], at: usize, depth: u32) -> Option<usize> {
    let mut at = space(text, at);
    if depth > scan::MAX_DEPTH {
        return None;
    }
    if text.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        at = space(text, value(text, at, depth)?);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Passes `true`, `false` or `null`.
#[inline(always)]
pub(super) fn word(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// Passes white space.
#[inline(always)]
pub(super) fn space(text: &[u8], at: usize) -> usize {
    match text.get(at) {
        Some(0..=b' ') => scan::space(text, at),
        _ => at,
    }
}
