//! A validating cursor over JSON text (RFC 8259).
//!
//! Guarantees: a value that was skipped was checked byte for byte. Nesting is bounded by [`scan::MAX_DEPTH`], so hostile text costs
//! no stack. It deliberately does not interpret numbers, nor decode a string unless asked to.

use std::borrow::Cow;

use super::{check, scan, skip, token};

/// The text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed JSON at byte {at}: {what}")]
pub struct Malformed {
    /// Offset of the offending byte, from the start of the text.
    pub at: usize,
    /// What was expected there.
    pub what: &'static str,
}

/// A string as it stands in the text, without its quotes.
#[derive(Debug, Clone, Copy)]
pub struct RawString<'a> {
    /// The characters between the quotes, escapes unresolved.
    pub raw: &'a str,
    /// Whether `raw` contains a backslash.
    pub escaped: bool,
}

/// The cursor. Every method leaves it after what it read.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Whether the text is known to be well formed.
    checked: bool,
}

impl<'a> RawString<'a> {
    /// The string's characters. A lone surrogate escape becomes U+FFFD: Rust strings cannot hold it.
    #[must_use]
    pub fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, checked: false }
    }

    /// The same for a text that another cursor has passed: what is skipped is not checked again. Of a text that is malformed after all,
    /// what is read means nothing.
    #[must_use]
    pub fn of_checked(text: &'a str) -> Self {
        Self { text, at: 0, checked: true }
    }

    /// Offset of the next byte.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The text from `start` up to the cursor.
    #[must_use]
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// The first byte of the next token, after white space; `None` at the end of the text.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes the next token if it is this one byte.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes this byte, or says what was expected.
    #[inline]
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.take(byte) { Ok(()) } else { Err(self.malformed(what)) }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.peek().is_none() { Ok(()) } else { Err(self.malformed("nothing may follow the value")) }
    }

    /// An error at the cursor.
    #[cold]
    #[must_use]
    pub fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    /// Reads a string.
    #[inline]
    pub fn string(&mut self) -> Result<RawString<'a>, Malformed> {
        self.expect(b'"', "expected a string")?;
        let start = self.at;
        let (end, escaped) = match token::string(self.text.as_bytes(), start) {
            Some(end) => (end.quote + 1, end.escaped),
            None => scan::string(self.text.as_bytes(), start)?,
        };
        self.at = end;
        Ok(RawString { raw: &self.text[start..end - 1], escaped })
    }

    /// Reads a number and returns its text.
    #[inline]
    pub fn number(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        self.at = match token::number(self.text.as_bytes(), start) {
            Some(end) => end,
            None => scan::number(self.text.as_bytes(), start)?,
        };
        Ok(self.since(start))
    }

    /// Reads `true`, `false` or `null`.
    pub fn word(&mut self, word: &'static str) -> Result<(), Malformed> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.malformed("expected a value"))
        }
    }

    /// Passes one value of any kind, checking all of it; `depth` is how many containers are open around it.
    #[inline]
    pub fn skip(&mut self, depth: u32) -> Result<(), Malformed> {
        let bytes = self.text.as_bytes();
        let start = scan::space(bytes, self.at);
        let quick = match bytes.get(start) {
            Some(b'{' | b'[') if self.checked => Some(skip::container(bytes, start)),
            Some(b'{' | b'[') => check::container(bytes, start, depth),
            _ => token::value(bytes, start, depth),
        };
        self.at = match quick {
            Some(end) => end,
            None => scan::value(bytes, start, depth)?,
        };
        Ok(())
    }

    /// Enters the object or array whose bracket is next; `depth` as in [`Reader::skip`].
    #[inline]
    pub fn open(&mut self, depth: u32) -> Result<(), Malformed> {
        if depth >= scan::MAX_DEPTH {
            return Err(self.malformed("nested too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// After a member: true if another follows, false if the object was closed.
    #[inline]
    pub fn next_member(&mut self) -> Result<bool, Malformed> {
        self.next_of(b'}', "expected a comma or the end of the object")
    }

    /// After an element: true if another follows, false if the array was closed.
    #[inline]
    pub fn next_element(&mut self) -> Result<bool, Malformed> {
        self.next_of(b']', "expected a comma or the end of the array")
    }

    #[inline]
    fn next_of(&mut self, close: u8, what: &'static str) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.malformed(what)),
        }
    }
}

/// Resolves the escapes of a string that [`Reader::string`] has validated.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        out.push(match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (character, used) = unicode(rest);
                rest = &rest[used..];
                character
            }
            other => char::from(other),
        });
    }
    out.push_str(rest);
    out
}

/// The character that starts with the four digits of `rest`, and how many bytes it takes: a pair of surrogates takes ten.
fn unicode(rest: &str) -> (char, usize) {
    let unit = |text: &str| text.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let first = unit(rest).unwrap_or(0xfffd);
    let second = rest.get(4..).and_then(|tail| tail.strip_prefix("\\u")).and_then(unit);
    if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (first, second) {
        let decoded = char::decode_utf16([first, low]).next();
        if let Some(Ok(character)) = decoded {
            return (character, 10);
        }
    }
    (char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str) -> Result<(), Malformed> {
        let mut reader = Reader::new(text);
        reader.skip(0)?;
        reader.end()
    }

    /// *Scenario*: values of every kind. *Guarantees*: what RFC 8259 allows is passed, and nothing is left over.
    #[test]
    fn well_formed_text_is_passed() {
        for text in
            ["0", "-0.5e+10", "\"a\\u00e9\\n\"", "[]", "{}", " [1, {\"a\": [true, false, null]}] ", "\"long enough for two words é\""]
        {
            assert_eq!(skip(text), Ok(()), "{text}");
        }
    }

    /// *Scenario*: broken text. *Guarantees*: it is refused wherever the fault is.
    #[test]
    fn malformed_text_is_refused() {
        for text in [
            "",
            "01",
            "1.",
            "1e",
            "-",
            "+1",
            "tru",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "[1]]",
            "{} x",
            "\"12345678\u{1}\"",
        ] {
            assert!(skip(text).is_err(), "{text}");
        }
        assert!(skip(&"[".repeat(100_000)).is_err());
    }

    /// *Scenario*: escapes, also pairs and halves of surrogates. *Guarantees*: the characters they stand for.
    #[test]
    fn escapes_are_resolved() {
        let mut reader = Reader::new(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud800x""#);
        let string = reader.string().expect("the text is well formed");
        assert_eq!(string.decode(), "a\"\\/\u{8}\u{c}\n\r\té😀\u{fffd}x");
    }
}
