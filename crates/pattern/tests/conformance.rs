//! Conformance with the engines people use, on recorded vectors.
//!
//! The vectors are read from the directory that `PATTERN_VECTORS` names; without it these tests check nothing. Every difference
//! must be on the written list in `README.md`, and everything on the list must still be a difference.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rocketbridge_pattern::{Dialect, Index, JsonEvent, Options, Pattern};
use serde_json::Value;

const README: &str = include_str!("../README.md");

fn vectors(file: &str) -> Vec<Value> {
    let Some(directory) = std::env::var_os("PATTERN_VECTORS") else {
        return Vec::new();
    };
    let path = PathBuf::from(directory).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("each line of the vectors is JSON")).collect()
}

fn text<'v>(vector: &'v Value, key: &str) -> &'v str {
    vector[key].as_str().unwrap_or_else(|| panic!("{key} is a string in {vector}"))
}

/// Ids on the list: words in backticks such as `ruler-0123`, or ranges such as `ruler-0123..0130`.
fn listed(prefix: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for word in README.split('`').skip(1).step_by(2) {
        let Some(numbers) = word.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')) else {
            continue;
        };
        let (first, last) = numbers.split_once("..").unwrap_or((numbers, numbers));
        let (Ok(start), Ok(end)) = (first.parse::<u32>(), last.parse::<u32>()) else {
            continue;
        };
        ids.extend((start..=end).map(|id| format!("{prefix}-{id:0width$}", width = first.len())));
    }
    ids
}

/// Compares the ids that differ with the list.
fn report(prefix: &str, total: usize, differing: &[(String, String)]) {
    let found: BTreeSet<String> = differing.iter().map(|(id, _)| id.clone()).collect();
    println!("{prefix}: {} of {total} as recorded, {} different", total - found.len(), found.len());
    if total == 0 {
        return;
    }
    let listed = listed(prefix);
    let unexpected: Vec<&String> = differing.iter().filter(|(id, _)| !listed.contains(id)).map(|(_, what)| what).collect();
    let stale: Vec<&String> = listed.difference(&found).collect();
    assert!(
        unexpected.is_empty(),
        "{} differences are not on the list:\n{}",
        unexpected.len(),
        unexpected.iter().map(|what| what.as_str()).collect::<Vec<_>>().join("\n")
    );
    assert!(stale.is_empty(), "listed, but no longer different: {stale:?}");
}

fn adapt(prefix: &str, pattern: &str) -> String {
    if prefix.starts_with('q') { from_quamina(pattern) } else { pattern.to_owned() }
}

fn options(dialect: Dialect) -> Options {
    Options { dialect, ..Options::default() }
}

fn evaluate(pattern: &str, event: &str, dialect: Dialect) -> Result<bool, String> {
    let pattern = Pattern::compile(pattern, &options(dialect)).map_err(|error| format!("pattern: {error}"))?;
    pattern.matches(&JsonEvent::new(event)).map_err(|error| format!("event: {error}"))
}

/// Quamina's notation in ours: `shellstyle` is `wildcard` without escapes, `~` escapes in regular expressions, and a quote that
/// its tests leave behind the pattern is dropped.
fn from_quamina(pattern: &str) -> String {
    let pattern = pattern.trim_end().trim_end_matches('"').replace("\"shellstyle\"", "\"wildcard\"");
    if !pattern.contains("regexp") {
        return pattern;
    }
    let Ok(mut tree) = serde_json::from_str::<Value>(&pattern) else {
        return pattern;
    };
    rewrite_regexps(&mut tree);
    tree.to_string()
}

fn rewrite_regexps(tree: &mut Value) {
    match tree {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(text) if key == "regexp" => *text = rewrite_regexp(text),
                    other => rewrite_regexps(other),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(rewrite_regexps),
        _ => {}
    }
}

fn rewrite_regexp(text: &str) -> String {
    let mut rewritten = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, character == '~') {
            (_, true) => match characters.next() {
                Some('~') => rewritten.push('~'),
                Some(escaped) => rewritten.extend(['\\', escaped]),
                None => rewritten.push('\\'),
            },
            ('\\', false) => rewritten.push_str("\\\\"),
            (other, false) => rewritten.push(other),
        }
    }
    rewritten
}

fn check_matches(file: &str, prefix: &str, dialect: Dialect) {
    let vectors = vectors(file);
    let mut differing = Vec::new();
    for vector in &vectors {
        let adapted = adapt(prefix, text(vector, "pattern"));
        let found = evaluate(&adapted, text(vector, "event"), dialect);
        let expected = vector["expect"].as_bool().expect("expect is a boolean");
        if found != Ok(expected) {
            let shorten = |text: &str| text.chars().take(300).collect::<String>();
            differing.push((
                text(vector, "id").to_owned(),
                format!(
                    "{}: {found:?}, recorded {expected}\n    pattern {}\n    event {}",
                    vector["id"],
                    shorten(text(vector, "pattern")),
                    shorten(text(vector, "event"))
                ),
            ));
        }
    }
    report(prefix, vectors.len(), &differing);
}

fn check_compiles(file: &str, prefix: &str, dialect: Dialect, accepted: bool) {
    let vectors = vectors(file);
    let mut differing = Vec::new();
    for vector in &vectors {
        let found = Pattern::compile(text(vector, "pattern"), &options(dialect));
        if found.is_ok() != accepted {
            differing.push((
                text(vector, "id").to_owned(),
                format!("{}: {:?} {}", vector["id"], found.err().map(|error| error.to_string()), text(vector, "pattern")),
            ));
        }
    }
    report(prefix, vectors.len(), &differing);
}

fn check_rules(file: &str, prefix: &str) {
    let vectors = vectors(file);
    let mut differing = Vec::new();
    for vector in &vectors {
        let mut found = BTreeSet::new();
        let mut faults = Vec::new();
        let index = Index::default();
        for rule in vector["rules"].as_array().expect("rules is a list") {
            match evaluate(&adapt(prefix, text(rule, "pattern")), text(vector, "event"), Dialect::Default) {
                Ok(true) => drop(found.insert(text(rule, "name"))),
                Ok(false) => {}
                Err(error) => faults.push(error),
            }
        }
        for (number, rule) in vector["rules"].as_array().expect("rules is a list").iter().enumerate() {
            // Names repeat in some vectors: a number in front tells them apart.
            if let Ok(pattern) = Pattern::compile(&adapt(prefix, text(rule, "pattern")), &options(Dialect::Default)) {
                index.insert(&format!("{number} {}", text(rule, "name")), &pattern);
            }
        }
        if let Ok(indexed) = index.snapshot().matches(&JsonEvent::new(text(vector, "event"))) {
            let indexed: BTreeSet<&str> = indexed.into_iter().filter_map(|name| name.split_once(' ')).map(|(_, name)| name).collect();
            assert_eq!(indexed, found, "the index and its rules one by one, {}", vector["id"]);
        }
        let expected: BTreeSet<&str> = vector["expect"].as_array().expect("expect is a list").iter().filter_map(Value::as_str).collect();
        if found != expected || !faults.is_empty() {
            differing.push((
                text(vector, "id").to_owned(),
                format!("{}: {found:?}, recorded {expected:?} {faults:?}\n    {vector}", vector["id"]),
            ));
        }
    }
    report(prefix, vectors.len(), &differing);
}

/// *Scenario*: event-ruler 2.0.1's recorded matches. *Guarantees*: the default dialect gives the same, but for the list.
#[test]
fn ruler_matches() {
    check_matches("ruler_match.jsonl", "ruler", Dialect::Default);
}

/// *Scenario*: event-ruler's recorded matches of single values. *Guarantees*: as above.
#[test]
fn ruler_values() {
    check_matches("ruler_value.jsonl", "rulerval", Dialect::Default);
}

/// *Scenario*: event-ruler's recorded answers of many rules. *Guarantees*: as above.
#[test]
fn ruler_machines() {
    check_rules("ruler_machine.jsonl", "rulermach");
}

/// *Scenario*: patterns event-ruler refuses. *Guarantees*: refused here too, but for the list.
#[test]
fn ruler_rejects() {
    check_compiles("ruler_reject.jsonl", "rulerrej", Dialect::Default, false);
}

/// *Scenario*: patterns event-ruler accepts. *Guarantees*: accepted here too, but for the list.
#[test]
fn ruler_accepts() {
    check_compiles("ruler_accept.jsonl", "ruleracc", Dialect::Default, true);
}

/// *Scenario*: Quamina's recorded matches. *Guarantees*: the same, but for the list.
#[test]
fn quamina_matches() {
    check_matches("quamina_match.jsonl", "quamina", Dialect::Default);
}

/// *Scenario*: Quamina's recorded answers of many rules. *Guarantees*: the same, but for the list.
#[test]
fn quamina_machines() {
    check_rules("quamina_machine.jsonl", "quammach");
}

/// *Scenario*: patterns Quamina refuses. *Guarantees*: refused here too, but for the list.
#[test]
fn quamina_rejects() {
    check_compiles("quamina_reject.jsonl", "quamrej", Dialect::Default, false);
}

/// *Scenario*: samples of regular expressions. *Guarantees*: those of RFC 9485 match as recorded, others are refused.
#[test]
fn quamina_regexps() {
    check_matches("quamina_regexp.jsonl", "qregexp", Dialect::Default);
}

/// *Scenario*: apache/rocketmq-eventbridge's recorded matches. *Guarantees*: the alibaba dialect gives the same, but for the list.
#[test]
fn alibaba_matches() {
    check_matches("alibaba_oss_match.jsonl", "ali", Dialect::Alibaba);
}

/// *Scenario*: patterns apache/rocketmq-eventbridge refuses. *Guarantees*: refused by the alibaba dialect too, but for the list.
#[test]
fn alibaba_rejects() {
    check_compiles("alibaba_oss_reject.jsonl", "alirej", Dialect::Alibaba, false);
}
