//! `rocketbridge pattern eval`: JSON lines in, JSON lines out, in the same order, each answered as soon as it is read.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use rocketbridge_pattern::{JsonEvent, Options, Pattern};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::Console;

/// Most compiled patterns that are kept for lines to come.
const KEPT: usize = 4_096;

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    id: Value,
    event: String,
    pattern: Option<String>,
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    name: String,
    pattern: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Answer {
    id: Value,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Verdict {
    Match {
        #[serde(rename = "match")]
        is_match: bool,
    },
    Matched {
        matched: Vec<String>,
    },
    Error {
        error: String,
        at: Part,
    },
}

/// What a line is wrong in.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Event,
    Pattern,
}

/// Answers every line. Ends badly only if some line is no question at all; the others are answered all the same.
pub(super) fn run(input: impl Read, options: Options, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut input = BufReader::with_capacity(64 << 10, input);
    let mut evaluator = Evaluator { options, compiled: HashMap::new() };
    let mut strange = 0_u64;
    let mut line = Vec::new();
    let mut answers = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let length = input.read_until(b'\n', &mut line).map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
        if length == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<Question>(&line) {
            Ok(question) if question.pattern.is_some() != question.rules.is_some() => {
                serde_json::to_writer(&mut answers, &evaluator.answer(question)).map_err(std::io::Error::from)?;
                answers.push(b'\n');
            }
            Ok(_) => {
                strange += 1;
                console.remark(format!("line {number}: either a pattern or rules are needed"));
            }
            Err(error) => {
                strange += 1;
                console.remark(format!("line {number}: {error}"));
            }
        }
        // Many lines that arrive together are answered together; the last one never waits.
        if answers.len() >= 64 << 10 || !input.buffer().contains(&b'\n') {
            console.bytes(&answers)?;
            answers.clear();
        }
    }
    console.bytes(&answers)?;
    if strange == 0 { Ok(()) } else { Err(Failure::Failed(format!("{strange} lines of standard input are not what is needed"))) }
}

struct Evaluator {
    options: Options,
    compiled: HashMap<String, Result<Pattern, String>>,
}

impl Evaluator {
    fn answer(&mut self, question: Question) -> Answer {
        let Question { id, event, pattern, rules } = question;
        let verdict = match (pattern, rules) {
            (Some(pattern), _) => match self.evaluate(&event, &pattern) {
                Ok(is_match) => Verdict::Match { is_match },
                Err((error, at)) => Verdict::Error { error, at },
            },
            (None, rules) => self.evaluate_rules(&event, &rules.unwrap_or_default()),
        };
        Answer { id, verdict }
    }

    /// A rule that cannot be compiled fails the line: nobody can say what the others mean without it.
    fn evaluate_rules(&mut self, event: &str, rules: &[Rule]) -> Verdict {
        let mut matched = Vec::new();
        for rule in rules {
            match self.evaluate(event, &rule.pattern) {
                Ok(true) => matched.push(rule.name.clone()),
                Ok(false) => {}
                Err((error, at @ Part::Event)) => return Verdict::Error { error, at },
                Err((error, at @ Part::Pattern)) => return Verdict::Error { error: format!("rule {}: {error}", rule.name), at },
            }
        }
        Verdict::Matched { matched }
    }

    fn evaluate(&mut self, event: &str, text: &str) -> Result<bool, (String, Part)> {
        if self.compiled.len() >= KEPT && !self.compiled.contains_key(text) {
            self.compiled.clear();
        }
        if !self.compiled.contains_key(text) {
            let compiled = Pattern::compile(text, &self.options).map_err(|error| error.to_string());
            self.compiled.insert(text.to_owned(), compiled);
        }
        match &self.compiled[text] {
            Ok(pattern) => pattern.matches(&JsonEvent::new(event)).map_err(|error| (error.to_string(), Part::Event)),
            Err(error) => Err((error.clone(), Part::Pattern)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(input: &str) -> (String, String, bool) {
        let (mut results, mut remarks) = (Vec::new(), Vec::new());
        let ended = run(input.as_bytes(), Options::default(), &mut Console::new(&mut results, &mut remarks, false));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(results), text(remarks), ended.is_ok())
    }

    /// *Scenario:* matches, misses, rules, a bad pattern and a bad event. *Guarantees:* one answer a line, in order; errors do not end the run.
    #[test]
    fn each_line_has_its_answer() {
        let input = r#"{"id": 1, "event": "{\"a\":1}", "pattern": "{\"a\":[1]}"}
{"id": "two", "event": "{\"a\":2}", "pattern": "{\"a\":[1]}", "expect": false}
{"id": 3, "event": "{\"a\":1}", "rules": [{"name": "x", "pattern": "{\"a\":[1]}"}, {"name": "y", "pattern": "{\"a\":[2]}"}]}

{"id": 4, "event": "{\"a\":1}", "pattern": "{\"a\":1"}
{"id": 5, "event": "{\"a\":", "pattern": "{\"a\":[1]}"}
"#;
        let (results, remarks, is_well) = eval(input);
        let lines: Vec<&str> = results.lines().collect();
        assert_eq!(lines[..3], [r#"{"id":1,"match":true}"#, r#"{"id":"two","match":false}"#, r#"{"id":3,"matched":["x"]}"#]);
        assert!(lines[3].starts_with(r#"{"id":4,"error":"#) && lines[3].ends_with(r#""at":"pattern"}"#), "{}", lines[3]);
        assert!(lines[4].starts_with(r#"{"id":5,"error":"#) && lines[4].ends_with(r#""at":"event"}"#), "{}", lines[4]);
        assert_eq!((lines.len(), remarks.as_str(), is_well), (5, "", true));
    }

    #[test]
    fn input_that_is_not_json_lines_ends_badly_after_the_rest() {
        let (results, remarks, is_well) = eval("hello\n{\"id\":1,\"event\":\"{}\"}\n{\"id\":2,\"event\":\"{}\",\"pattern\":\"{}\"}");
        assert_eq!((results.as_str(), remarks.lines().count(), is_well), ("{\"id\":2,\"match\":true}\n", 2, false));
    }
}
