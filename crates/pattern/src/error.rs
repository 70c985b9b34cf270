//! Why a pattern text is refused.

use std::fmt;

/// A pattern that cannot be compiled: where, what was found, what is allowed there, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    path: String,
    found: String,
    allowed: String,
    fix: Option<String>,
    limit: Option<&'static str>,
}

impl Error {
    pub(crate) fn new(path: impl Into<String>, found: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { path: path.into(), found: found.into(), allowed: allowed.into(), fix: None, limit: None }
    }

    pub(crate) fn limit(path: impl Into<String>, name: &'static str, found: impl fmt::Display, most: impl fmt::Display) -> Self {
        Self { limit: Some(name), ..Self::new(path, found.to_string(), format!("at most {most} (limit {name})")) }
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The offending place as a JSON path, such as `$.data.body.price[0].numeric`; `$` for the whole text.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What stands there.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What may stand there.
    #[must_use]
    pub fn allowed(&self) -> &str {
        &self.allowed
    }

    /// What to write instead, if there is a good guess.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.fix.as_deref()
    }

    /// The field of [`crate::Limits`] that was exceeded, if that is the reason.
    #[must_use]
    pub fn exceeded(&self) -> Option<&'static str> {
        self.limit
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}; allowed: {}", self.path, self.found, self.allowed)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
