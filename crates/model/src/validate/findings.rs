//! Violations as they are found.

use crate::violation::Violation;

/// Longest part of a value that a violation shows, characters.
const SHOWN: usize = 200;

/// Collects violations.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Violation>);

impl Findings {
    /// Notes a violation. A long value is cut.
    pub(super) fn add(&mut self, field: impl Into<String>, value: &str, rule: impl Into<String>, fix: impl Into<String>) {
        let value = if value.chars().nth(SHOWN).is_some() { value.chars().take(SHOWN).chain(['…']).collect() } else { value.to_owned() };
        self.0.push(Violation::new(field, value, rule, fix));
    }

    /// How many were noted.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// What was noted.
    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.0
    }

    /// The value if nothing was noted.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
