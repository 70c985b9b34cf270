//! Ranges of numbers.

use std::cmp::Ordering;
use std::fmt;

use crate::number::{self, Digits, Number};

/// One or two bounds, or (un)equality with one number.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) bounds: Vec<(Bound, Number)>,
    /// Numbers no further apart than this are equal, for `=` and `!=`: zero but in the `alibaba` dialect.
    pub(crate) tolerance: f64,
}

/// How a number stands to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Bound {
    pub(crate) const ALL: [Self; 6] = [Self::Equal, Self::NotEqual, Self::Less, Self::LessOrEqual, Self::Greater, Self::GreaterOrEqual];

    /// As written in a pattern.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(crate) fn parse(sign: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bound| bound.sign() == sign)
    }

    pub(crate) fn is_lower(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterOrEqual)
    }

    pub(crate) fn is_upper(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual)
    }

    pub(crate) fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

impl Range {
    /// Whether the JSON number `text`, which has these digits, is in the range.
    pub(crate) fn contains(&self, text: &str, digits: Digits) -> bool {
        self.bounds.iter().all(|(bound, number)| {
            let close = self.tolerance > 0.0
                && matches!(bound, Bound::Equal | Bound::NotEqual)
                && (number::double(text) - number.double()).abs() < self.tolerance;
            bound.allows(if close { Ordering::Equal } else { number.compare(text, digits) })
        })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, (bound, number)) in self.bounds.iter().enumerate() {
            write!(f, "{}\"{}\", {}", if index == 0 { "" } else { ", " }, bound.sign(), number.text())?;
        }
        f.write_str("]")
    }
}
