//! `rocketbridge pattern`: tries and checks patterns, without a server.
//!
//! - [`trial`]: one event against one pattern, or against the rules of a bus, with reasons; [`rule`]: rules as they are written down;
//! - [`lint`]: the patterns in files; [`eval`]: JSON lines, for programs.

use std::fs;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use rocketbridge_model::PatternDialect;
use rocketbridge_pattern::Options;
use rocketbridge_program::Compiler;

use crate::failure::Failure;
use crate::output::{Console, Format};

mod eval;
mod lint;
mod rule;
mod trial;

/// What `pattern` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Say whether an event matches a pattern, and why: exit status 0 if it does, 1 if not
    Test {
        /// The event: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE")]
        event: String,
        /// The pattern: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE", required_unless_present = "rules", conflicts_with = "rules")]
        pattern: Option<String>,
        /// Rules in place of a pattern: a list of {name, pattern} or a map of names to patterns, JSON text or a file, JSON or YAML
        #[arg(long, value_name = "JSON|FILE")]
        rules: Option<String>,
        /// Of rules: how many of the nearest misses are explained
        #[arg(long, value_name = "COUNT", default_value_t = 3)]
        most: usize,
        /// Whose rules apply
        #[arg(long, default_value = "default")]
        dialect: DialectWord,
    },
    /// Check the patterns in files: a pattern each, or definitions of streams, each in its own dialect. Warns where AWS EventBridge (of the
    /// dialect default) or Alibaba Cloud EventBridge (of alibaba) would answer otherwise
    Lint {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Whose rules apply to a file that is a pattern
        #[arg(long, default_value = "default")]
        dialect: DialectWord,
        /// End with status 1 if there is a warning
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Evaluate JSON lines from standard input: {"id", "event", "pattern"} or {"id", "event", "rules": [{"name", "pattern"}]}
    Eval {
        /// Whose rules apply
        #[arg(long, default_value = "default")]
        dialect: DialectWord,
    },
}

/// Whose rules apply where the engines people use differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DialectWord {
    /// AWS EventBridge's, without its bugs.
    Default,
    /// Alibaba Cloud EventBridge's.
    Alibaba,
}

/// Does what the verb says.
pub fn run(verb: &Verb, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Test { event, pattern, rules, most, dialect } => {
            let (event, options) = (argument(event)?, dialect.options());
            match (pattern, rules) {
                (Some(pattern), _) => trial::of_pattern(&event, &argument(pattern)?, &options, format, console),
                (None, Some(rules)) => trial::of_rules(&event, &argument(rules)?, *most, &options, format, console),
                (None, None) => Err(Failure::Usage("pass --pattern or --rules".into())),
            }
        }
        Verb::Lint { files, dialect, deny_warnings } => lint::run(files, dialect.dialect(), *deny_warnings, console),
        Verb::Eval { dialect } => eval::run(std::io::stdin().lock(), dialect.options(), console),
    }
}

impl DialectWord {
    fn options(self) -> Options {
        Compiler::default().options(self.dialect())
    }

    fn dialect(self) -> PatternDialect {
        match self {
            Self::Default => PatternDialect::Default,
            Self::Alibaba => PatternDialect::Alibaba,
        }
    }
}

/// JSON text as it is; anything else names a file.
pub(crate) fn argument(text: &str) -> Result<String, Failure> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() || text.trim_start().starts_with(['{', '[']) {
        return Ok(text.to_owned());
    }
    fs::read_to_string(text).map_err(|error| Failure::Usage(format!("{text:?} is neither JSON nor a file that can be read: {error}")))
}
