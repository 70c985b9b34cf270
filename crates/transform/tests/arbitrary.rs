//! Whatever anybody may write as a transform, applied to whatever anybody may send.

use bytes::Bytes;
use proptest::prelude::*;
use rocketbridge_pattern::json::Reader;
use rocketbridge_pattern::{Fixed, JsonEvent, Message, Properties};
use rocketbridge_transform::{ApplyError, Event, Form, Output, Transform};

const VARIABLES: &str = r#"{"body":"$.data.body","user":"$.data.userProperties","first":"$.data.body.a[0]","key":"$.data.systemProperties.KEYS",
    "none":"$.none","constant":"say \"hi\"\\","EB_SYS_EMBED_OBJECT":"$.data.body.o"}"#;

fn pieces(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![12 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => ".{0,4}"], 0..most)
        .prop_map(|chosen| chosen.concat())
}

/// Pieces of templates: JSON and not, with variables everywhere.
fn template() -> impl Strategy<Value = String> {
    let piece = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "1",
        "null",
        "${body}",
        "${user}",
        "${first}",
        "${key}",
        "${none}",
        "${constant}",
        "$${",
        "${",
        "\\",
        "\\\"",
        "$",
        " ",
        "é",
        "\"EB_SYS_EMBED_OBJECT\":",
        "\u{f8ff}",
    ];
    pieces(piece, 24)
}

/// A template that is JSON: variables stand as values, within strings, and as what is embedded.
fn json_template() -> impl Strategy<Value = String> {
    let variable = || proptest::sample::select(&["body", "user", "first", "key", "none", "constant"][..]);
    let text = "[ a-zé\u{1}\\\\\"$]{0,4}".prop_map(|text| {
        let quoted = serde_json::Value::from(text).to_string();
        quoted[1..quoted.len() - 1].to_owned()
    });
    let string = (text, proptest::option::of(variable())).prop_map(|(text, variable)| {
        // A dollar sign before a variable would escape it.
        let variable = variable.map(|variable| format!(" ${{{variable}}}")).unwrap_or_default();
        format!("\"{text}{variable}\"")
    });
    let leaf = prop_oneof![variable().prop_map(|variable| format!("${{{variable}}}")), string.clone(), Just("1.50".to_owned())];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|list| format!("[{}]", list.join(" , "))),
            proptest::collection::vec(("[a-z]{0,3}", inner), 0..3).prop_map(|members| {
                let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    let embedded =
        prop_oneof![Just(String::new()), variable().prop_map(|variable| format!("\"EB_SYS_EMBED_OBJECT\":\"${{{variable}}}\","))];
    prop_oneof![
        proptest::collection::vec(value.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
        (embedded, value).prop_map(|(embedded, value)| format!(" {{{embedded}\"x\":{value}}}")),
    ]
}

fn program() -> impl Strategy<Value = String> {
    let piece = &[
        ".",
        ".data",
        ".body",
        ".a",
        "[0]",
        "[-1]",
        "[1:]",
        "[]",
        "|",
        " | ",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "<",
        "and",
        "or",
        "//",
        "?",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "1",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "\"x\"",
        "\"\\(.)\"",
        "null",
        "true",
        " as $x | ",
        "$x",
        "if . then 1 else 2 end",
        "reduce range(9) as $x (.; ",
        "foreach .[] as $x (0; ",
        "try ",
        " catch .",
        "label $f | ",
        "break $f",
        "..",
        "= 1",
        "|= ",
        "+= 1",
        "//= 2",
        "map(",
        "select(",
        "sort_by(",
        "group_by(",
        "limit(3; ",
        "first(",
        "range(",
        "recurse(",
        "while(",
        "until(",
        "repeat(",
        "path(",
        "del(",
        "getpath([",
        "to_entries",
        "from_entries",
        "with_entries(",
        "keys",
        "length",
        "add",
        "any",
        "all",
        "flatten",
        "tostring",
        "tonumber",
        "tojson",
        "fromjson",
        "ascii_downcase",
        "ascii_upcase",
        "explode",
        "implode",
        "split(\",\")",
        "join(\"-\")",
        "ltrimstr(\"a\")",
        "startswith(\"a\")",
        "contains(",
        "has(\"a\")",
        "min",
        "max",
        "unique",
        "reverse",
        "sort",
        "not",
        "empty",
        "error",
        "error(1)",
        "type",
        "floor",
        "sqrt",
        "abs",
        "walk(",
        "input",
        "splits",
        "@text",
        "@json",
        "@base64",
        "ascii",
        "infinite",
        "nan",
        "isnan",
        "todate",
        "env",
    ];
    pieces(piece, 12)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(br#"{"a":[1,"x",{"b":null}],"o":{"x":1,"y\"":"\u00e9\ud800"},"n":-9223372036854775808}"#.to_vec()),
        Just(b"[[[1]],{}]".to_vec()),
        Just(b" \"text\\n\" ".to_vec()),
        Just(b"{\"a\":1} x".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
        "\\PC{0,20}".prop_map(String::into_bytes),
    ]
}

/// Compiles and applies. Properties have every character that JSON escapes.
fn apply(form: &str, value: &str, template: Option<&str>, body: &[u8]) -> Option<Result<Output, ApplyError>> {
    let transform = Transform::compile(form, Some(value), template).ok()?;
    let body = Bytes::copy_from_slice(body);
    let fixed = Fixed { attributes: &[("id", "m\"1"), ("source", "\u{7f}é")], fields: &[] };
    let properties = Properties::new(b"KEYS\x01k\\1\"\x02p\x01\x00\x1f\n\xff\x02\"q\x01'\x02");
    let message = Message { topic: "orders", properties, body: &body, envelope: &fixed };
    Some(transform.apply(&Event::new(message, &body)))
}

fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let mut reader = Reader::new(text);
        reader.skip(0).and_then(|()| reader.end()).is_ok()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// *Scenario*: any text as each part of each form, on any body and any text of an event. *Guarantees*: a value, none, or an error that names its place.
    #[test]
    fn whatever_is_written_is_answered(
        form in proptest::sample::select(&Form::ALL[..]),
        value in prop_oneof![Just(VARIABLES.to_owned()), template(), "\\PC*", Just("$.data.body".to_owned())],
        template in proptest::option::of(prop_oneof![template(), json_template()]),
        body in body(),
        event in prop_oneof![Just(r#"{"data":{"body":{"a":[1]}}}"#.to_owned()), "\\PC*"],
    ) {
        if let Some(Err(error)) = apply(form.name(), &value, template.as_deref(), &body) {
            prop_assert!(!error.place.is_empty() && !error.what.is_empty());
        }
        if let Ok(transform) = Transform::compile(form.name(), Some(&value), template.as_deref()) {
            let _ = transform.apply(&JsonEvent::new(&event));
        }
    }

    /// *Scenario*: templates that are JSON, with variables everywhere a template may have them, on any body. *Guarantees*: they compile, and what they
    /// give is JSON; only what is no object cannot be embedded.
    #[test]
    fn a_json_template_gives_json(template in json_template(), body in body()) {
        match apply("TEMPLATE", VARIABLES, Some(&template), &body) {
            None => prop_assert!(false, "{} is refused", template),
            Some(Ok(Output::Value(bytes))) => prop_assert!(is_json(&bytes), "{}: {}", template, String::from_utf8_lossy(&bytes)),
            Some(Ok(Output::Absent)) => prop_assert!(false, "a template always gives something"),
            Some(Err(error)) => prop_assert!(error.what.starts_with("EB_SYS_EMBED_OBJECT needs an object"), "{}", error),
        }
    }

    /// *Scenario*: the whole event of any body and of properties with every character. *Guarantees*: it is JSON.
    #[test]
    fn the_whole_event_is_json(body in body()) {
        let Some(Ok(Output::Value(bytes))) = apply("ORIGINAL", "", None, &body) else { panic!("there is an event") };
        prop_assert!(is_json(&bytes), "{}", String::from_utf8_lossy(&bytes));
    }

    /// *Scenario*: programs put together from everything a program may say, and more. *Guarantees*: an answer or an error; errors show no value.
    #[test]
    fn programs_are_answered(program in program(), body in body()) {
        if let Some(Err(error)) = apply("EXPRESSION", &program, None, &body) {
            prop_assert!(!error.what.contains("922337203"), "{}", error);
        }
    }
}
