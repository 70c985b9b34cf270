//! The engine against a reference evaluator that is written for clarity, on random patterns and events.
//!
//! The reference multiplies a pattern out to lists of single conditions, flattens the event to leaves with the array elements
//! around them, and tries every choice of leaves.

use proptest::prelude::*;
use rocketbridge_pattern::{Fixed, Index, JsonEvent, Message, Options, Pattern, Properties};
use serde_json::{Map, Value, json};

/// A value of the event: its path, and for each array around it the array's place in the document and the element's index.
struct Leaf {
    path: Vec<String>,
    value: Value,
    elements: Vec<(Vec<String>, usize)>,
}

fn flatten(value: &Value, path: &[String], place: &[String], elements: &[(Vec<String>, usize)], leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(value, &[path, std::slice::from_ref(key)].concat(), &[place, std::slice::from_ref(key)].concat(), elements, leaves);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let elements = [elements, &[(place.to_vec(), index)]].concat();
                flatten(value, path, &[place, &[index.to_string()]].concat(), &elements, leaves);
            }
        }
        scalar => leaves.push(Leaf { path: path.to_vec(), value: scalar.clone(), elements: elements.to_vec() }),
    }
}

fn consistent(one: &Leaf, other: &Leaf) -> bool {
    one.elements.iter().all(|(array, index)| other.elements.iter().all(|(same, theirs)| array != same || index == theirs))
}

/// Every list of (path, condition) that satisfies the pattern.
fn alternatives(pattern: &Map<String, Value>, path: &[String]) -> Vec<Vec<(Vec<String>, Value)>> {
    pattern.iter().fold(vec![Vec::new()], |known, (key, value)| {
        let below = [path, std::slice::from_ref(key)].concat();
        let more: Vec<Vec<(Vec<String>, Value)>> = match value {
            Value::Array(objects) if key == "$or" => {
                objects.iter().flat_map(|object| alternatives(object.as_object().expect("$or has objects"), path)).collect()
            }
            Value::Array(conditions) => conditions.iter().map(|condition| vec![(below.clone(), condition.clone())]).collect(),
            Value::Object(members) => alternatives(members, &below),
            other => panic!("no pattern: {other}"),
        };
        known.iter().flat_map(|one| more.iter().map(move |other| [one.clone(), other.clone()].concat())).collect()
    })
}

fn holds(condition: &Value, value: &Value) -> bool {
    let Some((name, operand)) = condition.as_object().and_then(|members| members.iter().next()) else {
        return condition == value || matches!((condition.as_f64(), value.as_f64()), (Some(one), Some(other)) if one == other);
    };
    let text = value.as_str();
    let operands = |operand: &Value| operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
    match name.as_str() {
        "exists" => true,
        "prefix" => text.is_some_and(|text| text.starts_with(operand.as_str().expect("a text"))),
        "suffix" => text.is_some_and(|text| text.ends_with(operand.as_str().expect("a text"))),
        "contains" => text.is_some_and(|text| text.contains(operand.as_str().expect("a text"))),
        "equals-ignore-case" => text.is_some_and(|text| text.to_lowercase() == operand.as_str().expect("a text").to_lowercase()),
        "wildcard" => text.is_some_and(|text| glob(operand.as_str().expect("a text").as_bytes(), text.as_bytes())),
        "numeric" => value.as_f64().is_some_and(|value| {
            operand.as_array().expect("a list").chunks(2).all(|pair| {
                let bound = pair[1].as_f64().expect("a number");
                match pair[0].as_str().expect("a sign") {
                    "=" => value == bound,
                    "<" => value < bound,
                    "<=" => value <= bound,
                    ">" => value > bound,
                    ">=" => value >= bound,
                    other => panic!("no sign: {other}"),
                }
            })
        }),
        "all-of" => operand.as_array().expect("a list").iter().all(|condition| holds(condition, value)),
        "anything-but" => match operand.as_object().and_then(|members| members.iter().next()) {
            Some((name, operand)) => !operands(operand).into_iter().any(|operand| holds(&json!({ name: operand }), value)),
            None => !operands(operand).iter().any(|excluded| holds(excluded, value)),
        },
        other => panic!("no operator: {other}"),
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|used| glob(rest, &text[used..])),
        Some((byte, rest)) => text.first() == Some(byte) && glob(rest, &text[1..]),
    }
}

fn choose<'l>(conditions: &[(Vec<String>, Value)], leaves: &'l [Leaf], chosen: &mut Vec<&'l Leaf>) -> bool {
    let is_absent = |condition: &Value| *condition == json!({"exists": false});
    let Some((path, condition)) = conditions.iter().filter(|(_, condition)| !is_absent(condition)).nth(chosen.len()) else {
        return conditions
            .iter()
            .filter(|(_, condition)| is_absent(condition))
            .all(|(path, _)| !leaves.iter().any(|leaf| leaf.path == *path && chosen.iter().all(|other| consistent(leaf, other))));
    };
    leaves.iter().any(|leaf| {
        if leaf.path != *path || !holds(condition, &leaf.value) || !chosen.iter().all(|other| consistent(leaf, other)) {
            return false;
        }
        chosen.push(leaf);
        let found = choose(conditions, leaves, chosen);
        chosen.pop();
        found
    })
}

fn reference(pattern: &Value, event: &Value) -> bool {
    let mut leaves = Vec::new();
    flatten(event, &[], &[], &[], &mut leaves);
    alternatives(pattern.as_object().expect("a pattern is an object"), &[])
        .iter()
        .any(|conditions| choose(conditions, &leaves, &mut Vec::new()))
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2_i32..3).prop_map(|number| json!(number)),
        (-2_i32..3).prop_map(|number| json!(f64::from(number) / 2.0)),
        "[abAé\"\\\\]{0,3}".prop_map(Value::String),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("é\"")].prop_map(str::to_owned)
}

fn event() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(key(), inner, 0..4).prop_map(|members| json!(members))
        ]
    });
    proptest::collection::btree_map(key(), value, 0..4).prop_map(|members| json!(members))
}

fn on_text() -> impl Strategy<Value = (&'static str, String)> {
    let filled = "[abAé]{1,2}";
    prop_oneof![
        filled.prop_map(|text| ("prefix", text)),
        filled.prop_map(|text| ("suffix", text)),
        filled.prop_map(|text| ("contains", text)),
        filled.prop_map(|text| ("equals-ignore-case", text)),
        "\\*?[abé]{0,2}(\\*[ab])?\\*?".prop_map(|text| ("wildcard", text.replace("**", "*"))),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    let positive = prop_oneof![
        3 => scalar(),
        2 => on_text().prop_map(|(name, text)| json!({ name: text })),
        1 => on_text().prop_map(|(name, text)| json!({"anything-but": { name: [text] }})),
        1 => proptest::collection::vec("[ab]{0,2}", 1..3).prop_map(|texts| json!({ "anything-but": texts })),
        1 => (-2_i32..3).prop_map(|number| json!({ "anything-but": number })),
        1 => (-2_i32..3, prop_oneof![Just("="), Just("<"), Just("<="), Just(">"), Just(">=")]).prop_map(|(number, sign)| json!({"numeric": [sign, number]})),
        1 => (-2_i32..1, 1_i32..3).prop_map(|(least, most)| json!({"numeric": [">=", least, "<", most]})),
        1 => Just(json!({"exists": true})),
    ];
    let positive = positive.boxed();
    prop_oneof![
        8 => positive.clone(),
        1 => proptest::collection::vec(positive, 2..3).prop_map(|all| json!({ "all-of": all })),
        1 => Just(json!({"exists": false})),
    ]
}

/// How many combinations a pattern means: members multiply, `$or` adds, and a list that takes a value or an absent field has two.
fn combinations<'a>(members: impl IntoIterator<Item = (&'a String, &'a Value)>) -> usize {
    let of = |(key, value): (&String, &Value)| match value {
        Value::Array(objects) if key == "$or" => objects.iter().filter_map(Value::as_object).map(combinations).sum(),
        Value::Object(members) => combinations(members),
        Value::Array(conditions) => 1 + usize::from(conditions.len() > 1 && conditions.contains(&json!({"exists": false}))),
        _ => 1,
    };
    members.into_iter().map(of).product()
}

fn pattern() -> impl Strategy<Value = Value> {
    let fields = proptest::collection::vec(condition(), 1..3).prop_map(Value::Array).prop_recursive(3, 10, 3, |inner| {
        let object = proptest::collection::btree_map(key(), inner, 1..3).boxed();
        prop_oneof![
            3 => object.clone().prop_map(|members| json!(members)),
            1 => (object.clone(), object.clone(), object).prop_map(|(mut all, one, other)| {
                all.insert("$or".to_owned(), json!([one, other]));
                json!(all)
            }),
        ]
    });
    // Nested alternatives multiply: what is beyond the limit of the default options is another test's subject.
    let most = Options::default().limits.combinations;
    proptest::collection::btree_map(key(), fields, 1..3)
        .prop_filter("at most as many combinations as are allowed", move |members| combinations(members) <= most)
        .prop_map(|members| json!(members))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// *Scenario*: any pattern of the language and any event. *Guarantees*: the engine answers as the reference does.
    #[test]
    fn the_engine_agrees_with_the_reference(pattern in pattern(), event in event()) {
        let compiled = Pattern::compile(&pattern.to_string(), &Options::default()).map_err(|error| TestCaseError::fail(format!("{pattern}: {error}")))?;
        prop_assert_eq!(compiled.matches(&JsonEvent::new(&event.to_string())), Ok(reference(&pattern, &event)), "{} {}", pattern, event);
    }

    /// *Scenario*: several rules of any kind, some of them removed again, and any events. *Guarantees*: the index answers as each rule does alone.
    #[test]
    fn many_rules_answer_as_each_does(
        patterns in proptest::collection::vec((pattern(), any::<bool>()), 1..8),
        events in proptest::collection::vec(event(), 1..5),
    ) {
        let index = Index::default();
        let mut compiled = Vec::new();
        for (number, (pattern, stays)) in patterns.iter().enumerate() {
            let rule = Pattern::compile(&pattern.to_string(), &Options::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            index.insert(&number.to_string(), &rule);
            compiled.push((number.to_string(), rule, *stays));
        }
        for (name, _, stays) in &compiled {
            if !stays {
                index.remove(name);
            }
        }
        let snapshot = index.snapshot();
        for event in events {
            let text = event.to_string();
            let expected: Vec<&str> = compiled
                .iter()
                .filter(|(_, rule, stays)| *stays && rule.matches(&JsonEvent::new(&text)) == Ok(true))
                .map(|(name, ..)| name.as_str())
                .collect();
            prop_assert_eq!(snapshot.matches(&JsonEvent::new(&text)), Ok(expected), "{:?} {}", patterns, text);
        }
    }

    /// *Scenario*: a message whose body is an event's text, whole or with a byte changed. *Guarantees*: it is read as JSON if it is JSON as a whole, and
    /// as text if not, wherever the fault is and whatever the pattern reads; for one pattern and for an index alike.
    #[test]
    fn a_body_is_json_as_a_whole_or_not_at_all(
        pattern in pattern(),
        event in event(),
        edit in proptest::option::of((any::<proptest::sample::Index>(), proptest::sample::select(b"\"{}[]:,0-e tx".to_vec()))),
    ) {
        let mut body = event.to_string().into_bytes();
        if let Some((place, byte)) = edit {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let Ok(text) = String::from_utf8(body) else { return Ok(()) };
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        let shown = if is_json { text.clone() } else { json!(text).to_string() };
        let whole = format!(r#"{{"data":{{"body":{shown}}}}}"#);
        let wrapped = json!({"data": {"body": pattern}}).to_string();
        let compiled = Pattern::compile(&wrapped, &Options::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let expected = compiled.matches(&JsonEvent::new(&whole));
        let fixed = Fixed::default();
        let message = Message { topic: "t", properties: Properties::default(), body: text.as_bytes(), envelope: &fixed };
        prop_assert_eq!(compiled.matches(&message), expected.clone(), "{} {}", pattern, text);
        let index = Index::default();
        index.insert("rule", &compiled);
        prop_assert_eq!(index.snapshot().matches(&message).map(|found| !found.is_empty()), expected, "{} {}", pattern, text);
    }

    /// *Scenario*: any text, as pattern and as event. *Guarantees*: an answer or an error, never a panic.
    #[test]
    fn no_text_makes_it_panic(pattern in "[{}\\[\\]:,\"a$or\\\\u0-9.eE+*-]{0,60}", event in "\\PC{0,60}") {
        let _ = Pattern::compile(&pattern, &Options::default());
        let _ = Pattern::compile(&event, &Options::default());
        let any = Pattern::compile(r#"{"a":{"b":[1]}}"#, &Options::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let _ = any.matches(&JsonEvent::new(&event));
        let _ = any.matches(&JsonEvent::new(&pattern));
    }

    /// *Scenario*: an event cut at any byte. *Guarantees*: it is malformed, also where the cut is in a part no pattern reads.
    #[test]
    fn a_cut_event_is_malformed(event in event(), cut in any::<proptest::sample::Index>()) {
        let text = event.to_string();
        let cut = cut.index(text.len());
        if text.is_char_boundary(cut) {
            let any = Pattern::compile(r#"{"a":{"b":[1]}}"#, &Options::default()).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(any.matches(&JsonEvent::new(&text[..cut])).is_err());
        }
    }
}
