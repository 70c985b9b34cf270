//! The rules, by what they say.

use std::time::Duration;

mod credentials;
mod networks;

use super::*;
use crate::name::{InstanceId, Revision};
use crate::network::{SecurityGroup, Vswitch};
use crate::record::Desired;
use crate::resolved::{Credentials, DeadLetterTarget, Protocol, RetryStrategy, StartPosition};
use crate::secret::{REDACTED, Secret};
use crate::stream::{
    BatchWindow, DeadLetterQueue, RetryStrategy as RetryDefinition, RunOptions, SecretParameter, SinkDefinition, SinkRocketMqParameters,
    SourceDefinition, SourceRocketMqParameters, Tag, TransformDefinition,
};

/// Compiles nothing: for what must be refused before anything is compiled.
pub(super) struct NoCompiler;

impl Checks for NoCompiler {
    fn pattern(&self, _: &str, _: PatternDialect) -> Result<(), Fault> {
        panic!("a pattern is compiled")
    }

    fn transform(&self, _: &TargetParameter) -> Result<(), Fault> {
        panic!("a transform is compiled")
    }
}

/// Finds fault with one word.
struct FindsFault;

impl Checks for FindsFault {
    fn pattern(&self, text: &str, dialect: PatternDialect) -> Result<(), Fault> {
        let fault = |place: &str| Fault {
            place: place.to_owned(),
            found: "the unknown operator \"bad\"".to_owned(),
            rule: "allowed: exists, prefix".to_owned(),
            fix: text.contains("known").then(|| "did you mean \"bed\"?".to_owned()),
        };
        match text {
            _ if dialect == PatternDialect::Alibaba => Ok(()),
            _ if text.contains("whole bad") => Err(fault("")),
            _ if text.contains("bad") => Err(fault("$.price[0].bad")),
            _ => Ok(()),
        }
    }

    fn transform(&self, parameter: &TargetParameter) -> Result<(), Fault> {
        if !parameter.value.contains("bad") {
            return Ok(());
        }
        Err(Fault { place: "value".to_owned(), found: "a wildcard at byte 2".to_owned(), rule: "allowed: a path".to_owned(), fix: None })
    }
}

fn parameter(form: &str, value: &str, template: &str) -> Option<TargetParameter> {
    Some(TargetParameter { value: value.into(), form: form.into(), template: template.into() })
}

fn constant(value: &str) -> Option<TargetParameter> {
    Some(TargetParameter::constant(value))
}

/// A stream that nothing is wrong with.
fn sound() -> StreamDefinition {
    StreamDefinition {
        name: "orders.copy".into(),
        filter_pattern: "{}".into(),
        source: SourceDefinition {
            source_rocketmq_parameters: Some(SourceRocketMqParameters {
                topic: "orders".into(),
                instance_endpoint: "127.0.0.1:9876;127.0.0.2:9876".into(),
                ..Default::default()
            }),
        },
        sink: SinkDefinition {
            sink_rocketmq_parameters: Some(SinkRocketMqParameters {
                topic: constant("copy"),
                instance_endpoint: constant("127.0.0.1:9876"),
                body: parameter("JSONPATH", "$.data.body", ""),
                properties: parameter("JSONPATH", "$.data.userProperties", ""),
                keys: parameter("JSONPATH", "$.data.systemProperties.KEYS", ""),
                tags: parameter("JSONPATH", "$.data.systemProperties.TAGS", ""),
                ..Default::default()
            }),
        },
        ..Default::default()
    }
}

fn record(definition: StreamDefinition) -> StreamRecord {
    StreamRecord {
        schema: 1,
        uid: "0123456789abcdef".into(),
        revision: Revision(7),
        desired: Desired::Running,
        definition,
        ..Default::default()
    }
}

fn source(definition: &mut StreamDefinition) -> &mut SourceRocketMqParameters {
    definition.source.source_rocketmq_parameters.as_mut().expect("given")
}

fn sink(definition: &mut StreamDefinition) -> &mut SinkRocketMqParameters {
    definition.sink.sink_rocketmq_parameters.as_mut().expect("given")
}

/// Every violation, a line each.
fn said(definition: &StreamDefinition, references: &dyn References) -> String {
    lines(stream(definition, references, &FindsFault))
}

fn lines(result: Result<(), Vec<Violation>>) -> String {
    let violations = result.err().unwrap_or_default();
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

fn cloud(name: &str, instance_type: &str, instance: &str) -> ConnectionDefinition {
    ConnectionDefinition {
        name: name.into(),
        region: "cn-qingdao".into(),
        instance_type: instance_type.into(),
        instance_id: instance.into(),
        endpoints: vec!["ns.example:80".into()],
        access_key: "ak".into(),
        secret_key: Secret::new("hidden"),
        ..Default::default()
    }
}

/// *Scenario*: a sound stream without options. *Guarantees*: every default is filled in, and copies of what a message has anyway
/// become nothing at all.
#[test]
fn a_sound_stream_resolves_with_every_default() {
    let resolved = resolve(&record(sound()), &Known::default()).expect("nothing is wrong with it");
    assert_eq!(resolved.revision, Revision(7));
    assert_eq!(resolved.source.group, "GID_rocketbridge_orders-copy_01234567");
    assert_eq!(resolved.source.start, StartPosition::Latest);
    assert_eq!(resolved.source.connection.endpoints, ["127.0.0.1:9876", "127.0.0.2:9876"]);
    assert!(resolved.source.tags.is_empty());
    let target = &resolved.target;
    assert_eq!((&target.body, &target.properties, &target.keys, &target.tags, &target.sharding_key), (&None, &None, &None, &None, &None));
    assert!(!target.orderly);
    assert_eq!((resolved.run.shards, resolved.run.throttling, resolved.run.tolerate_errors), (4, None, false));
    assert_eq!((resolved.run.retry.strategy, resolved.run.retry.attempts), (RetryStrategy::Backoff, 3));
    assert_eq!((resolved.run.batch_count, resolved.run.batch_linger), (256, Duration::from_millis(1)));
    assert_eq!(resolved.run.dead_letter, None);
    assert_eq!(said(&sound(), &Known::default()), "");
}

#[test]
fn options_and_positions_resolve() {
    let mut definition = sound();
    source(&mut definition).offset = "CONSUME_FROM_TIMESTAMP".into();
    source(&mut definition).timestamp = Some(5);
    source(&mut definition).tag = "a || b".into();
    source(&mut definition).group_id = "GID_mine".into();
    sink(&mut definition).body = parameter("JSONPATH", "$.data.body.order", "");
    sink(&mut definition).delivery_order_type = constant("Orderly");
    definition.run_options = RunOptions {
        maximum_tasks: Some(1_000),
        throttling: Some(10),
        errors_tolerance: "ALL".into(),
        batch_window: Some(BatchWindow { count_based_window: Some(10_000), time_based_window: Some(15) }),
        retry_strategy: Some(RetryDefinition {
            push_retry_strategy: "EXPONENTIAL_DECAY_RETRY".into(),
            maximum_event_age_in_seconds: Some(60),
            maximum_retry_attempts: None,
        }),
        ..Default::default()
    };
    let resolved = resolve(&record(definition), &Known::default()).expect("sound");
    assert_eq!(resolved.source.start, StartPosition::Timestamp(5));
    assert_eq!((resolved.source.tags.as_slice(), resolved.source.group.as_str()), (&["a".to_owned(), "b".into()][..], "GID_mine"));
    assert_eq!(resolved.target.body, parameter("JSONPATH", "$.data.body.order", ""));
    assert!(resolved.target.orderly);
    assert_eq!((resolved.run.shards, resolved.run.throttling, resolved.run.tolerate_errors), (64, Some(10), true));
    assert_eq!((resolved.run.batch_count, resolved.run.batch_linger), (10_000, Duration::from_secs(15)));
    assert_eq!((resolved.run.retry.attempts, resolved.run.retry.maximum_age), (176, Some(Duration::from_secs(60))));
}

/// *Scenario*: a definition in which everything is wrong. *Guarantees*: all of it is said at once, and no secret is.
#[test]
fn every_violation_is_said_at_once() {
    let definition = StreamDefinition {
        name: "orders copy!".into(),
        description: String::new(),
        filter_pattern: r#"{"bad":1}"#.into(),
        filter_pattern_dialect: "default".into(),
        tags: vec![Tag::default(), Tag { key: "a".into(), ..Default::default() }, Tag { key: "a".into(), ..Default::default() }],
        source: SourceDefinition {
            source_rocketmq_parameters: Some(SourceRocketMqParameters {
                connection: "hohot".into(),
                topic: "orders/new".into(),
                tag: "a |b".into(),
                offset: "CONSUME_FROM_FRIST_OFFSET".into(),
                group_id: "my group".into(),
                instance_type: "SelfBuild".into(),
                instance_network: "Public".into(),
                instance_endpoint: "http://ns.example:80".into(),
                instance_password: Secret::new("hunter2"),
                auth_type: "acl".into(),
                filter_type: "SQL".into(),
                filter_sql: "a > 1".into(),
                ..Default::default()
            }),
        },
        sink: SinkDefinition {
            sink_rocketmq_parameters: Some(SinkRocketMqParameters {
                topic: parameter("JSONPATH", "$.data.topic", ""),
                body: parameter("JSON_PATH", "$.data.body", ""),
                keys: parameter("JSONPATH", "data.keys", ""),
                tags: parameter("JSONPATH", "$.bad", ""),
                properties: parameter("TEMPLATE", "{}", ""),
                instance_username: constant("ak"),
                instance_password: Some(SecretParameter { value: Secret::new(REDACTED), form: "TEMPLATE".into(), ..Default::default() }),
                delivery_order_type: constant("Ordered"),
                ..Default::default()
            }),
        },
        transforms: vec![TransformDefinition { arn: "acs:fc:f".into() }],
        run_options: RunOptions {
            maximum_tasks: Some(0),
            throttling: Some(0),
            errors_tolerance: "SOME".into(),
            batch_window: Some(BatchWindow { count_based_window: Some(10_001), time_based_window: Some(16) }),
            retry_strategy: Some(RetryDefinition { push_retry_strategy: "BACKOF_RETRY".into(), ..Default::default() }),
            dead_letter_queue: Some(DeadLetterQueue { arn: "acs:mns:cn:1:/queues/q".into(), ..Default::default() }),
            business_option: None,
            mode: "MIROR".into(),
            loop_guard: "off".into(),
        },
    };
    let references = Known { connections: vec![cloud("hohhot", "", "")], networks: Vec::new() };
    let mut all = Findings::unlimited();
    examine(&definition, &references, &FindsFault, &mut all);
    let text = lines(Err(all.into_violations()));
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(text, include_str!("violations.golden"));
    let few = stream(&definition, &references, &FindsFault).expect_err("as before");
    assert_eq!(few.len(), 21, "the first 20, and how many more");
    let more = text.lines().count() - 20;
    assert_eq!(few[20].to_string(), format!("{more} more violations are not shown; correct those that are shown first"));
}

/// *Scenario*: each dialect, none, and a word that is none. *Guarantees*: the pattern is checked and resolved in its dialect; the word is refused.
#[test]
fn a_pattern_is_checked_in_its_dialect() {
    let with = |dialect: &str| StreamDefinition { filter_pattern: "bad".into(), filter_pattern_dialect: dialect.into(), ..sound() };
    assert_eq!(said(&with("alibaba"), &Known::default()), "");
    assert_eq!(said(&with(""), &Known::default()), said(&with("default"), &Known::default()));
    assert!(said(&with(""), &Known::default()).starts_with("filter_pattern.$.price"));
    let expected = "filter_pattern_dialect: found \"alibabba\"; one of default, alibaba is allowed; did you mean alibaba?\n";
    assert_eq!(said(&with("alibabba"), &Known::default()), expected);
    let resolved = |dialect: &str| resolve(&record(with(dialect)), &Known::default()).map(|resolved| resolved.dialect);
    assert_eq!((resolved("alibaba"), resolved("")), (Ok(PatternDialect::Alibaba), Ok(PatternDialect::Default)));
    assert!(resolved("7").is_err());
}

/// *Scenario*: patterns and transforms that do not compile. *Guarantees*: the field leads to the place in them; the fix is the compiler's where
/// it has one.
#[test]
fn what_does_not_compile_is_refused_at_its_place() {
    let refused = |pattern: &str, body: Option<TargetParameter>| {
        let mut definition = StreamDefinition { filter_pattern: pattern.into(), ..sound() };
        sink(&mut definition).body = body;
        said(&definition, &Known::default())
    };
    assert_eq!(
        refused("bad", None),
        "filter_pattern.$.price[0].bad: found the unknown operator \"bad\"; allowed: exists, prefix; write what is allowed there; \
         rocketbridge pattern lint checks a pattern without a server\n"
    );
    assert_eq!(
        refused("bad, known", None),
        "filter_pattern.$.price[0].bad: found the unknown operator \"bad\"; allowed: exists, prefix; did you mean \"bed\"?\n"
    );
    assert_eq!(
        refused("whole bad", None),
        "filter_pattern: found the unknown operator \"bad\"; allowed: exists, prefix; write a pattern as JSON text; {} matches every event\n"
    );
    assert_eq!(
        refused("{}", parameter("EXPRESSION", "bad", "")),
        "sink.sink_rocketmq_parameters.body.value: found a wildcard at byte 2; allowed: a path; correct it, or leave body out to keep the \
         original's\n"
    );
    assert_eq!(refused("{}", parameter("EXPRESSION", ".data", "")), "");
    assert!(refused("{}", parameter("EXPRESSION", " ", "")).contains("body.value: found \" \"; EXPRESSION needs a program"));
    assert!(
        refused("{}", parameter("EXPRESSION", ".data", "x")).contains("body.template: found \"x\"; only the form TEMPLATE has a template")
    );
}

#[test]
fn an_empty_definition_says_what_is_needed() {
    assert_eq!(
        said(&StreamDefinition::default(), &Known::default()),
        "name: is missing; a name is needed; write a name of letters, digits, -, _ and .\n\
         filter_pattern: is missing; a pattern is needed; write {} to match every event\n\
         source: is missing; exactly one source is needed; write source_rocketmq_parameters with the topic to read\n\
         sink: is missing; exactly one sink is needed; write sink_rocketmq_parameters with the topic to write to\n"
    );
}

/// *Scenario*: timestamps in seconds, milliseconds, micro- and nanoseconds, and times soon after 1970. *Guarantees*: what is most likely of another unit is
/// refused with the number that was meant; a stored definition that has one goes on.
#[test]
fn a_timestamp_in_seconds_is_doubted() {
    let with = |timestamp: i64| {
        let mut definition = sound();
        source(&mut definition).offset = "CONSUME_FROM_TIMESTAMP".into();
        source(&mut definition).timestamp = Some(timestamp);
        definition
    };
    for (timestamp, unit, meant) in [
        (1_700_000_000, "seconds", "1700000000000"),
        (1_700_000_000_000_000, "microseconds", "1700000000000"),
        (1_700_000_000_123_456_789, "nanoseconds", "1700000000123"),
    ] {
        let expected = format!(
            "source.source_rocketmq_parameters.timestamp: found \"{timestamp}\"; a timestamp is in milliseconds since 1970, and this \
             looks like {unit}; write {meant}\n"
        );
        assert_eq!(said(&with(timestamp), &Known::default()), expected);
        assert!(resolve(&record(with(timestamp)), &Known::default()).is_ok());
    }
    for timestamp in [0, 5, 1_700_000_000_000, 4_102_444_800_000] {
        assert_eq!(stream(&with(timestamp), &Known::default(), &FindsFault), Ok(()), "{timestamp}");
    }
}

/// *Scenario*: names in Chinese, wholly and in part. *Guarantees*: a proposal that keeps most of the name, or none.
#[test]
fn names_in_chinese_get_proposals_that_help_or_none() {
    for (name, fix) in [
        ("上海订单", "choose a name of these characters, such as orders-1"),
        ("上海orders订单", "write \"orders\""),
        ("订单v2", "choose a name of these characters, such as orders-1"),
    ] {
        let definition = StreamDefinition { name: name.into(), ..sound() };
        let expected = format!("name: found {name:?}; a name consists of the letters a-z and A-Z, digits, -, _ and .; {fix}\n");
        assert_eq!(said(&definition, &Known::default()), expected);
    }
}

#[test]
fn a_start_position_and_its_timestamp_belong_together() {
    for (offset, timestamp, expected) in [
        ("CONSUME_FROM_TIMESTAMP", None, "is missing; CONSUME_FROM_TIMESTAMP needs a timestamp"),
        ("CONSUME_FROM_TIMESTAMP", Some(-1), "found \"-1\"; a timestamp must not be negative"),
        ("", Some(5), "found \"5\"; a timestamp is used only with CONSUME_FROM_TIMESTAMP"),
        ("CONSUME_FROM_LAST_OFFSET", Some(5), "found \"5\"; a timestamp is used only with CONSUME_FROM_TIMESTAMP"),
    ] {
        let mut definition = sound();
        source(&mut definition).offset = offset.into();
        source(&mut definition).timestamp = timestamp;
        let text = said(&definition, &Known::default());
        assert!(text.starts_with(&format!("source.source_rocketmq_parameters.timestamp: {expected}")), "{text}");
    }
}

/// *Scenario*: a mirror that is sound, and mirrors with a pattern, with each transform, with keys that decide and to an instance that lets no producer
/// choose a queue. *Guarantees*: the first is resolved as one, with its loop guard; each of the others is refused at its field; a rule may have it all.
#[test]
fn a_mirror_copies_everything_and_changes_nothing() {
    let mut definition = sound();
    definition.run_options.mode = "MIRROR".into();
    definition.filter_pattern = " { } ".into();
    let target = resolve(&record(definition.clone()), &Known::default()).expect("sound").target;
    assert!(target.mirror && target.loop_guard);
    definition.run_options.loop_guard = "OFF".into();
    assert!(!resolve(&record(definition.clone()), &Known::default()).expect("sound").target.loop_guard);

    definition.filter_pattern = r#"{"source":["a"]}"#.into();
    source(&mut definition).tag = "paid".into();
    let parameters = sink(&mut definition);
    parameters.body = parameter("JSONPATH", "$.data.body.id", "");
    parameters.properties = parameter("TEMPLATE", "", "{}");
    parameters.keys = constant("k");
    parameters.sharding_key = constant("s");
    parameters.delivery_order_type = constant("Orderly");
    parameters.instance_type = constant("Cloud_5");
    parameters.instance_id = constant("rmq-1");
    let text = said(&definition, &Known::default());
    let fields: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
    let path = |name: &str| format!("sink.sink_rocketmq_parameters.{name}");
    let expected = ["body", "properties", "keys", "sharding_key", "delivery_order_type.value", "instance_protocol.value"].map(path);
    assert_eq!(fields[..2], ["filter_pattern", "source.source_rocketmq_parameters.tag"], "{text}");
    assert_eq!(fields[2..], expected, "{text}");
    definition.run_options.mode = "RULE".into();
    assert_eq!(said(&definition, &Known::default()), "");
    // The connection says it too.
    definition.run_options.mode = "MIRROR".into();
    definition.filter_pattern = "{}".into();
    source(&mut definition).tag = "*".into();
    let references = Known { connections: vec![cloud("five", "Cloud_5", "rmq-1")], networks: Vec::new() };
    *sink(&mut definition) = SinkRocketMqParameters { topic: constant("copy"), connection: constant("five"), ..Default::default() };
    assert!(said(&definition, &references).starts_with(&path("instance_protocol.value")));
}

/// *Scenario*: source and target are one topic, told in different ways. *Guarantees*: it is noticed each time.
#[test]
fn a_stream_into_its_own_topic_is_refused() {
    let mut definition = sound();
    sink(&mut definition).topic = constant("orders");
    assert!(said(&definition, &Known::default()).contains("same topic of the same instance"));
    sink(&mut definition).instance_endpoint = constant("other:9876");
    assert_eq!(said(&definition, &Known::default()), "");

    let references = Known { connections: vec![cloud("q", "Cloud_4", "MQ_INST_1")], networks: Vec::new() };
    *source(&mut definition) = SourceRocketMqParameters { topic: "MQ_INST_1%orders".into(), connection: "q".into(), ..Default::default() };
    *sink(&mut definition) = SinkRocketMqParameters { topic: constant("orders"), instance_id: constant("MQ_INST_1"), ..Default::default() };
    assert!(said(&definition, &references).contains("same topic of the same instance"));
}

#[test]
fn the_namespace_follows_from_the_kind_of_instance() {
    let namespace = |connection: ConnectionDefinition| {
        let mut definition = sound();
        *source(&mut definition) = SourceRocketMqParameters { topic: "t".into(), connection: "c".into(), ..Default::default() };
        let references = Known { connections: vec![connection], networks: Vec::new() };
        let source = resolve(&record(definition), &references).expect("sound").source;
        let Some(Credentials::Static(keys)) = source.connection.credentials else { panic!("the connection has keys") };
        assert_eq!(keys.access_key, "ak");
        source.connection.namespace
    };
    assert_eq!(namespace(cloud("c", "Cloud_4", "MQ_INST_1")), "MQ_INST_1");
    assert_eq!(namespace(cloud("c", "CLOUD_4", "MQ_INST_1")), "MQ_INST_1");
    assert_eq!(namespace(cloud("c", "Cloud_5", "rmq-1")), "");
    assert_eq!(namespace(cloud("c", "", "anything")), "");
    assert_eq!(namespace(ConnectionDefinition { namespace: "own".into(), ..cloud("c", "Cloud_4", "MQ_INST_1") }), "own");
}

/// *Scenario*: every type of instance with every word for the protocol, said by the stream and by its connection. *Guarantees*: what is said counts, the
/// stream's word first; else the type decides; what a type does not have is refused.
#[test]
fn the_protocol_is_said_or_follows_from_the_kind_of_instance() {
    let resolved = |connection: ConnectionDefinition, word: &str| {
        let mut definition = sound();
        *source(&mut definition) =
            SourceRocketMqParameters { topic: "t".into(), connection: "c".into(), instance_protocol: word.into(), ..Default::default() };
        let references = Known { connections: vec![connection], networks: Vec::new() };
        resolve(&record(definition), &references).map(|stream| stream.source.connection.protocol)
    };
    let with = |protocol: &str| ConnectionDefinition { protocol: protocol.into(), ..cloud("c", "", "") };
    assert_eq!(resolved(cloud("c", "", ""), ""), Ok(Protocol::Detected));
    assert_eq!(resolved(cloud("c", "", ""), "Grpc"), Ok(Protocol::Grpc));
    assert_eq!(resolved(cloud("c", "Cloud_4", "i"), ""), Ok(Protocol::Remoting));
    assert_eq!(resolved(cloud("c", "Cloud_5", "i"), ""), Ok(Protocol::Grpc));
    assert_eq!(resolved(cloud("c", "Cloud_5", "i"), "Remoting"), Ok(Protocol::Remoting));
    assert_eq!((resolved(with("Grpc"), ""), resolved(with("Grpc"), "Remoting")), (Ok(Protocol::Grpc), Ok(Protocol::Remoting)));
    let refused = |connection: ConnectionDefinition, word: &str| lines(resolved(connection, word).map(drop));
    let field = "source.source_rocketmq_parameters.instance_protocol";
    assert_eq!(
        refused(cloud("c", "Cloud_4", "i"), "Grpc"),
        format!(
            "{field}: found \"Grpc\"; an instance of type Cloud_4 supports remoting only; write Remoting, or leave the field out; an \
             instance with proxies is of type Cloud_5 or SelfBuilt\n"
        )
    );
    assert_eq!(
        refused(cloud("c", "", ""), "GRPC"),
        format!("{field}: found \"GRPC\"; one of Remoting, Grpc is allowed; did you mean Grpc?\n")
    );
    let connection = ConnectionDefinition { endpoints: vec!["mq.example".into()], ..with("Grpc") };
    let expected = "endpoints[0]: found \"mq.example\"; a proxy is host:port; write a port, such as mq.example:8081\n";
    assert_eq!(lines(super::connection(&connection, &Known::default())), expected);
    let four = ConnectionDefinition { protocol: "Grpc".into(), ..cloud("c", "Cloud_4", "i") };
    assert!(lines(super::connection(&four, &Known::default())).starts_with("protocol: found \"Grpc\"; an instance of type Cloud_4"));
}

/// *Scenario*: an SQL expression with and without its type, with a tag, over both protocols, and one that is none. *Guarantees*: it is taken as it is,
/// or refused with where it is wrong and what to write.
#[test]
fn an_sql_expression_belongs_to_its_type() {
    let with = |filter_type: &str, sql: &str, tag: &str, protocol: &str| {
        let mut definition = sound();
        let source = source(&mut definition);
        (source.filter_type, source.filter_sql) = (filter_type.into(), sql.into());
        (source.tag, source.instance_protocol) = (tag.into(), protocol.into());
        definition
    };
    for protocol in ["Grpc", "Remoting"] {
        let resolved = resolve(&record(with("Sql", " a > 1 ", "*", protocol)), &Known::default()).expect("sound");
        assert_eq!(resolved.source.sql.as_deref(), Some("a > 1"));
    }
    for (definition, expected) in [
        (with("Sql", "", "", "Grpc"), "filter_sql: is missing; Sql needs an expression"),
        (with("", "a > 1", "", "Grpc"), "filter_sql: found \"a > 1\"; an expression belongs to filter_type Sql alone"),
        (with("Sql", "a > 1", "x", "Grpc"), "tag: found \"x\"; with Sql the expression alone decides"),
        (with("Sql", "a > 'x'", "", ""), "filter_sql: found \"a > 'x'\"; at character 5: a text has no order"),
    ] {
        let text = said(&definition, &Known::default());
        assert!(text.starts_with(&format!("source.source_rocketmq_parameters.{expected}")) && text.lines().count() == 1, "{text}");
    }
}

#[test]
fn an_instance_without_an_endpoint_is_found_by_its_registered_connection() {
    let mut definition = sound();
    *source(&mut definition) = SourceRocketMqParameters {
        topic: "t".into(),
        instance_id: "MQ_INST_1".into(),
        instance_type: "Cloud_4".into(),
        region_id: "cn-qingdao".into(),
        ..Default::default()
    };
    let references = Known { connections: vec![cloud("c", "Cloud_4", "MQ_INST_1")], networks: Vec::new() };
    let resolved = resolve(&record(definition.clone()), &references).expect("found");
    assert_eq!(resolved.source.connection.endpoints, ["ns.example:80"]);
    let text = said(&definition, &Known::default());
    assert!(text.contains("instance_endpoint: is missing; the address of the instance is needed"), "{text}");
}

#[test]
fn dead_letters_go_to_an_instance_of_the_stream_or_to_a_connection() {
    let references = Known { connections: vec![cloud("q", "Cloud_4", "MQ_INST_1"), cloud("h", "Cloud_5", "rmq-2")], networks: Vec::new() };
    let dead_letter = |arn: &str| {
        let mut definition = sound();
        sink(&mut definition).instance_id = constant("own");
        definition.run_options.dead_letter_queue = Some(DeadLetterQueue { arn: arn.into(), ..Default::default() });
        resolve(&record(definition), &references).map(|resolved| resolved.run.dead_letter.expect("given"))
    };
    let reached = |result: Result<DeadLetterTarget, Vec<Violation>>| {
        let target = result.expect("known");
        (target.connection.instance, target.connection.endpoints[0].clone(), target.topic)
    };
    let own = reached(dead_letter("acs:mq:cn-qingdao:1:/instances/own/topic/dead"));
    assert_eq!(own, (InstanceId::new("own"), "127.0.0.1:9876".into(), "dead".into()));
    let registered = reached(dead_letter("acs:mq:cn-qingdao::/instances/rmq-2/topic/dead"));
    assert_eq!(registered, (InstanceId::new("rmq-2"), "ns.example:80".into(), "dead".into()));
    let named = reached(dead_letter("q/dead"));
    assert_eq!(named, (InstanceId::new("MQ_INST_1"), "ns.example:80".into(), "dead".into()));
    for (arn, expected) in [
        ("acs:mq:cn:1:/instances/none/topic/dead", "there is no connection for the instance none"),
        ("acs:mq:cn:1:/topic/dead", "end it with /instances/{instance}/topic/{topic}"),
        ("dead", "name a connection and a topic, with / between them"),
        ("r/dead", "there is no connection named r"),
        ("acs:mns:cn:1:/queues/q", "this version does not send dead letters to acs:mns"),
    ] {
        let violations = dead_letter(arn).expect_err("refused");
        assert_eq!(violations.len(), 1);
        assert!(violations[0].to_string().contains(expected), "{}", violations[0]);
    }
}

#[test]
fn dead_letters_do_not_flow_back_into_the_source() {
    let mut definition = sound();
    source(&mut definition).instance_id = "one".into();
    definition.run_options.dead_letter_queue =
        Some(DeadLetterQueue { arn: "acs:mq:::/instances/one/topic/orders".into(), ..Default::default() });
    assert!(said(&definition, &Known::default()).contains("dead letters would flow back into the source"));
}

#[test]
fn connections_and_networks_have_rules_of_their_own() {
    let connection = ConnectionDefinition {
        name: "a/b".into(),
        instance_type: "Cloud-4".into(),
        endpoints: vec!["a:1;b:2".into(), "c".into()],
        secret_key: Secret::new(REDACTED),
        security_token: Secret::new("hunter2"),
        network: "vpx".into(),
        ..Default::default()
    };
    let references = Known { connections: Vec::new(), networks: vec![NetworkDefinition { name: "vpc".into(), ..Default::default() }] };
    assert_eq!(
        lines(super::connection(&connection, &references)),
        "name: found \"a/b\"; a name consists of the letters a-z and A-Z, digits, -, _ and .; write \"a-b\"\n\
         instance_type: found \"Cloud-4\"; one of SelfBuilt, Cloud_4, Cloud_5 is allowed; did you mean Cloud_4?\n\
         endpoints[0]: found \"a:1;b:2\"; a name server is host:port; write each name server as an entry of its own\n\
         endpoints[1]: found \"c\"; a name server is host:port; write a port, such as c:9876\n\
         secret_key: found \"******\"; stars keep the stored secret, but no secret is stored; write the secret, or env:NAME or file:NAME\n\
         access_key: is missing; a secret key needs its access key; write the access key, or remove the secret key\n\
         security_token: found \"******\"; a token needs an access key; write access_key and secret_key, or remove the token\n\
         network: found \"vpx\"; there is no network of this name; did you mean vpc?\n"
    );
    let network = NetworkDefinition {
        name: "vpc".into(),
        egress_proxy: "https://me:hunter2@proxy:1".into(),
        vswitches: vec![Vswitch { id: "v".into(), address: "10.0.0".into() }],
        security_groups: vec![SecurityGroup {
            id: String::new(),
            egress: vec![crate::network::EgressRule { cidr: "10.0.0.1".into(), port_from: 9, port_to: 8 }],
            rules: Vec::new(),
        }],
        ..Default::default()
    };
    assert_eq!(
        lines(super::network(&network)),
        "egress_proxy: found \"https://******@proxy:1\"; an egress proxy is socks5://host:port or http://host:port; write socks5:// or http://\n\
         vswitches[0].address: found \"10.0.0\"; a vSwitch has a local address; write an IPv4 or IPv6 address of this host, without a port\n\
         security_groups[0].id: is missing; an id is needed; write the id, such as the one your cloud gave it\n\
         security_groups[0].egress[0].cidr: found \"10.0.0.1\"; addresses are given in CIDR form; write 10.0.0.1/32 for this one address\n\
         security_groups[0].egress[0].port_to: found \"8\"; the last port must not be below the first; write at least 9\n"
    );
}

#[test]
fn empty_objects_that_kits_write_are_nothing() {
    let mut definition = sound();
    sink(&mut definition).body = Some(TargetParameter::default());
    definition.run_options.dead_letter_queue = Some(DeadLetterQueue::default());
    let resolved = resolve(&record(definition), &Known::default()).expect("sound");
    assert_eq!((resolved.target.body, resolved.run.dead_letter), (None, None));
}
