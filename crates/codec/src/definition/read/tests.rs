//! What files may look like, and what is said about those that do not.

use super::*;

fn read(text: &str) -> Vec<Document> {
    read_definitions(text, "f.yaml").unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn refused(text: &str) -> String {
    let errors = read_definitions(text, "f.yaml").expect_err("something is wrong with it");
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn stream(document: &Document) -> &rocketbridge_model::StreamDefinition {
    match &document.definition {
        Definition::Stream(stream) => stream,
        other => panic!("{other:?}"),
    }
}

const NATIVE: &str = r#"# two definitions
kind: Connection
name: qingdao
endpoints: ["127.0.0.1:9876"]
---
# the stream
kind: Stream
name: orders
etag: '"0b54a8a9-5"'
state: RUNNING
filter_pattern: {data: {body: {price: [{numeric: [">", 5]}]}}}
source:
  source_rocketmq_parameters: {connection: qingdao, topic: orders, timestamp: 5}
sink:
  sink_rocketmq_parameters:
    topic: {value: copy, form: CONSTANT}
"#;

#[test]
fn native_documents_are_read() {
    let documents = read(NATIVE);
    assert_eq!(documents.iter().map(|document| document.definition.kind()).collect::<Vec<_>>(), [Kind::Connection, Kind::Stream]);
    assert_eq!(documents.iter().map(|document| document.place.line).collect::<Vec<_>>(), [Some(2), Some(7)]);
    assert_eq!(documents[1].etag, "\"0b54a8a9-5\"");
    let stream = stream(&documents[1]);
    assert_eq!(stream.filter_pattern, r#"{"data":{"body":{"price":[{"numeric":[">",5]}]}}}"#);
    assert_eq!(stream.source.source_rocketmq_parameters.as_ref().and_then(|source| source.timestamp), Some(5));
}

/// *Scenario*: one body of `CreateEventStreaming`, nested as objects and as the SDKs send it. *Guarantees*: both mean the same.
#[test]
fn a_body_of_create_event_streaming_is_read_in_both_its_forms() {
    let nested = r#"{"EventStreamingName":"s","FilterPattern":"{}","Tags":[{"Key":"a","Value":"b"}],
        "Source":{"SourceRocketMQParameters":{"InstanceType":"SelfBuilt","InstanceEndpoint":"127.0.0.1:9876","Topic":"t","Timestamp":"5","GroupID":"g"}},
        "Sink":{"SinkRocketMQParameters":{"Topic":{"Form":"CONSTANT","Value":"x"}}},"Transforms":[{"Arn":"f"}],
        "RunOptions":{"MaximumTasks":"2","BatchWindow":{"CountBasedWindow":100}}}"#;
    let texts = r#"{"EventStreamingName":"s","FilterPattern":"{}","Tags":"[{\"Key\":\"a\",\"Value\":\"b\"}]",
        "Source":"{\"SourceRocketMQParameters\":{\"InstanceType\":\"SelfBuilt\",\"InstanceEndpoint\":\"127.0.0.1:9876\",\"Topic\":\"t\",\"Timestamp\":5,\"GroupID\":\"g\"}}",
        "Sink":"{\"SinkRocketMQParameters\":{\"Topic\":{\"Form\":\"CONSTANT\",\"Value\":\"x\"}}}","Transforms":"[{\"Arn\":\"f\"}]",
        "RunOptions":"{\"MaximumTasks\":2,\"BatchWindow\":{\"CountBasedWindow\":100}}"}"#;
    let (nested, texts) = (read(nested), read(texts));
    assert_eq!(nested[0].definition, texts[0].definition);
    let stream = stream(&nested[0]);
    assert_eq!((stream.run_options.maximum_tasks, stream.tags.len(), stream.transforms.len()), (Some(2), 1, 1));
    assert_eq!(stream.source.source_rocketmq_parameters.as_ref().map(|source| source.group_id.as_str()), Some("g"));
}

/// *Scenario*: dialects in both kinds of document, in each spelling, and words that are none. *Guarantees*: a body of `CreateEventStreaming` is in
/// Alibaba's dialect and ours in none unless they say so; other words are refused with what was meant.
#[test]
fn a_pattern_has_a_dialect() {
    let dialect = |text: &str| stream(&read(text)[0]).filter_pattern_dialect.clone();
    assert_eq!(dialect(r#"{"EventStreamingName":"s"}"#), "alibaba");
    assert_eq!(dialect(r#"{"EventStreamingName":"s","FilterPatternDialect":"default"}"#), "default");
    assert_eq!(dialect("kind: Stream\nname: s\n"), "");
    assert_eq!(dialect("kind: Stream\nname: s\nfilter_pattern_dialect: alibaba\n"), "alibaba");
    assert_eq!(dialect("kind: Stream\nname: s\nfilter_pattern_dialect: PATTERN_DIALECT_ALIBABA\n"), "alibaba");
    assert_eq!(dialect("kind: Stream\nname: s\nfilter_pattern_dialect: ''\n"), "");
    assert_eq!(
        refused("kind: Stream\nname: s\nfilter_pattern_dialect: alibabba\n"),
        "f.yaml, document 1 (line 1): filter_pattern_dialect: found \"alibabba\"; one of default, alibaba is allowed; did you mean alibaba?\n"
    );
    assert!(
        refused("kind: Stream\nname: s\nfilter_pattern_dialect: 2\n").contains("found \"a number\"; one of default, alibaba is allowed")
    );
}

#[test]
fn lists_and_sequences_of_json_are_several_documents() {
    let list = r#"[{"kind":"Network","name":"a"},{"kind":"Network","name":"b"}]"#;
    assert_eq!(read(list).len(), 2);
    let sequence = read("{\"kind\":\"Network\",\"name\":\"a\"}\n\n{\"kind\":\"Network\",\"name\":\"b\"}\n");
    assert_eq!(sequence[1].place.line, Some(3));
    assert_eq!(read("{\"kind\":\"Network\",\"name\":\"a\"}\n---\n{\"kind\":\"Network\",\"name\":\"b\"}\n").len(), 2);
    assert_eq!(read("--- {kind: Network, name: a}\n---\n---\nkind: Network\nname: b\n").len(), 2);
    assert_eq!(read("- kind: Network\n  name: a\n").len(), 1);
}

#[test]
fn everything_wrong_is_said_with_file_document_and_field() {
    let text = r#"kind: Stream
name: 5
descripton: x
source:
  source_rocketmq_parameters:
    topic: [t]
    instance_pasword: hunter2
    instance_password: 12345
    timestamp: soon
sink:
  sink_rocketmq_parameters: {topic: copy, instance_password: hunter2}
tags: a
run_options: {maximum_tasks: -1, throttling: 1.5, batch_window: 3}
---
kind: stream
---
name: x
---
kind: Connection
name: c
endpoints: 127.0.0.1:9876
---
EventStreamingName: s
Source: {SourceRocketMQParameters: {Topik: t, Topic: t, topic: t}}
Sink: nonsense
FilterPatern: x
"#;
    let said = refused(text);
    assert!(!said.contains("hunter2") && !said.contains("12345"), "{said}");
    assert_eq!(said, include_str!("errors.golden"));
}

#[test]
fn what_is_neither_yaml_nor_json_is_said_with_its_place() {
    assert_eq!(
        refused("kind: Network\nname: a\n---\nkind: [\n"),
        "f.yaml, document 2 (line 4): not YAML: while parsing a node, did not find expected node content at line 5, column 1\n"
    );
    assert_eq!(refused("{\"kind\": \"Network\",\n"), "f.yaml, document 1 (line 1): not JSON: expected a string at line 2, column 1\n");
    assert_eq!(refused("# nothing\n"), "f.yaml, document 1: there is no definition in it\n");
    assert_eq!(
        refused("kind: Network\nname: !env a\n"),
        "f.yaml, document 1 (line 1): not YAML: name: tags such as !env are not read at line 2, column 12\n"
    );
    assert_eq!(
        refused("a\n"),
        "f.yaml, document 1 (line 1): kind: found \"a text\"; a document is an object with a kind; write kind: Stream and the stream's fields\n"
    );
}

/// *Scenario*: patterns as objects, in YAML and JSON, with numbers that no double holds. *Guarantees*: every digit is stored as it was written; a number that only
/// YAML can write is refused with its place, and so is one in place of a text, without being rewritten.
#[test]
fn a_pattern_written_as_an_object_keeps_every_digit() {
    for number in ["37.807807921694092", "12345678901234567890123", "3.0e2", "1e400", "1e3", "-0.0"] {
        let expected = format!("{{\"a\":[{number}]}}");
        let of = |text: &str| stream(&read(text)[0]).filter_pattern.clone();
        assert_eq!(of(&format!("kind: Stream\nname: s\nfilter_pattern:\n  a:\n  - {number}\n")), expected);
        assert_eq!(of(&format!("kind: Stream\nname: s\nfilter_pattern: {{a: [{number}]}}\n")), expected);
        assert_eq!(of(&format!("{{\"kind\":\"Stream\",\"name\":\"s\",\"filter_pattern\":{{\"a\": [{number}]}}}}")), expected);
        assert_eq!(of(&format!("{{\"EventStreamingName\":\"s\",\"FilterPattern\":{{\"a\":[{number}]}}}}")), expected);
    }
    assert_eq!(
        refused("kind: Stream\nname: s\nfilter_pattern:\n  a: [0x10]\n"),
        "f.yaml, document 1 (line 1): filter_pattern: found \"0x10\"; a JSON number is needed at line 4, column 7; write it as JSON does, such as \
         16 or 0.5e3, or \"0x10\" in quotes for a text\n"
    );
    for number in ["1e3", "0x10", "1.50", "12345678901234567890123"] {
        let expected = format!("f.yaml, document 1 (line 1): name: found \"{number}\"; text is needed; write \"{number}\", in quotes\n");
        assert_eq!(refused(&format!("kind: Stream\nname: {number}\n")), expected);
    }
    let hexadecimal = "kind: Stream\nname: s\nrun_options: {maximum_tasks: 0x10}\n";
    assert_eq!(stream(&read(hexadecimal)[0]).run_options.maximum_tasks, Some(16));
}

/// *Scenario*: keys that occur twice: in JSON, in YAML, in a pattern, in JSON text that an SDK wrote, under two names of one field. *Guarantees*: refused
/// with line and column of both places.
#[test]
fn a_key_that_occurs_twice_is_refused_with_both_places() {
    for (text, expected) in [
        (
            "{\"kind\": \"Network\", \"name\": \"a\",\n \"name\": \"b\"}",
            "name: found \"name\"; the key occurs twice, at line 1, column 21 and at line 2, column 2; remove one of the two",
        ),
        (
            "kind: Network\nname: a\nname: b\n",
            "name: found \"name\"; the key occurs twice, at line 2, column 1 and at line 3, column 1; remove one of the two",
        ),
        (
            r#"{"EventStreamingName":"s","FilterPattern":{"a":[1],"a":[2]}}"#,
            "FilterPattern.a: found \"a\"; the key occurs twice, at line 1, column 44 and at line 1, column 52; remove one of the two",
        ),
        (
            r#"{"EventStreamingName":"s","FilterPattern":"{}","FilterPattern":"{}"}"#,
            "FilterPattern: found \"FilterPattern\"; the key occurs twice, at line 1, column 27 and at line 1, column 48; remove one of the two",
        ),
        (
            r#"{"EventStreamingName":"s","Source":"{\"SourceRocketMQParameters\":{\"Topic\":\"a\",\"Topic\":\"b\"}}"}"#,
            "Source.SourceRocketMQParameters.Topic: found \"Topic\"; the key occurs twice in its text, at line 1, column 30 and at line 1, column \
             42; remove one of the two",
        ),
        (
            "kind: Stream\nname: s\nEventStreamingName: t\n",
            "EventStreamingName: found \"EventStreamingName\"; the field is given twice, as name at line 2, column 1 and as EventStreamingName at \
             line 3, column 1; remove one of the two",
        ),
    ] {
        assert_eq!(refused(text), format!("f.yaml, document 1 (line 1): {expected}\n"), "{text}");
    }
}

#[test]
fn a_definition_stands_once() {
    assert_eq!(
        refused("kind: Network\nname: a\n---\nkind: Network\nname: a\n"),
        "f.yaml, document 2 (line 4): name: found \"a\"; document 1 defines the same network; remove one of the two, or rename it\n"
    );
}
