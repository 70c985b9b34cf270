//! The whole path from a source that hands out messages to a target, in one process or in several, on a source and a target that the test makes up.
//!
//! What the pieces promise is tested where they are (`services/router`); here it is what users see of it.

mod hostile;
#[path = "../shared/setup.rs"]
mod shared;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rocketbridge_connector::Terms;
use rocketbridge_connector::testing::Pool;
use rocketbridge_harness::eventually;

use crate::world::{DEADLINE, Taste, World, route, terms};

/// *Scenario*: a process is told to stop while it carries 100,000 messages over eight partitions; then another one carries the rest. *Guarantees*: it stops within seconds;
/// what had no outcome is given back, so that the next process need not wait for invisible times; each message is delivered exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_under_load_gives_back_what_has_no_outcome() {
    const COUNT: u64 = 100_000;
    let world = World::new(Terms { partitions: 8, invisible: Duration::from_secs(60), batch: 256, window: 2_048, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    let node = world.standalone("one").await;
    node.api.create(route().stream_of(4)).await;
    node.api.start("s").await;
    world.wait_for(COUNT as usize / 4).await;
    let begin = Instant::now();
    node.stop().await;
    let (took, delivered) = (begin.elapsed(), world.delivered().len());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(delivered < COUNT as usize, "it stopped under load");
    let (released, out) = world.pool.with(|state| (state.counts.released, state.out()));
    println!("stopped after {took:.1?}: {delivered} were delivered, {released} given back, {out} left out");
    assert_eq!((world.pool.with(|state| state.left()), out), (COUNT as usize - delivered, 0));

    let begin = Instant::now();
    let node = world.standalone("two").await;
    world.wait_for(COUNT as usize).await;
    println!("the rest took {:.1?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(50), "the rest waited for invisible times: {:?}", begin.elapsed());
    node.stop().await;
    world.assert_each_once(COUNT);
}

/// *Scenario*: the target is dead for several invisible times, with more messages than the windows hold; then the stream is changed, paused, started, and the target comes back.
/// *Guarantees*: the windows bound what is handed out; nothing is repeated by waiting, nor by the change; a pause gives everything back; the status says how many
/// messages wait; each message is delivered exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_target_for_several_invisible_times_repeats_nothing() {
    const COUNT: u64 = 5_000;
    let world = World::new(Terms { partitions: 4, invisible: Duration::from_secs(2), batch: 64, window: 256, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    world.taste(|_| Taste::Dead);
    let node = world.standalone("one").await;
    node.api.create(route().stream()).await;
    node.api.start("s").await;
    world.wait_until_out(4 * 256).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let counts = world.pool.with(|state| state.counts);
    assert_eq!((counts.again, counts.most_out, counts.released), (0, 4 * 256, 0), "{counts:?}");
    assert!(counts.extended >= 4 * 256 * 3, "{counts:?}");

    // A changed definition takes over what is under way.
    let mut changed = route();
    changed.pattern = r#"{"data": {"topic": ["t"]}}"#.to_owned();
    node.api.update(changed.stream(), &["filter_pattern"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let counts = world.pool.with(|state| state.counts);
    assert_eq!((counts.again, counts.most_out, counts.released), (0, 4 * 256, 0), "{counts:?}");
    let status = node.api.status("s").await;
    assert_eq!((status.lag_seconds, status.partitions.len()), (None, 4));
    assert!(status.partitions.iter().all(|partition| partition.report.as_ref().is_some_and(|report| report.received)));

    node.api.pause("s").await;
    assert_eq!(world.pool.with(|state| (state.out(), state.counts.released)), (0, 4 * 256));
    world.taste(|_| Taste::Takes);
    node.api.start("s").await;
    world.wait_for(COUNT as usize).await;
    world.wait_until_acknowledged().await;
    node.stop().await;
    world.assert_each_once(COUNT);
}

/// *Scenario*: a target takes half of the invisible time for each group. *Guarantees*: each message is delivered exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_target_repeats_nothing() {
    const COUNT: u64 = 600;
    let world = World::new(Terms { partitions: 4, invisible: Duration::from_secs(2), batch: 32, window: 128, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    world.taste(|_| Taste::Slow(Duration::from_secs(1)));
    let node = world.standalone("one").await;
    node.api.create(route().stream()).await;
    node.api.start("s").await;
    world.wait_for(COUNT as usize).await;
    world.wait_until_acknowledged().await;
    assert_eq!(world.pool.with(|state| state.counts.again), 0);
    node.stop().await;
    world.assert_each_once(COUNT);
}

/// *Scenario*: of two routers that receive side by side, more partitions than the source has groups, one is killed under load. *Guarantees*: what it had comes to the other one after
/// its invisible time; nothing is lost; no more is repeated than the dead router's windows held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_router_of_two_loses_nothing() {
    const COUNT: u64 = 20_000;
    let world = World::new(Terms { partitions: 6, invisible: Duration::from_secs(4), batch: 32, window: 512, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    world.taste(|_| Taste::Slow(Duration::from_millis(20)));
    let node = world.standalone("one").await;
    let doomed = world.router("two");
    node.api.create(route().stream_of(2)).await;
    node.api.start("s").await;
    eventually("both routers receive", DEADLINE, async || {
        let status = node.api.status("s").await;
        let owners: BTreeSet<&str> = status.partitions.iter().map(|partition| partition.router.as_str()).collect();
        if owners.contains("two") && owners.contains("one") && status.partitions.len() == 6 { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
    world.wait_for(4_000).await;
    let before = world.delivered().len();
    doomed.kill();
    world.wait_until_acknowledged().await;
    node.stop().await;
    let again = world.pool.with(|state| state.counts.again);
    assert!(again > 0, "the dead router held nothing");
    let delivered = world.delivered();
    let each: BTreeSet<u64> = delivered.iter().copied().collect();
    let repeated = delivered.len() - each.len();
    println!("killed after {before} deliveries: {} lost, {repeated} repeated", COUNT as usize - each.len());
    assert_eq!(each.len() as u64, COUNT);
    assert!(repeated <= 6 * 512, "{repeated} were repeated");
}

/// *Scenario*: twenty groups of an ordered source, over four partitions; the target fails now and then, and the pattern lets half of the messages pass. *Guarantees*: each group's
/// messages are delivered in its order and exactly once; no message is acknowledged before an earlier one of its group; so the source goes on with every group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_an_ordered_source_keep_their_order() {
    const COUNT: u64 = 4_000;
    const GROUPS: u64 = 20;
    let world =
        World::new(Terms { is_ordered: true, partitions: 4, invisible: Duration::from_secs(30), batch: 16, window: 256, ..terms() }).await;
    // Of each group, every second message was stored at time 1.
    (0..COUNT / GROUPS).for_each(|round| world.pool.add(GROUPS, GROUPS as usize, (round % 2) as i64));
    // Fails for the first attempt of each tenth call.
    world.taste(|call| if call % 10 == 3 { Taste::Dead } else { Taste::Takes });
    let node = world.standalone("one").await;
    let mut some = route();
    some.pattern = r#"{"data": {"storeTimestamp": [1]}}"#.to_owned();
    node.api.create(some.stream()).await;
    node.api.start("s").await;
    world.wait_until_acknowledged().await;
    let counts = world.pool.with(|state| state.counts);
    assert_eq!((counts.again, counts.out_of_order), (0, 0), "{counts:?}");
    node.stop().await;
    let delivered = world.delivered();
    assert_eq!(delivered.len() as u64, COUNT / 2);
    for group in 0..GROUPS {
        let of_group: Vec<u64> = delivered.iter().copied().filter(|id| Pool::group_of(*id, GROUPS) == group).collect();
        assert!(of_group.is_sorted(), "group {group}: {of_group:?}");
    }
}

/// *Scenario*: the target refuses one message for good, and nothing may be passed over; an operator skips the event that the status names. *Guarantees*: those behind it wait for hours if
/// need be, and flow then; the skipped message is acknowledged; no other is skipped, and none repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocking_message_is_skipped_by_its_number() {
    const COUNT: u64 = 300;
    let world = World::new(Terms { partitions: 1, invisible: Duration::from_secs(2), batch: 32, window: 64, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    world.refuse(77);
    let node = world.standalone("one").await;
    node.api.create(route().stream()).await;
    node.api.start("s").await;
    let status = node
        .api
        .wait("s", "is blocked", DEADLINE, |status| {
            status.partitions.iter().any(|partition| partition.report.as_ref().is_some_and(|report| report.blocked.is_some()))
        })
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.pool.with(|state| state.counts.again), 0);
    let report = status.partitions[0].report.clone().expect("its owner reports");
    let offset = report.blocked.expect("it is blocked").offset;
    node.api.skip("s", "receive/0", offset, "poison").await.expect("it is open");
    world.wait_until_acknowledged().await;
    node.stop().await;
    let delivered = world.delivered();
    assert!(!delivered.contains(&77) && delivered.len() as u64 == COUNT - 1, "{} were delivered", delivered.len());
    assert_eq!(world.pool.with(|state| (state.counts.again, state.counts.acknowledged)), (0, COUNT as usize));
}
