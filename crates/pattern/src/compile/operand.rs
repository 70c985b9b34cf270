//! Operands of operators: texts, and what texts are compiled into.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::{Compiler, JsonPath};
use crate::condition::{Cidr, Condition, Folded, Regexp, RegexpFault, Wildcard, WildcardFault};
use crate::error::Error;
use crate::json::Tree;
use crate::number::Number;
use crate::operator::{OPERATORS, meant};

const FOLDED: &str = "equals-ignore-case";

/// The one member of a condition object.
pub(super) fn only<'t>(members: &'t [(String, Tree)], at: &JsonPath<'_>) -> Result<(&'t str, &'t Tree), Error> {
    match members {
        [(name, operand)] => Ok((name, operand)),
        [] => Err(Error::new(at.to_string(), "an empty object", "an object with one operator")),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(Error::new(
                at.to_string(),
                format!("an object with {} keys: {}", names.len(), names.join(", ")),
                "an object with one operator",
            )
            .fix("for \"or\" write one object for each, for \"and\" use {\"all-of\": [ … ]}"))
        }
    }
}

/// The operand as text.
pub(super) fn text<'t>(operand: &'t Tree, at: &JsonPath<'_>) -> Result<&'t str, Error> {
    match operand {
        Tree::String(text) => Ok(text),
        other => Err(Error::new(at.to_string(), other.describe(), "a string")),
    }
}

/// The error for a name that is not among `known`.
pub(super) fn unknown(name: &str, known: &[&str], at: &JsonPath<'_>, meant: Option<&str>) -> Error {
    let found = if OPERATORS.contains(&name) {
        format!("the operator {name:?}, which cannot stand here")
    } else {
        format!("the unknown operator {name:?}")
    };
    let error = Error::new(at.key(name).to_string(), found, known.join(", "));
    match meant {
        Some(meant) => error.fix(format!("did you mean {meant:?}?")),
        None => error,
    }
}

/// Names of a path such as `$.data.limit` or `$["data"]["limit"]`.
pub(super) fn field_path(written: &str) -> Option<Vec<String>> {
    let mut rest = written.strip_prefix('$')?;
    let mut names = Vec::new();
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            names.push(tail[..end].to_owned());
            rest = &tail[end..];
        } else {
            let quote = rest.strip_prefix('[')?.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            let (name, tail) = rest[2..].split_once(quote)?;
            names.push(name.to_owned());
            rest = tail.strip_prefix(']')?;
        }
    }
    (!names.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(names)
}

/// Whether the first bound is less than the second.
pub(super) fn ascending(least: &Number, most: &Number) -> bool {
    most.compare(least.text(), least.digits()) == Ordering::Less
}

impl Compiler<'_> {
    /// An operator on text with its operand. `filled` refuses an empty prefix or suffix, which would say nothing.
    pub(super) fn text_operator(&mut self, name: &str, operand: &Tree, at: &JsonPath<'_>, filled: bool) -> Result<Condition, Error> {
        if let (Tree::Object(members), "prefix" | "suffix") = (operand, name) {
            let (inner, operand) = only(members, at)?;
            if inner != FOLDED {
                return Err(unknown(inner, &[FOLDED], at, meant(inner, &[FOLDED])));
            }
            let folded = Folded::new(self.operand(operand, &at.key(inner), filled)?);
            return Ok(if name == "prefix" { Condition::PrefixFolded(folded) } else { Condition::SuffixFolded(folded) });
        }
        Ok(match name {
            "prefix" => Condition::Prefix(self.operand(operand, at, filled)?.into()),
            "suffix" => Condition::Suffix(self.operand(operand, at, filled)?.into()),
            "contains" => Condition::Contains(Box::new(Finder::new(self.operand(operand, at, true)?).into_owned())),
            "wildcard" => Condition::Wildcard(Box::new(self.wildcard(operand, at)?)),
            "regexp" => Condition::Regexp(Box::new(self.regexp(operand, at)?)),
            "cidr" => Condition::Cidr(cidr(operand, at)?),
            _ => Condition::EqualsFolded(Folded::new(self.operand(operand, at, false)?)),
        })
    }

    fn operand<'t>(&self, operand: &'t Tree, at: &JsonPath<'_>, filled: bool) -> Result<&'t str, Error> {
        let text = text(operand, at)?;
        if filled && text.is_empty() {
            return Err(Error::new(at.to_string(), "an empty string", "a string with at least one character"));
        }
        if text.len() > self.options.limits.operand_bytes {
            return Err(Error::limit(
                at.to_string(),
                "operand_bytes",
                format_args!("{} bytes", text.len()),
                self.options.limits.operand_bytes,
            ));
        }
        Ok(text)
    }

    fn wildcard(&self, operand: &Tree, at: &JsonPath<'_>) -> Result<Wildcard, Error> {
        let text = self.operand(operand, at, false)?;
        let wildcard = Wildcard::new(text).map_err(|fault| {
            let error = Error::new(
                at.to_string(),
                format!("{fault} in {text:?}"),
                "text with single stars, \\* for a star and \\\\ for a backslash",
            );
            match fault {
                WildcardFault::DoubledStar => error.fix("one star already stands for any characters"),
                WildcardFault::UnknownEscape | WildcardFault::OpenEscape => error.fix("double the backslash; in JSON that is four of them"),
            }
        })?;
        if wildcard.stars() > self.options.limits.wildcard_stars {
            return Err(Error::limit(
                at.to_string(),
                "wildcard_stars",
                format_args!("{} stars", wildcard.stars()),
                self.options.limits.wildcard_stars,
            ));
        }
        Ok(wildcard)
    }

    fn regexp(&mut self, operand: &Tree, at: &JsonPath<'_>) -> Result<Regexp, Error> {
        let limits = &self.options.limits;
        let text = self.operand(operand, at, false)?;
        self.regexps += 1;
        if self.regexps > limits.regexps {
            return Err(Error::limit(at.to_string(), "regexps", "more regexps", limits.regexps));
        }
        Regexp::new(text, limits).map_err(|fault| match fault {
            RegexpFault::Syntax { .. } => {
                Error::new(at.to_string(), format!("{fault} of {text:?}"), "a regular expression of RFC 9485 (I-Regexp)")
            }
            RegexpFault::Repeat { .. } => Error::limit(at.to_string(), "regexp_repeat", fault, limits.regexp_repeat),
            RegexpFault::Program => Error::limit(at.to_string(), "regexp_program_bytes", fault, limits.regexp_program_bytes),
        })
    }
}

fn cidr(operand: &Tree, at: &JsonPath<'_>) -> Result<Cidr, Error> {
    let written = text(operand, at)?;
    Cidr::new(written).ok_or_else(|| {
        Error::new(at.to_string(), operand.describe(), "an IPv4 or IPv6 address, or a range such as \"10.0.0.0/8\" or \"2001:db8::/32\"")
    })
}
