//! Texts of others as they may be shown on terminals and in logs.
//!
//! A broker's remark, a message's body or a name may hold characters that a terminal obeys (ESC, and the C1 controls, which some take for the same), that forge a
//! line of a log, or that show a line in another order than it has (bidirectional controls: "Trojan Source", CVE-2021-42574). They are shown as JSON writes
//! them, `\\u001b`, so that a JSON document stays the same document.

use std::borrow::Cow;
use std::fmt::Write;

/// One line: every such character is escaped, line ends and tabs too.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// Several lines: as [`line()`], but line feeds and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

/// Whether a character must not be shown as it is: C0, DEL, C1 (Unicode's Cc), the line and paragraph separators, and the bidirectional controls of
/// Unicode (Annex 9, 2).
pub fn is_unsafe(character: char) -> bool {
    character.is_control() || matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |character: char| is_unsafe(character) && !stays(character);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' if is_escaped('\n') => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' if is_escaped('\t') => shown.push_str("\\t"),
            // All of them are below U+10000, so that four digits suffice.
            escaped if is_escaped(escaped) => drop(write!(shown, "\\u{:04x}", u32::from(escaped))),
            plain => shown.push(plain),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: what attacks terminals and logs: colours, a title, a C1 introducer, DEL, line ends, a turned line; and texts in several scripts. *Guarantees*: the former are
    /// shown as escapes, the latter as they are.
    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        for (text, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "\\u001b[31mred\\u001b[0m"),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("\u{9b}2J\u{7f}", "\\u009b2J\\u007f"),
            ("a\r\nINFO forged", "a\\r\\nINFO forged"),
            ("file\u{202e}gpj.exe\u{2066}\u{200f}\u{61c}", "file\\u202egpj.exe\\u2066\\u200f\\u061c"),
            ("订单 заказ طلب 🙂 é", "订单 заказ طلب 🙂 é"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\u001b");
    }

    /// *Scenario*: every character. *Guarantees*: within a JSON string an escape is the character itself.
    #[test]
    fn an_escape_is_the_character_in_json() {
        for character in ('\0'..=char::MAX).filter(|character| is_unsafe(*character)) {
            let text: String = serde_json::from_str(&format!("\"{}\"", line(&character.to_string()))).expect("JSON");
            assert_eq!(text, character.to_string());
        }
    }
}
