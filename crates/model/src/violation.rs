//! One thing that is wrong with a definition.

use std::fmt;

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
        let found = if text.is_empty() { String::new() } else { format!("{text:?}") };
        Self::described(field, found, rule, fix)
    }

    /// A violation by words about what stands there.
    pub fn described(field: impl Into<String>, found: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), found: found.into(), rule: rule.into(), fix: fix.into() }
    }

    /// Everything but the field, in one line.
    pub fn description(&self) -> String {
        match self.found.as_str() {
            "" => format!("is missing; {}; {}", self.rule, self.fix),
            found => format!("found {found}; {}; {}", self.rule, self.fix),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_left_out_is_missing() {
        let said = |text: &str| Violation::new("name", text, "a name is needed", "write one").to_string();
        assert_eq!(said(""), "name: is missing; a name is needed; write one");
        assert_eq!(said("a\"b"), "name: found \"a\\\"b\"; a name is needed; write one");
    }
}
