//! `rocketbridge pattern test`: one event against one pattern, or against the rules of a bus, with reasons.

use std::fmt::Write;

use rocketbridge_pattern::{Combination, Explanation, JsonEvent, Options, Pattern, nearest_misses};
use serde_json::{Map, Value, json};

use super::rule::Rule;
use crate::failure::Failure;
use crate::output::{Console, Format};

/// Says why the event matches the pattern, or how far it is from it.
pub(super) fn of_pattern(event: &str, pattern: &str, options: &Options, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let pattern = Pattern::compile(pattern, options).map_err(|error| Failure::Failed(format!("the pattern is refused: {error}")))?;
    let explanation = pattern.explain(&JsonEvent::new(event)).map_err(|error| Failure::Failed(error.to_string()))?;
    match format {
        Format::Table => console.result(&explanation)?,
        Format::Json | Format::Yaml => console.document(format, &Value::Object(document(&explanation)))?,
    }
    if explanation.matched { Ok(()) } else { Err(Failure::Negative) }
}

/// Says which rules the event matches, and of the others how far it is from the nearest.
pub(super) fn of_rules(
    event: &str,
    rules: &str,
    most: usize,
    options: &Options,
    format: Format,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let rules = compile(Rule::file(rules).map_err(Failure::Failed)?, options)?;
    let event = JsonEvent::new(event);
    let mut matched = Vec::new();
    for (name, pattern) in &rules {
        if pattern.matches(&event).map_err(|error| Failure::Failed(error.to_string()))? {
            matched.push(name.as_str());
        }
    }
    let named = rules.iter().map(|(name, pattern)| (name.as_str(), pattern));
    let misses = nearest_misses(named, &event, most).map_err(|error| Failure::Failed(error.to_string()))?;
    match format {
        Format::Table => console.result(told(rules.len(), &matched, &misses))?,
        Format::Json | Format::Yaml => {
            let misses: Vec<Value> = misses
                .iter()
                .map(|(name, explanation)| {
                    let mut miss = Map::from_iter([("name".to_owned(), Value::from(*name))]);
                    miss.extend(document(explanation));
                    Value::Object(miss)
                })
                .collect();
            console.document(format, &json!({ "matched": matched, "nearest_misses": misses }))?;
        }
    }
    if matched.is_empty() { Err(Failure::Negative) } else { Ok(()) }
}

/// The patterns of all rules, or everything that is wrong with them.
fn compile(rules: Vec<Rule>, options: &Options) -> Result<Vec<(String, Pattern)>, Failure> {
    let mut compiled = Vec::with_capacity(rules.len());
    let mut refusals = Vec::new();
    for Rule { name, pattern } in rules {
        match Pattern::compile(&pattern, options) {
            Ok(pattern) => compiled.push((name, pattern)),
            Err(error) => refusals.push(format!("\n  rule {name}: {error}")),
        }
    }
    if refusals.is_empty() { Ok(compiled) } else { Err(Failure::Failed(format!("patterns are refused{}", refusals.concat()))) }
}

fn told(rules: usize, matched: &[&str], misses: &[(&str, Explanation)]) -> String {
    let mut text = match matched {
        [] => format!("none of {rules} rules matches\n"),
        names => format!("{} of {rules} rules match: {}\n", names.len(), names.join(", ")),
    };
    for (place, (name, explanation)) in misses.iter().enumerate() {
        let title = if place == 0 { "\nnearest misses:\n" } else { "" };
        let indented: String = explanation.to_string().lines().map(|line| format!("  {line}\n")).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "{title}{name}:\n{indented}");
    }
    text
}

/// An explanation for programs. Every name is always there.
fn document(explanation: &Explanation) -> Map<String, Value> {
    let combination = |combination: &Combination| {
        let fields = combination
            .fields
            .iter()
            .map(|field| json!({ "at": field.at, "asked": field.asked, "satisfied": field.satisfied, "because": field.because }));
        json!({ "matched": combination.matched, "fields": fields.collect::<Vec<_>>(), "conflict": combination.conflict })
    };
    let combinations: Vec<Value> = explanation.combinations.iter().map(combination).collect();
    Map::from_iter([("matched".to_owned(), explanation.matched.into()), ("combinations".to_owned(), combinations.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"data":{"body":{"price":7,"lines":[{"n":1,"k":"a"},{"n":2,"k":"b"}]}}}"#;
    const RULES: &str = r#"[{"name":"far","pattern":{"a":[1],"b":[1]}},{"name":"cheap","pattern":{"data":{"body":{"price":[{"numeric":["<",10]}]}}}},
        {"name":"near","pattern":{"data":{"body":{"price":[7],"currency":["EUR"]}}}},{"name":"all","pattern":"{}"}]"#;

    fn tried(trial: impl FnOnce(&mut Console<'_>) -> Result<(), Failure>) -> (String, Result<(), Failure>) {
        let mut results = Vec::new();
        let ended = trial(&mut Console::new(&mut results, std::io::sink(), false));
        (String::from_utf8(results).expect("text"), ended)
    }

    fn pattern(event: &str, pattern: &str, format: Format) -> (String, Result<(), Failure>) {
        tried(|console| of_pattern(event, pattern, &Options::default(), format, console))
    }

    fn rules(rules: &str, most: usize, format: Format) -> (String, Result<(), Failure>) {
        tried(|console| of_rules(EVENT, rules, most, &Options::default(), format, console))
    }

    /// *Scenario:* an event that matches, one that does not, and one whose fields are in different elements. *Guarantees:* the reasons for people and for
    /// programs; a miss ends with status 1.
    #[test]
    fn a_pattern_is_explained() {
        let (told, ended) = pattern(EVENT, r#"{"data":{"body":{"price":[{"numeric":[">",5]}]}}}"#, Format::Table);
        assert_eq!(told, "the event matches\n  yes $.data.body.price {\"numeric\": [\">\", 5]}: found 7\n");
        assert!(ended.is_ok());
        let (told, ended) = pattern(EVENT, r#"{"data":{"body":{"price":[8]}}}"#, Format::Table);
        assert_eq!(told, "the event does not match\n  no  $.data.body.price 8: found 7\n");
        assert_eq!(ended.expect_err("a miss").status(), 1);
        let (told, _) = pattern(EVENT, r#"{"data":{"body":{"lines":{"n":[1],"k":["b"]}}}}"#, Format::Json);
        let document: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!((&document["matched"], &document["combinations"][0]["matched"]), (&json!(false), &json!(false)));
        let field = json!({"at": "$.data.body.lines.n", "asked": "1", "satisfied": true, "because": "found 1 in element [0]"});
        assert_eq!(document["combinations"][0]["fields"][0], field);
        assert!(document["combinations"][0]["conflict"].as_str().is_some_and(|conflict| conflict.contains("different elements")), "{told}");
        let (told, _) = pattern("{}", "{}", Format::Yaml);
        assert_eq!(told, "matched: true\ncombinations:\n- matched: true\n  fields: []\n  conflict: null\n");
    }

    #[test]
    fn what_is_wrong_is_refused_and_nothing_else_is_said() {
        for (event, wanted, expected) in [
            ("{}", r#"{"a":[{"prefx":"x"}]}"#, "the pattern is refused: $.a[0].prefx: found the unknown operator"),
            ("{\"a\":", "{}", "cannot read the event: malformed JSON at byte 5"),
            ("[1]", "{}", "cannot read the event: it is not a JSON object"),
        ] {
            let (told, ended) = pattern(event, wanted, Format::Table);
            let failure = ended.expect_err(wanted);
            assert!(told.is_empty() && failure.status() == 1 && failure.to_string().starts_with(expected), "{failure}");
        }
    }

    /// *Scenario:* rules of which two match and two miss by more and less; all miss; one cannot be compiled. *Guarantees:* the matches in their order, the
    /// nearest misses in theirs and no more than asked for; no match ends with status 1.
    #[test]
    fn rules_are_told_with_their_nearest_misses() {
        let (told, ended) = rules(RULES, 1, Format::Table);
        assert_eq!(
            told,
            "2 of 4 rules match: cheap, all\n\nnearest misses:\nnear:\n  the event does not match\n    yes $.data.body.price 7: found 7\n    \
             no  $.data.body.currency \"EUR\": the path ends at $.data.body, which is an object or an array: there is no \"currency\"\n"
                .replace(", which is an object or an array", "")
        );
        assert!(ended.is_ok());
        let (told, _) = rules(RULES, 3, Format::Json);
        let document: Value = serde_json::from_str(&told).expect("JSON");
        let names: Vec<&Value> = document["nearest_misses"].as_array().expect("a list").iter().map(|miss| &miss["name"]).collect();
        assert_eq!((&document["matched"], names), (&json!(["cheap", "all"]), vec![&json!("near"), &json!("far")]));
        let (told, ended) = rules(r#"{"far":{"a":[1]}}"#, 0, Format::Table);
        assert_eq!((told.as_str(), ended.expect_err("no match").status()), ("none of 1 rules matches\n", 1));
        let (told, ended) = rules(r#"{"x":{"a":[{"prefx":"1"}]},"y":{"a":1}}"#, 3, Format::Table);
        let failure = ended.expect_err("refused").to_string();
        assert!(told.is_empty() && failure.contains("\n  rule x: $.a[0].prefx: ") && failure.contains("\n  rule y: $.a: "), "{failure}");
    }
}
