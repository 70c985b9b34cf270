//! How fast this connector alone reads and sends on this machine: a bare send loop and a bare pull loop of 1 KiB messages, one queue per
//! lane, against an embedded cluster in a process of its own or the name server that is given. `make bench` sets its other figures
//! against these.
//!
//! Usage: `loops [--name-server HOST:PORT] [--messages N] [--lanes N] [--batch N]`. One line per figure, `name value unit`. The CPU
//! figures are of the loops alone, system calls included, without the broker.

#![recursion_limit = "256"]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::future::try_join_all;
use rocketbridge_connector::{LaneKey, Permit, PullLimits, Registry};
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig};
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget, StartPosition};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, PartitionId, Properties, testing};

const TOPIC: &str = "rocketbridge-loops";
const BODY: usize = 1024;

struct Options {
    serve: bool,
    name_server: Option<String>,
    messages: usize,
    lanes: u32,
    batch: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    if options.serve {
        return serve().await;
    }
    let (name_server, _broker) = match &options.name_server {
        Some(name_server) => (name_server.clone(), None),
        None => {
            let mut child =
                Command::new(std::env::current_exe()?).args(["--serve", "true"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
            (line.trim().to_owned(), Some(Broker(child)))
        }
    };
    let connection = RocketMqConnection { endpoints: vec![name_server], ..RocketMqConnection::default() };
    let connectors = Connectors::new();
    let admin = connectors.admin(&connection);
    admin.create_topic(TOPIC, options.lanes).await?;
    while admin.queues(TOPIC).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let before: Vec<_> = admin.offsets(TOPIC).await?.into_iter().map(|offsets| offsets.maximum).collect();

    let (sent, cpu) = (Instant::now(), cpu());
    send(&connectors, &connection, &options).await?;
    report("send", options.messages, sent.elapsed(), cpu);

    let (read, cpu) = (Instant::now(), self::cpu());
    pull(&connectors, &connection, &options, &before).await?;
    report("pull", options.messages, read.elapsed(), cpu);
    Ok(())
}

/// A cluster until standard input ends.
async fn serve() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let config = EmbeddedConfig { commit_log_file_bytes: 256 << 20, ..EmbeddedConfig::new("loops", directory.path()) };
    let cluster = Embedded::start(config).await?;
    println!("{}", cluster.name_server());
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    cluster.stop().await;
    Ok(())
}

/// The process of the embedded cluster, ended by the end of its input.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

async fn send(connectors: &Connectors, connection: &RocketMqConnection, options: &Options) -> Result<()> {
    let target = connectors.target(&RocketMqTarget { connection: connection.clone(), ..testing::target(TOPIC) }, &definition(connection));
    let share = options.messages / options.lanes as usize;
    try_join_all((0..options.lanes).map(|lane| {
        let target = Arc::clone(&target);
        let batch = options.batch;
        tokio::spawn(async move {
            let origin = Origin { queue: lane, ..Origin::default() };
            let key = LaneKey { stream: "loops".into(), partition: PartitionId::new(lane.to_string()) };
            let deliveries: Vec<_> = (0..batch as u64).map(delivery).collect();
            let mut left = share;
            while left > 0 {
                let count = left.min(batch);
                target.deliver(&key, &origin, &Permit::always(), &deliveries[..count]).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                left -= count;
            }
            anyhow::Ok(())
        })
    }))
    .await?
    .into_iter()
    .collect()
}

fn definition(connection: &RocketMqConnection) -> RocketMqSource {
    RocketMqSource {
        connection: connection.clone(),
        topic: TOPIC.to_owned(),
        tags: Vec::new(),
        sql: None,
        group: "rocketbridge-loops".to_owned(),
        start: StartPosition::Earliest,
    }
}

async fn pull(connectors: &Connectors, connection: &RocketMqConnection, options: &Options, before: &[u64]) -> Result<()> {
    let source = connectors.source(&definition(connection));
    let source = source.offsets().context("remoting reads at offsets")?;
    let share = options.messages / options.lanes as usize;
    let partitions = source.partitions().await?;
    try_join_all(partitions.into_iter().zip(before.to_vec()).map(|(partition, mut offset)| {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            let mut open = source.open(&partition).await?;
            let mut read = 0;
            while read < share {
                let pulled = open.reader.pull(offset, PullLimits { events: 512, bytes: 1 << 20, ahead: true }).await?;
                if let Some(event) = pulled.events.first()
                    && event.envelope.body.len() != BODY
                {
                    bail!("a body of {} bytes", event.envelope.body.len());
                }
                read += pulled.events.len();
                offset = pulled.next_offset;
            }
            anyhow::Ok(())
        })
    }))
    .await?
    .into_iter()
    .collect()
}

fn delivery(number: u64) -> Delivery {
    let id = format!("{number:032X}");
    let pairs = [("KEYS", "order-1"), ("TAGS", "paid"), ("UNIQ_KEY", id.as_str()), ("WAIT", "true"), ("city", "qingdao")];
    let properties = Properties::from_pairs(pairs).expect("no separators");
    let envelope = Envelope { body: Bytes::from(vec![7; BODY]), properties, ..Envelope::default() };
    Delivery { receipt: number, event: Event { offset: number, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
}

fn report(name: &str, messages: usize, took: Duration, cpu_before: Option<Duration>) {
    println!("{name} {:.0} messages/s", messages as f64 / took.as_secs_f64());
    if let (Some(after), Some(before)) = (cpu(), cpu_before) {
        println!("{name}.cpu {:.2} us/message", (after - before).as_secs_f64() * 1e6 / messages as f64);
    }
}

/// CPU time of this process; `None` where the kernel does not tell.
fn cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // USER_HZ is 100 on every Linux.
    Some(Duration::from_millis(ticks * 10))
}

fn options() -> Result<Options> {
    let mut options = Options { serve: false, name_server: None, messages: 200_000, lanes: 4, batch: 512 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--serve" => options.serve = value.parse()?,
            "--name-server" => options.name_server = Some(value),
            "--messages" => options.messages = value.parse()?,
            "--lanes" => options.lanes = value.parse()?,
            "--batch" => options.batch = value.parse()?,
            _ => bail!("unknown argument {argument}"),
        }
    }
    Ok(options)
}
