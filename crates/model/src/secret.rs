//! A value that never shows itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A password, secret key or token. `Debug` and `Display` print stars; only [`Secret::expose`] gives the text.
///
/// It may be a reference, `env:NAME` or `file:NAME`, which the process that dials follows: see the crate `rocketbridge-secrets`.
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

    /// Whether the text is a reference, so that it may be shown.
    pub fn is_reference(&self) -> bool {
        self.0.starts_with("env:") || self.0.starts_with("file:")
    }

    /// What may be shown: the reference, or stars, or nothing if nothing was given.
    pub fn redacted(&self) -> String {
        if self.is_empty() || self.is_reference() { self.0.clone() } else { REDACTED.to_owned() }
    }
}

/// Shown instead of a secret. A definition that comes back with it keeps the secret that is stored.
pub const REDACTED: &str = "******";

/// A URL, or several separated by commas, as they may be shown: what stands before a host may be a login.
pub fn without_logins(urls: &str) -> String {
    let shown = |url: &str| match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}{REDACTED}@{host}")
        }
        None => url.to_owned(),
    };
    // A password may hold a comma: what has no @ before one that has is part of its login.
    let mut parts: Vec<String> = Vec::new();
    let mut login: Option<String> = None;
    for part in urls.split(',') {
        let is_url = part.trim_start().contains("://");
        match login.take() {
            Some(begun) if !is_url => login = Some(format!("{begun},{part}")),
            Some(begun) => {
                parts.push(shown(&begun));
                login = Some(part.to_owned());
            }
            None => login = Some(part.to_owned()),
        }
    }
    parts.extend(login.map(|begun| shown(&begun)));
    parts.join(",")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: URLs with and without logins, several, with @ and commas in passwords, and what is no URL. *Guarantees*: hosts are shown, logins are not.
    #[test]
    fn logins_of_urls_are_not_shown() {
        for (urls, shown) in [
            ("http://a:1,https://b:2", "http://a:1,https://b:2"),
            ("http://root:pw@a:1", "http://******@a:1"),
            ("http://root:p@w@a:1,http://b:2", "http://******@a:1,http://b:2"),
            ("http://root:p,w@a:1,http://x:y@b:2", "http://******@a:1,http://******@b:2"),
            ("root:pw@a", "******@a"),
            ("", ""),
        ] {
            assert_eq!(without_logins(urls), shown);
        }
    }

    #[test]
    fn a_secret_shows_stars_and_a_reference_itself() {
        assert_eq!(format!("{:?} {}", Secret::new("pw"), Secret::new("pw")), "****** ******");
        assert_eq!(Secret::new("env:PW").to_string(), "env:PW");
        assert_eq!(Secret::default().to_string(), "");
    }
}
