//! One thing that is wrong with a definition.

use std::borrow::Cow;
use std::fmt;

/// Longest part of a value that is shown, characters.
const VALUE: usize = 100;
/// Longest field, rule and fix, characters. Rules may quote names, and fixes what was meant.
const WORDS: usize = 300;

/// Names the field, what was found, the rule and the fix (AIP-193 `BadRequest.FieldViolation` carries it to the user).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `source.source_rocketmq_parameters.topic`.
    pub field: String,
    /// What was found there, as people read it: a text in quotes, or words about it; empty for a field that is left out. A secret never
    /// stands here.
    pub found: String,
    /// What is allowed.
    pub rule: String,
    /// What to write instead.
    pub fix: String,
}

impl Violation {
    /// A violation by the text that stands there; an empty one is what a field has that is left out.
    pub fn new(field: impl Into<String>, text: impl AsRef<str>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        let text = text.as_ref();
        let found = if text.is_empty() { String::new() } else { format!("{:?}", cut(text, VALUE)) };
        Self::of(field.into(), found, rule.into(), fix.into())
    }

    /// A violation by words about what stands there.
    pub fn described(field: impl Into<String>, found: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        let found: String = found.into();
        Self::of(field.into(), cut(&found, VALUE).into_owned(), rule.into(), fix.into())
    }

    fn of(field: String, found: String, rule: String, fix: String) -> Self {
        let short = |text: String| if text.len() > WORDS { cut(&text, WORDS).into_owned() } else { text };
        Self { field: short(field), found, rule: short(rule), fix: short(fix) }
    }

    /// Stands behind the first violations in place of the others.
    pub fn more(count: usize) -> Self {
        Self::described("", "", format!("{count} more violations are not shown"), "correct those that are shown first")
    }

    /// Everything but the field, in one line.
    pub fn description(&self) -> String {
        match self.found.as_str() {
            "" if self.field.is_empty() => format!("{}; {}", self.rule, self.fix),
            "" => format!("is missing; {}; {}", self.rule, self.fix),
            found => format!("found {found}; {}; {}", self.rule, self.fix),
        }
    }
}

/// The beginning of a text, with … in place of the rest if it is longer than so many characters.
fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return formatter.write_str(&self.description());
        }
        write!(formatter, "{}: {}", self.field, self.description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a value, a rule and a fix of 10,000 characters of several bytes. *Guarantees*: the beginnings are shown.
    #[test]
    fn long_texts_are_cut() {
        let long = "述".repeat(10_000);
        let violation = Violation::new("f", &long, long.as_str(), long.as_str());
        assert_eq!(violation.found.chars().count(), VALUE + 3);
        assert_eq!((violation.rule.chars().count(), violation.fix.chars().count()), (WORDS + 1, WORDS + 1));
        assert_eq!(Violation::described("f", long.as_str(), "r", "x").found.chars().count(), VALUE + 1);
    }

    #[test]
    fn a_field_that_is_left_out_is_missing() {
        let said = |text: &str| Violation::new("name", text, "a name is needed", "write one").to_string();
        assert_eq!(said(""), "name: is missing; a name is needed; write one");
        assert_eq!(said("a\"b"), "name: found \"a\\\"b\"; a name is needed; write one");
    }
}
