//! The client verbs as their users run them: the real binary against a scripted server.

#![allow(missing_docs)]

mod fake;
mod fake_routes;
mod routes;

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use fake::Fake;
use rocketbridge_proto::admin::v1::{OutcomeCounts, PartitionReport};
use rocketbridge_proto::connection::v1::Connection;
use rocketbridge_proto::stream::v1::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const ORDERS: &str = "\
kind: Stream
name: orders
filter_pattern: {data: {systemProperties: {TAGS: [paid]}}}
source: {source_rocketmq_parameters: {connection: qingdao, topic: orders}}
sink:
  sink_rocketmq_parameters:
    connection: {value: hohhot, form: CONSTANT}
    topic: {value: copy, form: CONSTANT}
";

const ALIBABA: &str = r#"{"EventStreamingName":"audit","FilterPattern":"{}",
 "Source":{"SourceRocketMQParameters":{"InstanceType":"SelfBuilt","InstanceEndpoint":"127.0.0.1:9876","Topic":"orders"}},
 "Sink":{"SinkRocketMQParameters":{"InstanceType":{"Value":"SelfBuilt","Form":"CONSTANT"},"InstanceEndpoint":{"Value":"127.0.0.1:9877","Form":"CONSTANT"},
 "Topic":{"Value":"audit","Form":"CONSTANT"}}},"RunOptions":{"ErrorsTolerance":"ALL"}}"#;

const CONNECTIONS: &str = "\
kind: Connection
name: qingdao
region: qingdao
endpoints: [127.0.0.1:9876]
---
kind: Connection
name: hohhot
region: hohhot
endpoints: [127.0.0.1:9877]
access_key: ak
secret_key: env:HOHHOT_SECRET
";

/// What a run left behind.
struct Ended {
    status: i32,
    results: String,
    remarks: String,
}

/// Runs the binary with nothing in its environment and this on its standard input.
async fn rocketbridge(server: &str, arguments: &[&str], input: &str) -> Ended {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rocketbridge"))
        .env_clear()
        .args(["--server", server])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A verb that reads no input may be gone already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text").replace(server, "http://SERVER");
    Ended { status: output.status.code().unwrap_or(-1), results: text(output.stdout), remarks: text(output.stderr) }
}

fn golden(name: &str, actual: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return std::fs::write(path, actual).expect("golden files can be written");
    }
    assert_eq!(actual, std::fs::read_to_string(path).unwrap_or_default(), "{name}");
}

fn status(state: State, reason: &str, in_flight: u64) -> StreamStatus {
    let report = PartitionReport {
        partition: "broker-a/0".into(),
        epoch: 7,
        flowing: state == State::Running,
        flowed: state == State::Running,
        failure: reason.into(),
        read_offset: 1_234_600,
        committed_offset: 1_234_567,
        maximum_offset: 1_235_567,
        in_flight,
        counts: Some(OutcomeCounts { delivered: 1_200_000, filtered: 34_567, ..Default::default() }),
        latency_us: 12_345,
        rate: 5_432.1,
        blocked: None,
        lag_seconds: Some(75.5),
        counts_since: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }),
        ..Default::default()
    };
    StreamStatus {
        name: "orders".into(),
        state: state.into(),
        reason: reason.into(),
        tps: 5_432.1,
        delay_ms: 12.345,
        diff_offset: 1_000,
        counts: Some(OutcomeCounts { delivered: 1_200_000, filtered: 34_567, discarded: 2, ..Default::default() }),
        partitions: vec![
            PartitionStatus {
                report: Some(report),
                router: "router-0".into(),
                filter: "filter-0".into(),
                dispatcher: "dispatcher-0".into(),
            },
            PartitionStatus {
                report: Some(PartitionReport { partition: "broker-a/1".into(), ..Default::default() }),
                ..Default::default()
            },
        ],
        revision: 3,
        lag_seconds: Some(75.5),
        counts_since: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }),
        ..Default::default()
    }
}

/// *Scenario:* two connections and a stream that needs them, in one file, on an empty server. *Guarantees:* everything is validated before
/// anything is stored, in the order of reference; what the server says against connections that are yet to come is excused;
/// applying again changes nothing; the stream does not run.
#[tokio::test]
async fn apply_makes_what_is_missing_and_nothing_twice() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let refused = |field: &str| {
        (format!("source.source_rocketmq_parameters.{field}"), "found \"qingdao\"; there is no connection of this name".to_owned())
    };
    fake.script().violations.insert("orders".into(), vec![refused("connection")]);
    let file = format!("{ORDERS}---\n{CONNECTIONS}");
    let dry = rocketbridge(&server, &["apply", "-f", "-", "--dry-run"], &file).await;
    assert_eq!((dry.status, dry.remarks.as_str()), (0, ""));
    assert_eq!(dry.results, "connection/qingdao created (dry run)\nconnection/hohhot created (dry run)\nstream/orders created (dry run)\n");
    assert!(fake.script().connections.is_empty());

    fake.script().violations.clear();
    fake.script().calls.clear();
    let first = rocketbridge(&server, &["apply", "-f", "-"], &file).await;
    assert_eq!((first.status, first.remarks.as_str()), (0, ""));
    assert_eq!(first.results, "connection/qingdao created\nconnection/hohhot created\nstream/orders created\n");
    let calls = fake.script().calls.join("\n");
    golden("apply_calls.txt", &format!("{calls}\n"));

    // The fake hides the reference as if it were a secret; only the server can tell that it is the same.
    fake.script().connections.values_mut().for_each(|connection| {
        connection.secret_key = if connection.access_key.is_empty() { "".into() } else { "env:HOHHOT_SECRET".into() }
    });
    let second = rocketbridge(&server, &["apply", "-f", "-"], &file).await;
    assert_eq!(
        (second.status, second.results.as_str()),
        (0, "connection/qingdao unchanged\nconnection/hohhot unchanged\nstream/orders unchanged\n")
    );
    assert_eq!(fake.script().streams["orders"].state(), State::Ready);
}

/// *Scenario:* a changed stream, a connection with a secret in plain text that the server finds unchanged, and `--start`. *Guarantees:* the
/// stream is replaced whole under its etag; the etag decides about secrets; what does not run is started, also if unchanged.
#[tokio::test]
async fn apply_replaces_under_the_etag_and_starts_when_asked() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let connection = Connection { name: "plain".into(), secret_key: "******".into(), etag: "\"c\"".into(), ..Default::default() };
    fake.script().connections.insert("plain".into(), connection);
    let created = rocketbridge(&server, &["apply", "-f", "-"], ALIBABA).await;
    assert_eq!(created.results, "stream/audit created\n", "{}", created.remarks);

    fake.script().calls.clear();
    let file = format!("kind: Connection\nname: plain\nsecret_key: hunter2\n---\n{}", ALIBABA.replace("ALL", "NONE"));
    let changed = rocketbridge(&server, &["apply", "--start", "-f", "-"], &file).await;
    assert_eq!((changed.status, changed.remarks.as_str()), (0, ""));
    assert_eq!(changed.results, "connection/plain unchanged\nstream/audit configured\nstream/audit started\n");
    golden("apply_replace_calls.txt", &format!("{}\n", fake.script().calls.join("\n")));

    let running = rocketbridge(&server, &["apply", "--start", "-f", "-"], &ALIBABA.replace("ALL", "NONE")).await;
    assert_eq!(running.results, "stream/audit unchanged\n");
    fake.script().streams.get_mut("audit").expect("there").state = State::Paused.into();
    let paused = rocketbridge(&server, &["apply", "--start", "-f", "-"], &ALIBABA.replace("ALL", "NONE")).await;
    assert_eq!(paused.results, "stream/audit unchanged\nstream/audit started\n");
}

/// *Scenario:* two of three definitions are refused. *Guarantees:* every violation is printed with file and document, nothing is applied.
#[tokio::test]
async fn apply_is_all_or_nothing() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let violation = |field: &str, description: &str| (field.to_owned(), description.to_owned());
    fake.script().violations.insert("qingdao".into(), vec![violation("region", "is missing; a region is needed; write one")]);
    let unknown = "found \"{\\\"x\\\":1}\"; a list is needed; write [1]";
    fake.script().violations.insert(
        "orders".into(),
        vec![
            violation("filter_pattern", unknown),
            violation("sink.sink_rocketmq_parameters.topic", "is missing; a topic is needed; write one"),
        ],
    );
    let ended = rocketbridge(&server, &["apply", "-f", "-"], &format!("{CONNECTIONS}---\n{ORDERS}")).await;
    assert_eq!((ended.status, ended.results.as_str()), (1, ""));
    golden("apply_refused.txt", &ended.remarks);
    let script = fake.script();
    assert!(script.streams.is_empty() && script.connections.is_empty());
}

/// *Scenario:* files that are not definitions. *Guarantees:* each is named, with its document; the server is not asked.
#[tokio::test]
async fn apply_names_what_it_cannot_read() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("bad.yaml");
    let mut file = std::fs::File::create(&path).expect("a file");
    write!(file, "{ORDERS}---\nkind: Stream\nnmae: x\n---\nkind: Streem\nname: x\n---\n{ORDERS}").expect("written");
    let ended = rocketbridge(&server, &["apply", "-f", &path.display().to_string(), "-f", "/nonexistent.yaml"], "").await;
    assert_eq!((ended.status, ended.results.as_str()), (1, ""));
    golden("apply_unreadable.txt", &ended.remarks.replace(&folder.path().display().to_string(), "FOLDER"));
    assert!(fake.script().calls.is_empty());
}

/// *Scenario:* streams in several pages, in each form. *Guarantees:* all are listed; a YAML document can be applied again unchanged.
#[tokio::test]
async fn get_lists_and_its_documents_can_be_applied_again() {
    let fake = Fake::default();
    let server = fake.serve().await;
    rocketbridge(&server, &["apply", "-f", "-"], ALIBABA).await;
    rocketbridge(&server, &["apply", "-f", "-"], ORDERS).await;
    fake.script()
        .streams
        .values_mut()
        .for_each(|stream| stream.create_time = Some(prost_types::Timestamp { seconds: 1_790_000_000, nanos: 5 }));
    let table = rocketbridge(&server, &["get", "streams"], "").await;
    assert_eq!(table.status, 0, "{}", table.remarks);
    golden("get_streams.txt", &table.results);
    let yaml = rocketbridge(&server, &["get", "streams", "orders", "-o", "yaml"], "").await;
    golden("get_stream.yaml", &yaml.results);
    let json = rocketbridge(&server, &["get", "stream", "-o", "json"], "").await;
    golden("get_streams.json", &json.results);
    let again = rocketbridge(&server, &["apply", "-f", "-"], &yaml.results).await;
    assert_eq!((again.results.as_str(), again.remarks.as_str()), ("stream/orders unchanged\n", ""));
    let all = rocketbridge(&server, &["get", "streams", "-o", "yaml"], "").await;
    let again = rocketbridge(&server, &["apply", "-f", "-"], &all.results).await;
    assert_eq!((again.results.as_str(), again.remarks.as_str()), ("stream/audit unchanged\nstream/orders unchanged\n", ""));
    let none = rocketbridge(&server, &["get", "networks"], "").await;
    assert_eq!((none.status, none.results.as_str(), none.remarks.as_str()), (0, "", "there are no networks\n"));
}

/// *Scenario:* a status, once, in each form; a description. *Guarantees:* the forms stay as they are; zeros are shown to programs.
#[tokio::test]
async fn status_and_describe_show_partitions() {
    let fake = Fake::default();
    let server = fake.serve().await;
    rocketbridge(&server, &["apply", "-f", "-"], ORDERS).await;
    fake.script().statuses.push_back(status(State::RunningFailed, "broker-a/0: cannot reach 127.0.0.1:10911", 33));
    golden("status.txt", &rocketbridge(&server, &["status", "stream", "orders"], "").await.results);
    golden("status.json", &rocketbridge(&server, &["status", "stream", "orders", "-o", "json"], "").await.results);
    golden("describe.txt", &rocketbridge(&server, &["describe", "stream", "orders"], "").await.results);
}

/// *Scenario:* a watch without a terminal, interrupted. *Guarantees:* one line for each change of state, not one for each answer; exit 0.
#[tokio::test]
async fn a_watch_is_quiet_and_ends_well() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let states = [State::Starting, State::Starting, State::Starting, State::Running, State::Running];
    fake.script().statuses.extend(states.map(|state| status(state, "", 1)));
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rocketbridge"))
        .args(["--server", &server, "status", "stream", "orders", "--watch", "--interval", "50ms"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = async || lines.next_line().await.expect("text").expect("a line");
    assert!(line().await.starts_with("STARTING   5432 events/s   lag 1,000"));
    assert!(line().await.starts_with("RUNNING "));
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().expect("running").to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("it ends").expect("it can be waited for");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(lines.next_line().await.expect("text"), None);
}

/// *Scenario:* start and pause that wait, and one that waits in vain. *Guarantees:* they end when it is so; in vain is status 1 with the reason.
#[tokio::test]
async fn start_and_pause_wait() {
    let fake = Fake::default();
    let server = fake.serve().await;
    rocketbridge(&server, &["apply", "-f", "-"], ALIBABA).await;
    let plain = rocketbridge(&server, &["start", "stream", "audit"], "").await;
    assert_eq!((plain.status, plain.results.as_str()), (0, "stream/audit started\n"));

    fake.script().statuses =
        [status(State::StartingFailed, "no topic orders", 0), status(State::Starting, "", 0), status(State::Running, "", 0)].into();
    let started = rocketbridge(&server, &["start", "stream", "audit", "--wait", "30s"], "").await;
    assert_eq!((started.status, started.results.as_str()), (0, "stream/audit running\n"));
    assert_eq!(started.remarks, "stream/audit: STARTING_FAILED: no topic orders\nstream/audit: STARTING\n");

    fake.script().statuses = [status(State::Paused, "", 12), status(State::Paused, "", 0)].into();
    let paused = rocketbridge(&server, &["pause", "stream", "audit", "--wait"], "").await;
    assert_eq!((paused.status, paused.results.as_str()), (0, "stream/audit drained\n"));

    fake.script().statuses = [status(State::StartingFailed, "no topic orders", 0)].into();
    let failed = rocketbridge(&server, &["start", "stream", "audit", "--wait", "100ms"], "").await;
    assert_eq!((failed.status, failed.results.as_str()), (1, ""));
    assert!(
        failed.remarks.ends_with("rocketbridge: stream/audit is not running after 100ms: STARTING_FAILED: no topic orders\n"),
        "{}",
        failed.remarks
    );
}

/// *Scenario:* what goes wrong between us and a server. *Guarantees:* one line that says what to do; 1 for refused, 2 for wrong usage.
#[tokio::test]
async fn errors_say_what_to_do() {
    let fake = Fake::default();
    let server = fake.serve().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = format!("http://{}", closed.local_addr().expect("bound"));
    drop(closed);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mute = format!("http://{}", silent.local_addr().expect("bound"));
    let mut told = String::new();
    for (server, arguments, status) in [
        (nobody.as_str(), vec!["get", "streams"], 1),
        (mute.as_str(), vec!["get", "streams", "--timeout", "200ms"], 1),
        ("127.0.0.1:9080", vec!["get", "streams"], 2),
        ("https://127.0.0.1:9080", vec!["get", "streams"], 2),
        (server.as_str(), vec!["get", "stream", "nothing"], 1),
        (server.as_str(), vec!["delete", "stream", "nothing"], 1),
        (server.as_str(), vec!["delete", "connection", "qingdao"], 1),
        (server.as_str(), vec!["start", "stream", "nothing"], 1),
        (server.as_str(), vec!["status", "stream", "nothing"], 1),
        (server.as_str(), vec!["get", "rockets"], 2),
        (server.as_str(), vec!["apply"], 2),
        (server.as_str(), vec!["get", "streams", "--timeout", "9"], 2),
        (server.as_str(), vec!["router", "--listen", "127.0.0.1:0"], 2),
    ] {
        let ended = rocketbridge(server, &arguments, "").await;
        assert_eq!((ended.status, ended.results.as_str()), (status, ""), "{arguments:?} {}", ended.remarks);
        told += &format!("# {}\n{}", arguments.join(" "), ended.remarks);
    }
    golden("errors.txt", &told);
    let missing = rocketbridge(&server, &["delete", "stream", "nothing", "--allow-missing"], "").await;
    assert_eq!((missing.status, missing.results.as_str()), (0, "stream/nothing deleted\n"));
}

/// *Scenario:* completion scripts. *Guarantees:* they know the verbs and go to standard output.
#[tokio::test]
async fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = rocketbridge("http://127.0.0.1:1", &["completions", shell], "").await;
        assert_eq!(ended.status, 0);
        assert!(ended.results.contains("standalone") && ended.results.contains("apply"), "{shell}");
    }
}

/// *Scenario:* an event is skipped, one of a stream that there is not, and one without a reason. *Guarantees:* the server is asked for exactly that event, with the
/// reason; what it refuses is said; a reason is needed before anything is asked.
#[tokio::test]
async fn skip_names_one_event_and_why() {
    let fake = Fake::default();
    let server = fake.serve().await;
    fake.script().streams.insert("orders".into(), Stream { name: "orders".into(), ..Default::default() });
    let skip = ["skip", "stream", "orders", "--partition", "broker-a/3", "--offset", "42"];
    let done = rocketbridge(&server, &[&skip[..], &["--reason", "poison, see ticket 7"]].concat(), "").await;
    assert_eq!((done.status, done.remarks.as_str()), (0, ""));
    assert_eq!(done.results, "stream/orders partition broker-a/3: the event at offset 42 will be skipped\n");
    assert_eq!(fake.script().calls, ["SkipEvent orders broker-a/3 42 \"poison, see ticket 7\""]);
    let missing = ["skip", "stream", "bills", "--partition", "broker-a/3", "--offset", "42", "--reason", "why"];
    let refused = rocketbridge(&server, &missing, "").await;
    assert!(refused.status == 1 && refused.remarks.contains("there is nothing named bills"), "{}", refused.remarks);
    let unexplained = rocketbridge(&server, &skip, "").await;
    assert!(unexplained.status == 2 && unexplained.remarks.contains("--reason"), "{}", unexplained.remarks);
    assert_eq!(fake.script().calls.len(), 2);
}

/// *Scenario*: a server has one connection, and 21 records of connections that it cannot read. *Guarantees*: the readable one is listed, the others are named and
/// counted on standard error, with what removes them.
#[tokio::test]
async fn what_the_server_cannot_read_is_remarked() {
    let fake = Fake::default();
    let server = fake.serve().await;
    fake.script().connections.insert("good".into(), Connection { name: "good".into(), ..Default::default() });
    let record = |number: usize| rocketbridge_proto::record::v1::UnreadableRecord {
        name: format!("c{number}"),
        key: format!("definitions/connections/c{number}"),
        reason: format!("cannot read definitions/connections/c{number}: it is not JSON at line 1, column 2"),
    };
    fake.script().unreadable = ((0..20).map(record).collect(), 21);
    let listed = rocketbridge(&server, &["get", "connections"], "").await;
    assert_eq!((listed.status, listed.results.lines().count()), (0, 2), "{}", listed.results);
    let first = "connection/c0 cannot be shown: cannot read definitions/connections/c0: it is not JSON at line 1, column 2; \
                 rocketbridge delete connection c0 removes it";
    let remarks: Vec<&str> = listed.remarks.lines().collect();
    assert_eq!((remarks[0], remarks.len(), remarks[20]), (first, 21, "1 more connections cannot be shown"));
}
