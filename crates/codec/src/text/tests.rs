//! Tokens as they were written, from JSON and from YAML, and what is said of texts that are neither.

use proptest::prelude::*;

use super::*;

const NUMBERS: [&str; 9] =
    ["37.807807921694092", "12345678901234567890123", "3.0e2", "1e400", "-0", "1E+2", "0.10", "9007199254740993", "1e3"];

fn yaml_json(text: &str) -> Result<String, String> {
    let documents = yaml::documents(text);
    let [document] = documents.as_slice() else { return Err(format!("{} documents", documents.len())) };
    match document {
        Ok(node) => node.to_json().map_err(|fault| fault.to_string()),
        Err((_, faults)) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    }
}

fn json_faults(text: &str) -> Vec<String> {
    json::value(text).expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn numbers_keep_every_digit_and_their_form() {
    for number in NUMBERS {
        assert_eq!(json::value(number).expect(number).to_json().as_deref(), Ok(number));
        assert_eq!(yaml_json(&format!("a: [{number}]\n")), Ok(format!("{{\"a\":[{number}]}}")));
        assert_eq!(yaml_json(&format!("{{a: {number}}}")), Ok(format!("{{\"a\":{number}}}")));
    }
}

/// *Scenario*: numbers that YAML has and JSON lacks, and plain scalars that only look like numbers. *Guarantees*: the first are named with their place, not
/// rewritten; the second stay texts.
#[test]
fn what_only_yaml_can_say_is_not_rewritten() {
    for number in ["0x10", "0o17", "0b11", ".5", "1.", "+1", ".inf", "-.inf", ".nan"] {
        assert_eq!(yaml_json(&format!("a:\n  - {number}\n")), Err(format!("{number} at line 2, column 5 is not a JSON number")));
    }
    for text in ["007", "1_000", "1e", "0xg", "1.2.3", "12:30:45", "2024-01-01", "yes", "1e5x"] {
        assert_eq!(yaml_json(&format!("a: {text}\n")), Ok(format!("{{\"a\":\"{text}\"}}")));
    }
}

#[test]
fn yaml_says_what_json_says() {
    for (yaml, json) in [
        ("a: b\nc: [d, 'e', \"f\\n\"]\n", r#"{"a":"b","c":["d","e","f\n"]}"#),
        ("a:\nb: ~\nc: null\nd: true\ne: False\n", r#"{"a":null,"b":null,"c":null,"d":true,"e":false}"#),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", r#"{"a":"one\ntwo\n","b":"one two"}"#),
        ("a: '5'\nb: !!str 5\nc: \"true\"\n", r#"{"a":"5","b":"5","c":"true"}"#),
        ("a: &x {k: 1}\nb: *x\n", r#"{"a":{"k":1},"b":{"k":1}}"#),
        ("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n", r#"{"a":{"k":1,"l":2},"b":{"k":3,"l":2}}"#),
        ("b:\n  <<: [{k: 1}, {k: 2, l: 3}]\n", r#"{"b":{"k":1,"l":3}}"#),
        ("{\"a\": \"\\u00e9\", \"b\": \"\\U0001f600\"}", r#"{"a":"é","b":"😀"}"#),
        ("城市: 上海\n", r#"{"城市":"上海"}"#),
    ] {
        assert_eq!(yaml_json(yaml).as_deref(), Ok(json), "{yaml}");
    }
}

/// *Scenario*: keys that occur twice, at the top and deep, in both languages, plain and escaped. *Guarantees*: each is named with its path and the line and
/// column of both places; keys of merged objects are not equal to those that override them.
#[test]
fn equal_keys_are_named_with_both_places() {
    assert_eq!(
        json_faults("{\"name\": \"a\",\n \"name\": \"b\"}"),
        ["name: the key occurs twice, at line 1, column 2 and at line 2, column 2"]
    );
    assert_eq!(
        json_faults(r#"{"a":[{"é":1,"b":2,"\u0062":3}],"a":0}"#),
        [
            "a[0].b: the key occurs twice, at line 1, column 14 and at line 1, column 20",
            "a: the key occurs twice, at line 1, column 2 and at line 1, column 33"
        ]
    );
    assert_eq!(
        yaml_json("name: a\ntags:\n  k: 1\n  'k': 2\n"),
        Err("tags.k: the key occurs twice, at line 3, column 3 and at line 4, column 3".to_owned())
    );
    assert_eq!(yaml_json("a: {b: 1, b: 2}\n"), Err("a.b: the key occurs twice, at line 1, column 5 and at line 1, column 11".to_owned()));
}

#[test]
fn strings_keep_their_escapes_and_halves_of_surrogates() {
    let text = r#"{"\u0061\/":"\ud83d","b":"\ud83d\ude00\u0000"}"#;
    let node = json::value(text).expect("well formed");
    assert_eq!(node.to_json().as_deref(), Ok(text));
    let Some([half, pair]) = node.members() else { panic!("two members") };
    assert_eq!((half.name.as_str(), half.value.as_str(), pair.value.as_str()), ("a/", Some("\u{fffd}"), Some("😀\0")));
    let lone = |member: &NodeMember| matches!(&member.value.content, Content::Text(text) if text.has_lone_surrogate());
    assert!(lone(half) && !lone(pair));
}

#[test]
fn texts_are_compared_by_their_tokens() {
    for (one, other) in
        [(r#"{"a":["b"]}"#, " {\n\"a\" : [ \"b\" ] } "), (r#"["\u0061"]"#, r#"["a"]"#), ("[1, 2.50]", "[1,2.50]"), ("not JSON", "not JSON")]
    {
        assert!(same_json(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("[12345678901234567890123]", "[12345678901234567890124]"),
        ("[37.807807921694092]", "[37.807807921694093]"),
        ("[300]", "[300.0]"),
        ("[3.0e2]", "[3.0E2]"),
        (r#"["1"]"#, "[1]"),
        (r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#),
        (r#"["\ud800"]"#, r#"["\ud801"]"#),
        (r#"["\ud800"]"#, r#"["\ufffd"]"#),
        ("not JSON", "not  JSON"),
        ("[1]", "[1"),
    ] {
        assert!(!same_json(one, other), "{one} {other}");
    }
}

/// *Scenario*: malformed texts, texts that nest too deeply, aliases that would fill the memory or hold themselves, and tags. *Guarantees*: a fault with its
/// place; no text takes the stack or the memory.
#[test]
fn other_texts_are_refused_with_their_place() {
    assert_eq!(json_faults("{\n  \"a\": tru}"), ["expected a value at line 2, column 8"]);
    assert_eq!(json_faults("[1] x"), ["nothing may follow the value at line 1, column 5"]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json_faults(&deep), ["nested too deeply at line 1, column 129"]);
    assert!(yaml_json(&deep[..20_000]).is_err());
    let most = format!("{}{}", "[".repeat(MOST_NESTED), "]".repeat(MOST_NESTED));
    assert!(json::value(&most).is_ok() && yaml_json(&most).is_ok());
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{below}"); 10].join(", ")));
    }
    assert!(yaml_json(&bomb).expect_err("a bomb").starts_with("aliases stand for too much at line 5"), "{:?}", yaml_json(&bomb));
    assert!(yaml_json("a: &x [*x]\n").is_err());
    assert_eq!(yaml_json("a: !env b\n"), Err("a: tags such as !env are not read at line 1, column 9".to_owned()));
    assert_eq!(yaml_json("a:\n  5: b\n"), Err("a: a field's name is not text; write it in quotes at line 2, column 3".to_owned()));
    assert!(yaml_json("a: [\n").expect_err("no end").contains("line 2"));
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?"
}

fn json_text() -> impl Strategy<Value = String> {
    let string = "([a-zé😀 ]|\\\\u[0-9a-f]{4}|\\\\[nt\"/\\\\]){0,6}".prop_map(|inside| format!("\"{inside}\""));
    let leaf = prop_oneof![number(), string, Just("null".to_owned()), Just("true".to_owned())];
    leaf.prop_recursive(4, 32, 5, |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(value, 0..5).prop_map(|list| {
                let members: Vec<String> = list.iter().enumerate().map(|(place, value)| format!("\"k{place}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// *Scenario*: any JSON, its strings with any escapes. *Guarantees*: it is written as it was read, byte for byte, and is the same as itself.
    #[test]
    fn json_is_written_as_it_was_read(text in json_text()) {
        let node = json::value(&text).expect("well formed");
        prop_assert_eq!(node.to_json(), Ok(text.clone()));
        let spaced = text.replace(',', " ,\n");
        prop_assert!(text.contains("\"") || same_json(&text, &spaced));
    }

    /// *Scenario*: any number of JSON in a document of YAML. *Guarantees*: it is the same text behind it.
    #[test]
    fn a_number_of_json_passes_through_yaml(number in number()) {
        prop_assert_eq!(yaml_json(&format!("a: {number}\nb:\n- {number}\nc: [{number}, {number}]\n")),
            Ok(format!("{{\"a\":{number},\"b\":[{number}],\"c\":[{number},{number}]}}")));
    }

    /// *Scenario*: any text at all. *Guarantees*: neither reader panics.
    #[test]
    fn no_text_makes_a_reader_panic(text in "[-a-c0-9{}\\[\\]:,#&*!|>'\"%@`<~.?\\\\ \n\t]{0,60}") {
        let _ = json::value(&text);
        let _ = yaml::documents(&text);
    }

    /// *Scenario*: objects some of whose keys occur twice. *Guarantees*: they are refused if and only if some do, in both languages.
    #[test]
    fn keys_that_occur_twice_are_always_refused(keys in prop::collection::vec("[a-d]", 0..5)) {
        let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\": 1")).collect();
        let text = format!("{{{}}}", members.join(", "));
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        prop_assert_eq!(json::value(&text).is_ok(), distinct.len() == keys.len());
        prop_assert_eq!(yaml_json(&text).is_ok(), distinct.len() == keys.len());
    }
}

/// *Scenario*: texts of a megabyte made to cost much: names of 5 KB in each other with 100,000 values at the bottom, in JSON and YAML; lists within lists; members merged into
/// many others; equal keys without end; aliases of a long text; documents of many names. *Guarantees*: each is read or refused within seconds on a busy machine.
#[test]
fn reading_takes_time_in_proportion_to_the_text() {
    let names: String = (0..100).map(|level| format!("{{\"{}{level}\":", "n".repeat(5_000))).collect();
    let values = vec!["1"; 200_000].join(",");
    let deep = format!("{names}[{values}]{}", "}".repeat(100));
    let merged: String = (0..30_000).map(|number| format!("  a{number}: 1\n")).collect();
    let others: String = (0..30_000).map(|number| format!("  b{number}: 1\n")).collect();
    let merging = format!("one: &one\n{merged}two:\n  <<: *one\n{others}");
    let twice = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(150_000));
    let long = format!("a: &a \"{}\"\nb: [{}*a]", "x".repeat(500_000), "*a,".repeat(100_000));
    let before = std::time::Instant::now();
    assert!(json::value(&deep).is_ok());
    assert!(yaml::documents(&deep)[0].is_ok());
    assert!(yaml::documents(&merging)[0].is_ok());
    assert!(json::value(&"[".repeat(1_000_000)).is_err() && yaml::documents(&"[".repeat(1_000_000))[0].is_err());
    assert!(yaml::documents(&"{a: ".repeat(250_000))[0].is_err());
    assert_eq!(json::value(&twice).expect_err("equal keys").len(), MOST_TWICE);
    let (_, faults) = yaml::documents(&long).remove(0).expect_err("too much");
    assert!(faults[0].to_string().starts_with("aliases stand for too much"), "{faults:?}");
    assert!(before.elapsed() < std::time::Duration::from_secs(20), "{:?}", before.elapsed());
}
