//! How a pattern text is to be understood, and how large it may be.

/// Choices of whoever compiles a pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Whose rules apply.
    pub dialect: Dialect,
    /// What is refused as too large.
    pub limits: Limits,
}

/// Whose rules apply where the engines people use differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// AWS EventBridge's rules, without its bugs.
    #[default]
    Default,
    /// Alibaba Cloud EventBridge's rules: exact values are compared as text whatever their type, `exists` asks for the path.
    Alibaba,
}

/// Upper bounds. A pattern over one of them is refused with the limit's name; what is accepted is compiled and matched in
/// bounded time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a pattern's text.
    pub text_bytes: usize,
    /// Objects inside each other.
    pub depth: usize,
    /// Conditions of one pattern, each value of a list counted.
    pub conditions: usize,
    /// Combinations of alternatives that all `$or` of a pattern stand for together.
    pub combinations: usize,
    /// Bytes of the text of one operator, such as a wildcard, a prefix or a regexp.
    pub operand_bytes: usize,
    /// Stars in one wildcard.
    pub wildcard_stars: usize,
    /// Regexps in one pattern.
    pub regexps: usize,
    /// Bytes one regexp's compiled program may take. Program and value made for it take about 2.5 µs a byte of the value at the default.
    pub regexp_program_bytes: usize,
    /// Largest count in a regexp's `{n,m}`.
    pub regexp_repeat: u32,
    /// Combinations of array elements that are tried where an event repeats keys, and values compared with another field's.
    pub combinations_tried: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text_bytes: 256 * 1024,
            depth: 64,
            conditions: 10_000,
            combinations: 1_024,
            operand_bytes: 4_096,
            wildcard_stars: 64,
            regexps: 16,
            regexp_program_bytes: 128 * 1024,
            regexp_repeat: 1_000,
            combinations_tried: 100_000,
        }
    }
}
