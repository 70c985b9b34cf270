//! Five rules of each kind, and all of them together.

use quamina::Quamina;
use rocketbridge_pattern::{Fixed, Index, JsonEvent, Message, Options, Pattern, Properties};

use crate::rules::Kind;
use crate::timing::time;

/// Prints a row for each kind.
pub fn show(name: &str, events: &[String], kinds: &[Kind]) {
    println!("\n## Five rules of a kind, {name}, ns an event (in brackets the ratio to quamina)");
    println!("  {:<22} {:>6}  {:>14}  {:>14}  {:>8}  matches", "", "goal", "checked", "body", "quamina");
    for kind in kinds {
        row(kind.name, kind.goal, kind.patterns, events);
    }
    let all: Vec<&str> = kinds.iter().flat_map(|kind| kind.patterns.iter().copied()).collect();
    row("everything together", 1_000, &all, events);
}

fn row(name: &str, goal: u64, patterns: &[&str], events: &[String]) {
    let (checked, body) = (index(patterns.iter().map(|text| (*text).to_owned())), index(patterns.iter().map(|text| on_body(text))));
    let mut quamina = Quamina::new();
    for (number, text) in patterns.iter().enumerate() {
        quamina.add_pattern(number, text).expect("the other engine reads the pattern");
    }
    let snapshot = checked.snapshot();
    let checked = time(events, |event| snapshot.matches(&JsonEvent::new(event)).expect("the event is well formed").len());
    let snapshot = body.snapshot();
    let fixed = Fixed::default();
    let body = time(events, |event| {
        let message = Message { topic: "lots", properties: Properties::default(), body: event.as_bytes(), envelope: &fixed };
        snapshot.matches(&message).expect("a message can be read").len()
    });
    let theirs = time(events, |event| quamina.matches_for_event(event.as_bytes()).expect("the event is well formed").len());
    assert_eq!((checked.sum, body.sum), (theirs.sum, theirs.sum), "{name}: the engines disagree");
    let ratio = |ours: f64| format!("{ours:.0} ({:.2})", ours / theirs.nanoseconds);
    println!(
        "  {name:<22} {goal:>6}  {:>14}  {:>14}  {:>8.0}  {}",
        ratio(checked.nanoseconds),
        ratio(body.nanoseconds),
        theirs.nanoseconds,
        theirs.sum
    );
}

fn index(patterns: impl Iterator<Item = String>) -> Index {
    let index = Index::default();
    for (number, text) in patterns.enumerate() {
        let pattern = Pattern::compile(&text, &Options::default()).expect("the pattern is well formed");
        index.insert(&format!("rule-{number}"), &pattern);
    }
    index
}

fn on_body(pattern: &str) -> String {
    format!(r#"{{"data":{{"body":{pattern}}}}}"#)
}
