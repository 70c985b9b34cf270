//! `rocketbridge pattern lint`: every problem of the patterns in files, a line each.

use std::fs;
use std::path::PathBuf;

use rocketbridge_codec::definition::{Definition, read_definitions};
use rocketbridge_model::{PatternDialect, StreamDefinition};
use rocketbridge_pattern::{Dialect, Options, Pattern};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Console;

/// Says of each file that it is well, or everything that is not. `options` are for files that are patterns themselves.
pub(super) fn run(files: &[PathBuf], options: &Options, console: &mut Console<'_>) -> Result<(), Failure> {
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
        for problem in problems {
            console.result(format!("{problem}\n"))?;
        }
    }
    if is_well { Ok(()) } else { Err(Failure::Negative) }
}

fn problems(file: &str, text: &str, options: &Options) -> Vec<String> {
    if !has_definitions(file, text) {
        return Pattern::compile(text, options).err().map(|error| format!("{file}: {error}")).into_iter().collect();
    }
    let documents = match read_definitions(text, file) {
        Ok(documents) => documents,
        Err(errors) => return errors.iter().map(ToString::to_string).collect(),
    };
    let refused = documents.iter().filter_map(|document| match &document.definition {
        Definition::Stream(stream) => {
            let error = Pattern::compile(&stream.filter_pattern, &own_options(stream, options)).err()?;
            Some(format!("{}: stream/{}: filter_pattern: {error}", document.place, stream.name))
        }
        Definition::Connection(_) | Definition::Network(_) => None,
    });
    refused.collect()
}

/// Whether the file holds definitions; else it is a pattern.
fn has_definitions(file: &str, text: &str) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields.contains_key("kind") || fields.contains_key("EventStreamingName"),
        Ok(Value::Array(_)) => true,
        // YAML may hold definitions; a pattern is always JSON, and what is wrong with it is said better by its compiler.
        Ok(_) => false,
        Err(_) => file.ends_with(".yaml") || file.ends_with(".yml"),
    }
}

fn own_options(stream: &StreamDefinition, options: &Options) -> Options {
    // The reader has let no other words pass.
    let dialect = match PatternDialect::of_word(&stream.filter_pattern_dialect).unwrap_or_default() {
        PatternDialect::Default => Dialect::Default,
        PatternDialect::Alibaba => Dialect::Alibaba,
    };
    Options { dialect, limits: options.limits.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = r#"{"a":[{"anything-but":[null,1,"x"]}]}"#;

    fn lint(name: &str, text: &str) -> (String, bool) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file in it");
        let mut results = Vec::new();
        let ended = run(&[path], &Options::default(), &mut Console::new(&mut results, std::io::sink(), false));
        let told = String::from_utf8(results).expect("text").replace(&format!("{}/", folder.path().display()), "");
        (told, ended.is_ok())
    }

    /// *Scenario:* a pattern with a misspelt operator, text that is no JSON, and a file that is well. *Guarantees:* a line for each problem with file,
    /// place, what was found, what is allowed, and what was meant.
    #[test]
    fn a_problem_is_a_line() {
        let (told, is_well) = lint("p.json", r#"{"data":{"body":{"price":[{"prefx":"1"}]}}}"#);
        assert!(
            told.starts_with(r#"p.json: $.data.body.price[0].prefx: found the unknown operator "prefx"; allowed: exactly, prefix"#),
            "{told}"
        );
        assert!(told.ends_with("; did you mean \"prefix\"?\n") && told.lines().count() == 1 && !is_well, "{told}");
        assert!(lint("p.json", "{").0.starts_with("p.json: $: found malformed JSON at byte 1"));
        assert_eq!(lint("p.json", "{}"), ("p.json: ok\n".to_owned(), true));
    }

    /// *Scenario:* one pattern that only the dialect `alibaba` knows, in each kind of definition. *Guarantees:* each is checked in its own dialect.
    #[test]
    fn a_definition_is_checked_in_its_own_dialect() {
        let body = format!(r#"{{"EventStreamingName":"s","FilterPattern":{}}}"#, serde_json::to_string(MIXED).expect("text"));
        assert_eq!(lint("s.json", &body), ("s.json: ok\n".to_owned(), true));
        let (told, is_well) = lint("s.json", &body.replacen('{', "{\"FilterPatternDialect\":\"default\",", 1));
        assert!(told.starts_with("s.json, document 1 (line 1): stream/s: filter_pattern: $.a[0].anything-but") && !is_well, "{told}");
        let ours = |dialect: &str| format!("kind: Stream\nname: s\nfilter_pattern: '{MIXED}'\n{dialect}");
        assert!(!lint("s.yaml", &ours("")).1);
        assert!(lint("s.yaml", &ours("filter_pattern_dialect: alibaba\n")).1);
        assert!(!lint("p.json", MIXED).1);
    }
}
