//! Stopping under load: how long it takes, how it ends, and that nothing is repeated.
//!
//! `ROCKETBRIDGE_TEST_ROUNDS` says how often each process is stopped (by default 2); the figures of the release notes are those of 20.

use std::time::{Duration, Instant};

use rocketbridge_harness::{Audit, Brokers, Cluster, Etcd, Kind, Load, Mesh, Process, Role, Route, Standalone, eventually};
use rocketbridge_proto::stream::v1::StreamStatus;

const QUEUES: u32 = 8;
/// Messages that wait at the source when the first process is stopped.
const BACKLOG: u64 = 120_000;
/// The same, where several stages stop one after another.
const LONG_BACKLOG: u64 = 3 * BACKLOG;
const DEADLINE: Duration = Duration::from_secs(60);
/// A stop at any load takes at most so long.
const STOP: Duration = Duration::from_secs(2);

/// *Scenario*: a standalone with a backlog of 120,000 messages is told by SIGTERM to stop while they flow at full speed, and started again, several
/// times. *Guarantees*: each time it ends within 2 s and with status 0; in the end everything arrived, in order, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_under_load_stops_in_time_and_repeats_nothing() {
    let brokers = brokers_with_a_backlog(BACKLOG, 71).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 71).await;
    let mut standalone = Standalone::start(directory.path());
    standalone.api().await.run(Route::new("orders", "orders", &brokers.source, &brokers.target).stream_of(QUEUES)).await;
    let mut stops = Vec::new();
    for _ in 0..rounds() {
        let left = wait_for_flow(&brokers.target, BACKLOG).await;
        stops.push(stop(&mut standalone.process, left).await);
        standalone = Standalone::start(directory.path());
    }
    tell("standalone", &stops);
    audit.wait(BACKLOG, DEADLINE).await;
    let report = audit.expect(0..BACKLOG, |_| true).await;
    println!("{report}");
    assert_eq!(report.duplicated, 0, "nothing is repeated: {report}");
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: the target of a standalone with a backlog is gone when it is told to stop. *Guarantees*: it ends within 2 s and with status 0 all the
/// same; started again when the target is back, it delivers everything, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_with_a_dead_target_stops_in_time() {
    let mut brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start(directory.path());
    standalone.api().await.run(Route::new("orders", "orders", &brokers.source, &brokers.target).stream_of(QUEUES)).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 72).await;
    let load = Load::new(&brokers.source, "orders", QUEUES, 72);
    load.send(0..1000).await;
    audit.wait(1000, DEADLINE).await;
    brokers.target.stop().await;
    load.send(1000..20_000).await;
    let is_stuck =
        |status: &StreamStatus| status.partitions.iter().any(|part| part.report.as_ref().is_some_and(|report| report.in_flight > 0));
    let mut stops = Vec::new();
    for _ in 0..rounds() {
        standalone.api().await.wait("orders", "has messages under way", DEADLINE, is_stuck).await;
        stops.push(stop(&mut standalone.process, 19_000).await);
        standalone = Standalone::start(directory.path());
    }
    tell("standalone with a dead target", &stops);
    brokers.target.restart().await;
    let report = audit.expect(0..20_000, |_| true).await;
    println!("{report}");
    drop(standalone);
    brokers.stop().await;
}

/// *Scenario*: while a backlog of 360,000 messages flows through a mesh at full speed, routers, filters and dispatchers that have a part in it are
/// told by SIGTERM to stop, one after another. *Guarantees*: each ends within 2 s and with status 0; others take over; in the end everything
/// arrived, in order, and nothing twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stage_under_load_stops_in_time_and_repeats_nothing() {
    let Some(etcd) = Etcd::start(1) else { return };
    let brokers = brokers_with_a_backlog(LONG_BACKLOG, 73).await;
    let audit = Audit::follow(&brokers.target, "orders", QUEUES, 73).await;
    let mut mesh = Mesh::start(&etcd, &[]);
    mesh.api().await.run(Route::new("orders", "orders", &brokers.source, &brokers.target).stream_of(QUEUES)).await;
    // Kept to the end, so that their logs are shown if this fails.
    let mut stopped = Vec::new();
    for role in [Role::Router, Role::Filter, Role::Dispatcher] {
        let mut stops = Vec::new();
        for _ in 0..rounds() {
            let victim = with_a_part(&mesh, role).await;
            let left = wait_for_flow(&brokers.target, LONG_BACKLOG).await;
            let mut process = mesh.take(&victim);
            stops.push(stop(&mut process, left).await);
            stopped.push(process);
            mesh.add(role);
        }
        tell(&format!("{role:?}"), &stops);
    }
    audit.wait(LONG_BACKLOG, DEADLINE).await;
    let report = audit.expect(0..LONG_BACKLOG, |_| true).await;
    println!("{report}");
    assert_eq!(report.duplicated, 0, "nothing is repeated: {report}");
    brokers.stop().await;
}

fn rounds() -> usize {
    std::env::var("ROCKETBRIDGE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(2)
}

async fn brokers_with_a_backlog(count: u64, seed: u64) -> Brokers {
    let brokers = Brokers::start(Kind::Embedded).await.expect("embedded ones are always there");
    brokers.create_topic("orders", QUEUES).await;
    Load::new(&brokers.source, "orders", QUEUES, seed).send(0..count).await;
    brokers
}

/// Waits until more messages arrive at the target; returns how many of those that were produced are left.
async fn wait_for_flow(target: &Cluster, produced: u64) -> u64 {
    let before = target.stored("orders").await;
    let stored = eventually("messages flow", DEADLINE, async || {
        let stored = target.stored("orders").await;
        if stored > before || stored >= produced { Ok(stored) } else { Err(format!("{stored} stored")) }
    })
    .await;
    produced.saturating_sub(stored)
}

/// Tells a process to stop; returns how long it took, and how many messages were left.
async fn stop(process: &mut Process, left: u64) -> (Duration, u64) {
    let begin = Instant::now();
    process.terminate();
    let status = process.wait(DEADLINE);
    let took = begin.elapsed();
    assert!(status.success(), "{} ended with {status} after {took:?}", process.name());
    assert!(took < STOP, "{} took {took:?} to stop", process.name());
    (took, left)
}

fn tell(what: &str, stops: &[(Duration, u64)]) {
    let longest = stops.iter().map(|(took, _)| *took).max().unwrap_or_default();
    let loaded = stops.iter().filter(|(_, left)| *left > 0).count();
    println!("{what}: {} stops, {loaded} of them under load, the longest took {longest:.1?}: {stops:.1?}", stops.len());
    assert!(loaded > 0, "nothing was left when {what} was stopped, so this shows nothing");
}

async fn with_a_part(mesh: &Mesh, role: Role) -> String {
    let api = mesh.api().await;
    eventually(&format!("a {role:?} has a part in the stream"), DEADLINE, async || {
        let status = api.try_status("orders").await.map_err(|status| status.to_string())?;
        let names = status.partitions.iter().map(|part| match role {
            Role::Router => part.router.clone(),
            Role::Filter => part.filter.clone(),
            Role::Dispatcher | Role::Controller => part.dispatcher.clone(),
        });
        let mut names = names.filter(|name| mesh.of(role).any(|process| process.name() == name));
        names.next().ok_or_else(|| format!("{:?}", status.state()))
    })
    .await
}
