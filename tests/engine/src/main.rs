//! Figures of the filter engine, as ratios to other engines of the same run, on one core.

mod events;
mod rules;

use std::hint::black_box;
use std::time::Instant;

use quamina::Quamina;
use rocketbridge_pattern::{Index, JsonEvent, Options, Pattern};
use rules::{KINDS, Kind};

fn main() {
    let count: usize = std::env::var("BENCH_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let lots = events::lots(count);
    let cloud = events::cloud_events(count);
    let mean = |events: &[String]| events.iter().map(String::len).sum::<usize>() / events.len();
    println!("{count} lots of {} bytes, {count} CloudEvents of {} bytes", mean(&lots), mean(&cloud));
    floors("lots", &lots);
    floors("CloudEvents", &cloud);
    for kind in &KINDS {
        five(kind, kind.patterns, &lots);
    }
    let all: Vec<&str> = KINDS.iter().flat_map(|kind| kind.patterns.iter().copied()).collect();
    five(&Kind { name: "everything together", goal: 1_000, patterns: &[], comparable: true }, &all, &lots);
}

/// The least time of three passes over all events, in nanoseconds an event.
fn time<E: AsRef<str>>(events: &[E], mut each: impl FnMut(&str) -> usize) -> (f64, usize) {
    let mut best = f64::MAX;
    let mut found = 0;
    for _ in 0..3 {
        let begin = Instant::now();
        found = events.iter().map(|event| each(event.as_ref())).sum();
        best = best.min(begin.elapsed().as_secs_f64() * 1e9 / events.len() as f64);
    }
    (best, black_box(found))
}

fn floors(name: &str, events: &[String]) {
    let (validated, _) = time(events, |event| usize::from(serde_json::from_str::<serde::de::IgnoredAny>(event).is_ok()));
    let nothing = Pattern::compile(r#"{"no":{"such":["field"]}}"#, &Options::default()).expect("the pattern is well formed");
    let (ours, _) = time(events, |event| usize::from(nothing.matches(&JsonEvent::new(event)).expect("well formed")));
    let (utf8, _) = time(events, |event| usize::from(std::str::from_utf8(black_box(event.as_bytes())).is_ok()));
    println!("{name}: serde_json IgnoredAny {validated:.0} ns, ours (validate) {ours:.0} ns, utf8 {utf8:.0}");
}

fn five(kind: &Kind, patterns: &[&str], events: &[String]) {
    let index = Index::default();
    let mut other = Quamina::new();
    for (number, text) in patterns.iter().enumerate() {
        let pattern = Pattern::compile(text, &Options::default()).expect("the pattern is well formed");
        index.insert(&format!("r{number}"), &pattern);
        other.add_pattern(number, text).expect("the other engine reads the pattern");
    }
    let snapshot = index.snapshot();
    let (ours, found) = time(events, |event| snapshot.matches(&JsonEvent::new(event)).expect("well formed").len());
    let (theirs, expected) = time(events, |event| other.matches_for_event(event.as_bytes()).expect("well formed").len());
    println!("{:<22} {ours:6.0} ns (goal {}), quamina {theirs:6.0} ns, ratio {:.2}, matches {found} {expected}", kind.name, kind.goal, ours / theirs);
}
