//! A process with very many backlogged partitions, on a source and a target that the test makes up: no broker, no network but its API.
//!
//! `ROCKETBRIDGE_TEST_PARTITIONS` says how many (by default 1,000).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use rocketbridge_connector::{
    Arrival, Code, Error, LaneKey, OffsetSource, OpenPartition, Partition, PartitionCommitter, PartitionReader, Permit, PullLimits, Pulled,
    Registry, Source, Survey, Target,
};
use rocketbridge_harness::{Api, Route, eventually};
use rocketbridge_metastore::Embedded;
use rocketbridge_model::resolved::{DeadLetterTarget, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, PartitionId};
use rocketbridge_node::config::ByteSize;
use rocketbridge_node::{Setup, Stage, run};
use rocketbridge_runtime::{Cause, Shutdown};

#[path = "shared/setup.rs"]
mod shared;

use shared::setup;

/// Of each event.
const BODY: usize = 1024;
const BUDGET: u64 = 64 << 20;
/// What a partition takes besides its events: tasks, sessions, queues.
const BOOKS: u64 = 200 << 10;
const DEADLINE: Duration = Duration::from_secs(300);

/// A topic without end, and a target that is there or not.
struct World {
    partitions: u32,
    /// Events read of each partition.
    read: Vec<AtomicU64>,
    is_dead: AtomicBool,
    delivered: AtomicU64,
}

#[derive(Clone)]
struct Connector(Arc<World>);

struct Reader(Arc<World>, u32);
struct Committer;

impl Registry for Connector {
    fn source(&self, _: &RocketMqSource) -> Source {
        Source::Offsets(Arc::new(self.clone()))
    }

    fn target(&self, _: &RocketMqTarget, _: &RocketMqSource) -> Arc<dyn Target> {
        Arc::new(self.clone())
    }

    fn dead_letter(&self, _: &DeadLetterTarget) -> Arc<dyn Target> {
        Arc::new(self.clone())
    }
}

impl OffsetSource for Connector {
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
        let partition = |queue| Partition { id: PartitionId::new(format!("b/{queue}")), broker: "b".into(), queue };
        let partitions = (0..self.0.partitions).map(partition).collect();
        Box::pin(async move { Ok(partitions) })
    }

    fn offset_at<'a>(&'a self, _: &'a Partition, position: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move { Ok(if position == StartPosition::Latest { u64::MAX / 2 } else { 0 }) })
    }

    fn survey<'a>(&'a self, _: &'a Partition, _: &'a [u64]) -> BoxFuture<'a, Result<Survey, Error>> {
        let survey = Survey { minimum: 0, maximum: u64::MAX / 2, landmarks: Vec::new(), is_from_master: true };
        Box::pin(async move { Ok(survey) })
    }

    fn open<'a>(&'a self, partition: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>> {
        let open = OpenPartition { reader: Box::new(Reader(self.0.clone(), partition.queue)), committer: Box::new(Committer) };
        Box::pin(async move { Ok(open) })
    }
}

impl PartitionReader for Reader {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        let count = (limits.bytes as usize / BODY).clamp(1, limits.events as usize);
        self.0.read[self.1 as usize].fetch_add(count as u64, Ordering::Relaxed);
        Box::pin(async move {
            // As the real one makes them: bodies are slices of one frame.
            let frame = Bytes::from(vec![b'x'; count * BODY]);
            let event = |index: usize| Event {
                offset: offset + index as u64,
                envelope: Envelope { body: frame.slice(index * BODY..(index + 1) * BODY), ..Envelope::default() },
                attributes: None,
            };
            let events = (0..count).map(event).collect();
            Ok(Pulled { events, next_offset: offset + count as u64, minimum_offset: 0, maximum_offset: u64::MAX / 2, missing: Vec::new() })
        })
    }
}

impl PartitionCommitter for Committer {
    fn committed(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        Box::pin(async { Ok(None) })
    }

    fn commit(&mut self, _: u64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

impl Target for Connector {
    fn deliver<'a>(
        &'a self,
        _: &'a LaneKey,
        _: &'a Origin,
        _: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, Error>>> {
        Box::pin(async move {
            if self.0.is_dead.load(Ordering::Relaxed) {
                return deliveries.iter().map(|_| Err(Error::new(Code::Unavailable, "deliver", "the target is dead"))).collect();
            }
            self.0.delivered.fetch_add(deliveries.len() as u64, Ordering::Relaxed);
            deliveries.iter().map(|_| Ok(Arrival::Stored)).collect()
        })
    }
}

/// *Scenario*: a standalone reads a stream of very many partitions without end, and its target is dead. *Guarantees*: every partition has read a
/// batch; all of them together hold the memory budget and no window each; nothing grows any more; when the target comes back events flow; and
/// the process stops within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_backlogged_partitions_and_a_dead_target_hold_the_budget_and_no_more() {
    let partitions = std::env::var("ROCKETBRIDGE_TEST_PARTITIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000u32);
    let read = (0..partitions).map(|_| AtomicU64::new(0)).collect();
    let world = Arc::new(World { partitions, read, is_dead: AtomicBool::new(true), delivered: AtomicU64::new(0) });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path()).await.expect("a store");
    let stages = vec![Stage::Controller, Stage::Router, Stage::Filter, Stage::Dispatcher];
    let setup = Setup { memory_budget: ByteSize(BUDGET), ..setup("one", stages, &store, Arc::new(Connector(world.clone()))).await };
    let before = resident();
    let shutdown = Shutdown::new();
    let (ready, address) = tokio::sync::oneshot::channel();
    let process = tokio::spawn(run(setup, shutdown.clone(), move |address| ready.send(address).expect("the test waits")));
    let api = Api::connect(&format!("http://{}", address.await.expect("it serves"))).await;
    let route = Route {
        name: "many".into(),
        source: ("127.0.0.1:1".into(), "t".into()),
        target: ("127.0.0.1:1".into(), "copy".into()),
        pattern: "{}".into(),
        tag: String::new(),
        offset: "CONSUME_FROM_FIRST_OFFSET".into(),
        timestamp: None,
        group: String::new(),
    };
    api.create(route.stream_of(8)).await;
    api.start("many").await;

    let total = || world.read.iter().map(|read| read.load(Ordering::Relaxed)).sum::<u64>();
    eventually("every partition has read", DEADLINE, async || {
        let idle = world.read.iter().filter(|read| read.load(Ordering::Relaxed) == 0).count();
        if idle == 0 { Ok(()) } else { Err(format!("{idle} have read nothing")) }
    })
    .await;
    let mut last = (total(), Instant::now());
    eventually("nothing more is read", DEADLINE, async || {
        let now = total();
        if now != last.0 {
            last = (now, Instant::now());
        }
        if last.1.elapsed() > Duration::from_secs(2) { Ok(()) } else { Err(format!("{now} events were read")) }
    })
    .await;
    let (held, grown) = (total() * BODY as u64, resident().saturating_sub(before));
    let least = u64::from(partitions) * (64 << 10);
    println!("{partitions} partitions hold {} MiB of events; the process has grown by {} MiB", held >> 20, grown >> 20);
    assert!(held <= BUDGET + 2 * least, "{held} bytes of events are held");
    assert!(grown <= 2 * BUDGET + 3 * least + BOOKS * u64::from(partitions), "it has grown by {grown} bytes");

    world.is_dead.store(false, Ordering::Relaxed);
    eventually("events flow", DEADLINE, async || {
        let delivered = world.delivered.load(Ordering::Relaxed);
        if delivered > 2 * held / BODY as u64 { Ok(()) } else { Err(format!("{delivered} were delivered")) }
    })
    .await;
    let begin = Instant::now();
    shutdown.drain(Cause::Requested("test".into()));
    process.await.expect("no panic").expect("it ends well");
    println!("stopped after {:.1?}", begin.elapsed());
    store.close().await;
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}
