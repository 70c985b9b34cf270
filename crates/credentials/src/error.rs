//! Why there are no keys.

use rocketbridge_secrets::Unresolvable;

/// Longest text of a peer that is shown, characters.
const SHOWN: usize = 300;

/// What was attempted, on what, and why it failed. It shows no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attempt}: {reason}")]
pub struct Error {
    code: Code,
    attempt: String,
    reason: String,
}

/// Kinds of failure that callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The server cannot be reached, does not answer, or is busy: it may pass by itself.
    Unavailable,
    /// The server refuses, a rule forbids to dial it, or a reference leads nowhere: a person must change something.
    Denied,
    /// What a server or file says makes no sense.
    Malformed,
}

impl Error {
    pub(crate) fn new(code: Code, attempt: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { code, attempt: attempt.into(), reason: reason.into() }
    }

    /// A reference that leads nowhere.
    pub(crate) fn unresolvable(attempt: &str, unresolvable: &Unresolvable) -> Self {
        Self::new(Code::Denied, attempt, unresolvable.to_string())
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.code
    }
}

/// A peer's words for people: without control characters, without the secrets that it was sent, and cut.
pub(crate) fn told(text: &str, secrets: &[&str]) -> String {
    let mut plain = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        plain = plain.replace(secret, "******");
    }
    let is_plain = |character: &char| !character.is_control() && !matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let mut shown: String = plain.chars().filter(is_plain).take(SHOWN).collect();
    if plain.chars().count() > SHOWN {
        shown.push('…');
    }
    if shown.trim().is_empty() { "no reason given".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a hostile server sends back what it was sent, with escapes, at length. *Guarantees*: none of it reaches a terminal or log.
    #[test]
    fn a_peer_cannot_have_secrets_shown() {
        assert_eq!(told("no \u{1b}[31mhunter2\n\u{202e}!", &["hunter2", ""]), "no [31m******!");
        assert_eq!(told(&"x".repeat(301), &[]), "x".repeat(300) + "…");
        assert_eq!(told("\n", &[]), "no reason given");
    }
}
