//! A process under the heaviest loads, on a source and a target that the test makes up: no broker, no network but its API.
//!
//! `ROCKETBRIDGE_TEST_PARTITIONS` says how many (by default 1,000); the figures of the release notes are those of 10,000.

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
use rocketbridge_proto::stream::v1::{StreamStatus, TargetParameter, sink};
use rocketbridge_runtime::{Cause, Shutdown};
use tempfile::TempDir;
use tokio::task::JoinHandle;

#[path = "shared/setup.rs"]
mod shared;

use shared::setup;

/// Of each event.
const BODY: usize = 1024;
const BUDGET: u64 = 64 << 20;
/// What a partition takes besides its events: tasks, sessions, queues.
const BOOKS: u64 = 100 << 10;
/// What a partition may hold however little of the budget there is for it: a floor, and one event beyond.
const LEAST: u64 = (4 << 10) + BODY as u64;
/// Partitions of the stream whose target is there all the time.
const OTHERS: u32 = 4;
const DEADLINE: Duration = Duration::from_secs(300);

/// A topic without end, and a target that is there or not.
struct World {
    partitions: u32,
    /// Events read of each partition.
    read: Vec<AtomicU64>,
    is_dead: AtomicBool,
    delivered: AtomicU64,
    /// Events of the other stream that were delivered.
    others: AtomicU64,
}

/// Connects the stream of very many partitions, or the other one.
#[derive(Clone)]
struct Connector {
    world: Arc<World>,
    is_other: bool,
}

struct Reader(Connector, u32);
struct Committer;

impl Connector {
    fn of(&self, topic: &str) -> Self {
        Self { world: self.world.clone(), is_other: topic.starts_with("other") }
    }
}

impl Registry for Connector {
    fn source(&self, source: &RocketMqSource) -> Source {
        Source::Offsets(Arc::new(self.of(&source.topic)))
    }

    fn target(&self, target: &RocketMqTarget, _: &RocketMqSource) -> Arc<dyn Target> {
        Arc::new(self.of(&target.topic))
    }

    fn dead_letter(&self, _: &DeadLetterTarget) -> Arc<dyn Target> {
        Arc::new(self.clone())
    }
}

impl OffsetSource for Connector {
    fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
        let partition = |queue| Partition { id: PartitionId::new(format!("b/{queue}")), broker: "b".into(), queue };
        let count = if self.is_other { OTHERS } else { self.world.partitions };
        let partitions = (0..count).map(partition).collect();
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
        let open = OpenPartition { reader: Box::new(Reader(self.clone(), partition.queue)), committer: Box::new(Committer) };
        Box::pin(async move { Ok(open) })
    }
}

impl PartitionReader for Reader {
    fn pull(&mut self, offset: u64, limits: PullLimits) -> BoxFuture<'_, Result<Pulled, Error>> {
        let count = (limits.bytes as usize / BODY).clamp(1, limits.events as usize);
        let Connector { world, is_other } = self.0.clone();
        if !is_other {
            world.read[self.1 as usize].fetch_add(count as u64, Ordering::Relaxed);
        }
        Box::pin(async move {
            if is_other {
                // As messages come in, not as fast as they can be made.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
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
            if self.is_other {
                self.world.others.fetch_add(deliveries.len() as u64, Ordering::Relaxed);
                return deliveries.iter().map(|_| Ok(Arrival::Stored)).collect();
            }
            if self.world.is_dead.load(Ordering::Relaxed) {
                return deliveries.iter().map(|_| Err(Error::new(Code::Unavailable, "deliver", "the target is dead"))).collect();
            }
            self.world.delivered.fetch_add(deliveries.len() as u64, Ordering::Relaxed);
            deliveries.iter().map(|_| Ok(Arrival::Stored)).collect()
        })
    }
}

/// A standalone whose connectors are the test's own.
struct Process {
    api: Api,
    world: Arc<World>,
    store: Embedded,
    shutdown: Shutdown,
    running: JoinHandle<anyhow::Result<()>>,
    _directory: TempDir,
}

impl Process {
    async fn start(partitions: u32, is_dead: bool, lease_ttl: Duration) -> Self {
        let read = (0..partitions).map(|_| AtomicU64::new(0)).collect();
        let (is_dead, delivered, others) = (AtomicBool::new(is_dead), AtomicU64::new(0), AtomicU64::new(0));
        let world = Arc::new(World { partitions, read, is_dead, delivered, others });
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Embedded::open(directory.path()).await.expect("a store");
        let stages = vec![Stage::Controller, Stage::Router, Stage::Filter, Stage::Dispatcher];
        let registry = Arc::new(Connector { world: world.clone(), is_other: false });
        let setup = Setup { lease_ttl, memory_budget: ByteSize(BUDGET), ..setup("one", stages, &store, registry).await };
        let shutdown = Shutdown::new();
        let (ready, address) = tokio::sync::oneshot::channel();
        let running = tokio::spawn(run(setup, shutdown.clone(), move |address| ready.send(address).expect("the test waits")));
        let api = Api::connect(&format!("http://{}", address.await.expect("it serves"))).await;
        Self { api, world, store, shutdown, running, _directory: directory }
    }

    /// Stops it; returns how long that took.
    async fn stop(self) -> Duration {
        let begin = Instant::now();
        self.shutdown.drain(Cause::Requested("test".into()));
        self.running.await.expect("no panic").expect("it ends well");
        let took = begin.elapsed();
        self.store.close().await;
        took
    }
}

fn route(name: &str, source: &str, target: &str) -> Route {
    Route {
        name: name.into(),
        source: ("127.0.0.1:1".into(), source.into()),
        target: ("127.0.0.1:1".into(), target.into()),
        pattern: "{}".into(),
        tag: String::new(),
        offset: "CONSUME_FROM_FIRST_OFFSET".into(),
        timestamp: None,
        group: String::new(),
    }
}

/// *Scenario*: a standalone reads a stream of very many partitions without end, and its target is dead; another stream has a target. *Guarantees*: every
/// partition has read something; all of them together hold the memory budget and no window each; nothing grows any more, while the other stream goes on;
/// when the target comes back events flow; and the process stops within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_backlogged_partitions_and_a_dead_target_hold_the_budget_and_no_more() {
    let partitions = std::env::var("ROCKETBRIDGE_TEST_PARTITIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000u32);
    let before = resident();
    let process = Process::start(partitions, true, Duration::from_secs(30)).await;
    let (api, world) = (process.api.clone(), process.world.clone());
    api.run(route("others", "others", "others-copy").stream_of(1)).await;
    api.create(route("many", "t", "copy").stream_of(8)).await;
    let begin = Instant::now();
    api.start("many").await;

    let total = || world.read.iter().map(|read| read.load(Ordering::Relaxed)).sum::<u64>();
    eventually("every partition has read", DEADLINE, async || {
        let idle = world.read.iter().filter(|read| read.load(Ordering::Relaxed) == 0).count();
        if idle == 0 { Ok(()) } else { Err(format!("{idle} have read nothing")) }
    })
    .await;
    println!("all have read after {:.1?}", begin.elapsed());
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
    println!("{partitions} partitions hold {} MiB of events; the process has grown by {} MiB", held >> 20, grown >> 20);
    // A third of the budget is the router's; twice of that is held at most, and a floor for each.
    assert!(held <= 2 * BUDGET / 3 + LEAST * u64::from(partitions), "{held} bytes of events are held");
    assert!(grown <= 2 * BUDGET + (BOOKS + LEAST) * u64::from(partitions), "it has grown by {grown} bytes");
    let before = world.others.load(Ordering::Relaxed);
    eventually("the other stream goes on", DEADLINE, async || {
        let delivered = world.others.load(Ordering::Relaxed) - before;
        if delivered > 1_000 { Ok(()) } else { Err(format!("{delivered} were delivered")) }
    })
    .await;

    world.is_dead.store(false, Ordering::Relaxed);
    eventually("events flow", DEADLINE, async || {
        let delivered = world.delivered.load(Ordering::Relaxed);
        if delivered > 2 * held / BODY as u64 { Ok(()) } else { Err(format!("{delivered} were delivered")) }
    })
    .await;
    println!("stopped after {:.1?}", process.stop().await);
}

/// *Scenario*: every event of 64 partitions runs the heaviest program that the limits allow, on every thread that evaluates, for many times as long as a lease
/// lives. *Guarantees*: the process keeps its lease, so that every partition has the owner and epoch of before; events end meanwhile; the API answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_full_of_the_heaviest_programs_keeps_its_lease() {
    const TTL: Duration = Duration::from_secs(2);
    let process = Process::start(64, false, TTL).await;
    let api = process.api.clone();
    let mut stream = route("heavy", "t", "copy").stream_of(2);
    let Some(sink::Sink::SinkRocketmqParameters(parameters)) = stream.sink.as_mut().and_then(|sink| sink.sink.as_mut()) else {
        panic!("a route has a sink")
    };
    // Some two hundred thousand steps, the most that one event may take.
    let heavy = "reduce range(0; 60000) as $n (0; . + $n)";
    parameters.body = Some(TargetParameter { form: "EXPRESSION".into(), value: heavy.into(), ..TargetParameter::default() });
    if let Some(options) = &mut stream.run_options {
        // What takes more than it may is given up, after it has taken that much.
        options.errors_tolerance = "ALL".into();
    }
    let epochs = |status: &StreamStatus| -> Vec<_> {
        status.partitions.iter().filter_map(|part| part.report.as_ref()).map(|report| (report.partition.clone(), report.epoch)).collect()
    };
    let ended = |status: &StreamStatus| status.counts.map_or(0, |counts| counts.delivered + counts.discarded);
    let before = api.run(stream).await;
    assert_eq!(epochs(&before).len(), 64);
    let begin = Instant::now();
    let after = api
        .wait("heavy", "has evaluated for long", DEADLINE, |status| begin.elapsed() > 6 * TTL && ended(status) > ended(&before) + 100)
        .await;
    println!("{} events in {:.1?}", ended(&after) - ended(&before), begin.elapsed());
    assert_eq!(epochs(&after), epochs(&before), "the lease was lost");
    println!("stopped after {:.1?}", process.stop().await);
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}
