//! Why a transform is refused, and why it could not be applied.

use std::fmt;

/// The part of a parameter that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `Form`
    Form,
    /// `Value`
    Value,
    /// `Template`
    Template,
}

/// A transform that cannot be compiled: which part, what was found, the rule, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    part: Part,
    found: String,
    rule: String,
    fix: Option<String>,
}

/// A transform that cannot be applied to one event. The delivery is rejected: another attempt would end the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot apply {expression} at {place}: {what}")]
pub struct ApplyError {
    /// The path, template variable or expression.
    pub expression: String,
    /// Where in the event or the expression.
    pub place: String,
    /// What is wrong, with the shape of the value (its type and size, never the value).
    pub what: String,
}

impl Error {
    pub(crate) fn new(part: Part, found: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { part, found: found.into(), rule: rule.into(), fix: None }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The part that is wrong.
    #[must_use]
    pub fn part(&self) -> Part {
        self.part
    }

    /// What it is.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What it must be.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What to write instead, if there is a good guess.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.fix.as_deref()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "Form",
            Self::Value => "Value",
            Self::Template => "Template",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}; rule: {}", self.part, self.found, self.rule)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
