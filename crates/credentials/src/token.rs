//! Keys of a moment.

use rocketbridge_model::Secret;
use tokio::time::Instant;

/// An access key and its secret, with the token that temporary keys need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Access key.
    pub access_key: String,
    /// Secret key; never a reference.
    pub secret_key: Secret,
    /// Security token; empty for none. Never a reference.
    pub security_token: Secret,
    /// When they end, by this process's clock; `None` if nobody says.
    pub end: Option<Instant>,
}

impl Token {
    /// Whether they may still be used.
    pub fn is_alive(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| end > now)
    }
}
