//! A value that never shows itself.

use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};

/// A password, secret key or token. `Debug` and `Display` print stars; only [`Secret::expose`] gives the text.
///
/// It may be a reference, `env:NAME` or `file:/path`, which the process that dials follows: see `resolve` there.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that hands it to the peer.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Follows a reference: `env:NAME` reads the process's environment, `file:/path` a file (trailing line end removed);
    /// any other text is the secret itself. The error names the reference, never a value. It blocks while the file is read.
    pub fn resolve(&self) -> Result<Secret, Unresolvable> {
        if let Some(name) = self.0.strip_prefix("env:") {
            return std::env::var(name)
                .map(Secret::new)
                .map_err(|_| Unresolvable { reference: self.0.clone(), reason: "the variable is not set or not UTF-8".into() });
        }
        if let Some(path) = self.0.strip_prefix("file:") {
            return read(path)
                .map(|text| Secret::new(text.trim_end_matches(['\n', '\r'])))
                .map_err(|reason| Unresolvable { reference: self.0.clone(), reason });
        }
        Ok(self.clone())
    }

    /// Whether the text is a reference, so that it may be shown.
    pub fn is_reference(&self) -> bool {
        self.0.starts_with("env:") || self.0.starts_with("file:")
    }

    /// What may be shown: the reference, or stars, or nothing if nothing was given.
    pub fn redacted(&self) -> String {
        if self.is_empty() || self.is_reference() { self.0.clone() } else { REDACTED.to_owned() }
    }
}

/// Longest file that a reference may lead to, bytes.
const LONGEST: u64 = 65_536;

/// A file, unless it is too long for a secret: a reference may lead to anything.
fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LONGEST { Err(format!("it is longer than {LONGEST} bytes")) } else { Ok(text) }
}

/// Shown instead of a secret. A definition that comes back with it keeps the secret that is stored.
pub const REDACTED: &str = "******";

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

/// A reference that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the secret {reference}: {reason}")]
pub struct Unresolvable {
    /// The reference as written.
    pub reference: String,
    /// Why it could not be followed.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_stars_and_a_reference_itself() {
        assert_eq!(format!("{:?} {}", Secret::new("pw"), Secret::new("pw")), "****** ******");
        assert_eq!(Secret::new("env:PW").to_string(), "env:PW");
        assert_eq!(Secret::default().to_string(), "");
    }

    #[test]
    fn a_reference_that_leads_nowhere_says_so() {
        let error = Secret::new("file:/nonexistent/rocketbridge").resolve().expect_err("no such file");
        assert_eq!(error.reference, "file:/nonexistent/rocketbridge");
        let error = Secret::new("file:/dev/zero").resolve().expect_err("endless");
        assert_eq!(error.reason, "it is longer than 65536 bytes");
    }
}
