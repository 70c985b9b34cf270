//! Whose rules a pattern follows.

use serde::{Deserialize, Serialize};

/// The dialect of a stream's pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatternDialect {
    /// AWS EventBridge's rules, without its bugs.
    #[default]
    Default,
    /// Alibaba Cloud EventBridge's rules.
    Alibaba,
}

impl PatternDialect {
    /// The words of definitions.
    pub const WORDS: &[&str] = &["default", "alibaba"];

    /// The dialect of a definition's word; no word is the default. `None` if the word is none of [`Self::WORDS`].
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "" | "default" => Some(Self::Default),
            "alibaba" => Some(Self::Alibaba),
            _ => None,
        }
    }
}
