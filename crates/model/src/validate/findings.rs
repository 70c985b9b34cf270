//! Violations as they are found.

use super::fault::Fault;
use crate::violation::Violation;

/// Longest part of a value that a violation shows, characters.
const SHOWN: usize = 200;

/// Collects violations.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Violation>);

impl Findings {
    /// Notes a violation. A long value is cut.
    pub(super) fn add(&mut self, field: impl Into<String>, value: &str, rule: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Violation::new(field, shorten(value), rule, fix));
    }

    /// Notes what a compiler found in a checked field. `fix` is for where the compiler has no guess.
    pub(super) fn add_fault(&mut self, checked: &str, fault: Fault, fix: impl Into<String>) {
        let field = fault.field(checked);
        self.0.push(Violation::described(field, shorten(&fault.found), fault.rule, fault.fix.unwrap_or_else(|| fix.into())));
    }

    /// Whether a list is short enough to be looked at entry by entry. Otherwise a violation is noted.
    pub(super) fn are_few(&mut self, field: &str, count: usize, most: usize) -> bool {
        if count > most {
            self.add(field, &format!("{count} entries"), format!("at most {most} are allowed"), format!("remove {}", count - most));
        }
        count <= most
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

fn shorten(text: &str) -> String {
    if text.chars().nth(SHOWN).is_some() { text.chars().take(SHOWN).chain(['…']).collect() } else { text.to_owned() }
}
