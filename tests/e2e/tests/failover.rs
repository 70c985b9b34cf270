//! Progress of groups, and fail-over of a route: the drill, and the death of a cluster.

#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::time::Duration;

use rocketbridge_harness::{Brokers, Consumed, Consumer, Kind, Load, Standalone, eventually};
use rocketbridge_proto::route::v1::route_service_client::RouteServiceClient;
use rocketbridge_proto::route::v1::*;
use tonic::transport::Channel;
use tonic::{Code, Status};

const QUEUES: u32 = 4;
const GROUP: &str = "billing";
const DEADLINE: Duration = Duration::from_secs(120);
/// Longest time that progress is behind: the interval of translation, that of commits, and a busy machine.
const BEHIND: Duration = Duration::from_secs(4);

/// Four clusters of Java at once are too much for a small machine, so the tests take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Two clusters with a route of `orders` between them.
struct Drill {
    brokers: Brokers,
    standalone: Standalone,
    routes: RouteServiceClient<Channel>,
    _directory: tempfile::TempDir,
}

impl Drill {
    async fn start(kind: Kind, both_ways: bool) -> Option<Self> {
        let brokers = Brokers::start(kind).await?;
        brokers.source.create_topic("orders", QUEUES).await;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let standalone = Standalone::start(directory.path());
        let channel = Channel::from_shared(standalone.process.server().to_owned()).expect("an address").connect().await.expect("it serves");
        let mut routes = RouteServiceClient::new(channel);
        let route = Route {
            name: "dr".into(),
            from: brokers.source.name_server().into(),
            to: brokers.target.name_server().into(),
            topics: vec!["orders".into()],
            groups: vec![GROUP.into()],
            both_ways,
            ..Default::default()
        };
        routes.create_route(CreateRouteRequest { route: Some(route), ..Default::default() }).await.expect("sound");
        routes.start_route(StartRouteRequest { name: "dr".into(), ..Default::default() }).await.expect("starts");
        Some(Self { brokers, standalone, routes, _directory: directory })
    }

    /// Waits until the target holds so many messages.
    async fn mirrored(&self, messages: u64) {
        eventually("the target holds all", DEADLINE, async || {
            let queues = self.brokers.target.admin().offsets("orders").await.map_err(|error| error.to_string())?;
            let stored: u64 = queues.iter().map(|queue| queue.maximum).sum();
            if stored >= messages { Ok(()) } else { Err(format!("{stored} of {messages}")) }
        })
        .await;
    }

    async fn status(&self) -> RouteStatus {
        let answer = self.routes.clone().get_route_status(GetRouteStatusRequest { name: "dr".into() }).await.expect("answers");
        answer.into_inner().status.expect("answered")
    }

    async fn failover(&self, force: bool) -> Result<SwitchProgress, Status> {
        let request = FailoverRouteRequest { name: "dr".into(), force, validate_only: false };
        Ok(self.routes.clone().failover_route(request).await?.into_inner().progress.expect("answered"))
    }

    async fn failback(&self) -> Result<SwitchProgress, Status> {
        let request = FailbackRouteRequest { name: "dr".into(), ..Default::default() };
        Ok(self.routes.clone().failback_route(request).await?.into_inner().progress.expect("answered"))
    }

    async fn end(self) {
        drop(self.standalone);
        self.brokers.stop().await;
    }
}

/// Asks again until it is done.
async fn done(what: &str, ask: impl AsyncFn() -> Result<SwitchProgress, Status>) -> SwitchProgress {
    eventually(what, DEADLINE, async || {
        let progress = ask().await.map_err(|status| status.to_string())?;
        if progress.done { Ok(progress) } else { Err(format!("{progress:?}")) }
    })
    .await
}

/// Asks until nearly all is copied; then it is refused, because the group consumes.
async fn refused_while_consuming(what: &str, ask: impl AsyncFn() -> Result<SwitchProgress, Status>) {
    eventually(what, DEADLINE, async || match ask().await {
        Ok(progress) => Err(format!("{progress:?}")),
        Err(refused) => {
            assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
            assert!(refused.message().contains(&format!("group {GROUP}")) && refused.message().contains("still consumes"), "{refused}");
            Ok(())
        }
    })
    .await;
}

/// How often each message was consumed.
fn times<'c>(consumed: impl IntoIterator<Item = &'c Consumed>) -> BTreeMap<u64, usize> {
    let mut times = BTreeMap::new();
    consumed.into_iter().for_each(|consumed| *times.entry(consumed.number).or_default() += 1);
    times
}

/// Messages of a range that were never consumed.
fn lost(consumed: &[Consumed], produced: u64) -> Vec<u64> {
    let times = times(consumed);
    (0..produced).filter(|number| !times.contains_key(number)).collect()
}

async fn drill(kind: Kind, both_ways: bool) {
    let _turn = TURN.lock().await;
    let Some(drill) = Drill::start(kind, both_ways).await else { return };
    let Brokers { source, target } = &drill.brokers;
    let (at_source, at_target) = (Load::new(source, "orders", QUEUES, 1), Load::new(target, "orders", QUEUES, 1));
    at_source.send(0..20_000).await;
    // Producers and consumers are at work at the source; a backlog stays.
    let consumer = Consumer::start(source, "orders", GROUP).await;
    tokio::join!(at_source.send(20_000..22_000), consumer.wait(4_000, DEADLINE));
    refused_while_consuming("the failover is refused", || drill.failover(false)).await;
    let mut consumed = consumer.stop().await;
    let before = consumed.len();
    let over = done("the route is failed over", || drill.failover(false)).await;
    assert_eq!(over.active(), Active::To);
    let committed: u64 =
        target.admin().progress("orders", GROUP).await.expect("it answers").iter().filter_map(|queue| queue.committed).sum();
    assert_eq!(committed, before as u64, "each message before the offsets at the target was consumed, and none behind: {over:?}");

    let consumer = Consumer::start(target, "orders", GROUP).await;
    tokio::join!(at_target.send(22_000..24_000), consumer.wait(4_000, DEADLINE));
    refused_while_consuming("the failback is refused", || drill.failback()).await;
    consumed.extend(consumer.stop().await);
    let at_the_target = consumed.len() - before;
    assert_eq!(times(&consumed).len(), consumed.len(), "nothing is consumed twice by a fail-over");
    let back = done("the route is failed back", || drill.failback()).await;
    assert_eq!(back.active(), Active::From);

    let consumer = Consumer::start(source, "orders", GROUP).await;
    at_source.send(24_000..25_000).await;
    eventually("the rest is consumed at the source", DEADLINE, async || {
        let left = 25_000_usize.saturating_sub(before + at_the_target + consumer.count());
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await;
    consumed.extend(consumer.stop().await);
    assert_eq!(lost(&consumed, 25_000), [] as [u64; 0]);
    let repeated = consumed.len() - times(&consumed).len();
    println!(
        "drill: {before} consumed at the source, {at_the_target} at the target, {} in all; 0 lost, {repeated} repeated",
        consumed.len()
    );
    assert_eq!(repeated, 0);
    drill.end().await;
}

/// *Scenario*: a drill both ways with 20,000 messages of backlog, on Apache RocketMQ 5.3.3: producers and a consumer group at work at the source, a fail-over that is refused while they are, then done; the group goes on at the target, where producers
/// write; then back. *Guarantees*: nothing is lost; nothing is consumed twice; the offsets at the target are exact, as the broker tells them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_loses_and_repeats_nothing_on_apache_rocketmq_5_3() {
    drill(Kind::Java("5.3.3"), true).await;
}

/// *Scenario*: the source is killed while a group consumes there. *Guarantees*: a fail-over is refused, with the most that it repeats; by force it is done; nothing that was copied is lost, and only what was consumed shortly before the death is
/// consumed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_cluster_is_left_by_force() {
    let _turn = TURN.lock().await;
    let Some(drill) = Drill::start(Kind::Java("5.3.3"), false).await else { return };
    Load::new(&drill.brokers.source, "orders", QUEUES, 1).send(0..20_000).await;
    drill.mirrored(20_000).await;
    let consumer = Consumer::start(&drill.brokers.source, "orders", GROUP).await;
    consumer.wait(6_000, DEADLINE).await;
    eventually("progress has been translated", DEADLINE, async || {
        let groups = drill.status().await.groups;
        let is_there = groups.iter().flat_map(|group| &group.queues).any(|queue| queue.target_committed.is_some());
        if is_there { Ok(()) } else { Err(format!("{groups:?}")) }
    })
    .await;
    drill.brokers.source.kill();
    let died = tokio::time::Instant::now();
    let mut consumed = consumer.stop().await;
    eventually("the death is noticed", DEADLINE, async || {
        let groups = drill.status().await.groups;
        if groups.iter().all(|group| group.reason.contains("does not answer")) { Ok(()) } else { Err(format!("{groups:?}")) }
    })
    .await;
    let refused = drill.failover(false).await.expect_err("it is dead");
    assert!(refused.message().contains("are read again") && refused.message().contains("--force"), "{refused}");
    let over = done("the route is failed over by force", || drill.failover(true)).await;
    assert_eq!(over.active(), Active::To);
    let consumer = Consumer::start(&drill.brokers.target, "orders", GROUP).await;
    eventually("everything is consumed", DEADLINE, async || {
        let progress = drill.brokers.target.admin().progress("orders", GROUP).await.map_err(|error| error.to_string())?;
        let left: u64 = progress.iter().map(|queue| queue.maximum - queue.committed.unwrap_or_default()).sum();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await;
    let again = consumer.stop().await;
    let after: BTreeMap<u64, usize> = times(&again);
    let repeated: Vec<_> = consumed.iter().filter(|consumed| after.contains_key(&consumed.number)).copied().collect();
    let oldest = repeated.iter().map(|consumed| died.duration_since(consumed.at)).max().unwrap_or_default();
    println!("killed: {} consumed before, {} repeated, consumed at most {oldest:?} before the death", consumed.len(), repeated.len());
    assert!(oldest <= BEHIND, "{oldest:?}");
    consumed.extend(again);
    assert_eq!(lost(&consumed, 20_000), [] as [u64; 0]);
    drill.end().await;
}
