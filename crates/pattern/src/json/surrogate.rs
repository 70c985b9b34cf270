//! Half a pair of surrogates: what JSON can write as `\ud800` and no text can hold.

use std::borrow::Cow;

/// Whether an escape of this JSON text, or of the inside of a JSON string, stands for half a pair of surrogates.
#[must_use]
pub fn has_lone_surrogate(text: &str) -> bool {
    next_lone(text.as_bytes(), 0).is_some()
}

/// The JSON text with `\ufffd` in place of each escape that stands for half a pair of surrogates, which is how
/// [`RawString::decode`](super::RawString::decode) reads them. A text without any is not copied.
#[must_use]
pub fn mend_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(mut at) = next_lone(text, 0) else { return Cow::Borrowed(text) };
    let mut mended = text.to_vec();
    loop {
        mended[at..at + 6].copy_from_slice(b"\\ufffd");
        match next_lone(text, at + 6) {
            Some(next) => at = next,
            None => return Cow::Owned(mended),
        }
    }
}

/// The offset of the next escape, from `at`, that stands for half a pair.
fn next_lone(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr(b'\\', text.get(at..)?)?;
        at += match unit(text, at) {
            Some(0xd800..=0xdbff) if matches!(unit(text, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => return Some(at),
            Some(_) => 6,
            None => 2,
        };
    }
}

/// The number that the escape at `at` gives, if it is `\u` and four digits.
fn unit(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |sum: u16, digit| Some(sum << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: pairs, halves in every order, escaped backslashes before a `u`, and text without escapes. *Guarantees*: halves and only halves are
    /// replaced, and what needs no change is not copied.
    #[test]
    fn halves_are_replaced_and_pairs_are_kept() {
        for (text, expected) in [
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
            (r#"["\ude00\ud83d"]"#, r#"["\ufffd\ufffd"]"#),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#),
            (r#"["\\ud83d", "\\\uD83D"]"#, r#"["\\ud83d", "\\\ufffd"]"#),
            (r#"["\ud83dx\u0041"]"#, r#"["\ufffdx\u0041"]"#),
            ("\"é\"", "\"é\""),
            ("\"\\", "\"\\"),
            ("\"\\ud8", "\"\\ud8"),
        ] {
            let mended = mend_surrogates(text.as_bytes());
            assert_eq!(std::str::from_utf8(&mended), Ok(expected), "{text}");
            assert_eq!(matches!(mended, Cow::Owned(_)), text != expected, "{text}");
            assert_eq!(has_lone_surrogate(text), text != expected, "{text}");
        }
    }
}
