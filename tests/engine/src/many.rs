//! Many rules: of two exact fields, and of infix wildcards.

use quamina::QuaminaBuilder;
use rocketbridge_pattern::{Index, JsonEvent, Options, Pattern};

use crate::events::{CUSTOMERS, Random};
use crate::memory::{live, resident};
use crate::timing::time;

/// Rules that are added at once.
const BATCH: usize = 10_000;

/// Prints rows for 10 to `most` rules on two fields, and for 3,000 wildcards.
pub fn show(events: &[String], most: usize) {
    let events = &events[..events.len().min(100_000)];
    println!("\n## Rules on two exact fields, CloudEvents (goal at 1000000: 500 ns, 500 bytes a rule)");
    println!(
        "  {:>8}  {:>15}  {:>8}  {:>14}  {:>16}  events that match",
        "rules", "ns an event", "quamina", "bytes a rule", "resident a rule"
    );
    for count in [10, 1_000, 100_000, 1_000_000] {
        if count <= most {
            two_fields(events, count);
        }
    }
    wildcards(events);
}

/// A rule on two fields that one of [`CUSTOMERS`] customers meets, spread evenly.
pub fn two_field_rule(number: usize, of: usize) -> String {
    let customer = number * CUSTOMERS as usize / of;
    format!(r#"{{"data":{{"body":{{"customer":["c{customer}"],"kind":["k{}"]}}}}}}"#, customer % 1_000)
}

/// An index of such rules.
pub fn two_field_index(count: usize) -> Index {
    let index = Index::default();
    for start in (0..count).step_by(BATCH) {
        let batch: Vec<(String, Pattern)> = (start..count.min(start + BATCH))
            .map(|number| {
                let pattern = Pattern::compile(&two_field_rule(number, count), &Options::default());
                (format!("rule-{number}"), pattern.expect("the pattern is well formed"))
            })
            .collect();
        index.update([], batch.iter().map(|(name, pattern)| (name.as_str(), pattern)));
    }
    index
}

fn two_fields(events: &[String], count: usize) {
    let (live_before, resident_before) = (live(), resident());
    let index = two_field_index(count);
    let (bytes, resident) = ((live() - live_before) / count, resident().saturating_sub(resident_before) / count);
    let snapshot = index.snapshot();
    let ours = time(events, |event| snapshot.matches(&JsonEvent::new(event)).expect("the event is well formed").len());
    // A million rules take the other engine several GB.
    const THEIRS: usize = 100_000;
    let theirs = (count <= THEIRS).then(|| {
        // Its own limit of memory is for patterns of people it does not trust.
        let mut quamina = QuaminaBuilder::new().with_arena_byte_budget(usize::MAX).build().expect("the other engine can be made");
        for number in 0..count {
            quamina.add_pattern(number, &two_field_rule(number, count)).expect("the other engine reads the pattern");
        }
        time(events, |event| quamina.matches_for_event(event.as_bytes()).expect("the event is well formed").len())
    });
    assert!(theirs.as_ref().is_none_or(|theirs| theirs.sum == ours.sum), "the engines disagree");
    let ratio = theirs.as_ref().map_or(String::new(), |theirs| format!(" ({:.2})", ours.nanoseconds / theirs.nanoseconds));
    let theirs = theirs.map_or("-".to_owned(), |theirs| format!("{:.0}", theirs.nanoseconds));
    println!(
        "  {count:>8}  {:>15}  {theirs:>8}  {bytes:>14}  {resident:>16}  {:.0} %",
        format!("{:.0}{ratio}", ours.nanoseconds),
        ours.sum as f64 * 100.0 / events.len() as f64
    );
}

fn wildcards(events: &[String]) {
    const COUNT: u64 = 3_000;
    let mut random = Random::new(3);
    let index = Index::default();
    for number in 0..COUNT {
        let text = format!(r#"{{"subject":[{{"wildcard":"*{:05x}*{:04x}*"}}]}}"#, random.below(1 << 20), random.below(1 << 16));
        index.insert(&format!("rule-{number}"), &Pattern::compile(&text, &Options::default()).expect("the pattern is well formed"));
    }
    let near = r#"{"subject":[{"wildcard":"*cn-hang*MQ_INST*order*"}]}"#;
    index.insert("near", &Pattern::compile(near, &Options::default()).expect("the pattern is well formed"));
    let snapshot = index.snapshot();
    let timed = time(events, |event| snapshot.matches(&JsonEvent::new(event)).expect("the event is well formed").len());
    assert_eq!(timed.sum, events.len(), "one rule matches every event");
    println!("  {COUNT} infix wildcards on a value of 71 bytes: {:.0} ns an event (goal 10000)", timed.nanoseconds);
}
