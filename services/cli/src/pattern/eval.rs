//! `rocketbridge pattern eval`: JSON lines in, JSON lines out, in the same order, each answered as soon as it is read.
//!
//! What was compiled for a line serves the lines to come: patterns, and whole lists of rules as an index ([`rule_set`]). A line
//! with the rules of the line before costs comparing their text ([`line`]) and one look-up in that index.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};

use rocketbridge_pattern::{JsonEvent, Options, Pattern};

use super::rule::characters;
use crate::failure::Failure;
use crate::output::Console;
use line::{Asked, Line};
use rule_set::RuleSets;

mod line;
mod rule_set;

/// Most compiled patterns that are kept for lines to come.
const KEPT: usize = 4_096;
/// Bytes that are read, and written, at once.
const CHUNK: usize = 256 << 10;

#[derive(Debug, PartialEq)]
enum Verdict {
    Match(bool),
    /// Names as a JSON list.
    Matched(String),
    Error {
        error: String,
        at: Part,
    },
}

/// What a line is wrong in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Event,
    Pattern,
}

/// Answers every line. Ends badly only if some line is no question at all; the others are answered all the same.
pub(super) fn run(input: impl Read, options: Options, console: &mut Console<'_>) -> Result<(), Failure> {
    let mut input = BufReader::with_capacity(CHUNK, input);
    let mut evaluator = Evaluator { options, compiled: HashMap::new(), rule_sets: RuleSets::default() };
    let mut strange = 0_u64;
    let mut bytes = Vec::new();
    let mut answers = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        let length =
            input.read_until(b'\n', &mut bytes).map_err(|error| Failure::Failed(format!("cannot read standard input: {error}")))?;
        if length == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line = std::str::from_utf8(&bytes).map_err(|error| error.to_string());
        match line.and_then(|text| Line::read(text, evaluator.rule_sets.last())) {
            Ok(line) => evaluator.evaluate(&line).write(line.id, &mut answers)?,
            Err(error) => {
                strange += 1;
                console.remark(format!("line {number}: {error}"));
            }
        }
        // Many lines that arrive together are answered together; the last one never waits.
        if answers.len() >= CHUNK || !input.buffer().contains(&b'\n') {
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
    rule_sets: RuleSets,
}

impl Evaluator {
    fn evaluate(&mut self, line: &Line<'_>) -> Verdict {
        self.verdict(line).unwrap_or_else(|(error, at)| Verdict::Error { error, at })
    }

    /// What is wrong with patterns is said first: then no event can be answered.
    fn verdict(&mut self, line: &Line<'_>) -> Result<Verdict, (String, Part)> {
        // No text holds half a pair of surrogates, so a line's string that does is an error of what it should hold.
        let text = |value, part: Part| characters(value).map_err(|error| (format!("the line's string is not text: {error}"), part));
        match line.asked {
            Asked::Pattern(pattern) => {
                let pattern = text(pattern, Part::Pattern)?;
                let pattern = self.compiled(&pattern)?;
                let event = text(line.event, Part::Event)?;
                pattern.matches(&JsonEvent::new(&event)).map(Verdict::Match).map_err(|error| (error.to_string(), Part::Event))
            }
            Asked::Rules(rules) => {
                let rules = self.rule_sets.get(rules, &self.options).map_err(|error| (error, Part::Pattern))?;
                let event = text(line.event, Part::Event)?;
                let names = rules.matched(&JsonEvent::new(&event)).map_err(|error| (error.to_string(), Part::Event))?;
                Ok(Verdict::Matched(serde_json::Value::from(names).to_string()))
            }
        }
    }

    fn compiled(&mut self, text: &str) -> Result<&Pattern, (String, Part)> {
        if !self.compiled.contains_key(text) {
            if self.compiled.len() >= KEPT {
                self.compiled.clear();
            }
            let compiled = Pattern::compile(text, &self.options).map_err(|error| error.to_string());
            self.compiled.insert(text.to_owned(), compiled);
        }
        self.compiled[text].as_ref().map_err(|error| (error.clone(), Part::Pattern))
    }
}

impl Verdict {
    /// Writes the answer to a line. Its id is written as it stands there.
    fn write(&self, id: &str, out: &mut Vec<u8>) -> std::io::Result<()> {
        match self {
            Self::Match(is_match) => writeln!(out, r#"{{"id":{id},"match":{is_match}}}"#),
            Self::Matched(names) => writeln!(out, r#"{{"id":{id},"matched":{names}}}"#),
            Self::Error { error, at } => {
                let at = match at {
                    Part::Event => "event",
                    Part::Pattern => "pattern",
                };
                writeln!(out, r#"{{"id":{id},"error":{},"at":"{at}"}}"#, serde_json::Value::from(error.as_str()))
            }
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

    /// *Scenario:* the same rules on every line, then others, then the first again; rules of one name; names that need escapes. *Guarantees:* matches in
    /// the order of the line's rules, each name once.
    #[test]
    fn rules_are_matched_in_their_order() {
        let rules = r#"[{"name":"z","pattern":"{\"a\":[1]}"},{"name":"\"q\"","pattern":"{}"},{"name":"z","pattern":"{\"a\":[1,2]}"},{"name":"b","pattern":"{\"a\":[2]}"}]"#;
        let line = |id: u32, a: u32, rules: &str| format!("{{\"id\":{id},\"rules\":{rules},\"event\":\"{{\\\"a\\\":{a}}}\"}}\n");
        let input = [line(1, 1, rules), line(2, 2, rules), line(3, 3, "[]"), line(4, 3, rules), line(5, 1, &rules.replace("[1,2]", "[3]"))];
        let expected = [
            r#"{"id":1,"matched":["z","\"q\""]}"#,
            r#"{"id":2,"matched":["\"q\"","z","b"]}"#,
            r#"{"id":3,"matched":[]}"#,
            r#"{"id":4,"matched":["\"q\""]}"#,
            r#"{"id":5,"matched":["z","\"q\""]}"#,
        ];
        assert_eq!(eval(&input.concat()), (expected.join("\n") + "\n", String::new(), true));
    }

    /// *Scenario:* ids of every type and none; halves of surrogate pairs in the event's JSON and in the line's own; rules that are no rules.
    /// *Guarantees:* ids come back as they were; an escape inside the event is the event's, one in the line's string is an error of that part; the run goes on.
    #[test]
    fn ids_are_echoed_and_odd_lines_are_errors_of_their_own() {
        let input = r#"{"id":{"a":[1.0,"\ud800"]},"event":"{\"a\":\"\\ud800\"}","pattern":"{\"a\":[{\"exists\":true}]}"}
{"event":"{\"a\":\"\ud800\"}","pattern":"{}"}
{"id":null,"event":"{}","pattern":"{\"a\":[\"\ud800\"]}"}
{"id":-0.0,"event":"{}","rules":[{"name":"\ud800","pattern":"{}"}]}
{"id":"r","event":"{}","rules":{"name":"x"}}
{"id":true,"event":"{}","rules":[{"name":"x","pattern":"{\"a\":[{\"prefx\":\"1\"}]}"}]}
{"id":[],"event":{"a":1.0},"pattern":{"a":[1]}}
"#;
        let (results, remarks, is_well) = eval(input);
        let lines: Vec<&str> = results.lines().collect();
        assert_eq!((lines[0], lines[6]), (r#"{"id":{"a":[1.0,"\ud800"]},"match":true}"#, r#"{"id":[],"match":true}"#));
        for (line, id, at) in
            [(1, "null", "event"), (2, "null", "pattern"), (3, "-0.0", "pattern"), (4, "\"r\"", "pattern"), (5, "true", "pattern")]
        {
            let (begin, end) = (format!("{{\"id\":{id},\"error\":\""), format!("\"at\":\"{at}\"}}"));
            assert!(lines[line].starts_with(&begin) && lines[line].ends_with(&end), "{}", lines[line]);
        }
        assert!(lines[5].contains("rule x: $.a[0].prefx: found the unknown operator"), "{}", lines[5]);
        assert_eq!((lines.len(), remarks.as_str(), is_well), (7, "", true));
    }

    #[test]
    fn input_that_is_not_json_lines_ends_badly_after_the_rest() {
        let (results, remarks, is_well) = eval("hello\n{\"id\":1,\"event\":\"{}\"}\n{\"id\":2,\"event\":\"{}\",\"pattern\":\"{}\"}");
        assert_eq!((results.as_str(), remarks.lines().count(), is_well), ("{\"id\":2,\"match\":true}\n", 2, false));
    }
}
