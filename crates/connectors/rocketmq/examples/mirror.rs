//! How fast a mirror is, and how far it is behind: the rate at which the copies were stored that are there; then messages are sent to the topic at half that rate, and it is
//! compared when each message and its copy were stored. Both topics are on one cluster, so the clock is one.
//!
//! Usage: `mirror --name-server HOST:PORT --from TOPIC --to TOPIC [--bare MESSAGES_PER_SECOND] [--seconds N]`. The mirror has caught up. `--bare` is the rate of the slower of a bare
//! pull and a bare send. One line per figure, `name value unit`.

#![recursion_limit = "256"]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rocketbridge_connector::{LaneKey, OffsetSource, Partition, Permit, PullLimits, Registry};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, PartitionId, Properties, testing};
use tokio::time::{MissedTickBehavior, interval, sleep};

const BODY: usize = 1024;
/// How often messages are sent: as many each time as the rate wants by then.
const TICK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(60);

struct Options {
    name_server: String,
    from: String,
    to: String,
    bare: Option<f64>,
    seconds: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let connection = RocketMqConnection { endpoints: vec![options.name_server.clone()], ..RocketMqConnection::default() };
    let connectors = Connectors::new();
    let source = |topic: &str| -> Result<Arc<dyn OffsetSource>> {
        let definition = RocketMqSource { connection: connection.clone(), ..testing::source(topic) };
        connectors.source(&definition).offsets().context("remoting reads at offsets")
    };
    let (from, to) = (source(&options.from)?, source(&options.to)?);
    let begin = ends(&from).await?;
    if begin != ends(&to).await? {
        bail!("{} is not a mirror of {} that has caught up", options.to, options.from);
    }
    let start = begin.keys().map(|queue| (*queue, 0)).collect();
    let copies: Vec<i64> = times(&to, &start, &begin).await?.into_values().collect();
    let took = copies.iter().max().zip(copies.iter().min()).map(|(last, first)| last - first).filter(|took| *took > 0);
    let rate = copies.len() as f64 * 1_000.0 / took.context("there are no copies")? as f64;
    println!("mirror {rate:.0} messages/s");
    if let Some(bare) = options.bare {
        println!("mirror.ratio {:.2} of the slower of bare pull and bare send", rate / bare);
    }
    let rate = rate as u64 / 2;
    send(&connectors, &connection, &options.from, rate, rate * options.seconds).await?;
    let end = ends(&from).await?;
    let deadline = Instant::now() + PATIENCE;
    while ends(&to).await? != end {
        if Instant::now() > deadline {
            bail!("the mirror did not catch up within {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(50)).await;
    }
    let (stored, copied) = (times(&from, &begin, &end).await?, times(&to, &begin, &end).await?);
    let mut behind: Vec<_> = stored.iter().filter_map(|(place, stored)| Some(copied.get(place)? - stored)).collect();
    behind.sort_unstable();
    if behind.len() as u64 != rate * options.seconds {
        bail!("{} copies of {} messages", behind.len(), rate * options.seconds);
    }
    let quantile = |hundredths: usize| behind[(behind.len() - 1) * hundredths / 100];
    println!("mirror.lag.rate {rate} messages/s");
    println!("mirror.lag.p50 {} ms", quantile(50));
    println!("mirror.lag.p99 {} ms", quantile(99));
    println!("mirror.lag.max {} ms", quantile(100));
    Ok(())
}

/// One beyond the newest message of each queue.
async fn ends(source: &Arc<dyn OffsetSource>) -> Result<HashMap<u32, u64>> {
    let mut ends = HashMap::new();
    for partition in source.partitions().await? {
        ends.insert(partition.queue, source.offset_at(&partition, StartPosition::Latest).await?);
    }
    Ok(ends)
}

/// When the messages between were stored, milliseconds since 1970, by queue and offset.
async fn times(source: &Arc<dyn OffsetSource>, begin: &HashMap<u32, u64>, end: &HashMap<u32, u64>) -> Result<HashMap<(u32, u64), i64>> {
    let mut times = HashMap::new();
    for partition in source.partitions().await? {
        let Partition { queue, .. } = partition;
        let (mut offset, last) = (begin[&queue], end[&queue]);
        let mut open = source.open(&partition).await?;
        while offset < last {
            let pulled = open.reader.pull(offset, PullLimits { events: 512, bytes: 1 << 20, ahead: true }).await?;
            times.extend(pulled.events.iter().map(|event| ((queue, event.offset), event.envelope.store_timestamp)));
            offset = pulled.next_offset;
        }
    }
    Ok(times)
}

/// Sends so many messages, at a rate.
async fn send(connectors: &Connectors, connection: &RocketMqConnection, topic: &str, rate: u64, all: u64) -> Result<()> {
    let source = RocketMqSource { connection: connection.clone(), ..testing::source("nowhere") };
    let target = connectors.target(&RocketMqTarget { connection: connection.clone(), ..testing::target(topic) }, &source);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (began, mut sent, mut lane) = (Instant::now(), 0, 0_u32);
    while sent < all {
        ticks.tick().await;
        let due = (began.elapsed().as_micros() as u64 * rate / 1_000_000).min(all);
        if due == sent {
            continue;
        }
        let deliveries: Vec<_> = (sent..due).map(delivery).collect();
        // From lane to lane, so that every queue gets its share.
        lane = lane.wrapping_add(1) % 64;
        let key = LaneKey { stream: "mirror".into(), partition: PartitionId::new(lane.to_string()) };
        let origin = Origin { queue: lane, ..Origin::default() };
        target.deliver(&key, &origin, &Permit::always(), &deliveries).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        sent = due;
    }
    Ok(())
}

fn delivery(number: u64) -> Delivery {
    let id = format!("{number:032X}");
    let pairs = [("KEYS", "order-1"), ("TAGS", "paid"), ("UNIQ_KEY", id.as_str()), ("city", "qingdao")];
    let properties = Properties::from_pairs(pairs).expect("no separators");
    let envelope = Envelope { body: Bytes::from_static(&[7; BODY]), properties, ..Envelope::default() };
    Delivery { receipt: number, event: Event { offset: number, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
}

fn options() -> Result<Options> {
    let mut options = Options { name_server: String::new(), from: String::new(), to: String::new(), bare: None, seconds: 10 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--name-server" => options.name_server = value,
            "--from" => options.from = value,
            "--to" => options.to = value,
            "--bare" => options.bare = Some(value.parse()?),
            "--seconds" => options.seconds = value.parse()?,
            _ => bail!("unknown argument {argument}"),
        }
    }
    if options.name_server.is_empty() || options.from.is_empty() || options.to.is_empty() {
        bail!("--name-server, --from and --to are needed");
    }
    Ok(options)
}
