//! The command as people and scripts use it, on a real standalone with its embedded RocketMQ.

#![recursion_limit = "256"]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rocketbridge_harness::{Standalone, binary, eventually};
use serde_json::Value;

/// What a command did.
#[derive(Debug)]
struct Done {
    status: Option<i32>,
    output: String,
    errors: String,
}

struct Shell {
    server: String,
    directory: PathBuf,
}

impl Shell {
    fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Done {
        let mut child = Command::new(binary())
            .args(["--server", &self.server])
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // It may end without reading.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("it is our child");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Done { status: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }

    /// Runs what must be well, and answers its output.
    fn must(&self, arguments: &[&str]) -> String {
        self.must_with(arguments, "")
    }

    fn must_with(&self, arguments: &[&str], input: &str) -> String {
        let done = self.run_with(arguments, input);
        assert_eq!((done.status, done.errors.as_str()), (Some(0), ""), "{arguments:?}: {done:?}");
        done.output
    }
}

fn native(name_server: &str) -> String {
    format!(
        "kind: Connection\nname: here\nregion: qingdao\nendpoints: ['{name_server}']\n---\n\
         kind: Stream\nname: orders\nfilter_pattern: '{{\"data\": {{\"systemProperties\": {{\"TAGS\": [\"paid\"]}}}}}}'\n\
         source: {{source_rocketmq_parameters: {{connection: here, topic: orders, offset: CONSUME_FROM_FIRST_OFFSET}}}}\n\
         sink:\n  sink_rocketmq_parameters:\n    connection: {{value: here, form: CONSTANT}}\n    topic: {{value: copy, form: CONSTANT}}\n"
    )
}

fn alibaba(name_server: &str) -> String {
    serde_json::json!({
        "EventStreamingName": "audit",
        "Description": "as Alibaba Cloud's API takes it",
        "FilterPattern": "{}",
        "Source": {"SourceRocketMQParameters": {
            "RegionId": "qingdao", "InstanceType": "SelfBuilt", "InstanceEndpoint": name_server, "Topic": "orders", "Tag": "paid",
            "Offset": "CONSUME_FROM_FIRST_OFFSET", "GroupID": "GID_audit",
        }},
        "Sink": {"SinkRocketMQParameters": {
            "InstanceEndpoint": {"Value": name_server, "Form": "CONSTANT"},
            "Topic": {"Value": "audit", "Form": "CONSTANT"},
            "Body": {"Value": "$.data.body", "Form": "JSONPATH"},
        }},
        "RunOptions": {"ErrorsTolerance": "ALL", "RetryStrategy": {"PushRetryStrategy": "BACKOFF_RETRY"}},
    })
    .to_string()
}

/// *Scenario*: everything a person does with streams from a terminal, from files to arrived messages. *Guarantees*: `apply` is idempotent, takes the
/// body of CreateEventStreaming unchanged, and starts nothing unless asked; results stand on standard output and all else on standard error; exit
/// statuses are 0, 1 and 2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_from_a_terminal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start_with_rocketmq(directory.path());
    let shell = Shell { server: standalone.process.server().to_owned(), directory: directory.path().to_owned() };
    let name_server = standalone.name_server();
    let write = |name: &str, text: &str| std::fs::write(Path::new(directory.path()).join(name), text).expect("the directory is writable");
    write("orders.yaml", &native(name_server));
    write("audit.json", &alibaba(name_server));
    for topic in ["orders", "copy", "audit"] {
        shell.must(&["rocketmq", "create-topic", "--name-server", name_server, "--topic", topic, "--queues", "2"]);
    }

    // apply: created, unchanged, configured; standard input; what `get -o yaml` prints.
    assert_eq!(shell.must(&["apply", "-f", "orders.yaml"]), "connection/here created\nstream/orders created\n");
    assert_eq!(shell.must(&["apply", "-f", "orders.yaml"]), "connection/here unchanged\nstream/orders unchanged\n");
    assert_eq!(shell.must(&["apply", "-f", "audit.json"]), "stream/audit created\n");
    assert_eq!(shell.must_with(&["apply", "-f", "-"], &alibaba(name_server)), "stream/audit unchanged\n");
    write("orders.yaml", &native(name_server).replace("paid", "void"));
    assert_eq!(shell.must(&["apply", "-f", "orders.yaml"]), "connection/here unchanged\nstream/orders configured\n");
    write("orders.yaml", &native(name_server));
    assert_eq!(shell.must(&["apply", "-f", "orders.yaml"]), "connection/here unchanged\nstream/orders configured\n");
    let yaml = shell.must(&["get", "streams", "-o", "yaml"]);
    assert_eq!(shell.must_with(&["apply", "-f", "-"], &yaml), "stream/audit unchanged\nstream/orders unchanged\n");
    let orders: Value = serde_json::from_str(&shell.must(&["get", "streams", "orders", "-o", "json"])).expect("JSON");
    let shown = orders.as_array().map_or(&orders, |list| &list[0]);
    assert_eq!((&shown["name"], &shown["state"]), (&Value::from("orders"), &Value::from("STATE_READY")), "nothing starts unless asked");
    let listed = shell.must(&["get", "streams"]);
    assert!(listed.starts_with("NAME") && listed.contains("orders") && listed.contains("READY"), "{listed}");
    assert!(shell.must(&["describe", "stream", "audit"]).contains("GID_audit"));

    // start, messages in, messages out.
    // Why it does not run yet, and what it is waiting for, is told on standard error.
    let started = shell.run(&["start", "stream", "orders", "--wait", "60s"]);
    assert_eq!((started.status, started.output.as_str()), (Some(0), "stream/orders running\n"), "{started:?}");
    assert_eq!(shell.must(&["apply", "-f", "audit.json", "--start"]), "stream/audit unchanged\nstream/audit started\n");
    let place = ["--name-server", name_server, "--topic"];
    for (tag, body) in [("paid", "first"), ("void", "second"), ("paid", "third")] {
        let send = [&["rocketmq", "send"][..], &place, &["orders", "--tag", tag, "--keys", body, "--body", body]].concat();
        let done = shell.run(&send);
        assert_eq!(done.status, Some(0), "{done:?}");
    }
    for topic in ["copy", "audit"] {
        let tail = [&["rocketmq", "tail"][..], &place, &[topic, "--from", "earliest", "--count", "2", "-o", "json"]].concat();
        let done = shell.run(&tail);
        assert_eq!(done.status, Some(0), "{done:?}");
        let messages: Vec<Value> = done.output.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
        let mut bodies: Vec<_> = messages.iter().map(|message| message["body"].as_str().unwrap_or_default()).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, ["first", "third"], "{topic}");
        assert!(messages.iter().all(|message| message["tag"] == "paid" && message["keys"] == message["body"]), "{messages:?}");
    }
    eventually("the status counts what was filtered", Duration::from_secs(60), async || {
        let status = shell.must(&["status", "stream", "orders"]);
        if status.contains("RUNNING") && status.contains("delivered 2, filtered 1") { Ok(()) } else { Err(status) }
    })
    .await;

    // pause, delete.
    let paused = shell.run(&["pause", "stream", "orders", "--wait", "60s"]);
    assert_eq!((paused.status, paused.output.as_str()), (Some(0), "stream/orders drained\n"), "{paused:?}");
    assert!(shell.must(&["status", "stream", "orders"]).contains("PAUSED"));
    for stream in ["orders", "audit"] {
        assert_eq!(shell.must(&["delete", "stream", stream]), format!("stream/{stream} deleted\n"));
    }

    // What is refused is 1, what is not understood 2; both tell it on standard error alone.
    let gone = shell.run(&["get", "streams", "orders"]);
    assert_eq!((gone.status, gone.output.as_str()), (Some(1), ""), "{gone:?}");
    assert!(gone.errors.contains("orders"), "{gone:?}");
    let refused = shell.run_with(&["apply", "-f", "-"], &native(name_server).replace("topic: orders", "topic: 'or/ders'"));
    assert_eq!((refused.status, refused.output.as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.errors.contains("source.source_rocketmq_parameters.topic") && refused.errors.contains("or/ders"), "{refused:?}");
    for wrong in [&["apply"][..], &["get", "rockets"], &["router", "--listen", "127.0.0.1:0"]] {
        let done = shell.run(wrong);
        assert_eq!((done.status, done.output.as_str()), (Some(2), ""), "{done:?}");
        assert!(!done.errors.is_empty());
    }
    let absent = Shell { server: "http://127.0.0.1:1".to_owned(), directory: directory.path().to_owned() };
    let unreachable = absent.run(&["get", "streams"]);
    assert_eq!((unreachable.status, unreachable.output.as_str()), (Some(1), ""), "{unreachable:?}");
}

/// *Scenario*: standalone is told by SIGTERM to stop. *Guarantees*: it ends with status 0, and starts again on its data directory with what it had.
#[test]
fn a_standalone_stops_and_starts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start_with_rocketmq(directory.path());
    let shell = Shell { server: standalone.process.server().to_owned(), directory: directory.path().to_owned() };
    shell.must_with(&["apply", "-f", "-"], &native(standalone.name_server()));
    standalone.process.terminate();
    let status = standalone.process.wait(Duration::from_secs(30));
    assert_eq!(status.code(), Some(0), "{}", standalone.process.log());
    let standalone = Standalone::start_with_rocketmq(directory.path());
    let shell = Shell { server: standalone.process.server().to_owned(), ..shell };
    assert!(shell.must(&["get", "streams"]).contains("orders"));
}

/// *Scenario*: a stream between two topics of the embedded RocketMQ, its source by the built-in connection, its target by the address that standalone
/// printed; standalone stops and starts again. *Guarantees*: the name server has the same address, and the stream runs and delivers as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_on_the_embedded_rocketmq_survive_a_restart() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start_with_rocketmq(directory.path());
    let name_server = standalone.name_server().to_owned();
    let shell = Shell { server: standalone.process.server().to_owned(), directory: directory.path().to_owned() };
    let place = ["--name-server", name_server.as_str(), "--topic"];
    for topic in ["orders", "copy"] {
        shell.must(&[&["rocketmq", "create-topic"][..], &place, &[topic, "--queues", "1"]].concat());
    }
    let connections = shell.must(&["get", "connections"]);
    assert!(connections.contains(&name_server) && connections.contains("built in"), "{connections}");
    let document = shell.must(&["get", "connections", "-o", "yaml"]);
    assert_eq!(shell.must_with(&["apply", "-f", "-"], &document), "connection/embedded unchanged\n");
    for refused in [
        shell.run(&["delete", "connection", "embedded"]),
        shell.run_with(&["apply", "-f", "-"], &document.replace("127.0.0.1", "10.0.0.1")),
    ] {
        assert_eq!((refused.status, refused.errors.contains("built in")), (Some(1), true), "{refused:?}");
    }
    let stream = format!(
        "kind: Stream\nname: orders\nfilter_pattern: '{{}}'\n\
         source: {{source_rocketmq_parameters: {{connection: embedded, topic: orders, offset: CONSUME_FROM_FIRST_OFFSET}}}}\n\
         sink:\n  sink_rocketmq_parameters:\n    instance_endpoint: {{value: '{name_server}', form: CONSTANT}}\n    topic: {{value: copy, form: CONSTANT}}\n"
    );
    shell.must_with(&["apply", "--start", "-f", "-"], &stream);
    let tail = |count: &str| {
        let arguments = [&["rocketmq", "tail"][..], &place, &["copy", "--from", "earliest", "--count", count]].concat();
        let done = shell.run(&arguments);
        assert_eq!(done.status, Some(0), "{done:?}");
        done.output
    };
    shell.must(&[&["rocketmq", "send"][..], &place, &["orders", "--body", "before"]].concat());
    assert!(tail("1").contains("before"));

    standalone.process.terminate();
    assert_eq!(standalone.process.wait(Duration::from_secs(30)).code(), Some(0), "{}", standalone.process.log());
    let standalone = Standalone::start_with_rocketmq(directory.path());
    assert_eq!(standalone.name_server(), name_server);
    shell.must(&[&["rocketmq", "send"][..], &place, &["orders", "--body", "after"]].concat());
    assert!(tail("2").contains("after"));
}

/// *Scenario*: another program listens on the port of the embedded name server. *Guarantees*: standalone ends at once, and says which port it is and
/// which flag chooses another.
#[test]
fn a_name_server_port_that_is_taken_is_told_with_its_flag() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let arguments = ["standalone", "--data-dir", "data", "--listen", "127.0.0.1:0", "--embedded-name-server-port", &port];
    let ended = Command::new(binary()).args(arguments).current_dir(directory.path()).output().expect("the binary starts");
    let told = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("port {port} of 127.0.0.1")) && told.contains("--embedded-name-server-port PORT"), "{told}");
}

/// *Scenario*: topics are made, listed, looked at and deleted from a terminal; addresses are wrong or lead nowhere. *Guarantees*: brokers are named, a topic
/// that holds messages is not deleted by the way, and what is wrong is told at once.
#[test]
fn topics_from_a_terminal() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start_with_rocketmq(directory.path());
    let shell = Shell { server: standalone.process.server().to_owned(), directory: directory.path().to_owned() };
    let verb = |verb: &'static str, more: &[&'static str]| {
        let line = [&["rocketmq", verb, "--name-server", standalone.name_server()][..], more].concat();
        shell.run(&line)
    };
    let said = |done: Done, output: &str| assert_eq!((done.status, done.output.as_str()), (Some(0), output), "{done:?}");
    said(verb("create-topic", &["--topic", "orders", "--queues", "2"]), "topic/orders has 2 queues on rocketbridge-a\n");
    said(
        verb("create-topic", &["--topic", "bills", "--queues", "1", "--cluster", "rocketbridge"]),
        "topic/bills has 1 queue on rocketbridge-a\n",
    );
    let elsewhere = verb("create-topic", &["--topic", "bills", "--cluster", "north"]);
    assert_eq!(elsewhere.status, Some(1));
    assert!(elsewhere.errors.contains("there is no cluster north; there is rocketbridge"), "{elsewhere:?}");
    said(verb("topics", &[]), "bills\norders\n");
    assert!(verb("topics", &["--all"]).output.contains("SCHEDULE_TOPIC_XXXX"), "RocketMQ's own topics are there when asked for");
    assert_eq!(verb("send", &["--topic", "orders", "--body", "x"]).status, Some(0));
    let described = verb("describe-topic", &["--topic", "orders"]).output;
    assert!(described.starts_with("topic/orders   2 queues   1 message\n"), "{described}");
    assert!(described.contains("rocketbridge-a       1   read, write"), "{described}");
    let held = verb("delete-topic", &["--topic", "orders"]);
    assert_eq!((held.status, held.output.as_str()), (Some(1), ""));
    assert!(held.errors.contains("holds 1 message") && held.errors.contains("--yes"), "{held:?}");
    said(verb("delete-topic", &["--topic", "orders", "--yes"]), "topic/orders deleted from rocketbridge-a\n");
    said(verb("delete-topic", &["--topic", "bills"]), "topic/bills deleted from rocketbridge-a\n");
    said(verb("topics", &[]), "");
    let gone = verb("describe-topic", &["--topic", "orders"]);
    assert_eq!(gone.status, Some(1));
    assert!(!gone.errors.contains("org.apache") && !gone.errors.contains("CODE:"), "{gone:?}");

    for (address, fix) in [
        ("http://127.0.0.1:9876", "write 127.0.0.1:9876, without http://"),
        ("127.0.0.1", "write a port, such as 127.0.0.1:9876"),
        ("a:1;b:2", "several name servers are separated by commas: write a:1,b:2"),
    ] {
        let begin = std::time::Instant::now();
        let wrong = shell.run(&["rocketmq", "send", "--name-server", address, "--topic", "orders", "--body", "x"]);
        assert_eq!(wrong.status, Some(2), "{wrong:?}");
        assert!(wrong.errors.contains(fix), "{wrong:?}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{address} is refused before anything is dialled");
    }
}
