//! `rocketbridge pattern lint`: every problem of the patterns in files, a line each.

use std::fs;
use std::path::PathBuf;

use rocketbridge_codec::definition::{Definition, read_definitions};
use rocketbridge_model::PatternDialect;
use rocketbridge_model::validate::Checks;
use rocketbridge_pattern::differences;
use rocketbridge_pattern::json::{Malformed, Reader};
use rocketbridge_program::Compiler;

use crate::failure::Failure;
use crate::output::Console;

/// Says of each file that it is well, or everything that is not, and where another engine would answer otherwise. `dialect` is for files that
/// are patterns themselves. The answer is negative if a file has a problem, or, with `deny_warnings`, a warning.
pub(super) fn run(files: &[PathBuf], dialect: PatternDialect, deny_warnings: bool, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut is_well = true;
    for path in files {
        let file = path.display().to_string();
        let Findings { problems, warnings } = match fs::read_to_string(path) {
            Ok(text) => findings(&file, &text, dialect),
            Err(error) => Findings { problems: vec![format!("{file}: cannot be read: {error}")], warnings: Vec::new() },
        };
        is_well &= problems.is_empty() && (!deny_warnings || warnings.is_empty());
        if problems.is_empty() && warnings.is_empty() {
            console.result(format!("{file}: ok\n"))?;
        }
        for line in problems.into_iter().chain(warnings) {
            console.result(format!("{line}\n"))?;
        }
    }
    if is_well { Ok(()) } else { Err(Failure::Negative) }
}

/// Lines about one file.
#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    /// Checks a pattern as the API does. What is refused is not warned about.
    fn check(&mut self, place: &str, pattern: &str, dialect: PatternDialect) {
        let compiler = Compiler::default();
        match compiler.compile_pattern(pattern, dialect) {
            Err(error) => return self.problems.push(format!("{place}: {error}")),
            Ok(_) => {
                if let Err(fault) = compiler.pattern(pattern, dialect) {
                    let fix = fault.fix.map(|fix| format!("; {fix}")).unwrap_or_default();
                    return self.problems.push(format!("{place}: {}: found {}; {}{fix}", fault.place, fault.found, fault.rule));
                }
            }
        }
        let differences = differences(pattern, compiler.options(dialect).dialect);
        self.warnings.extend(differences.iter().map(|difference| format!("{place}: warning: {difference}")));
    }
}

fn findings(file: &str, text: &str, dialect: PatternDialect) -> Findings {
    let mut findings = Findings::default();
    if !has_definitions(file, text) {
        findings.check(file, text, dialect);
        return findings;
    }
    match read_definitions(text, file) {
        Ok(documents) => {
            for document in documents {
                let Definition::Stream(stream) = &document.definition else { continue };
                // The reader has let no other words pass.
                let dialect = PatternDialect::of_word(&stream.filter_pattern_dialect).unwrap_or_default();
                let place = format!("{}: stream/{}: filter_pattern", document.place, stream.name);
                findings.check(&place, &stream.filter_pattern, dialect);
            }
        }
        Err(errors) => findings.problems.extend(errors.iter().map(ToString::to_string)),
    }
    findings
}

/// Whether the file holds definitions; else it is a pattern.
fn has_definitions(file: &str, text: &str) -> bool {
    if rocketbridge_pattern::json::is_json(text) {
        // Equal keys do not matter here: whoever reads the file says what is wrong with it.
        let keys = ["kind", "EventStreamingName"];
        return text.trim_start().starts_with('[') || keys.into_iter().any(|key| has_member(text, key));
    }
    // YAML may hold definitions; a pattern is always JSON, and what is wrong with it is said better by its compiler.
    file.ends_with(".yaml") || file.ends_with(".yml")
}

/// Whether a text, which is JSON, is an object with this member.
fn has_member(text: &str, name: &str) -> bool {
    let mut reader = Reader::new(text);
    if reader.peek() != Some(b'{') || reader.open(0).is_err() || reader.take(b'}') {
        return false;
    }
    let mut found = false;
    let mut pass = || -> Result<(), Malformed> {
        loop {
            found |= reader.string()?.decode() == name;
            reader.expect(b':', "expected a colon")?;
            reader.skip(1)?;
            if !reader.next_member()? {
                return Ok(());
            }
        }
    };
    pass().is_ok() && found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = r#"{"a":[{"anything-but":[null,1,"x"]}]}"#;

    fn lint(name: &str, text: &str) -> (String, bool) {
        lint_with(name, text, false)
    }

    fn lint_with(name: &str, text: &str, deny_warnings: bool) -> (String, bool) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file in it");
        let mut results = Vec::new();
        let ended = run(&[path], PatternDialect::Default, deny_warnings, &mut Console::new(&mut results, std::io::sink(), false));
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

    /// *Scenario:* a pattern that AWS understands otherwise, alone and in a stream, and one with a key written twice. *Guarantees:* a warning leaves the
    /// exit status as it is unless warnings are denied; a key that occurs twice is a problem, as at the API.
    #[test]
    fn other_answers_elsewhere_are_warnings() {
        let pattern = r#"{"data":{"body":{"host":["10.0.0.1"]}}}"#;
        let warning = "$.data.body.host[0]: here \"10.0.0.1\" is only that text; AWS EventBridge reads it as an address, so that other ways to \
                       write that address match as well\n";
        assert_eq!(lint("p.json", pattern), (format!("p.json: warning: {warning}"), true));
        assert_eq!(lint_with("p.json", pattern, true), (format!("p.json: warning: {warning}"), false));
        let stream = format!("kind: Stream\nname: s\nfilter_pattern: {pattern}\n");
        let place = "s.yaml, document 1 (line 1): stream/s: filter_pattern: warning: ";
        assert_eq!(lint("s.yaml", &stream), (format!("{place}{warning}"), true));
        assert_eq!(
            lint("p.json", r#"{"a":[1],"a":[2]}"#),
            (
                "p.json: $.a: found the key twice, at line 1, column 2 and at line 1, column 10; allowed: each key once in an object; \
                 remove one of the two\n"
                    .to_owned(),
                false
            )
        );
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
