//! A RocketMQ message as patterns see it.

use std::borrow::Cow;
use std::cell::RefCell;

use rocketbridge_pattern::{Body, Dialect, Envelope, Fixed, Index, Limits, Message, Options, Pattern, Properties, Scalar};

/// Remembers what was asked for.
#[derive(Default)]
struct Asked(RefCell<Vec<String>>);

impl Envelope for Asked {
    fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0.borrow_mut().push(name.to_owned());
        ["id", "source"].contains(&name).then(|| format!("the {name}").into())
    }

    fn field(&self, name: &str) -> Option<Scalar<'_>> {
        self.0.borrow_mut().push(format!("data.{name}"));
        match name {
            "queueId" => Some(Scalar::Integer(3)),
            "brokerName" => Some(Scalar::Text("b0".into())),
            _ => None,
        }
    }

    fn attribute_names(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    fn field_names(&self) -> Vec<Cow<'_, str>> {
        Vec::new()
    }
}

const WIRE: &[u8] =
    b"KEYS\x01order-1\x02TAGS\x01paid\x02CONSUME_START_TIME\x011628577790396\x02colour\x01red\x02a.b\x01dotted\x02WAIT\x01true\x02";

fn matches(pattern: &str, body: &[u8], dialect: Dialect) -> bool {
    let asked = Asked::default();
    let message = Message { topic: "orders", properties: Properties::new(WIRE), body, envelope: &asked };
    let pattern =
        Pattern::compile(pattern, &Options { dialect, limits: Limits::default() }).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.matches(&message).expect("a message can always be read")
}

/// *Scenario*: attributes, topic, properties of both kinds, other fields, and bodies of all kinds. *Guarantees*: each stands where the documented event has it.
#[test]
fn everything_has_its_place() {
    for (pattern, body, expected) in [
        (r#"{"id":["the id"],"subject":[{"exists":false}]}"#, &b""[..], true),
        (r#"{"data":{"topic":["orders"],"queueId":[{"numeric":["<",4]}],"brokerName":[{"prefix":"b"}]}}"#, b"", true),
        (r#"{"data":{"systemProperties":{"TAGS":["paid"],"colour":[{"exists":false}]}}}"#, b"", true),
        (r#"{"data":{"userProperties":{"colour":["red"],"TAGS":[{"exists":false}],"a":{"b":["dotted"]}}}}"#, b"", true),
        (r#"{"data":{"systemProperties":{"CONSUME_START_TIME":[1628577790396],"WAIT":["true"]}}}"#, b"", true),
        (r#"{"data.userProperties.a.b":["dotted"]}"#, b"", true),
        (r#"{"data":{"body":{"price":[{"numeric":[">",3]}]}}}"#, br#" {"price": 3.5, "n": {"x": 1}} "#, true),
        (r#"{"data":{"body":{"price":[{"numeric":[">",3]}]}}}"#, br#"{"price": 3.5"#, false),
        (r#"{"data":{"body":{"price":[{"exists":false}]}}}"#, br#"{"price": 3.5"#, true),
        (r#"{"data":{"body":["TEST"]}}"#, b"TEST", true),
        (r#"{"data":{"body":["TEST"]}}"#, br#""TEST""#, true),
        (r#"{"data":{"body":[300]}}"#, b"300.0", true),
        (r#"{"data":{"body":[{"prefix":"{\"a"}]}}"#, br#"{"a": broken"#, true),
        (r#"{"data":{"body":[""]}}"#, b"", true),
        (r#"{"data":{"body":["a","b"]}}"#, br#"["x","b"]"#, true),
        (r#"{"data":{"body":[{"exists":true}]}}"#, b"\xff\x00", true),
        (r#"{"data":{"body":[{"anything-but":"x"}]}}"#, b"\xff\x00", true),
        (r#"{"data":{"body":[{"prefix":""}]}}"#, b"\xff\x00", false),
        (r#"{"data":{"body":{"a":[{"exists":false}]}}}"#, b"\xff\x00", true),
        (r#"{"data":{"nothing":[{"exists":true}]}}"#, b"", false),
    ] {
        assert_eq!(matches(pattern, body, Dialect::Default), expected, "{pattern} {:?}", String::from_utf8_lossy(body));
    }
    assert!(matches(r#"{"data":{"body":[{"exists":true}],"userProperties":[{"exists":true}]}}"#, br#"{"a":1}"#, Dialect::Alibaba));
    assert!(matches(r#"{"data":{"queueId":["3"]}}"#, b"", Dialect::Alibaba));
}

/// *Scenario*: patterns on the body, on something in it, on what holds it, and on other things. *Guarantees*: it is said whether the body is
/// read.
#[test]
fn what_a_pattern_reads_is_known() {
    let reads = |pattern: &str| Pattern::compile(pattern, &Options::default()).expect("a pattern").reads(&["data", "body"]);
    assert!(
        reads(r#"{"data":{"body":["x"]}}"#)
            && reads(r#"{"data":{"body":{"a":{"b":[1]}}}}"#)
            && reads(r#"{"data":{"body":[{"exists":true}]}}"#)
    );
    assert!(reads(r#"{"$or":[{"id":["x"]},{"data":{"body":{"a":[1]}}}]}"#));
    assert!(!reads(r#"{"data":{"topic":["x"]},"body":["x"]}"#) && !reads("{}") && !reads(r#"{"data":[{"exists":true}]}"#));
}

/// *Scenario*: a pattern on a property. *Guarantees*: nothing that must be computed was asked for.
#[test]
fn what_no_pattern_reads_is_not_computed() {
    let asked = Asked::default();
    let message = Message { topic: "orders", properties: Properties::new(WIRE), body: b"{}", envelope: &asked };
    let pattern = Pattern::compile(r#"{"data":{"systemProperties":{"TAGS":["paid"]}},"source":["the source"]}"#, &Options::default())
        .expect("the pattern is well formed");
    assert_eq!(pattern.matches(&message), Ok(true));
    assert_eq!(*asked.0.borrow(), ["source"]);
    assert_eq!(message.classify_body(), Body::Json("{}"));
    assert_eq!(format!("{message:?}"), "Message { topic: \"orders\", body_bytes: 2, .. }");
}

/// *Scenario*: the pattern `{}`. *Guarantees*: it says that it matches everything.
#[test]
fn match_all_is_known() {
    let all = Pattern::compile(" {} ", &Options::default()).expect("the pattern is well formed");
    assert!(all.is_match_all());
    assert!(matches("{}", b"\xff", Dialect::Default));
}

/// *Scenario*: bodies that are malformed where no pattern looks, behind and before what matches. *Guarantees*: such a body is text: it has no
/// fields, for one pattern and for many rules alike.
#[test]
fn a_malformed_body_has_no_fields() {
    let fixed = Fixed::default();
    let fields = r#"{"data":{"body":{"a":["x"]}}}"#;
    let pattern = Pattern::compile(fields, &Options::default()).expect("the pattern is well formed");
    let gone = Pattern::compile(r#"{"data":{"body":{"a":[{"exists":false}]}}}"#, &Options::default()).expect("the pattern is well formed");
    let index = Index::default();
    index.insert("fields", &pattern);
    for (body, expected) in [
        (r#"{"a":"x","b":[{"c":[1,2]}]}"#, true),
        (r#"{"a":"x","b":[{"c":[1,2}]}"#, false),
        (r#"{"b":[{"c":[1,,2]}],"a":"x"}"#, false),
        (r#"{"b":{"c":"\q"},"a":"x"}"#, false),
        (r#"{"a":"x","b":[1]"#, false),
        (r#"{"a":"x"} {"#, false),
        (r#"{"a":"y","b":[1,,2]}"#, false),
    ] {
        let message = Message { topic: "t", properties: Properties::new(b""), body: body.as_bytes(), envelope: &fixed };
        assert_eq!(pattern.matches(&message), Ok(expected), "{body}");
        assert_eq!(index.snapshot().matches(&message).map(|found| found.len()), Ok(usize::from(expected)), "{body}");
        assert_eq!(gone.matches(&message), Ok(!expected), "{body}");
    }
}
