//! Patterns and transforms in running streams: what is matched, what arrives, and what becomes of an event that a transform cannot be applied to.

#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rocketbridge_connector_rocketmq::{Message, REASON_PROPERTY, Tail};
use rocketbridge_harness::{Api, Brokers, Kind, Route, Standalone};
use rocketbridge_model::Event;
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_proto::stream::v1::{
    DeadLetterQueue, PatternDialect, RunOptions, SinkRocketMqParameters, Stream, StreamStatus, TargetParameter, sink,
};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);
const BINARY: &[u8] = &[0, 159, 146, 150, 255];

/// *Scenario*: one standalone, and streams with patterns and transforms of every kind between two embedded clusters. *Guarantees*: as its parts say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_match_and_reshape() {
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let place = Place { api: standalone.api().await, brokers };
    place.patterns_choose().await;
    tokio::join!(place.transforms_reshape(), place.what_cannot_be_transformed_is_a_dead_letter(), place.refusals_lead_to_their_place());
    drop(standalone);
    place.brokers.stop().await;
}

struct Place {
    api: Api,
    brokers: Brokers,
}

/// A message that is sent; its key says which it is.
fn message(key: &str, tag: &str, properties: &[(&str, &str)], body: &[u8]) -> Message {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Message {
        keys: key.to_owned(),
        tags: tag.to_owned(),
        properties,
        body: Bytes::copy_from_slice(body),
        queue: Some(0),
        ..Message::default()
    }
}

/// One message of each kind that the patterns tell apart.
fn messages() -> Vec<Message> {
    vec![
        message("dear", "paid", &[("path", "eu/orders/7"), ("ip", "10.1.2.3")], br#"{"price":12.5,"limit":20,"lines":[{"sku":"a1"}]}"#),
        message("cheap", "open", &[("path", "eu/bills/7"), ("ip", "192.168.0.1")], br#"{"price":3.0e0,"limit":2,"code":"AB-12"}"#),
        message("300", "void", &[("path", "us/orders/1")], br#"{"price":300,"limit":300,"note":null}"#),
        message("text", "", &[("ip", "10.9.9.9")], "größer".as_bytes()),
        message("binary", "paid", &[], BINARY),
    ]
}

fn parameter(form: &str, value: &str, template: &str) -> Option<TargetParameter> {
    Some(TargetParameter { form: form.to_owned(), value: value.to_owned(), template: template.to_owned() })
}

fn with_sink(mut stream: Stream, change: impl FnOnce(&mut SinkRocketMqParameters)) -> Stream {
    match stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()) {
        Some(sink::Sink::SinkRocketmqParameters(parameters)) => change(parameters),
        None => panic!("a route has a sink"),
    }
    stream
}

fn key_of(event: &Event) -> String {
    event.envelope.properties.get("KEYS").unwrap_or_default().to_owned()
}

impl Place {
    fn route(&self, source: &str, target: &str) -> Route {
        let mut route = Route::new(&format!("stream-{target}"), source, &self.brokers.source, &self.brokers.target);
        route.target.1 = target.to_owned();
        route
    }

    async fn send(&self, topic: &str, messages: &[Message]) {
        for result in self.brokers.source.admin().producer(topic).send(messages).await {
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// The next so many messages of a topic at the target.
    async fn arrivals(&self, topic: &str, count: usize) -> Vec<Event> {
        let begun = self.brokers.target.admin().tail(topic, &[], StartPosition::Earliest).await;
        let mut tail: Tail = begun.unwrap_or_else(|error| panic!("{error}"));
        let mut events = Vec::new();
        let all = async {
            while events.len() < count {
                // A failure is reported once, and reading continues after it.
                if let Ok(tailed) = tail.next().await {
                    events.push(tailed.event);
                }
            }
        };
        if tokio::time::timeout(DEADLINE, all).await.is_err() {
            panic!("{topic}: {count} messages should arrive, these did: {:?}", events.iter().map(key_of).collect::<Vec<_>>());
        }
        events
    }

    async fn wait_for_counts(&self, stream: &str, delivered: u64, filtered: u64) {
        let counted = |status: &StreamStatus| {
            status.counts.as_ref().is_some_and(|counts| counts.delivered == delivered && counts.filtered == filtered)
        };
        self.api.wait(stream, &format!("counts {delivered} delivered and {filtered} filtered"), DEADLINE, counted).await;
    }

    /// *Scenario*: one stream for each operator over the same five messages: bodies that are JSON, other text, and not even text. *Guarantees*: each
    /// stream delivers exactly the messages that its pattern matches and counts the others as filtered; a body that is not JSON is data, not an error.
    async fn patterns_choose(&self) {
        let default = PatternDialect::Unspecified;
        let alibaba = PatternDialect::Alibaba;
        let cases: [(&str, PatternDialect, Value, &[&str]); 14] = [
            ("numeric", default, json!({"data": {"body": {"price": [{"numeric": [">", 3, "<=", 300]}]}}}), &["dear", "300"]),
            (
                "anything-but",
                default,
                json!({"data": {"systemProperties": {"TAGS": [{"anything-but": ["open", "void"]}]}}}),
                &["dear", "binary"],
            ),
            ("wildcard", default, json!({"data": {"userProperties": {"path": [{"wildcard": "*/orders/*"}]}}}), &["dear", "300"]),
            (
                "or",
                default,
                json!({"$or": [{"data": {"body": {"code": [{"prefix": "AB"}]}}}, {"data": {"systemProperties": {"KEYS": ["binary"]}}}]}),
                &["cheap", "binary"],
            ),
            ("cidr", default, json!({"data": {"userProperties": {"ip": [{"cidr": "10.0.0.0/8"}]}}}), &["dear", "text"]),
            (
                "exists",
                default,
                json!({"data": {"body": {"note": [{"exists": true}]}, "userProperties": {"ip": [{"exists": false}]}}}),
                &["300"],
            ),
            ("regexp", default, json!({"data": {"body": {"code": [{"regexp": "[A-Z]{2}-[0-9]+"}]}}}), &["cheap"]),
            (
                "all-of",
                default,
                json!({"data": {"body": {"price": [{"all-of": [{"numeric": [">", 1]}, {"anything-but": 300}]}]}}}),
                &["dear", "cheap"],
            ),
            ("field", default, json!({"data": {"body": {"price": [{"numeric": ["<", {"field": "$.data.body.limit"}]}]}}}), &["dear"]),
            ("text-body", default, json!({"data": {"body": ["größer"]}}), &["text"]),
            ("body-there", default, json!({"data": {"body": [{"exists": true}]}}), &["text", "binary"]),
            ("by-value", default, json!({"data": {"body": {"price": [3, 300.0]}}}), &["cheap", "300"]),
            ("by-text", alibaba, json!({"data": {"body": {"price": ["300", 12.5, 3]}}}), &["dear", "300"]),
            ("exists-path", alibaba, json!({"data": {"body": {"lines": [{"exists": true}]}}}), &["dear"]),
        ];
        self.brokers.source.create_topic("events", 1).await;
        self.send("events", &messages()).await;
        let running = cases.iter().map(|(name, dialect, pattern, wanted)| async move {
            let target = format!("to-{name}");
            self.brokers.target.create_topic(&target, 1).await;
            let route = Route { pattern: pattern.to_string(), ..self.route("events", &target) };
            let stream = Stream { filter_pattern_dialect: (*dialect).into(), ..route.stream() };
            self.api.run(stream).await;
            let expected: Vec<Message> = messages().into_iter().filter(|message| wanted.contains(&message.keys.as_str())).collect();
            self.wait_for_counts(&route.name, expected.len() as u64, 5 - expected.len() as u64).await;
            let arrived = self.arrivals(&target, expected.len()).await;
            for (message, event) in expected.iter().zip(&arrived) {
                assert_eq!((key_of(event).as_str(), &event.envelope.body), (message.keys.as_str(), &message.body), "{name}");
            }
            self.api.delete(&route.name).await;
        });
        futures::future::join_all(running).await;
    }

    /// *Scenario*: a stream for each form of transform over the same messages. *Guarantees*: body, keys, tags and properties are what each form makes of
    /// the event; what no parameter names stays as it was, and a binary body that no form reads arrives byte for byte.
    async fn transforms_reshape(&self) {
        self.brokers.source.create_topic("reshape", 1).await;
        let sent = [
            message("json", "paid", &[("colour", "red \"x\""), ("size", "7")], br#"{"price":3.10,"lines":[{"n":1},{"n":2}]}"#),
            message("binary", "open", &[("colour", "blue")], BINARY),
        ];
        self.send("reshape", &sent).await;
        tokio::join!(self.by_template(), self.by_path(), self.by_constant(), self.by_expression(), self.by_original());
    }

    async fn reshaped(&self, target: &str, change: impl FnOnce(&mut SinkRocketMqParameters)) -> Vec<Event> {
        self.brokers.target.create_topic(target, 1).await;
        let stream = with_sink(self.route("reshape", target).stream(), change);
        let name = stream.name.clone();
        self.api.run(stream).await;
        let arrived = self.arrivals(target, 2).await;
        self.api.delete(&name).await;
        assert_eq!(arrived.len(), 2, "{target}");
        arrived
    }

    async fn by_template(&self) {
        let arrived = self
            .reshaped("template", |sink| {
                let variables = r#"{"price":"$.data.body.price","key":"$.data.systemProperties.KEYS","body":"$.data.body"}"#;
                sink.body = parameter("TEMPLATE", variables, r#"{"price":${price},"text":"<${key}>","whole":${body}}"#);
                let variables = r#"{"user":"$.data.userProperties","id":"$.id"}"#;
                sink.properties = parameter("TEMPLATE", variables, r#"{"EB_SYS_EMBED_OBJECT":"${user}","size":"own","from":"${id}"}"#);
            })
            .await;
        let body: Value = serde_json::from_slice(&arrived[0].envelope.body).expect("JSON");
        assert_eq!(body, json!({"price": 3.1, "text": "<json>", "whole": {"price": 3.1, "lines": [{"n": 1}, {"n": 2}]}}));
        let body: Value = serde_json::from_slice(&arrived[1].envelope.body).expect("JSON");
        assert_eq!(body, json!({"price": null, "text": "<binary>", "whole": "AJ+Slv8="}));
        let user: Vec<BTreeMap<&str, &str>> = arrived
            .iter()
            .map(|event| event.envelope.properties.iter().filter(|(name, _)| ["colour", "size", "from"].contains(name)).collect())
            .collect();
        assert_eq!((user[0].get("colour"), user[0].get("size")), (Some(&"red \"x\""), Some(&"own")));
        assert_eq!((user[1].get("colour"), user[1].get("size")), (Some(&"blue"), Some(&"own")));
        assert!(user.iter().all(|properties| properties.get("from").is_some_and(|id| !id.is_empty())), "{user:?}");
        assert_eq!(arrived.iter().map(key_of).collect::<Vec<_>>(), ["json", "binary"], "what no parameter names stays");
    }

    async fn by_path(&self) {
        let arrived = self
            .reshaped("path", |sink| {
                sink.body = parameter("JSONPATH", "$.data.body.lines[-1]", "");
                sink.keys = parameter("JSONPATH", "$.data.userProperties.colour", "");
                sink.tags = parameter("JSONPATH", "$.data.topic", "");
            })
            .await;
        let seen: Vec<_> =
            arrived.iter().map(|event| (&event.envelope.body[..], key_of(event), event.envelope.properties.get("TAGS"))).collect();
        assert_eq!(
            seen,
            [(&br#"{"n":2}"#[..], "red \"x\"".to_owned(), Some("reshape")), (&b""[..], "blue".to_owned(), Some("reshape"))],
            "a path that is not there is nothing"
        );
    }

    async fn by_constant(&self) {
        let arrived = self
            .reshaped("constant", |sink| {
                sink.tags = parameter("CONSTANT", "always", "");
                sink.properties = parameter("CONSTANT", r#"{"only":"this"}"#, "");
            })
            .await;
        for (event, body) in arrived.iter().zip([&br#"{"price":3.10,"lines":[{"n":1},{"n":2}]}"#[..], BINARY]) {
            let properties = &event.envelope.properties;
            assert_eq!((properties.get("TAGS"), properties.get("only"), properties.get("colour")), (Some("always"), Some("this"), None));
            assert_eq!(event.envelope.body, body, "no form reads the body, so it is the same bytes");
        }
    }

    async fn by_expression(&self) {
        let arrived = self
            .reshaped("expression", |sink| {
                let program = "if .data.body | type == \"object\" then {total: (.data.body.lines | map(.n) | add)} else {total: 0} end";
                sink.body = parameter("EXPRESSION", program, "");
                sink.tags = parameter("EXPRESSION", ".data.systemProperties.TAGS | ascii_upcase", "");
            })
            .await;
        let seen: Vec<_> = arrived.iter().map(|event| (&event.envelope.body[..], event.envelope.properties.get("TAGS"))).collect();
        assert_eq!(seen, [(&br#"{"total":3}"#[..], Some("PAID")), (&br#"{"total":0}"#[..], Some("OPEN"))]);
    }

    async fn by_original(&self) {
        let arrived = self.reshaped("original", |sink| sink.body = parameter("ORIGINAL", "", "")).await;
        let whole: Vec<Value> = arrived.iter().map(|event| serde_json::from_slice(&event.envelope.body).expect("JSON")).collect();
        assert_eq!((&whole[0]["source"], &whole[0]["data"]["topic"]), (&json!("acs:mq"), &json!("reshape")));
        assert_eq!(whole[0]["data"]["body"], json!({"price": 3.1, "lines": [{"n": 1}, {"n": 2}]}));
        assert_eq!((&whole[1]["data"]["body"], &whole[1]["data"]["bodyEncoding"]), (&json!("AJ+Slv8="), &json!("base64")));
    }

    /// *Scenario*: an expression that fails on one of three events, in a stream that tolerates errors and names a dead-letter topic. *Guarantees*: the
    /// others arrive; the one is in the dead-letter topic as it was sent, with the expression, the place and the kinds of values as its reason, and no
    /// value; it is counted, and the stream continues.
    async fn what_cannot_be_transformed_is_a_dead_letter(&self) {
        self.brokers.create_topic("failing", 1).await;
        self.brokers.target.create_topic("dead", 1).await;
        let sent = [
            message("one", "", &[], br#"{"count":1}"#),
            message("secret", "t", &[("a", "x")], br#"{"count":"hunter2"}"#),
            message("three", "", &[], br#"{"count":3}"#),
        ];
        self.send("failing", &sent).await;
        let stream = with_sink(self.route("failing", "failing").stream(), |sink| {
            sink.instance_id = parameter("CONSTANT", "here", "");
            sink.body = parameter("EXPRESSION", ".data.body.count + 1", "");
        });
        let dead_letter_queue = DeadLetterQueue { arn: "acs:mq:hohhot::/instances/here/topic/dead".to_owned(), ..Default::default() };
        let run_options =
            RunOptions { errors_tolerance: "ALL".to_owned(), dead_letter_queue: Some(dead_letter_queue), ..RunOptions::default() };
        self.api.run(Stream { run_options: Some(run_options), ..stream }).await;
        let arrived = self.arrivals("failing", 2).await;
        let seen: Vec<_> = arrived.iter().map(|event| (key_of(event), &event.envelope.body[..])).collect();
        assert_eq!(seen, [("one".to_owned(), &b"2"[..]), ("three".to_owned(), &b"4"[..])]);
        let dead = self.arrivals("dead", 1).await;
        let envelope = &dead[0].envelope;
        assert_eq!((key_of(&dead[0]).as_str(), &envelope.body[..]), ("secret", &br#"{"count":"hunter2"}"#[..]));
        assert_eq!((envelope.properties.get("TAGS"), envelope.properties.get("a")), (Some("t"), Some("x")));
        let reason = envelope.properties.get(REASON_PROPERTY).expect("a dead letter says why");
        for part in [".data.body.count + 1", "the program", "a string + a number"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(!reason.contains("hunter2"), "{reason}");
        assert!(arrived.iter().all(|event| event.envelope.properties.get(REASON_PROPERTY).is_none()));
        let counted =
            |status: &StreamStatus| status.counts.as_ref().is_some_and(|counts| counts.delivered == 2 && counts.dead_lettered == 1);
        self.api.wait("stream-failing", "counts the dead letter", DEADLINE, counted).await;
    }

    /// *Scenario*: a misspelt operator, and a template with a variable that nobody defined. *Guarantees*: the fields of the violations lead to the places.
    async fn refusals_lead_to_their_place(&self) {
        let route =
            Route { pattern: json!({"data": {"body": {"price": [{"prefx": "1"}]}}}).to_string(), ..self.route("events", "refused") };
        let stream = with_sink(route.stream(), |sink| sink.body = parameter("TEMPLATE", "{}", "${price}"));
        let refused = self.api.try_create(stream).await.expect_err("it is refused");
        let details = tonic_types::StatusExt::get_details_bad_request(&refused).expect("BadRequest details");
        let fields: Vec<&str> = details.field_violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["filter_pattern.$.data.body.price[0].prefx", "sink.sink_rocketmq_parameters.body.template"]);
        assert!(details.field_violations[0].description.ends_with("did you mean \"prefix\"?"), "{details:?}");
    }
}
