//! What a person is told about an event and a pattern.

use rocketbridge_pattern::{Fixed, JsonEvent, Message, Options, Pattern, Properties, nearest_misses};

fn compile(pattern: &str) -> Pattern {
    Pattern::compile(pattern, &Options::default()).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn explain(pattern: &str, event: &str) -> String {
    compile(pattern).explain(&JsonEvent::new(event)).expect("the event is well formed").to_string()
}

/// *Scenario*: fields that are satisfied, that are not, and whose path ends early. *Guarantees*: each verdict with its reason.
#[test]
fn every_field_has_a_verdict() {
    let pattern =
        r#"{"data":{"body":{"price":[{"numeric":[">",3]}],"name":["x",{"prefix":"y"}],"a":{"b":{"c":[1]}},"gone":[{"exists":false}]}}}"#;
    assert_eq!(
        explain(pattern, r#"{"data":{"body":{"price":4,"name":["z","q"],"a":{"b":"text"}}}}"#),
        concat!(
            "the event does not match\n",
            "  yes $.data.body.price {\"numeric\": [\">\", 3]}: found 4\n",
            "  no  $.data.body.name \"x\" or {\"prefix\": \"y\"}: found \"z\" in element [0], \"q\" in element [1]\n",
            "  no  $.data.body.a.b.c 1: the path ends at $.data.body.a.b, which is \"text\": there is no \"c\"\n",
            "  yes $.data.body.gone {\"exists\": false}: the path ends at $.data.body: there is no \"gone\"\n",
        )
    );
}

/// *Scenario*: fields satisfied by different elements of one array, and an absent field that is there in the only fitting element.
/// *Guarantees*: the reason they do not combine.
#[test]
fn elements_that_do_not_combine_are_named() {
    let told = explain(r#"{"l":{"p":[1],"q":[2]}}"#, r#"{"l":[{"p":1},{"q":2}]}"#);
    assert!(
        told.contains("no  together: $.l.p is satisfied in element [0] and $.l.q only in element [1]: different elements of one array"),
        "{told}"
    );
    let told = explain(r#"{"l":{"p":[1],"q":[{"exists":false}]}}"#, r#"{"l":[{"p":1,"q":0},{"p":2}]}"#);
    assert!(told.contains("no  together: in every element that satisfies the other fields there is a value of $.l.q"), "{told}");
}

/// *Scenario*: alternatives, one of which matches. *Guarantees*: the nearest comes first.
#[test]
fn alternatives_are_told_nearest_first() {
    let told = explain(r#"{"$or":[{"a":[1],"b":[1]},{"c":[1]}]}"#, r#"{"a":1,"c":1}"#);
    assert!(told.starts_with("the event matches\nalternative 1 of 2:\n  yes $.$or[1].c 1: found 1\n"), "{told}");
}

/// *Scenario*: a message whose body is not JSON. *Guarantees*: the explanation says what stands where the path ended.
#[test]
fn a_message_is_explained() {
    let fixed = Fixed::default();
    let message = Message { topic: "t", properties: Properties::new(b""), body: b"plain", envelope: &fixed };
    let told = compile(r#"{"data":{"body":{"a":[1]}}}"#).explain(&message).expect("a message can be read").to_string();
    assert!(told.contains("the path ends at $.data.body, which is \"plain\": there is no \"a\""), "{told}");
}

/// *Scenario*: several rules that an event misses by more or less. *Guarantees*: nearest first, matches left out, as many as asked for.
#[test]
fn nearest_misses_are_ordered() {
    let patterns = [
        ("far", r#"{"a":[2],"b":[2]}"#),
        ("near", r#"{"a":[1],"b":[2]}"#),
        ("hit", r#"{"a":[1]}"#),
        ("half", r#"{"a":[1],"b":[1],"c":[1]}"#),
    ];
    let compiled: Vec<(&str, Pattern)> = patterns.iter().map(|(name, pattern)| (*name, compile(pattern))).collect();
    let rules = compiled.iter().map(|(name, pattern)| (*name, pattern));
    let misses = nearest_misses(rules, &JsonEvent::new(r#"{"a":1,"b":1}"#), 2).expect("the event is well formed");
    assert_eq!(misses.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["half", "near"]);
}
