//! What is received, looked after and acknowledged, against a topic in memory on a paused clock.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use rocketbridge_connector::testing::Pool;
use rocketbridge_connector::{HandleSource, PullLimits, Start, Terms};
use rocketbridge_delivery::Budget;
use rocketbridge_model::resolved::StartPosition;
use rocketbridge_model::{Epoch, Event, PartitionId};
use rocketbridge_runtime::{Shutdown, Tasks};
use tokio::time::Instant;

use super::*;
use crate::allotment::Allotment;
use crate::fake::Store;
use crate::read::Read;
use crate::receiving::{Receiving, Reception};
use crate::skips::Skips;
use crate::supply::Stock;

const INVISIBLE: Duration = Duration::from_secs(8);
const WINDOW: usize = 64;
/// Messages of tests were stored then.
const STORED: i64 = 1_000;

fn terms() -> Terms {
    Terms { partitions: 2, invisible: INVISIBLE, batch: 16, handles: 10, window: WINDOW as u32, is_ordered: false }
}

/// A partition that receives, and nobody behind it: the test is the flow.
struct Partition {
    stock: Stock,
    gauge: Gauge,
    /// Events that came and have no outcome.
    open: Vec<Event>,
    ended: u64,
}

impl Partition {
    async fn open(pool: &Pool) -> Self {
        Self::since(pool, None).await
    }

    async fn since(pool: &Pool, since: Option<i64>) -> Self {
        let terms = pool.terms().await.expect("it says");
        let open = pool.open(Start { position: StartPosition::Earliest, moment: 0 }).await.expect("opens");
        let id = PartitionId::new("receive/0");
        let gauge = Gauge::new(&id, Epoch(1));
        let skips = Skips::start(Arc::new(Store::default()), &Tasks::new(Shutdown::new())).of("u", &id);
        let custodian = Custodian::start(Custodianship {
            stream: "s".into(),
            partition: id.clone(),
            handles: open.handles,
            terms,
            gauge: gauge.clone(),
            skips,
            number: 100,
        });
        let reception = Reception {
            stream: "s".into(),
            partition: id,
            receiver: open.receiver,
            terms,
            hands: custodian.hands(),
            allotment: Allotment::new(Budget::new(1 << 30, 1 << 16).share()),
            gauge: gauge.clone(),
            number: 100,
            window: terms.window as usize,
            limits: PullLimits { events: 512, bytes: 1 << 20, ahead: false },
            since,
        };
        let receiving = Receiving::start(reception, None);
        Self { stock: Stock { receiving, custodian }, gauge, open: Vec::new(), ended: 100 }
    }

    /// What comes within a time.
    async fn receive(&mut self, within: Duration) -> Vec<u64> {
        let until = Instant::now() + within;
        let mut came = Vec::new();
        while let Ok(Some(read)) = tokio::time::timeout_at(until, self.stock.receiving.next()).await {
            if let Read::Events { events, .. } = read {
                came.extend(events.iter().map(Pool::id_of));
                self.open.extend(events);
            }
        }
        came
    }

    /// Gives the oldest open events an outcome; returns which messages they are.
    fn end(&mut self, count: usize) -> Vec<u64> {
        let ended: Vec<Event> = self.open.drain(..count.min(self.open.len())).collect();
        self.ended = ended.last().map_or(self.ended, |last| last.offset + 1);
        let numbers: Vec<u64> = ended.iter().map(|event| event.offset).collect();
        self.stock.custodian.ended(&numbers, self.ended);
        ended.iter().map(Pool::id_of).collect()
    }
}

fn pool(messages: u64) -> Pool {
    let pool = Pool::new(terms());
    pool.add(messages, 1, STORED);
    pool
}

/// *Scenario*: of the acknowledgements of 500 messages many are lost on the way, or their answers are. *Guarantees*: each is acknowledged in the end, before its
/// invisible time is over: nothing is handed out again.
#[tokio::test(start_paused = true)]
async fn lost_acknowledgements_are_made_up_for() {
    let pool = pool(500);
    pool.with(|state| (state.faults.lost_acknowledgements, state.faults.lost_answers) = (150, 100));
    let mut partition = Partition::open(&pool).await;
    let mut came = BTreeSet::new();
    while came.len() < 500 {
        came.extend(partition.receive(Duration::from_millis(50)).await);
        partition.end(usize::MAX);
    }
    tokio::time::sleep(INVISIBLE * 2).await;
    pool.with(|state| assert_eq!((state.left(), state.counts.acknowledged, state.counts.again), (0, 500, 0)));
}

/// *Scenario*: a target is dead for twenty invisible times; more messages wait than the window holds. *Guarantees*: no more than the window is ever handed out, nothing
/// is handed out again, and when the target is back everything goes, each message once.
#[tokio::test(start_paused = true)]
async fn a_target_that_is_dead_for_many_invisible_times_repeats_nothing() {
    let pool = pool(300);
    let mut partition = Partition::open(&pool).await;
    partition.receive(INVISIBLE * 20).await;
    assert_eq!((partition.open.len(), pool.with(|state| state.counts.most_out)), (WINDOW, WINDOW));
    let mut ended = Vec::new();
    while ended.len() < 300 {
        ended.extend(partition.end(usize::MAX));
        partition.receive(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(INVISIBLE).await;
    pool.with(|state| assert_eq!((state.left(), state.counts.again, state.counts.most_out), (0, 0, WINDOW)));
    let each: BTreeSet<u64> = ended.iter().copied().collect();
    assert_eq!((each.len(), ended.len()), (300, 300));
}

/// *Scenario*: the source refuses to extend, while a target is dead; later it extends again and the target is back. *Guarantees*: messages come again and are counted;
/// what is held stays within the window; nothing is lost.
#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_extended_come_again_and_none_is_lost() {
    let pool = pool(100);
    pool.with(|state| state.faults.refuses_to_extend = true);
    let mut partition = Partition::open(&pool).await;
    partition.receive(INVISIBLE * 5).await;
    let again = pool.with(|state| {
        assert!(state.counts.most_out <= WINDOW, "{} were out", state.counts.most_out);
        state.faults.refuses_to_extend = false;
        state.counts.again
    });
    assert!(again > WINDOW, "{again} came again");
    assert!(partition.gauge.report().counts.redelivered > WINDOW as u64);
    let mut ended = BTreeSet::new();
    while pool.with(|state| state.left()) > 0 {
        ended.extend(partition.end(usize::MAX));
        partition.receive(Duration::from_secs(1)).await;
    }
    assert_eq!(ended, (0..100).collect());
}

/// *Scenario*: the source is away for half of the invisible time, and for two of them. *Guarantees*: the first costs nothing; after the second what was under way comes
/// again, and all is delivered.
#[tokio::test(start_paused = true)]
async fn a_source_that_is_away_costs_repeats_only_after_the_invisible_time() {
    for (away, repeats) in [(INVISIBLE / 2, false), (INVISIBLE * 2, true)] {
        let pool = pool(40);
        let mut partition = Partition::open(&pool).await;
        partition.receive(Duration::from_secs(1)).await;
        pool.with(|state| state.faults.is_away = true);
        partition.receive(away).await;
        pool.with(|state| state.faults.is_away = false);
        partition.receive(INVISIBLE).await;
        let again = pool.with(|state| state.counts.again);
        assert_eq!(again, if repeats { 40 } else { 0 }, "away for {away:?}");
        while pool.with(|state| state.left()) > 0 {
            partition.end(usize::MAX);
            partition.receive(Duration::from_secs(1)).await;
        }
    }
}

/// *Scenario*: a router dies that holds a window of messages, a third of which have an outcome. *Guarantees*: what it acknowledged is gone, the rest comes to another router
/// within its invisible time, and not before it is over.
#[tokio::test(start_paused = true)]
async fn what_a_dead_router_held_comes_to_another_after_the_invisible_time() {
    let pool = pool(WINDOW as u64);
    let mut dead = Partition::open(&pool).await;
    dead.receive(Duration::from_secs(1)).await;
    let delivered: BTreeSet<u64> = dead.end(WINDOW / 3).into_iter().collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(dead);
    let mut other = Partition::open(&pool).await;
    assert!(other.receive(INVISIBLE / 2).await.is_empty());
    let came: BTreeSet<u64> = other.receive(INVISIBLE).await.into_iter().collect();
    assert_eq!(came, (0..WINDOW as u64).filter(|id| !delivered.contains(id)).collect());
    assert_eq!(other.gauge.report().counts.redelivered, came.len() as u64);
}

/// *Scenario*: a partition is handed over with a window of messages, a third of which have ended a moment before; a receive is under way. *Guarantees*: exactly what has
/// no outcome is given back, and another router gets it at once; nothing stays handed out.
#[tokio::test(start_paused = true)]
async fn what_has_no_outcome_at_a_handover_comes_at_once() {
    let pool = pool(WINDOW as u64 + 100);
    let mut partition = Partition::open(&pool).await;
    partition.receive(Duration::from_secs(1)).await;
    let delivered = partition.end(WINDOW / 3);
    let begin = Instant::now();
    partition.stock.give_back().await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    pool.with(|state| assert_eq!((state.out(), state.counts.acknowledged), (0, delivered.len())));
    let mut other = Partition::open(&pool).await;
    let mut came = BTreeSet::new();
    while came.len() < WINDOW + 100 - delivered.len() {
        let new = other.receive(Duration::from_millis(100)).await;
        assert!(!new.is_empty(), "only {} came at once", came.len());
        came.extend(new);
        other.end(usize::MAX);
    }
    assert!(delivered.iter().all(|id| !came.contains(id)));
}

/// *Scenario*: a stream begins at a moment, and messages of before wait. *Guarantees*: they are acknowledged, and only those of after are passed on.
#[tokio::test(start_paused = true)]
async fn messages_of_before_the_start_are_passed_over() {
    let pool = pool(100);
    pool.add(5, 1, STORED + 10);
    let mut partition = Partition::since(&pool, Some(STORED + 10)).await;
    assert_eq!(partition.receive(Duration::from_secs(2)).await, [100, 101, 102, 103, 104]);
    pool.with(|state| assert_eq!((state.left(), state.counts.acknowledged), (5, 100)));
}

/// What may befall a partition in the trial of orders.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It delivers so many of its events.
    Delivers(usize),
    /// It only receives, so long.
    Waits(u64),
    /// Its router dies, and another one takes over.
    Dies,
    /// It is handed over.
    Moves,
    /// The source refuses to extend for a while, so that what is under way becomes visible elsewhere.
    Unextended(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (1usize..20).prop_map(Fate::Delivers),
        4 => (0u64..3_000).prop_map(Fate::Waits),
        1 => Just(Fate::Dies),
        1 => Just(Fate::Moves),
        1 => (4_000u64..12_000).prop_map(Fate::Unextended),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// *Scenario*: three partitions receive messages of five groups from an ordered source, and deliver theirs in order at their own pace; routers die, partitions move,
    /// messages become visible elsewhere while they are under way. *Guarantees*: the first deliveries of each group are in its order, whichever partition made them; no message
    /// is acknowledged before an earlier one of its group, unless that was under way twice; and all are delivered.
    #[test]
    fn groups_keep_the_order_of_their_first_deliveries(fates in prop::collection::vec((0usize..3, fate()), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let pool = Pool::new(Terms { is_ordered: true, batch: 8, window: 24, ..terms() });
            pool.add(120, 5, STORED);
            let mut partitions = Vec::new();
            for _ in 0..3 {
                partitions.push(Partition::open(&pool).await);
            }
            let (mut delivered, mut may_overtake) = (Vec::new(), false);
            for (index, fate) in fates {
                let partition = &mut partitions[index];
                match fate {
                    Fate::Delivers(count) => {
                        partition.receive(Duration::from_millis(1)).await;
                        delivered.extend(partition.end(count));
                    }
                    Fate::Waits(time) => drop(partition.receive(Duration::from_millis(time)).await),
                    Fate::Dies => {
                        partitions[index] = Partition::open(&pool).await;
                    }
                    Fate::Moves => {
                        let new = Partition::open(&pool).await;
                        std::mem::replace(&mut partitions[index], new).stock.give_back().await;
                    }
                    Fate::Unextended(time) => {
                        may_overtake = true;
                        pool.with(|state| state.faults.refuses_to_extend = true);
                        partition.receive(Duration::from_millis(time)).await;
                        pool.with(|state| state.faults.refuses_to_extend = false);
                    }
                }
            }
            let until = Instant::now() + Duration::from_secs(600);
            while pool.with(|state| state.left()) > 0 && Instant::now() < until {
                for partition in &mut partitions {
                    partition.receive(Duration::from_millis(500)).await;
                    delivered.extend(partition.end(usize::MAX));
                }
            }
            let mut first = BTreeSet::new();
            for group in 0..5 {
                let of_group = delivered.iter().copied().filter(|id| Pool::group_of(*id, 5) == group);
                let order: Vec<u64> = of_group.filter(|id| first.insert(*id)).collect();
                prop_assert!(order.is_sorted(), "group {group}: {order:?}");
            }
            prop_assert_eq!(first.len(), 120);
            let out_of_order = pool.with(|state| state.counts.out_of_order);
            prop_assert!(out_of_order == 0 || may_overtake, "{out_of_order} acknowledgements overtook");
            Ok(())
        })?;
    }
}
