//! Sources that hand out messages: a topic of Apache RocketMQ behind its proxy, received over gRPC by several routers.

#![recursion_limit = "256"]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_harness::{Api, Audit, Cluster, Etcd, Load, Mesh, Numbered, Route, eventually};
use rocketbridge_proto::stream::v1::source::Source;
use rocketbridge_proto::stream::v1::{State, Stream, StreamStatus};

const MESSAGES: u64 = 20_000;
const SEED: u64 = 51;
/// Fewer than the receivers.
const QUEUES: u32 = 2;
/// As `router.window_events` is set below.
const WINDOW: u64 = 256;
/// How long messages of a dead router stay invisible, and a busy machine.
const RECOVERY: Duration = Duration::from_secs(180);

/// *Scenario*: two routers receive a topic of two queues with eight receivers through the proxy of Apache RocketMQ 5.3.3, and a mesh delivers 20,000 messages to another cluster over
/// remoting; while they flow, one of the routers is killed with SIGKILL. *Guarantees*: every message arrives, with the same body, keys, tag and properties; no more is repeated
/// than the dead router held; the other router receives with more receivers than there are queues; in the end nothing is under way, nothing waits, and nothing more comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_router_of_two_loses_nothing_that_a_proxy_handed_out() {
    let Some(etcd) = Etcd::start(1) else { return };
    let Some(source) = Cluster::with_proxy("5.3.3", "qingdao").await else { return };
    let target = Cluster::embedded("hohhot").await;
    source.create_topic("orders", QUEUES).await;
    target.create_topic("orders", QUEUES).await;
    let window = WINDOW.to_string();
    let mut mesh = Mesh::start(&etcd, &[("ROCKETBRIDGE_ROUTER_WINDOW_EVENTS", window.as_str())]);
    let api = mesh.api().await;
    let status = api.run(received(&source, &target)).await;
    let receivers = status.partitions.len() as u64;
    assert!(receivers > u64::from(QUEUES), "{status:?}");
    let owners: BTreeSet<&str> = status.partitions.iter().map(|partition| partition.router.as_str()).collect();
    assert_eq!(owners.len(), 2, "both routers receive");
    let victim = status.partitions[0].router.clone();
    let held = status.partitions.iter().filter(|partition| partition.router == victim).count() as u64 * WINDOW;

    let audit = Audit::follow(&target, "orders", QUEUES, SEED).await;
    let load = Arc::new(Load::new(&source, "orders", QUEUES, SEED).with_bodies());
    let sending = tokio::spawn({
        let load = load.clone();
        async move { load.send(0..MESSAGES).await }
    });
    audit.wait(MESSAGES / 10, RECOVERY).await;
    let arrived = audit.delivered();
    mesh.take(&victim).kill();
    sending.await.expect("the load is sent");
    let has_body = |number| !Numbered::new(SEED, number).body.is_empty();
    let report = audit.report(0..MESSAGES, has_body, RECOVERY).await;
    println!("router {victim} was killed after {arrived} arrivals; {report}");
    assert_eq!((report.lost, report.corrupt, report.unwanted), (0, 0, 0), "{report}");
    assert!(report.duplicated <= held + load.resent(), "{} repeats are more than {held}", report.duplicated);
    settles(&api).await;
    // What the dead router held has come again by now.
    let (before, longest) = (audit.repeated(), Duration::from_secs(35));
    tokio::time::sleep(longest).await;
    assert_eq!(audit.repeated(), before);
    assert!(mesh.all().all(|process| !process.log().contains("panicked")), "a process panicked");
    target.end().await;
}

/// A stream that receives through the proxy.
fn received(source: &Cluster, target: &Cluster) -> Stream {
    let mut stream = Route::new("orders", "orders", source, target).stream_of(4);
    if let Some(Source::SourceRocketmqParameters(parameters)) = stream.source.as_mut().and_then(|source| source.source.as_mut()) {
        parameters.instance_protocol = "Grpc".to_owned();
        parameters.instance_endpoint = source.proxy().to_owned();
    }
    stream
}

/// Waits until every partition flows and nothing is under way, and the source says that nothing waits.
async fn settles(api: &Api) {
    let is_settled = |status: &StreamStatus| status.state() == State::Running && !status.waiting_unknown && status.diff_offset == 0;
    eventually("nothing is under way", RECOVERY, async || {
        let status = api.try_status("orders").await.map_err(|status| status.to_string())?;
        if is_settled(&status) { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}
