//! Real grpcurl on a real server: what a person at a terminal does, through reflection alone.

#![recursion_limit = "256"]

use std::process::Command;

use rocketbridge_harness::{Audit, Brokers, Kind, Load, Standalone, eventually, skip};
use serde_json::{Value, json};

/// grpcurl's answer: its exit status, output and errors.
struct Answer {
    status: Option<i32>,
    output: String,
    errors: String,
}

struct Grpcurl {
    program: String,
    address: String,
}

impl Grpcurl {
    fn run(&self, body: Option<&Value>, words: &[&str]) -> Answer {
        let mut command = Command::new(&self.program);
        command.args(["-plaintext", "-max-time", "20"]);
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
        }
        let output = command.arg(&self.address).args(words).output().unwrap_or_else(|error| panic!("{}: {error}", self.program));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer { status: output.status.code(), output: text(&output.stdout), errors: text(&output.stderr) }
    }

    /// Calls a method that answers.
    fn call(&self, method: &str, body: &Value) -> Value {
        let answer = self.run(Some(body), &[method]);
        assert_eq!(answer.status, Some(0), "{method}: {}", answer.errors);
        serde_json::from_str(&answer.output).unwrap_or_else(|error| panic!("{method}: {error}: {}", answer.output))
    }
}

/// *Scenario*: grpcurl lists and describes the services, asks for the health of each, creates, reads, starts, watches, pauses and deletes a
/// stream, and has a bad one refused. *Guarantees*: reflection is enough for all of it; a started stream routes; the details of a refusal
/// are shown decoded, every field of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpcurl_does_everything_through_reflection() {
    let Ok(program) = std::env::var("ROCKETBRIDGE_TEST_GRPCURL") else {
        skip("ROCKETBRIDGE_TEST_GRPCURL does not name a grpcurl");
        return;
    };
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", 2).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let address = standalone.process.server().trim_start_matches("http://").to_owned();
    let grpcurl = Grpcurl { program, address };

    let listed = grpcurl.run(None, &["list"]);
    assert_eq!(listed.status, Some(0), "{}", listed.errors);
    let services = [
        "rocketbridge.stream.v1.StreamService",
        "rocketbridge.connection.v1.ConnectionService",
        "rocketbridge.network.v1.NetworkService",
        "rocketbridge.route.v1.RouteService",
        "rocketbridge.admin.v1.MemberService",
    ];
    for service in services {
        assert!(listed.output.lines().any(|line| line == service), "{service} is not in {}", listed.output);
        let healthy = grpcurl.call("grpc.health.v1.Health/Check", &json!({"service": service}));
        assert_eq!(healthy["status"], "SERVING", "{service}");
    }
    // The stages of a standalone reach each other within the process, and nobody reaches them from outside.
    for stage in ["rocketbridge.filter.v1.FilterService", "rocketbridge.dispatch.v1.DispatchService"] {
        assert_ne!(
            grpcurl.run(Some(&json!({"service": stage})), &["grpc.health.v1.Health/Check"]).status,
            Some(0),
            "{stage} is not served"
        );
    }
    let described = grpcurl.run(None, &["describe", "rocketbridge.stream.v1.StreamService"]);
    assert!(described.output.contains("rpc CreateStream"), "{}{}", described.output, described.errors);

    let constant = |value: &str| json!({"value": value, "form": "CONSTANT"});
    let stream = json!({
        "name": "orders",
        "filter_pattern": "{}",
        "source": {"source_rocketmq_parameters": {
            "region_id": "qingdao", "instance_type": "SelfBuilt", "instance_endpoint": brokers.source.name_server(),
            "topic": "orders", "offset": "CONSUME_FROM_FIRST_OFFSET",
        }},
        "sink": {"sink_rocketmq_parameters": {
            "instance_endpoint": constant(brokers.target.name_server()), "topic": constant("orders"),
        }},
    });
    let call = |method: &str, body: &Value| grpcurl.call(&format!("rocketbridge.stream.v1.StreamService/{method}"), body);
    let named = json!({"name": "orders"});
    let created = call("CreateStream", &json!({"stream": stream, "request_id": "a2a5d2b2-44a1-4f0e-b4cf-6a15d1f3a1f0"}));
    assert_eq!((&created["stream"]["name"], &created["stream"]["state"]), (&json!("orders"), &json!("STATE_READY")));
    let again = call("CreateStream", &json!({"stream": stream, "request_id": "a2a5d2b2-44a1-4f0e-b4cf-6a15d1f3a1f0"}));
    assert_eq!(again["stream"]["uid"], created["stream"]["uid"], "the same request again is answered again");
    assert_eq!(call("GetStream", &named)["stream"]["etag"], created["stream"]["etag"]);
    assert_eq!(call("ListStreams", &json!({}))["streams"].as_array().map(Vec::len), Some(1));

    call("StartStream", &named);
    eventually("grpcurl shows the stream running", std::time::Duration::from_secs(60), async || {
        let status = call("GetStreamStatus", &named);
        if status["status"]["state"] == "STATE_RUNNING" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let audit = Audit::follow(&brokers.target, "orders", 2, 9).await;
    Load::new(&brokers.source, "orders", 2, 9).send(0..200).await;
    audit.expect(0..200, |_| true).await;

    let mut bad = stream.clone();
    bad["name"] = json!("orders copy!");
    bad["filter_pattern"] = json!("{");
    bad["source"]["source_rocketmq_parameters"]["topic"] = json!("");
    let refused = grpcurl.run(Some(&json!({"stream": bad})), &["rocketbridge.stream.v1.StreamService/CreateStream"]);
    // grpcurl answers 64 and the code of gRPC.
    assert_eq!(refused.status, Some(64 + 3), "{}", refused.errors);
    for shown in
        ["InvalidArgument", "google.rpc.BadRequest", "fieldViolations", "filter_pattern", "source_rocketmq_parameters.topic", "\"name\""]
    {
        assert!(refused.errors.contains(shown), "{shown} is not in {}", refused.errors);
    }

    call("PauseStream", &named);
    assert_eq!(call("GetStream", &named)["stream"]["state"], "STATE_PAUSED");
    call("DeleteStream", &named);
    let gone = grpcurl.run(Some(&named), &["rocketbridge.stream.v1.StreamService/GetStream"]);
    assert_eq!(gone.status, Some(64 + 5), "{}", gone.errors);
    drop(standalone);
    brokers.stop().await;
}
