//! The etcd store on a real etcd 3.6: the conformance suite, and the faults that a cluster is known for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use rocketbridge_metastore::testing::Cluster;
use rocketbridge_metastore::testing::conformance::{self, Fixture};
use rocketbridge_metastore::{Code, Compare, Error, Etcd, LeaseId, Metastore, Mirror, Transaction, WatchEvent};
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use tokio::time::timeout;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn start(members: usize) -> Option<(Cluster, Etcd)> {
    let cluster = Cluster::start(members)?;
    let store = Etcd::connect(cluster.config()).await.expect("connect");
    Some((cluster, store))
}

fn put(key: &str, value: &str) -> Transaction {
    Transaction::new().put(key, value.to_owned())
}

/// Writes until it is confirmed, reading back whenever the outcome is unknown.
async fn write(store: &Etcd, key: &str, value: &str) {
    let written = async {
        loop {
            match store.transact(put(key, value)).await {
                Ok(_) => return,
                Err(error) if matches!(error.code(), Code::OutcomeUnknown | Code::Unavailable) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(PATIENCE, written).await.expect("a write gets through");
}

async fn mirrored(mirror: &mut Mirror, key: &str, value: &str) {
    let wait = async {
        while mirror.take().get(key).is_none_or(|entry| &entry.value[..] != value.as_bytes()) {
            mirror.changed().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{key} = {value} is mirrored, got {:?}", mirror.snapshot()));
}

/// *Scenario*: the conformance suite. *Guarantees*: every property of the trait.
#[tokio::test]
async fn conforms() {
    let Some((_cluster, store)) = start(1).await else {
        return;
    };
    let compacted = store.clone();
    let compact = Arc::new(move |revision| {
        let store = compacted.clone();
        async move { store.compact(revision).await.expect("compact") }.boxed()
    });
    conformance::run(Fixture { store: Arc::new(store), compact }).await;
}

/// *Scenario*: two namespaces on one cluster. *Guarantees*: neither sees the other, in reads, listings and watches.
#[tokio::test]
async fn namespaces_are_apart() {
    let Some((cluster, store)) = start(1).await else {
        return;
    };
    let mut config = cluster.config();
    config.namespace = "rocketbridge2".into();
    let other = Etcd::connect(config).await.expect("connect");
    let start = store.transact(put("a", "1")).await.expect("write").revision;
    let mut watch = store.watch("", start).await.expect("watch");
    other.transact(put("a", "2")).await.expect("write");
    other.transact(Transaction::new().delete_prefix("")).await.expect("delete all");
    store.transact(put("b", "1")).await.expect("write");
    let keys: Vec<String> = store.list("").await.expect("list").entries.into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["a", "b"]);
    let event = timeout(PATIENCE, watch.next()).await.expect("an event").expect("watch");
    let WatchEvent::Changes { changes, .. } = event else { panic!("{event:?}") };
    assert_eq!(changes.iter().map(|change| change.key()).collect::<Vec<_>>(), ["b"]);
}

/// *Scenario*: nothing listens. *Guarantees*: connecting fails in bounded time, names the step and the endpoint, and reports that nothing was done.
#[tokio::test]
async fn a_dead_endpoint_is_found_when_connecting() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let endpoint = format!("http://{free}");
    let mut config = rocketbridge_metastore::etcd::Config::new([&endpoint]);
    config.call_timeout = Duration::from_millis(500);
    let error = Etcd::connect(config.clone()).await.expect_err("nobody there");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.to_string().contains("get on") && error.to_string().contains(&endpoint), "{error}");
    // A write that no server can have received is not in doubt.
    let error = Etcd::new(config).expect("valid").transact(put("a", "1")).await.expect_err("nobody there");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
}

/// *Scenario*: etcd is stopped (SIGSTOP), then continues. *Guarantees*: reads and renewals end in bounded time, a write is reported in
/// doubt, a watch notices the silence by itself, and a mirror recovers what it missed.
#[tokio::test]
async fn a_frozen_etcd_is_noticed() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let mut config = cluster.config();
    config.attempt_timeout = Duration::from_millis(500);
    config.call_timeout = Duration::from_secs(1);
    config.watch_silence = Duration::from_millis(500);
    let store = Etcd::connect(config).await.expect("connect");
    let tasks = Tasks::new(Shutdown::new());
    let mut mirror = Mirror::start(Arc::new(store.clone()), "frozen/", &tasks);
    let lease = store.grant_lease(Duration::from_secs(60)).await.expect("grant").id;
    store.keep_alive(lease).await.expect("keep alive");
    write(&store, "frozen/a", "before").await;
    mirrored(&mut mirror, "frozen/a", "before").await;
    let mut watch = store.watch("frozen/", 0).await.expect("watch");
    timeout(PATIENCE, watch.next()).await.expect("an event").expect("watch");

    cluster.freeze(1);
    let began = Instant::now();
    let (read, renewal, written, event) =
        tokio::join!(store.get("frozen/a"), store.keep_alive(lease), store.transact(put("frozen/b", "1")), async {
            loop {
                if let Err(error) = watch.next().await {
                    return error;
                }
            }
        },);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(read.expect_err("frozen").code(), Code::Unavailable);
    assert_eq!(renewal.expect_err("frozen").code(), Code::Unavailable);
    assert_eq!(written.expect_err("frozen").code(), Code::OutcomeUnknown);
    assert!(matches!(event, Error::WatchSilent { .. }), "{event:?}");

    cluster.thaw(1);
    write(&store, "frozen/a", "after").await;
    mirrored(&mut mirror, "frozen/a", "after").await;
    store.keep_alive(lease).await.expect("the stream of renewals is opened again");
    tasks.shutdown().abort(Cause::Requested("test".into()));
    tasks.join(PATIENCE).await.expect("the mirror ends");
}

/// *Scenario*: an idle watch on a healthy etcd, for several times the silence that it accepts. *Guarantees*: it asks for a sign of life, gets
/// one, and continues.
#[tokio::test]
async fn an_idle_watch_stays() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let mut config = cluster.config();
    config.watch_silence = Duration::from_millis(200);
    let store = Etcd::connect(config).await.expect("connect");
    let mut watch = store.watch("idle/", 0).await.expect("watch");
    for _ in 0..3 {
        let event = timeout(PATIENCE, watch.next()).await.expect("a sign of life").expect("watch");
        assert_eq!(event, WatchEvent::Progress);
    }
    store.transact(put("idle/a", "1")).await.expect("write");
    let event = timeout(PATIENCE, watch.next()).await.expect("an event").expect("watch");
    assert!(matches!(event, WatchEvent::Changes { .. }), "{event:?}");
}

/// *Scenario*: etcd is killed and started again. *Guarantees*: the same store and the same mirror keep working; a lease survives the restart.
#[tokio::test]
async fn a_restarted_etcd_is_found_again() {
    let Some((cluster, store)) = start(1).await else {
        return;
    };
    let tasks = Tasks::new(Shutdown::new());
    let mut mirror = Mirror::start(Arc::new(store.clone()), "restart/", &tasks);
    let lease = store.grant_lease(Duration::from_secs(60)).await.expect("grant").id;
    store.keep_alive(lease).await.expect("keep alive");
    let leased = Transaction::new().put_leased("restart/l", "", lease);
    store.transact(leased).await.expect("write");
    mirrored(&mut mirror, "restart/l", "").await;
    cluster.kill(1);
    cluster.restart(1);
    write(&store, "restart/a", "after").await;
    mirrored(&mut mirror, "restart/a", "after").await;
    assert_eq!(mirror.snapshot().get("restart/l").and_then(|entry| entry.lease), Some(lease));
    store.keep_alive(lease).await.expect("leases survive a restart");
    tasks.shutdown().abort(Cause::Requested("test".into()));
}

/// *Scenario*: the leader of three members is killed while one task reads, one renews, one writes; later it comes back. *Guarantees*: reads
/// and renewals never fail, writes succeed again after the election, nothing confirmed is lost, and the mirror converges.
#[tokio::test]
async fn the_loss_of_a_leader_is_survived() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let mut config = cluster.config();
    config.call_timeout = Duration::from_secs(20);
    let store = Etcd::connect(config).await.expect("connect");
    let tasks = Tasks::new(Shutdown::new());
    let mut mirror = Mirror::start(Arc::new(store.clone()), "leader/", &tasks);
    let lease = store.grant_lease(Duration::from_secs(60)).await.expect("grant").id;
    write(&store, "leader/0", "0").await;
    let leader = cluster.leader();
    cluster.kill(leader);
    let calls = async {
        for number in 1..50 {
            let key = format!("leader/{number}");
            let (read, renewed, ()) = tokio::join!(store.get("leader/0"), store.keep_alive(lease), write(&store, &key, "1"));
            assert!(read.expect("reads are repeated").is_some());
            renewed.expect("renewals are repeated");
        }
    };
    timeout(PATIENCE * 2, calls).await.expect("all calls end");
    cluster.restart(leader);
    mirrored(&mut mirror, "leader/49", "1").await;
    assert_eq!(mirror.snapshot().len(), 50);
    assert_eq!(store.list("leader/").await.expect("list").entries.len(), 50);
    tasks.shutdown().abort(Cause::Requested("test".into()));
}

/// *Scenario*: of three endpoints the preferred one is dead from the start. *Guarantees*: the first call finds another, the next ones go there
/// at once.
#[tokio::test]
async fn a_dead_member_is_avoided() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let dead = if cluster.leader() == 1 { 2 } else { 1 };
    cluster.kill(dead);
    let mut config = cluster.config();
    config.endpoints.rotate_left(dead - 1);
    let store = Etcd::connect(config).await.expect("another member answers");
    for number in 0..50 {
        store.transact(put("avoided/a", &number.to_string())).await.expect("no call goes to the dead member");
    }
}

/// *Scenario*: a mirror is cut off by a stopped etcd while the revisions that it needs next are compacted through another client.
/// *Guarantees*: it lists again and converges, deletions included.
#[tokio::test]
async fn a_mirror_survives_compaction() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let follower = (1..=3).find(|member| *member != cluster.leader()).expect("two follow");
    let mut config = cluster.config();
    let endpoint = config.endpoints.remove(follower - 1);
    config.call_timeout = Duration::from_secs(20);
    let store = Etcd::connect(config.clone()).await.expect("connect");
    config.endpoints = vec![endpoint];
    config.attempt_timeout = Duration::from_millis(500);
    config.call_timeout = Duration::from_secs(1);
    config.watch_silence = Duration::from_millis(500);
    let cut_off = Etcd::connect(config).await.expect("connect");
    let tasks = Tasks::new(Shutdown::new());
    let mut mirror = Mirror::start(Arc::new(cut_off), "compact/", &tasks);
    write(&store, "compact/a", "1").await;
    write(&store, "compact/b", "1").await;
    mirrored(&mut mirror, "compact/b", "1").await;
    cluster.freeze(follower);
    store.transact(Transaction::new().delete("compact/a")).await.expect("delete");
    write(&store, "compact/b", "2").await;
    let last = store.list("compact/").await.expect("list").revision;
    store.compact(last).await.expect("compact");
    cluster.thaw(follower);
    mirrored(&mut mirror, "compact/b", "2").await;
    assert_eq!(mirror.snapshot().keys().collect::<Vec<_>>(), ["compact/b"]);
    tasks.shutdown().abort(Cause::Requested("test".into()));
}

/// *Scenario*: what the server itself refuses. *Guarantees*: told at once as final, never retried.
#[tokio::test]
async fn refusals_are_final() {
    let Some((_cluster, store)) = start(1).await else {
        return;
    };
    let began = Instant::now();
    let error = store.compact(1 << 40).await.expect_err("a revision of the future");
    assert_eq!(error.code(), Code::Invalid, "{error:?}");
    let error = store.transact(Transaction::new().put_leased("a", "", LeaseId(1))).await.expect_err("no such lease");
    assert_eq!(error.code(), Code::LeaseLost, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let guarded = Transaction::new().when(Compare::KeyAbsent("a".into())).put("a", "1");
    assert!(store.transact(guarded.clone()).await.expect("transact").succeeded);
    assert!(!store.transact(guarded).await.expect("transact").succeeded);
}
