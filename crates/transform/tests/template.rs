//! The TEMPLATE form, case by case.

use bytes::Bytes;
use rocketbridge_pattern::{Fixed, Message, Properties};
use rocketbridge_transform::{Event, Output, Transform};

const VARIABLES: &str = r#"{"topic":"$.data.topic","price":"$.data.body.price","note":"$.data.body.note","items":"$.data.body.items","none":"$.data.body.none",
    "user":"$.data.userProperties","body":"$.data.body","constant":"please hurry"}"#;

fn render(template: &str, body: &[u8]) -> Result<String, String> {
    let transform = Transform::compile("TEMPLATE", Some(VARIABLES), Some(template)).map_err(|error| error.to_string())?;
    let body = Bytes::copy_from_slice(body);
    let fixed = Fixed { attributes: &[("id", "m1")], fields: &[] };
    let message =
        Message { topic: "orders", properties: Properties::new(b"KEYS\x01k\x02a\x011\x02b\x01x\"y\x02"), body: &body, envelope: &fixed };
    match transform.apply(&Event::new(message, &body)) {
        Ok(Output::Value(bytes)) => Ok(String::from_utf8(bytes.to_vec()).expect("the output is text")),
        Ok(Output::Absent) => Err("absent".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

const BODY: &[u8] = br#"{"price":3.10,"note":"say \"hi\"\n","items":[1,"two"]}"#;

/// *Scenario*: variables in plain text, in JSON strings, and in place of JSON values. *Guarantees*: a JSON template gives JSON.
#[test]
fn variables_are_written_as_their_place_demands() {
    for (template, expected) in [
        ("Topic ${topic}: ${price}, ${constant}${none}.", "Topic orders: 3.10, please hurry."),
        ("${items} ${note}|", "[1,\"two\"] say \"hi\"\n|"),
        ("costs $${price} $5", "costs ${price} $5"),
        (r#"{"t":"${topic}","n":"<${note}>","p":"${price}"}"#, r#"{"t":"orders","n":"<say \"hi\"\n>","p":"3.10"}"#),
        (
            r#"{"t":${topic},"p":${price},"i":${items},"x":${none},"y":"${none}"}"#,
            r#"{"t":"orders","p":3.10,"i":[1,"two"],"x":null,"y":""}"#,
        ),
        (r#" ["\"${topic}\"", ${user}] "#, r#" ["\"orders\"", {"a":"1","b":"x\"y"}] "#),
        (r#"{"i":"${items}"}"#, r#"{"i":"[1,\"two\"]"}"#),
        (r#"{not json ${topic}"#, "{not json orders"),
        (r#"{"é":"é${topic}é"}"#, r#"{"é":"éordersé"}"#),
        (r#"say "\${topic}" and \"${topic}"#, r#"say "\orders" and \"orders"#),
        (r#"{"t":"\\${topic}\""}"#, r#"{"t":"\\orders\""}"#),
        ("", ""),
    ] {
        assert_eq!(render(template, BODY).as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(render(r#"{"b":${body}}"#, b"text").as_deref(), Ok(r#"{"b":"text"}"#));
    assert_eq!(render(r#"{"b":${body}}"#, b"[1]").as_deref(), Ok(r#"{"b":[1]}"#));
    assert_eq!(render(r#"{"b":"${body}"}"#, b"\xff").as_deref(), Ok(r#"{"b":"/w=="}"#));
}

/// *Scenario*: the user properties embedded beside members of the template. *Guarantees*: one object; the template's members win.
#[test]
fn an_object_is_embedded() {
    for (template, expected) in [
        (r#"{"EB_SYS_EMBED_OBJECT":"${user}","UNIQ_KEY":"${topic}"}"#, r#"{"a":"1","b":"x\"y","UNIQ_KEY":"orders"}"#),
        (r#"{ "a": [${price}, "${note}"], "EB_SYS_EMBED_OBJECT": ${user} }"#, r#"{"a":[3.10, "say \"hi\"\n"],"b":"x\"y"}"#),
        (r#"{"EB_SYS_EMBED_OBJECT":"${none}"}"#, "{}"),
        (r#"{"EB_SYS_EMBED_OBJECT":"${body}","items":${none}}"#, r#"{"price":3.10,"note":"say \"hi\"\n","items":null}"#),
    ] {
        assert_eq!(render(template, BODY).as_deref(), Ok(expected), "{template}");
    }
    assert_eq!(
        render(r#"{"EB_SYS_EMBED_OBJECT":"${items}"}"#, BODY).expect_err("an array cannot be embedded"),
        "cannot apply ${items} at $.data.body.items: EB_SYS_EMBED_OBJECT needs an object, found an array of 9 bytes"
    );
    assert!(render(r#"{"EB_SYS_EMBED_OBJECT":"${body}"}"#, b"\xff").is_err());
    assert!(render(r#"{"EB_SYS_EMBED_OBJECT":"${body}"}"#, b"{\"a\":1} x").is_err(), "that is text, not an object");
}

/// *Scenario*: a variable that is itself named EB_SYS_EMBED_OBJECT, mentioned by the template or not. *Guarantees*: its object is embedded once, behind
/// the template's own members where it is not mentioned; a template that is no object does without it.
#[test]
fn a_variable_of_that_name_is_embedded() {
    let render = |template: &str| {
        let value = r#"{"EB_SYS_EMBED_OBJECT":"$.data.userProperties"}"#;
        let transform = Transform::compile("TEMPLATE", Some(value), Some(template)).expect("well formed");
        let event = r#"{"data":{"userProperties":{"a":"1","b":"2"}}}"#;
        let output = transform.apply(&rocketbridge_pattern::JsonEvent::new(event)).expect("applies").into_value();
        String::from_utf8(output.expect("there is one").to_vec()).expect("text")
    };
    assert_eq!(render(r#"{"EB_SYS_EMBED_OBJECT":"${EB_SYS_EMBED_OBJECT}","c":3}"#), r#"{"a":"1","b":"2","c":3}"#);
    assert_eq!(render(r#" {"b":"own"}"#), r#"{"b":"own","a":"1"}"#);
    assert_eq!(render("{}"), r#"{"a":"1","b":"2"}"#);
    assert_eq!(render("[1]"), "[1]");
    assert_eq!(render("text"), "text");
}

/// *Scenario*: templates and variables with one fault each. *Guarantees*: refused with the part and the rule.
#[test]
fn faults_are_refused() {
    let error =
        |value: &str, template: &str| Transform::compile("TEMPLATE", Some(value), Some(template)).expect_err("it is refused").to_string();
    assert_eq!(error("{}", "${x}"), "Template: found the unknown variable \"x\"; rule: variables that Value defines: none");
    assert_eq!(error("", "${x"), "Template: found ${ without } at byte 0; rule: ${name}; write $${ for the characters ${");
    assert_eq!(error(r#"{"a":"${b}"}"#, ""), "Value: found a variable inside the variable \"a\"; rule: variables do not nest");
    assert_eq!(error("", "${a${b}}"), "Template: found a variable inside a variable at byte 0; rule: variables do not nest");
    assert_eq!(error("", &"x".repeat(10_241)), "Template: found 10241 characters; rule: at most 10240 characters");
    for (value, template) in [
        ("[]", ""),
        ("{", ""),
        (r#"{"a":1}"#, ""),
        (r#"{"a b":"$.x"}"#, ""),
        (r#"{"a":"$..x"}"#, ""),
        (r#"{"a":"$.x"}"#, r#"["EB_SYS_EMBED_OBJECT"]"#),
        (r#"{"a":"$.x"}"#, r#"{"EB_SYS_EMBED_OBJECT":"x${a}"}"#),
        (r#"{"a":"$.x"}"#, r#"{"b":{"EB_SYS_EMBED_OBJECT":"${a}"}}"#),
        (r#"{"a":"$.x"}"#, "EB_SYS_EMBED_OBJECT ${a}"),
        (r#"{"a":"$.x"}"#, r#"{"EB_SYS_EMBED_OBJECT":"${a}","${a}":1}"#),
    ] {
        assert!(Transform::compile("TEMPLATE", Some(value), Some(template)).is_err(), "{value} {template}");
    }
    assert!(Transform::compile("TEMPLATE", Some("{}"), None).is_err());
}

/// *Scenario*: a template that repeats a large body. *Guarantees*: an error at the limit, not the memory of all repetitions.
#[test]
fn output_is_bounded() {
    let error = render(&"${body}".repeat(1_000), &vec![b'x'; 250_000]).expect_err("the output is over the limit");
    assert_eq!(error, "cannot apply TEMPLATE at the output: it is over 4194304 bytes");
}
