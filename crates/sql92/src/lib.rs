//! SQL92 filters of RocketMQ: expressions over a message's properties that decide whether a consumer wants it.
//!
//! The language and its answers are those of Apache RocketMQ 5.3 (`filter/`: `SelectorParser.jj`, `ComparisonExpression`), so that a filter means the
//! same whoever evaluates it; the connector's contract suite holds both against each other on Java brokers. What may surprise:
//!
//! - Properties are texts. Beside a number a text is read as a number of the same type, and a text that is none, or a `3.5` beside a whole
//!   number, ends the evaluation: the message does not match, whatever else the expression says.
//! - `a > b` reads both properties as floating-point numbers; `a = b` compares texts.
//! - A property that is missing is `NULL`: comparisons with it are neither true nor false, and only what is true matches.
//! - `NOT a > 3` is `(NOT a) > 3`, which is refused; write `NOT (a > 3)`.
//!
//! Two things are stricter here: text behind a complete expression is refused (brokers ignore it), and so are [`LENGTH`] and [`DEPTH`].
//!
//! - [`lexer`]: characters to tokens; [`parser`]: tokens to an [`expression`], with the checks that need no message;
//! - [`value`]: what properties and literals are, and how two of them compare; [`number`]: texts that are numbers.

mod error;
mod expression;
mod lexer;
mod number;
mod parser;
mod value;

use std::borrow::Cow;

pub use error::Malformed;

/// Most bytes of an expression.
pub const LENGTH: usize = 10_240;
/// Deepest nesting of parentheses and prefixes.
pub const DEPTH: usize = 64;

/// A filter, ready to be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    root: expression::Expression,
}

impl Filter {
    /// Reads a filter. Errors: it is no expression, or one that no message could be held against.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        parser::parse(text).map(|root| Self { root })
    }

    /// Whether a message matches. `property` gives the value of a property by its name, `None` if the message has none.
    pub fn matches<'p>(&self, property: impl Fn(&str) -> Option<Cow<'p, str>>) -> bool {
        matches!(self.root.evaluate(&property), Ok(value::Value::Boolean(true)))
    }
}

#[cfg(test)]
mod tests;
