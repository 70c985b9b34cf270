//! What a user writes, along its whole way: from a file over the API and the store to a filter.

use bytes::Bytes;
use proptest::prelude::*;
use rocketbridge_codec::definition::{Definition, protobuf, read_definitions, stored};
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::session::ParameterKey;
use rocketbridge_model::validate::{Known, resolve, stream};
use rocketbridge_model::{Envelope, Event, Origin, StreamDefinition};
use rocketbridge_program::{Compiler, Program, Verdict};

/// The rest of a stream, in YAML's flow style, which is JSON too.
const REST: &str = concat!(
    r#""source": {"source_rocketmq_parameters": {"topic": "t", "instance_endpoint": "127.0.0.1:9876"}}, "#,
    r#""sink": {"sink_rocketmq_parameters": {"topic": {"value": "c", "form": "CONSTANT"}, "#,
    r#""instance_endpoint": {"value": "127.0.0.1:9876", "form": "CONSTANT"}, "#,
    r#""body": {"value": "$.data.body.n", "form": "JSONPATH"}, "keys": {"value": ".data.body.n | type", "form": "EXPRESSION"}}}"#
);

/// Reads a file, sends the stream through the API's messages, stores it, and reads it back.
fn along(file: &str) -> Result<StreamDefinition, String> {
    let documents = read_definitions(file, "f").map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
    let Some(Definition::Stream(definition)) = documents.into_iter().map(|document| document.definition).next() else {
        return Err("not a stream".to_owned());
    };
    let received = protobuf::stream_from(protobuf::stream_to(*definition));
    stream(&received, &Known::default(), &Compiler::default())
        .map_err(|violations| violations.iter().map(ToString::to_string).collect::<String>())?;
    let record = StreamRecord { uid: "u".to_owned(), definition: received, ..StreamRecord::default() };
    let record: StreamRecord = stored::decode("k", &stored::encode(record)).map_err(|error| error.to_string())?;
    Ok(record.definition)
}

/// What a filter makes of a body.
fn verdict(definition: StreamDefinition, body: &str) -> Verdict {
    let record = StreamRecord { uid: "u".to_owned(), definition, ..StreamRecord::default() };
    let resolved = resolve(&record, &Known::default()).expect("it was checked");
    let program = Program::compile(&resolved, &Compiler::default()).expect("the API took it");
    let envelope = Envelope { body: Bytes::copy_from_slice(body.as_bytes()), ..Envelope::default() };
    program.evaluate(&Event { offset: 0, envelope, attributes: None }, &Origin::default())
}

fn body_of(verdict: &Verdict) -> Option<&[u8]> {
    let Verdict::Matched(parameters) = verdict else { return None };
    parameters.iter().find(|parameter| parameter.key == ParameterKey::Body)?.value.as_deref()
}

/// A stream whose pattern is an object, in JSON, and in YAML's block style.
fn files(value: &str, dialect: &str) -> [String; 2] {
    let pattern = format!(r#"{{"data": {{"body": {{"n": [{value}]}}}}}}"#);
    [
        format!(r#"{{"kind": "Stream", "name": "s", "filter_pattern_dialect": "{dialect}", "filter_pattern": {pattern}, {REST}}}"#),
        format!(
            "kind: Stream\nname: s\nfilter_pattern_dialect: {dialect}\nfilter_pattern:\n  data:\n    body:\n      n:\n      - {value}\n{}\n",
            REST.replacen("\"sink\"", "\n\"sink\"", 1).replace(", \n", "\n")
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// *Scenario*: any number of JSON in a pattern that is an object, in both languages and dialects. *Guarantees*: the filter wants events with exactly that
    /// number, with all its digits, and passes its text on; in the dialect of texts another form of it does not match.
    #[test]
    fn a_number_arrives_as_it_was_written(
        whole in "0|[1-9][0-9]{0,25}", fraction in "(\\.[0-9]{1,20})?", exponent in "([eE][+-]?[1-9])?", sign in "-?"
    ) {
        let number = format!("{sign}{whole}{fraction}{exponent}");
        for dialect in ["default", "alibaba"] {
            for file in files(&number, dialect) {
                let definition = along(&file).map_err(TestCaseError::fail)?;
                prop_assert_eq!(&definition.filter_pattern, &format!(r#"{{"data":{{"body":{{"n":[{number}]}}}}}}"#));
                let found = verdict(definition.clone(), &format!(r#"{{"n": {number}}}"#));
                prop_assert_eq!(body_of(&found), Some(number.as_bytes()), "{:?}", found);
                let digit = format!("{sign}{whole}{fraction}1{exponent}");
                let longer = if fraction.is_empty() { format!("{sign}{whole}.1{exponent}") } else { digit };
                prop_assert_eq!(verdict(definition, &format!(r#"{{"n": {longer}}}"#)), Verdict::Filtered);
            }
        }
    }

    /// *Scenario*: strings with any escapes, halves of surrogates among them, in a pattern that is an object and in the event. *Guarantees*: the filter wants that
    /// string, and its expressions work on the event.
    #[test]
    fn a_string_arrives_as_it_was_written(parts in prop::collection::vec("[a-z]|\\\\u(d83d|de00|0041|00e9)|\\\\n|\\\\\\\\", 1..6)) {
        let string = format!("\"{}\"", parts.concat());
        let [json, _] = files(&string, "default");
        let definition = along(&json).map_err(TestCaseError::fail)?;
        prop_assert!(definition.filter_pattern.contains(&string));
        let found = verdict(definition, &format!(r#"{{"n": {string}}}"#));
        prop_assert!(body_of(&found).is_some(), "{:?}", found);
        let Verdict::Matched(parameters) = &found else { return Err(TestCaseError::fail("filtered")) };
        let keys = parameters.iter().find(|parameter| parameter.key == ParameterKey::Keys).and_then(|parameter| parameter.value.as_deref());
        prop_assert_eq!(keys, Some(&b"string"[..]));
    }
}

/// *Scenario*: a key twice in a pattern, as an object and as text, in both languages. *Guarantees*: refused before anything is stored, with both places.
#[test]
fn a_key_that_occurs_twice_never_arrives() {
    let json = |pattern: &str| format!(r#"{{"kind": "Stream", "name": "s", "filter_pattern": {pattern}, {REST}}}"#);
    let object = along(&json(r#"{"a": [1], "a": [2]}"#)).expect_err("an object");
    assert!(
        object.contains("filter_pattern.a: found \"a\"; the key occurs twice, at line 1, column 52 and at line 1, column 62"),
        "{object}"
    );
    let text = along(&json(r#""{\"a\": [1], \"a\": [2]}""#)).expect_err("a text");
    assert!(text.contains("filter_pattern.$.a: found the key twice, at line 1, column 2 and at line 1, column 12"), "{text}");
}
