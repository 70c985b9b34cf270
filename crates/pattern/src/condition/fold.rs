//! Comparison without regard to case.
//!
//! Texts are equal if they are after each character was put in upper case and the result in lower case, both by Unicode's full
//! mappings: so `ß` equals `SS`. Characters beyond the basic plane are characters like others. Nothing is normalised.

/// A pattern's text, folded once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded {
    text: Box<str>,
}

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: Self::of(text).into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// `value` folded as this text is.
    pub(crate) fn of(value: &str) -> String {
        if value.is_ascii() { value.to_ascii_lowercase() } else { value.chars().flat_map(fold).collect() }
    }

    pub(crate) fn equals(&self, value: &str) -> bool {
        if value.is_ascii() {
            return value.eq_ignore_ascii_case(&self.text);
        }
        value.chars().flat_map(fold).eq(self.text.chars())
    }

    /// Whether some characters at the start of `value` equal the text.
    pub(crate) fn starts(&self, value: &str) -> bool {
        if let Some(start) = value.as_bytes().get(..self.text.len())
            && start.is_ascii()
        {
            return start.eq_ignore_ascii_case(self.text.as_bytes());
        }
        let mut expected = self.text.chars();
        for character in value.chars() {
            if expected.as_str().is_empty() {
                return true;
            }
            // A character whose mapping is longer than what is left of the text is not equal to a part of it.
            if !fold(character).all(|folded| expected.next() == Some(folded)) {
                return false;
            }
        }
        expected.as_str().is_empty()
    }

    /// Whether some characters at the end of `value` equal the text.
    pub(crate) fn ends(&self, value: &str) -> bool {
        let start = value.len().checked_sub(self.text.len());
        if let Some(end) = start.map(|start| &value.as_bytes()[start..])
            && end.is_ascii()
        {
            return end.eq_ignore_ascii_case(self.text.as_bytes());
        }
        let mut expected = self.text.chars();
        for character in value.chars().rev() {
            if expected.as_str().is_empty() {
                return true;
            }
            if !fold(character).rev().all(|folded| expected.next_back() == Some(folded)) {
                return false;
            }
        }
        expected.as_str().is_empty()
    }
}

/// The character's upper case, put in lower case.
fn fold(character: char) -> impl DoubleEndedIterator<Item = char> {
    character.to_uppercase().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: letters in and out of ASCII and the basic plane, and lengths that differ. *Guarantees*: case does not count, all else does.
    #[test]
    fn case_does_not_count() {
        for (pattern, value) in [("aBc", "AbC"), ("ⱥ", "Ⱥ"), ("k", "\u{212a}"), ("σ", "ς"), ("𐐀", "𐐨"), ("", "")] {
            assert!(Folded::new(pattern).equals(value), "{pattern} {value}");
        }
        assert!(Folded::new("ss").equals("ß"));
        assert!(!Folded::new("s").starts("ßa"));
        assert!(!Folded::new("s").ends("aß"));
        assert!(Folded::new("\u{390}").ends("x\u{399}\u{308}\u{301}"));
        assert!(!Folded::new("abc").equals("abcd"));
        assert!(Folded::new("ÄB").starts("äbc"));
        assert!(!Folded::new("ÄBCD").starts("äbc"));
        assert!(Folded::new("BÉ").ends("abé"));
        assert!(!Folded::new("xabé").ends("abé"));
    }
}
