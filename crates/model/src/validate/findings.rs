//! Violations as they are found.

use super::fault::Fault;
use crate::violation::Violation;

/// Most violations that are kept; the others are counted.
const KEPT: usize = 20;

/// Collects violations: the first ones, and how many there are.
#[derive(Debug)]
pub(super) struct Findings {
    kept: Vec<Violation>,
    count: usize,
    most: usize,
}

impl Default for Findings {
    fn default() -> Self {
        Self { kept: Vec::new(), count: 0, most: KEPT }
    }
}

impl Findings {
    /// Keeps every violation.
    #[cfg(test)]
    pub(super) fn unlimited() -> Self {
        Self { most: usize::MAX, ..Self::default() }
    }

    /// Notes a violation.
    pub(super) fn add(&mut self, field: impl Into<String>, value: &str, rule: impl Into<String>, fix: impl Into<String>) {
        self.note(|| Violation::new(field, value, rule, fix));
    }

    /// Notes a violation by words about what was found.
    pub(super) fn add_described(&mut self, field: impl Into<String>, found: String, rule: impl Into<String>, fix: impl Into<String>) {
        self.note(|| Violation::described(field, found, rule, fix));
    }

    /// Notes what a compiler found in a checked field. `fix` is for where the compiler has no guess.
    pub(super) fn add_fault(&mut self, checked: &str, fault: Fault, fix: impl Into<String>) {
        let field = fault.field(checked);
        self.note(|| Violation::described(field, fault.found, fault.rule, fault.fix.unwrap_or_else(|| fix.into())));
    }

    fn note(&mut self, violation: impl FnOnce() -> Violation) {
        self.count += 1;
        if self.kept.len() < self.most {
            self.kept.push(violation());
        }
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
        self.count
    }

    /// What was noted: the first ones, and behind them how many more there are.
    pub(super) fn into_violations(mut self) -> Vec<Violation> {
        let more = self.count - self.kept.len();
        if more > 0 {
            self.kept.push(Violation::more(more));
        }
        self.kept
    }

    /// The value if nothing was noted.
    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<Violation>> {
        if self.count == 0 { Ok(value) } else { Err(self.into_violations()) }
    }
}
