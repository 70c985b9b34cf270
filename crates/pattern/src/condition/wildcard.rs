//! Texts with `*`, each standing for any characters or none.
//!
//! The literal pieces are searched from the left, each at its first place after the one before: with nothing but stars between
//! the pieces that finds a match if there is one, in time linear in the value.

use memchr::memmem::Finder;

/// A wildcard, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Wildcard {
    text: Box<str>,
    first: Box<str>,
    /// The pieces between two stars.
    middle: Box<[Finder<'static>]>,
    /// The piece after the last star; none without a star: then `first` is all.
    last: Option<Box<str>>,
}

/// Why a text is no wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("two stars in a row")]
    DoubledStar,
    #[error("a backslash before something other than * and \\")]
    UnknownEscape,
    #[error("a backslash at the end")]
    OpenEscape,
}

impl Wildcard {
    /// A star stands for any characters; `\*` and `\\` stand for a star and a backslash.
    pub(crate) fn new(text: &str) -> Result<Self, Fault> {
        let mut pieces = vec![String::new()];
        let mut characters = text.chars();
        let mut after_star = false;
        while let Some(character) = characters.next() {
            let star = character == '*';
            if star && after_star {
                return Err(Fault::DoubledStar);
            }
            after_star = star;
            let literal = match character {
                '*' => {
                    pieces.push(String::new());
                    continue;
                }
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    Some(_) => return Err(Fault::UnknownEscape),
                    None => return Err(Fault::OpenEscape),
                },
                other => other,
            };
            pieces.last_mut().expect("there is always a piece").push(literal);
        }
        let last = if pieces.len() > 1 { pieces.pop().map(String::into_boxed_str) } else { None };
        let mut pieces = pieces.into_iter();
        let first = pieces.next().unwrap_or_default().into_boxed_str();
        let middle = pieces.map(|piece| Finder::new(piece.as_bytes()).into_owned()).collect();
        Ok(Self { text: text.into(), first, middle, last })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The pieces of plain text, each of which a value that matches contains.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        let last = self.last.as_deref().map(str::as_bytes);
        std::iter::once(self.first.as_bytes()).chain(self.middle.iter().map(Finder::needle)).chain(last)
    }

    /// What every value that matches begins with.
    pub(crate) fn first(&self) -> &[u8] {
        self.first.as_bytes()
    }

    /// What every value that matches ends with.
    pub(crate) fn last(&self) -> &[u8] {
        self.last.as_ref().unwrap_or(&self.first).as_bytes()
    }

    pub(crate) fn stars(&self) -> usize {
        self.middle.len() + usize::from(self.last.is_some())
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        let Some(last) = &self.last else {
            return *value == *self.first;
        };
        // The last piece is taken off first, so that the others cannot use its characters.
        let Some(rest) = value.strip_prefix(&*self.first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        let mut rest = rest.as_bytes();
        for piece in &self.middle {
            match piece.find(rest) {
                Some(at) => rest = &rest[at + piece.needle().len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: stars at every place, escapes, overlapping pieces. *Guarantees*: as shell patterns.
    #[test]
    fn stars_stand_for_any_characters() {
        for (wildcard, value, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            (r"\*a\\*", r"*a\bc", true),
            (r"\*a\\*", "xa", false),
            ("*データ*", "prefix_データ_suffix", true),
        ] {
            assert_eq!(Wildcard::new(wildcard).map(|it| it.matches(value)), Ok(expected), "{wildcard} {value}");
        }
        assert_eq!(Wildcard::new("a**").map(drop), Err(Fault::DoubledStar));
        assert_eq!(Wildcard::new(r"a\b").map(drop), Err(Fault::UnknownEscape));
        assert_eq!(Wildcard::new("a\\").map(drop), Err(Fault::OpenEscape));
    }
}
