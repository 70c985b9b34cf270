//! Regular expressions of RFC 9485 (I-Regexp): they match whole values, in time linear in the value.
//!
//! The text is checked against the RFC's grammar and rewritten for the engine, so that nothing beyond the RFC is accepted by
//! accident: no look-around, no back-references, no anchors, no `\d`.

use std::fmt::Write as _;

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::literal::Extractor;

use crate::options::Limits;

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Regexp {
    text: Box<str>,
    regex: Regex,
    /// Texts one of which every value that matches begins with; none if there are too many, or they are too short.
    prefixes: Option<Box<[Box<[u8]>]>>,
}

/// Prefixes that an expression is known by, at most, and bytes of one.
const MOST_PREFIXES: usize = 16;
const MOST_PREFIX_BYTES: usize = 8;

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{what} at character {at}")]
    Syntax { at: usize, what: &'static str },
    #[error("a count of {found}")]
    Repeat { found: String },
    #[error("a compiled program over the limit")]
    Program,
}

impl Regexp {
    pub(crate) fn new(text: &str, limits: &Limits) -> Result<Self, Fault> {
        let mut translation =
            Translation { input: text.chars().collect(), at: 0, output: String::from(r"\A(?:"), most: limits.regexp_repeat };
        translation.alternatives(0)?;
        if translation.at < translation.input.len() {
            return Err(translation.fault("an unopened )"));
        }
        translation.output.push_str(r")\z");
        let regex = RegexBuilder::new(&translation.output)
            .size_limit(limits.regexp_program_bytes)
            .dfa_size_limit(limits.regexp_program_bytes.saturating_mul(4))
            .build()
            .map_err(|_| Fault::Program)?;
        Ok(Self { text: text.into(), regex, prefixes: prefixes(&translation.output) })
    }

    /// Texts one of which every value that matches begins with, if there are a few.
    pub(crate) fn prefixes(&self) -> Option<&[Box<[u8]>]> {
        self.prefixes.as_deref()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }
}

fn prefixes(expression: &str) -> Option<Box<[Box<[u8]>]>> {
    let parsed = regex_syntax::parse(expression).ok()?;
    let mut extractor = Extractor::new();
    extractor.limit_total(MOST_PREFIXES).limit_literal_len(MOST_PREFIX_BYTES).limit_repeat(MOST_PREFIX_BYTES);
    let found = extractor.extract(&parsed);
    let literals = found.literals()?;
    let is_of_use = !literals.is_empty() && literals.iter().all(|literal| !literal.is_empty());
    is_of_use.then(|| literals.iter().map(|literal| literal.as_bytes().into()).collect())
}

/// The grammar of RFC 9485, section 3.1, by recursive descent, writing the engine's syntax as it goes.
struct Translation {
    input: Vec<char>,
    at: usize,
    output: String,
    most: u32,
}

/// Parentheses inside each other, at most.
const DEPTH: usize = 64;
/// Characters that stand for themselves only after a backslash.
const META: &str = "()*+-.?[\\]^{|}";
/// The same for the engine that the expression is rewritten for.
const ENGINE_META: &str = r"\.+*?()|[]{}^$#&-~";
/// Unicode general categories of the RFC's `IsCategory`.
const CATEGORIES: [&str; 36] = [
    "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Z",
    "Zl", "Zp", "Zs", "S", "Sc", "Sk", "Sm", "So", "C", "Cc", "Cf", "Cn", "Co",
];

impl Translation {
    fn fault(&self, what: &'static str) -> Fault {
        Fault::Syntax { at: self.at, what }
    }

    fn next(&self) -> Option<char> {
        self.input.get(self.at).copied()
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.next() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > DEPTH {
            return Err(self.fault("parentheses too deep"));
        }
        loop {
            while self.piece(depth)? {}
            if !self.take('|') {
                return Ok(());
            }
            self.output.push('|');
        }
    }

    /// One atom and its count; false at the end of a branch.
    fn piece(&mut self, depth: usize) -> Result<bool, Fault> {
        match self.next() {
            None | Some('|' | ')') => return Ok(false),
            Some('(') => {
                self.at += 1;
                self.output.push_str("(?:");
                self.alternatives(depth + 1)?;
                if !self.take(')') {
                    return Err(self.fault("a ( without its )"));
                }
                self.output.push(')');
            }
            Some('.') => {
                self.at += 1;
                self.output.push_str(r"[^\n\r]");
            }
            Some('[') => self.class()?,
            Some('\\') => self.escape()?,
            Some('*' | '+' | '?' | '{') => return Err(self.fault("a count of nothing")),
            Some(']' | '}') => return Err(self.fault("a bracket that must be escaped")),
            Some(character) => {
                self.at += 1;
                self.literal(character);
            }
        }
        self.count()?;
        Ok(true)
    }

    fn count(&mut self) -> Result<(), Fault> {
        match self.next() {
            Some(sign @ ('*' | '+' | '?')) => {
                self.at += 1;
                self.output.push(sign);
            }
            Some('{') => {
                self.at += 1;
                let least = self.quantity()?;
                let most = if !self.take(',') {
                    Some(least)
                } else if self.next() == Some('}') {
                    None
                } else {
                    Some(self.quantity()?)
                };
                if !self.take('}') {
                    return Err(self.fault("a count without its }"));
                }
                if most.is_some_and(|most| most < least) {
                    return Err(self.fault("a count that ends before it starts"));
                }
                let most = most.map_or_else(String::new, |most| most.to_string());
                write!(self.output, "{{{least},{most}}}").expect("writing to a string cannot fail");
            }
            _ => {}
        }
        Ok(())
    }

    fn quantity(&mut self) -> Result<u32, Fault> {
        let digits: String = self.input[self.at..].iter().take_while(|character| character.is_ascii_digit()).collect();
        if digits.is_empty() {
            return Err(self.fault("a count without a number"));
        }
        self.at += digits.len();
        digits.parse().ok().filter(|&count| count <= self.most).ok_or(Fault::Repeat { found: digits })
    }

    fn class(&mut self) -> Result<(), Fault> {
        self.at += 1;
        self.output.push('[');
        if self.take('^') {
            self.output.push('^');
        }
        let mut empty = true;
        if self.take('-') {
            self.literal('-');
            empty = false;
        }
        loop {
            match self.next() {
                None => return Err(self.fault("a [ without its ]")),
                Some(']') if !empty => break,
                Some(']' | '[') => return Err(self.fault("a bracket that must be escaped")),
                Some('-') => {
                    self.at += 1;
                    if self.next() != Some(']') {
                        return Err(self.fault("a - inside a class that must be escaped"));
                    }
                    self.literal('-');
                }
                Some('\\') if matches!(self.input.get(self.at + 1), Some('p' | 'P')) => self.category()?,
                Some(_) => self.class_range()?,
            }
            empty = false;
        }
        self.at += 1;
        self.output.push(']');
        Ok(())
    }

    fn class_range(&mut self) -> Result<(), Fault> {
        let first = self.class_character()?;
        self.literal(first);
        let is_range = self.next() == Some('-') && self.input.get(self.at + 1).is_some_and(|&after| after != ']');
        if is_range {
            self.at += 1;
            let last = self.class_character()?;
            if last < first {
                return Err(self.fault("a range that ends before it starts"));
            }
            self.output.push('-');
            self.literal(last);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, Fault> {
        match self.next() {
            Some('\\') => {
                self.at += 1;
                self.escaped()
            }
            Some('-' | '[' | ']') | None => Err(self.fault("a character that must be escaped")),
            Some(character) => {
                self.at += 1;
                Ok(character)
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        if matches!(self.input.get(self.at + 1), Some('p' | 'P')) {
            return self.category();
        }
        self.at += 1;
        let character = self.escaped()?;
        self.literal(character);
        Ok(())
    }

    /// The character after a backslash.
    fn escaped(&mut self) -> Result<char, Fault> {
        let character = match self.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(meta) if META.contains(meta) => meta,
            _ => return Err(self.fault("an escape that RFC 9485 does not have")),
        };
        self.at += 1;
        Ok(character)
    }

    /// `\p{Lu}` or `\P{Lu}`.
    fn category(&mut self) -> Result<(), Fault> {
        let sign = self.input[self.at + 1];
        let name: String = self.input[self.at + 2..].iter().skip(1).take_while(|&&character| character != '}').collect();
        let written: String = self.input[self.at + 2..].iter().take(name.chars().count() + 2).collect();
        if written != format!("{{{name}}}") || !CATEGORIES.contains(&name.as_str()) {
            return Err(self.fault("an unknown character category"));
        }
        self.at += 2 + written.chars().count();
        write!(self.output, "\\{sign}{written}").expect("writing to a string cannot fail");
        Ok(())
    }

    fn literal(&mut self, character: char) {
        // Only what has a meaning of its own: the engine reads `\<` and `\>` as word boundaries.
        if ENGINE_META.contains(character) {
            self.output.push('\\');
        }
        self.output.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(regexp: &str, value: &str) -> Result<bool, Fault> {
        Regexp::new(regexp, &Limits::default()).map(|it| it.matches(value))
    }

    /// *Scenario*: every production of the grammar. *Guarantees*: whole values match as RFC 9485 says.
    #[test]
    fn the_grammar_of_rfc_9485() {
        for (regexp, value, expected) in [
            ("", "", true),
            ("a", "ab", false),
            ("a|bc", "bc", true),
            ("(a|b)*c", "ababc", true),
            ("a{2,3}", "aaaa", false),
            ("a{2,}", "aaaa", true),
            ("a{2}", "aa", true),
            ("[a-c^-]+", "a^-", true),
            ("[^a-c]", "d", true),
            ("[^\\n]", "\n", false),
            (".", "\n", false),
            (".", "é", true),
            ("\\p{Lu}\\P{Lu}", "Éé", true),
            ("[\\p{Nd}_]+", "4_2", true),
            ("^a$", "^a$", true),
            ("a&&b~#-/<>", "a&&b~#-/<>", true),
            ("[=->]", ">", true),
            ("[a&&b]+", "&ab", true),
            ("\\.\\*\\t", ".*\t", true),
        ] {
            assert_eq!(matches(regexp, value), Ok(expected), "{regexp} {value}");
        }
    }

    /// *Scenario*: what other engines have and the RFC does not, and hostile counts. *Guarantees*: refused, not misread.
    #[test]
    fn everything_else_is_refused() {
        for regexp in [
            "(",
            ")",
            "[",
            "[]",
            "[b-a]",
            "a**",
            "*",
            "a{3,2}",
            "a{1001}",
            "\\d",
            "\\1",
            "(?i)a",
            "a{,2}",
            "[[:alpha:]]",
            "\\p{Greek}",
            "]",
            "}",
            "a\\",
        ] {
            assert!(matches(regexp, "").is_err(), "{regexp}");
        }
        assert_eq!(matches("((a{1000}){1000}){1000}", ""), Err(Fault::Program));
    }
}
