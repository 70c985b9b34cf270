//! Validation with the real compiler, of whatever anybody may send.

use proptest::prelude::*;
use rocketbridge_codec::definition::fields::{Described, Field, Shape};
use rocketbridge_model::StreamDefinition;
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::validate::{self, Known};
use rocketbridge_program::Compiler;
use serde_json::{Map, Value};

/// Words that get past the first checks, and texts that do not.
fn text() -> impl Strategy<Value = String> {
    let words = [
        "",
        "orders",
        "CONSTANT",
        "JSONPATH",
        "TEMPLATE",
        "ORIGINAL",
        "$.data.body",
        "$.data[?(@.a",
        "{}",
        r#"{"a":[{"prefix":"b"}]}"#,
        "{\"a\":",
        "CONSUME_FROM_TIMESTAMP",
        "Cloud_4",
        "SelfBuilt",
        "127.0.0.1:9876",
        "http://[::1]:1",
        "[::",
        "a||b|c",
        "acs:mq:::/instances/orders/topic/t",
        "acs:",
        "c/t",
        "ALL",
        "Orderly",
        "******",
        "env:",
        "file:x",
        "socks5://u:p@h:1",
        "10.0.0.0/8",
        "1::/129",
        "${a}",
        r#"{"a":"$.b"}"#,
    ];
    prop_oneof![4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".*"]
}

/// A document of these fields in which each is absent, or holds anything of its shape.
fn document(fields: &'static [Field]) -> BoxedStrategy<Value> {
    let mut object = Just(Map::new()).boxed();
    for field in fields.iter().filter(|field| !matches!(field.shape, Shape::OutputOnly)) {
        let value = proptest::option::weighted(0.8, shape(field.shape));
        object = (object, value)
            .prop_map(move |(mut object, value)| {
                object.extend(value.map(|value| (field.name.to_owned(), value)));
                object
            })
            .boxed();
    }
    object.prop_map(Value::Object).boxed()
}

fn shape(shape: Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Text | Shape::Json => text().prop_map(Value::String).boxed(),
        Shape::Count => prop_oneof![0..20_u32, any::<u32>()].prop_map(Value::from).boxed(),
        Shape::Integer => any::<i64>().prop_map(Value::from).boxed(),
        Shape::Word { words, .. } => {
            prop_oneof![proptest::sample::select(words).prop_map(str::to_owned), text()].prop_map(Value::String).boxed()
        }
        Shape::Flag => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Texts => proptest::collection::vec(text().prop_map(Value::String), 0..3).prop_map(Value::Array).boxed(),
        Shape::Message(fields) | Shape::Value(fields) => document(fields),
        Shape::Messages(fields) => proptest::collection::vec(document(fields), 0..3).prop_map(Value::Array).boxed(),
        Shape::OutputOnly => Just(Value::Null).boxed(),
    }
}

fn read<D: Described + serde::de::DeserializeOwned>(document: Value) -> D {
    serde_json::from_value(document).expect("every field has its shape")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// *Scenario*: any definitions that refer to each other or to nothing. *Guarantees*: no panic; what validation accepts resolves, and what it
    /// refuses does not become sound by being stored; no password is shown.
    #[test]
    fn whatever_is_sent_is_answered(
        stream in document(StreamDefinition::FIELDS),
        connection in document(ConnectionDefinition::FIELDS),
        network in document(NetworkDefinition::FIELDS),
    ) {
        let mut stream: StreamDefinition = read(stream);
        if let Some(source) = &mut stream.source.source_rocketmq_parameters {
            source.instance_password = rocketbridge_model::Secret::new("hunter2");
        }
        let connection: ConnectionDefinition = read(connection);
        let network: NetworkDefinition = read(network);
        let known = Known { connections: vec![connection.clone()], networks: vec![network.clone()] };
        let _ = validate::network(&network);
        let _ = validate::connection(&connection, &known);
        let answer = validate::stream(&stream, &known, &Compiler::default());
        let shown = format!("{answer:?}");
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
        let resolved = validate::resolve(&StreamRecord { definition: stream, ..Default::default() }, &known);
        prop_assert!(answer.is_err() || resolved.is_ok(), "{:?}", resolved);
    }
}
