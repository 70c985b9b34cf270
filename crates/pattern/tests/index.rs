//! Many rules at once: the same answers as one by one, while rules come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rocketbridge_pattern::{Dialect, Index, JsonEvent, Limits, Options, Pattern};

const PATTERNS: [&str; 24] = [
    "{}",
    r#"{"a":["x"]}"#,
    r#"{"a":["x","y",1.50]}"#,
    r#"{"a":[1.5],"b":[true]}"#,
    r#"{"a":[null]}"#,
    r#"{"a":["v1","v2","v3","v4","v5","v6","v7","v8","x"]}"#,
    r#"{"a":[{"prefix":"ab"}]}"#,
    r#"{"a":[{"prefix":""}]}"#,
    r#"{"a":[{"suffix":"yz"}]}"#,
    r#"{"a":[{"equals-ignore-case":"X"}]}"#,
    r#"{"a":[{"wildcard":"*lite*ral*"}]}"#,
    r#"{"a":[{"wildcard":"*a*"}]}"#,
    r#"{"a":[{"contains":"teral"}]}"#,
    r#"{"a":[{"anything-but":["x"]}]}"#,
    r#"{"a":[{"numeric":[">",1]}],"b":[true]}"#,
    r#"{"a":[{"exists":false}]}"#,
    r#"{"a":[{"exists":false},"x"],"b":[true,false]}"#,
    r#"{"a":[{"all-of":[{"anything-but":["x"]},{"prefix":"ab"}]}]}"#,
    r#"{"$or":[{"a":["x"]},{"b":[true]},{"c":[{"exists":false}]}]}"#,
    r#"{"a":[{"field":"$.c"}]}"#,
    r#"{"l":{"p":[1],"q":[2]}}"#,
    r#"{"a":[{"regexp":"[a-z]{2}"}]}"#,
    r#"{"a":[{"cidr":"10.0.0.0/8"}]}"#,
    r#"{"a":[{"prefix":{"equals-ignore-case":"AB"}}]}"#,
];

const EVENTS: [&str; 14] = [
    "{}",
    r#"{"a":"x"}"#,
    r#"{"a":"x","b":true,"c":"x"}"#,
    r#"{"a":1.5,"b":true}"#,
    r#"{"a":15e-1,"b":false,"c":1.5}"#,
    r#"{"a":null}"#,
    r#"{"a":["q","v8"]}"#,
    r#"{"a":"abcxyz","c":0}"#,
    r#"{"a":"a lite or literal"}"#,
    r#"{"a":"lit"}"#,
    r#"{"b":true}"#,
    r#"{"l":[{"p":1},{"q":2}]}"#,
    r#"{"l":[{"p":1,"q":2}]}"#,
    r#"{"a":["10.1.2.3","Ab"]}"#,
];

fn compile(pattern: &str, dialect: Dialect) -> Pattern {
    Pattern::compile(pattern, &Options { dialect, limits: Limits::default() }).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// *Scenario*: rules of every kind, added and removed in turn, in both dialects. *Guarantees*: after each step the index answers as the rules do one by one.
#[test]
fn an_index_answers_as_its_rules_do() {
    for dialect in [Dialect::Default, Dialect::Alibaba] {
        let patterns: Vec<Option<Pattern>> =
            PATTERNS.iter().map(|text| Pattern::compile(text, &Options { dialect, limits: Limits::default() }).ok()).collect();
        let index = Index::default();
        let mut present = [false; PATTERNS.len()];
        let mut state = 7_usize;
        for _ in 0..300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let number = (state >> 33) % PATTERNS.len();
            let Some(pattern) = &patterns[number] else {
                continue;
            };
            if present[number] {
                assert!(index.remove(PATTERNS[number]));
            } else {
                index.insert(PATTERNS[number], pattern);
            }
            present[number] = !present[number];
            let snapshot = index.snapshot();
            assert_eq!(snapshot.len(), present.iter().filter(|&&present| present).count());
            for event in EVENTS {
                let view = JsonEvent::new(event);
                let mut found = snapshot.matches(&view).expect("the event is well formed");
                let mut expected: Vec<&str> = (0..PATTERNS.len())
                    .filter(|&number| {
                        present[number] && patterns[number].as_ref().is_some_and(|pattern| pattern.matches(&view) == Ok(true))
                    })
                    .map(|number| PATTERNS[number])
                    .collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{event}");
            }
        }
    }
}

/// *Scenario*: a rule is replaced and removed while an older snapshot is kept. *Guarantees*: the snapshot answers as before.
#[test]
fn a_snapshot_does_not_change() {
    let index = Index::default();
    index.insert("r", &compile(r#"{"a":[1]}"#, Dialect::Default));
    let old = index.snapshot();
    index.insert("r", &compile(r#"{"b":[1]}"#, Dialect::Default));
    let new = index.snapshot();
    assert!(index.remove("r") && !index.remove("r"));
    assert!(index.snapshot().is_empty());
    assert_eq!(old.matches(&JsonEvent::new(r#"{"a":1}"#)), Ok(vec!["r"]));
    assert_eq!(new.matches(&JsonEvent::new(r#"{"a":1}"#)), Ok(vec![]));
    assert_eq!(new.matches(&JsonEvent::new(r#"{"b":1}"#)), Ok(vec!["r"]));
}

/// *Scenario*: rules of both dialects on one path, which holds an object. *Guarantees*: each answers by its own dialect.
#[test]
fn dialects_do_not_mix() {
    let index = Index::default();
    for (name, pattern) in [("there", r#"{"a":[{"exists":true}]}"#), ("gone", r#"{"a":[{"exists":false}]}"#)] {
        index.insert(name, &compile(pattern, Dialect::Default));
        index.insert(&format!("{name} (alibaba)"), &compile(pattern, Dialect::Alibaba));
    }
    let snapshot = index.snapshot();
    let mut found = snapshot.matches(&JsonEvent::new(r#"{"a":{"b":1}}"#)).expect("the event is well formed");
    found.sort_unstable();
    assert_eq!(found, ["gone", "there (alibaba)"]);
}

/// *Scenario*: many rules that share one common value and differ in another. *Guarantees*: each event finds its one rule.
#[test]
fn the_rarer_value_is_looked_up() {
    let index = Index::default();
    let names: Vec<String> = (0..5_000).map(|number| format!("r{number}")).collect();
    let patterns: Vec<Pattern> =
        names.iter().map(|name| compile(&format!(r#"{{"type":["order"],"id":["{name}"]}}"#), Dialect::Default)).collect();
    index.update([], names.iter().map(String::as_str).zip(&patterns));
    let snapshot = index.snapshot();
    assert_eq!(snapshot.matches(&JsonEvent::new(r#"{"type":"order","id":"r4711"}"#)), Ok(vec!["r4711"]));
    assert_eq!(snapshot.matches(&JsonEvent::new(r#"{"type":"other","id":"r4711"}"#)), Ok(vec![]));
}

/// *Scenario*: thousands of rules of each kind that an index tells apart. *Guarantees*: each event finds its own, also after half of the rules left.
#[test]
fn rules_of_every_kind_are_told_apart() {
    const COUNT: usize = 2_000;
    let kinds: [fn(usize) -> String; 8] = [
        |number| format!(r#"{{"f":[{{"numeric":[">",{number},"<=",{}.5]}}]}}"#, number + 1),
        |number| format!(r#"{{"f":[{{"numeric":["=",{number}]}}]}}"#),
        |number| format!(r#"{{"f":[{{"numeric":[">=",{number}.25]}}]}}"#),
        |number| format!(r#"{{"f":[{{"cidr":"10.{}.{}.0/24"}}]}}"#, number / 250, number % 250),
        |number| format!(r#"{{"f":[{{"wildcard":"w{number}-*"}}]}}"#),
        |number| format!(r#"{{"f":[{{"regexp":"r{number}-[a-z]+"}}]}}"#),
        |number| format!(r#"{{"f":[{{"suffix":{{"equals-ignore-case":"-S{number}"}}}}]}}"#),
        |number| format!(r#"{{"f":[{{"anything-but":["x{number}"]}}],"only":[{number}]}}"#),
    ];
    for (kind, text) in kinds.iter().enumerate() {
        let index = Index::default();
        let compiled: Vec<(String, Pattern)> =
            (0..COUNT).map(|number| (number.to_string(), compile(&text(number), Dialect::Default))).collect();
        index.update([], compiled.iter().map(|(name, pattern)| (name.as_str(), pattern)));
        for left in [0, 2] {
            for number in (0..COUNT).step_by(97) {
                for value in [
                    format!("{number}.75"),
                    format!("{number}"),
                    format!("\"10.{}.{}.77\"", number / 250, number % 250),
                    format!("\"w{number}-é\""),
                    format!("\"r{number}-q\""),
                    format!("\"q-s{number}\""),
                ] {
                    let event = format!(r#"{{"f":{value},"only":{number}}}"#);
                    let view = JsonEvent::new(&event);
                    let expected: Vec<&str> = compiled
                        .iter()
                        .enumerate()
                        .filter(|(number, (_, pattern))| (left == 0 || number % left == 0) && pattern.matches(&view) == Ok(true))
                        .map(|(_, (name, _))| name.as_str())
                        .collect();
                    assert_eq!(index.snapshot().matches(&view), Ok(expected), "kind {kind}: {event}");
                }
            }
            let odd: Vec<&str> = compiled.iter().skip(1).step_by(2).map(|(name, _)| name.as_str()).collect();
            index.update(odd, []);
        }
        assert_eq!(index.snapshot().len(), COUNT / 2);
    }
}

/// *Scenario*: rules made to be costly, all in one index, and events made for them. *Guarantees*: each rule is refused by a named limit, or
/// all are matched in a bounded number of steps.
#[test]
fn a_hostile_set_is_refused_or_matched() {
    let alternatives = |name: &str| {
        let objects: Vec<String> = (0..10).map(|number| format!(r#"{{"{name}{number}":["v"]}}"#)).collect();
        format!(r#"{{"$or":[{}]}}"#, objects.join(","))
    };
    let mut patterns: Vec<String> = ('a'..='j').map(|letter| format!(r#"{{"f":[{{"wildcard":"*{letter}*{letter}*a*a*N*"}}]}}"#)).collect();
    patterns.push(format!(r#"{{"o":{},"p":{},"q":{}}}"#, alternatives("x"), alternatives("y"), alternatives("z")));
    patterns.extend(
        ["(a{1,100}){1,10}b", "((a|b|ab){1,20}){1,20}c", "(a*)*b", "(a|aa)+$"]
            .map(|regexp| format!(r#"{{"f":[{{"regexp":"{regexp}"}}]}}"#)),
    );
    patterns.extend((0..50).map(|count| format!(r#"{{"f":[{{"anything-but":{{"wildcard":"*a*{count}*a*"}}}}]}}"#)));
    let index = Index::default();
    let mut accepted = 0;
    for (number, text) in patterns.iter().enumerate() {
        match Pattern::compile(text, &Options::default()) {
            Ok(pattern) => {
                index.insert(&number.to_string(), &pattern);
                accepted += 1;
            }
            Err(error) => assert!(error.exceeded().is_some(), "{text}: {error}"),
        }
    }
    assert!(accepted > 60, "{accepted} of {} are matched", patterns.len());
    let long = "a".repeat(50_000);
    let event = format!(r#"{{"f":"{long}","o":{{"x9":"v"}},"p":{{"y9":"v"}},"q":{{"z8":"w"}}}}"#);
    let found = index.snapshot().matches(&JsonEvent::new(&event)).map(|found| found.len());
    assert_eq!(found, Ok(50), "all of anything-but, nothing else");
}

/// *Scenario*: one thread matches while another adds and removes. *Guarantees*: every answer is that of some moment: the rule that never leaves always matches.
#[test]
fn matching_goes_on_during_updates() {
    let index = Arc::new(Index::default());
    index.insert("stays", &compile(r#"{"a":["x"]}"#, Dialect::Default));
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (index, done) = (Arc::clone(&index), Arc::clone(&done));
        move || {
            let mut answers = 0_u32;
            while !done.load(Ordering::Relaxed) || answers == 0 {
                let snapshot = index.snapshot();
                let found = snapshot.matches(&JsonEvent::new(r#"{"a":"x","b":1}"#)).expect("the event is well formed");
                assert!(found.contains(&"stays"), "{found:?}");
                answers += 1;
            }
        }
    });
    let other = compile(r#"{"b":[{"numeric":[">",0]}]}"#, Dialect::Default);
    for _ in 0..2_000 {
        index.insert("comes", &other);
        index.remove("comes");
    }
    done.store(true, Ordering::Relaxed);
    reader.join().expect("the reader did not panic");
}
