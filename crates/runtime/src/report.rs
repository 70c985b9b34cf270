//! An error with its sources on one line. Errors of this project keep their source out of `Display`; the one place that logs them puts
//! the chain together.

use std::error::Error;
use std::fmt;

/// Displays an error, then each of its sources, joined by `: `.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer failed")]
    struct Outer(#[source] std::io::Error);

    /// *Scenario*: an error with a source. *Guarantees*: both are shown, once.
    #[test]
    fn shows_every_source() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(Chain(&error).to_string(), "outer failed: disk on fire");
    }
}
