//! What a user sees when something is wrong, and that a stream goes on by itself when it is mended.

#![recursion_limit = "256"]

use std::time::{Duration, Instant};

use rocketbridge_harness::{Api, Audit, Brokers, Cluster, Kind, Load, Route, Standalone, eventually, free_port};
use rocketbridge_proto::stream::v1::{RunOptions, State, Stream, source};
use tempfile::TempDir;
use tonic_types::StatusExt;

const QUEUES: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(60);
/// How soon events flow again once a broker is back.
const RECOVERY: Duration = Duration::from_secs(5);

async fn embedded() -> Brokers {
    Brokers::start(Kind::Embedded).await.expect("embedded ones are always there")
}

/// A stream from a topic `orders` to one of the same name, and an audit of what arrives. Name the fields in this order: whoever fails must not
/// first see the brokers go.
struct Running {
    brokers: Brokers,
    directory: TempDir,
    standalone: Standalone,
    api: Api,
    audit: Audit,
    load: Load,
}

async fn running(seed: u64) -> Running {
    let brokers = embedded().await;
    brokers.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    api.run(Route::new("orders", "orders", &brokers.source, &brokers.target).stream()).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, seed).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, seed);
    Running { brokers, directory, standalone, api, audit, load }
}

/// *Scenario*: a stream whose source has no name server at its address is started; then a cluster appears there. *Guarantees*: the status says
/// STARTING_FAILED and names the address; without anyone's help it runs once the cluster is there, and everything arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_name_server_is_told_and_tried_again() {
    let target = Cluster::embedded("hohhot").await;
    target.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let port = free_port();
    let mut route = Route::new("orders", "orders", &target, &target);
    route.source.0 = format!("127.0.0.1:{port}");
    api.create(route.stream()).await;
    api.start("orders").await;
    let failed = api.wait("orders", "has failed to start", DEADLINE, |status| status.state() == State::StartingFailed).await;
    assert!(failed.reason.contains(&route.source.0), "the reason names the address: {:?}", failed.reason);

    let source = Cluster::embedded_at("qingdao", port).await;
    source.create_topic("orders", QUEUES).await;
    api.wait_until_running("orders", DEADLINE).await;
    let audit = Audit::follow(&target, "orders", QUEUES, 1).await;
    Load::new(&source, "orders", QUEUES, 1).send(0..500).await;
    audit.expect(0..500, |_| true).await;
    drop(standalone);
    source.end().await;
    target.end().await;
}

/// *Scenario*: a stream whose source's topic does not exist, and then one whose target's topic does not. *Guarantees*: the status names the
/// topic; each runs once its topic is there, and everything arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_told_and_tried_again() {
    let brokers = embedded().await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;

    brokers.target.create_topic("unborn-source", QUEUES).await;
    let route = Route::new("orders", "unborn-source", &brokers.source, &brokers.target);
    api.create(route.stream()).await;
    api.start("orders").await;
    let failed = api.wait("orders", "has failed to start", DEADLINE, |status| status.state() == State::StartingFailed).await;
    assert!(failed.reason.contains("unborn-source"), "the reason names the topic: {:?}", failed.reason);
    brokers.source.create_topic("unborn-source", QUEUES).await;
    api.wait_until_running("orders", DEADLINE).await;
    let audit = Audit::follow(&brokers.target, "unborn-source", QUEUES, 2).await;
    Load::new(&brokers.source, "unborn-source", QUEUES, 2).send(0..500).await;
    audit.expect(0..500, |_| true).await;

    brokers.source.create_topic("unborn-target", QUEUES).await;
    let route = Route::new("bills", "unborn-target", &brokers.source, &brokers.target);
    api.create(route.stream()).await;
    api.start("bills").await;
    Load::new(&brokers.source, "unborn-target", QUEUES, 3).send(0..500).await;
    api.wait("bills", "says that the target's topic is missing", DEADLINE, |status| status.reason.contains("unborn-target")).await;
    brokers.target.create_topic("unborn-target", QUEUES).await;
    let audit = Audit::follow(&brokers.target, "unborn-target", QUEUES, 3).await;
    audit.wait(500, DEADLINE).await;
    audit.expect(0..500, |_| true).await;
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: the target's cluster stops in the middle of a load and comes back. *Guarantees*: the status says what is wrong meanwhile; events
/// flow again within 5 s of its return; nothing is lost or out of order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_comes_back_gets_everything() {
    let Running { mut brokers, directory: _directory, standalone, api, audit, load } = running(4).await;
    load.send(0..2000).await;
    audit.wait(500, DEADLINE).await;
    brokers.target.stop().await;
    load.send(2000..4000).await;
    api.wait("orders", "tells of the stopped target", DEADLINE, |status| !status.reason.is_empty()).await;
    let before = audit.delivered();
    brokers.target.restart().await;
    let begin = Instant::now();
    eventually("events flow again", DEADLINE, async || {
        let offsets = brokers.target.admin().offsets("orders").await.map_err(|error| error.to_string())?;
        let stored: u64 = offsets.iter().map(|queue| queue.maximum - queue.minimum).sum();
        if stored > before && stored > 2000 { Ok(()) } else { Err(format!("{stored} stored, {before} before")) }
    })
    .await;
    let flowed = begin.elapsed();
    println!("flowed {flowed:.1?} after the target was back");
    let report = audit.expect(0..4000, |_| true).await;
    println!("{report}");
    assert!(flowed < RECOVERY, "it took {flowed:?}");
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: the source's cluster stops three times in the middle of what it holds, and comes back each time. *Guarantees*: the status says what is wrong
/// meanwhile; everything arrives, in order, and nothing twice: what was read and is under way goes on without the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_comes_back_repeats_nothing() {
    let Running { mut brokers, directory: _directory, standalone, api, audit, load } = running(7).await;
    for round in 0..3_u64 {
        load.send(round * 2000..(round + 1) * 2000).await;
        brokers.source.stop().await;
        api.wait("orders", "tells of the stopped source", DEADLINE, |status| !status.reason.is_empty()).await;
        brokers.source.restart().await;
        api.wait_until_running("orders", DEADLINE).await;
    }
    let report = audit.expect(0..6000, |_| true).await;
    println!("{report}, {} sent again by the producer", load.resent());
    assert_eq!(report.duplicated, 0, "the producer sent {} again", load.resent());
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: a definition with faults in its name, pattern, source, sink and options. *Guarantees*: INVALID_ARGUMENT with a field violation for
/// each, all in one answer; nothing is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_definition_names_every_field() {
    let target = Cluster::embedded("hohhot").await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let standalone = Standalone::start(directory.path());
    let api = standalone.api().await;
    let mut route = Route::new("orders", "orders", &target, &target);
    route.name = "orders copy!".to_owned();
    route.pattern = r#"{"data": "#.to_owned();
    route.source = ("http://nowhere".to_owned(), String::new());
    route.offset = "CONSUME_FROM_FRIST_OFFSET".to_owned();
    route.target.1 = String::new();
    let mut stream: Stream = route.stream();
    stream.run_options = Some(RunOptions { errors_tolerance: "SOME".to_owned(), ..RunOptions::default() });
    let refused = api.try_create(stream).await.expect_err("it is full of faults");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    let details = refused.get_details_bad_request().expect("BadRequest details");
    let fields: Vec<&str> = details.field_violations.iter().map(|violation| violation.field.as_str()).collect();
    let expected = [
        "name",
        "filter_pattern",
        "source.source_rocketmq_parameters.instance_endpoint",
        "source.source_rocketmq_parameters.topic",
        "source.source_rocketmq_parameters.offset",
        "sink.sink_rocketmq_parameters.topic.value",
        "run_options.errors_tolerance",
    ];
    assert_eq!(fields, expected);
    assert!(details.field_violations.iter().all(|violation| !violation.description.is_empty()));

    // A stream without a source at all, too: the answer is a refusal, not a crash.
    let refused = api.try_create(Stream { name: "empty".to_owned(), ..Stream::default() }).await.expect_err("it has nothing");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    let mut valid = Route::new("orders", "orders", &target, &target);
    valid.target.1 = "copy".to_owned();
    let created = api.create(valid.stream()).await;
    let Some(source::Source::SourceRocketmqParameters(source)) = created.source.and_then(|source| source.source) else {
        panic!("the answer has the source")
    };
    assert_eq!(source.topic, "orders");
    let again = api.try_create(valid.stream()).await.expect_err("the name is taken");
    assert_eq!(again.code(), tonic::Code::AlreadyExists, "{again:?}");
    drop(standalone);
    target.end().await;
}

/// *Scenario*: standalone is killed with SIGKILL in the middle of 20,000 messages, and started again on its data directory. *Guarantees*: the
/// stream is there and runs by itself; nothing is lost, corrupt or out of order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_standalone_goes_on_where_it_was() {
    let Running { brokers, directory, standalone, audit, load, .. } = running(5).await;
    let dying = async {
        audit.wait(4000, DEADLINE).await;
        standalone.process.kill();
        audit.delivered()
    };
    let ((), delivered) = tokio::join!(load.send(0..20_000), dying);
    println!("killed when {delivered} had arrived");
    assert!(delivered < 20_000, "it was killed too late to show anything");
    let begin = Instant::now();
    let standalone = Standalone::start(directory.path());
    standalone.api().await.wait_until_running("orders", DEADLINE).await;
    println!("running again after {:.1?}", begin.elapsed());
    let report = audit.expect(0..20_000, |_| true).await;
    println!("{report}");
    assert_eq!(report.delivered, 20_000);
    drop(standalone);
    brokers.stop().await;
}
