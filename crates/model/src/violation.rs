//! One thing that is wrong with a definition.

use std::fmt;

/// Names the field, the value, the rule and the fix (AIP-193 `BadRequest.FieldViolation` carries it to the user).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `source.source_rocketmq_parameters.topic`.
    pub field: String,
    /// What was found there; a secret never stands here.
    pub value: String,
    /// What is allowed.
    pub rule: String,
    /// What to write instead.
    pub fix: String,
}

impl Violation {
    /// A violation in one line.
    pub fn new(field: impl Into<String>, value: impl Into<String>, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { field: field.into(), value: value.into(), rule: rule.into(), fix: fix.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: found {:?}; {}; {}", self.field, self.value, self.rule, self.fix)
    }
}
