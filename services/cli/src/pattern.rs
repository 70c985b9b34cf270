//! `rocketbridge pattern`: tries and checks patterns, without a server.

use std::fs;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use rocketbridge_codec::definition::{Definition, read_definitions};
use rocketbridge_pattern::{Dialect, JsonEvent, Options, Pattern};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Console, Format};

mod eval;

/// What `pattern` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Say whether an event matches a pattern: exit status 0 if it does, 1 if not
    Test {
        /// The event: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE")]
        event: String,
        /// The pattern: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE")]
        pattern: String,
        /// Whose rules apply
        #[arg(long, default_value = "default")]
        dialect: DialectWord,
    },
    /// Check the patterns in files: a pattern each, or definitions of streams
    Lint {
        /// Files to check
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Whose rules apply
        #[arg(long, default_value = "default")]
        dialect: DialectWord,
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
        Verb::Test { event, pattern, dialect } => test(&argument(event)?, &argument(pattern)?, dialect.options(), format, console),
        Verb::Lint { files, dialect } => lint(files, &dialect.options(), console),
        Verb::Eval { dialect } => eval::run(std::io::stdin().lock(), dialect.options(), console),
    }
}

impl DialectWord {
    fn options(self) -> Options {
        let dialect = match self {
            Self::Default => Dialect::Default,
            Self::Alibaba => Dialect::Alibaba,
        };
        Options { dialect, ..Options::default() }
    }
}

fn test(event: &str, pattern: &str, options: Options, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let pattern = Pattern::compile(pattern, &options).map_err(|error| Failure::Failed(format!("the pattern is refused: {error}")))?;
    let is_match = pattern.matches(&JsonEvent::new(event)).map_err(|error| Failure::Failed(error.to_string()))?;
    match format {
        Format::Table => console.result(if is_match { "match\n" } else { "no match\n" })?,
        Format::Json | Format::Yaml => console.document(format, &json!({ "match": is_match }))?,
    }
    if is_match { Ok(()) } else { Err(Failure::Negative) }
}

/// Says of each file that it is well, or everything that is not.
fn lint(files: &[PathBuf], options: &Options, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut is_well = true;
    for path in files {
        let file = path.display().to_string();
        let problems = match fs::read_to_string(path) {
            Ok(text) => problems(&file, &text, options),
            Err(error) => vec![format!("{file}: cannot be read: {error}")],
        };
        is_well &= problems.is_empty();
        if problems.is_empty() {
            console.result(format!("{file}: ok\n"))?;
        }
        problems.iter().for_each(|problem| console.remark(problem));
    }
    if is_well { Ok(()) } else { Err(Failure::Negative) }
}

fn problems(file: &str, text: &str, options: &Options) -> Vec<String> {
    let has_definitions = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields.contains_key("kind") || fields.contains_key("EventStreamingName"),
        Ok(Value::Array(_)) => true,
        // YAML may hold definitions; a pattern is always JSON, and what is wrong with it is said better by its compiler.
        Ok(_) => false,
        Err(_) => file.ends_with(".yaml") || file.ends_with(".yml"),
    };
    if !has_definitions {
        return Pattern::compile(text, options).err().map(|error| format!("{file}: {error}")).into_iter().collect();
    }
    let documents = match read_definitions(text, file) {
        Ok(documents) => documents,
        Err(errors) => return errors.iter().map(ToString::to_string).collect(),
    };
    let refused = documents.iter().filter_map(|document| match &document.definition {
        Definition::Stream(stream) => Pattern::compile(&stream.filter_pattern, options)
            .err()
            .map(|error| format!("{}: stream/{}: {error}", document.place, stream.name)),
        Definition::Connection(_) | Definition::Network(_) => None,
    });
    refused.collect()
}

/// JSON text as it is; anything else names a file.
pub(crate) fn argument(text: &str) -> Result<String, Failure> {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() || text.trim_start().starts_with(['{', '[']) {
        return Ok(text.to_owned());
    }
    fs::read_to_string(text).map_err(|error| Failure::Usage(format!("{text:?} is neither JSON nor a file that can be read: {error}")))
}
