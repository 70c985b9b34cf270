//! What it costs to look at an event at all.

use rocketbridge_pattern::{JsonEvent, Options, Pattern};
use serde::de::IgnoredAny;
use sonic_rs::PointerTree;

use crate::timing::time;

/// Five values of a lot.
pub const LOT_PATHS: &[&[&str]] = &[
    &["properties", "MAPBLKLOT"],
    &["properties", "STREET"],
    &["properties", "ST_TYPE"],
    &["geometry", "type"],
    &["geometry", "firstCoordinates", "x"],
];

/// Five values of a CloudEvent.
pub const CLOUD_EVENT_PATHS: &[&[&str]] = &[
    &["source"],
    &["data", "systemProperties", "TAGS"],
    &["data", "body", "customer"],
    &["data", "body", "kind"],
    &["data", "body", "amount"],
];

/// Prints the floors of some events.
pub fn show(name: &str, events: &[String], paths: &[&[&str]]) {
    let ignored = time(events, |event| usize::from(serde_json::from_str::<IgnoredAny>(event).is_ok())).nanoseconds;
    let mut tree = PointerTree::new();
    for path in paths {
        tree.add_path(*path);
    }
    // SAFETY: the events are well formed.
    let found = time(events, |event| unsafe { sonic_rs::get_many_unchecked(event, &tree) }.map_or(0, |values| values.len())).nanoseconds;
    let utf8 = time(events, |event| usize::from(std::str::from_utf8(event.as_bytes()).is_ok())).nanoseconds;
    let five = pattern(paths);
    let checked = time(events, |event| usize::from(five.matches(&JsonEvent::new(event)).expect("the event is well formed"))).nanoseconds;
    println!("\n## Floors, {name}, ns an event");
    println!("  serde_json IgnoredAny (checks all, reads nothing)   {ignored:6.0}");
    println!("  sonic-rs get_many, 5 paths (checks nothing)         {found:6.0}   {:.2} of IgnoredAny", found / ignored);
    println!("  std from_utf8                                       {utf8:6.0}   {:.2}", utf8 / ignored);
    println!("  this engine, 5 paths, checked                       {checked:6.0}   {:.2}", checked / ignored);
}

/// A pattern that reads all paths and is met by none.
fn pattern(paths: &[&[&str]]) -> Pattern {
    let alternatives: Vec<String> = paths
        .iter()
        .map(|path| path.iter().rev().fold(r#"["no such value"]"#.to_owned(), |inner, name| format!("{{{name:?}:{inner}}}")))
        .collect();
    Pattern::compile(&format!(r#"{{"$or":[{}]}}"#, alternatives.join(",")), &Options::default()).expect("the pattern is well formed")
}
