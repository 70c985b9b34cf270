//! Two embedded clusters, a standalone of its own between them, and orders through it.
//!
//! The standalone is this very binary as a child process, used through its API alone: the demo shows what its reader can do by hand.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocketbridge_codec::definition::{Definition, protobuf, read_definitions};
use rocketbridge_connector_rocketmq::{Connectors, Message, Producer, Tail};
use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig};
use rocketbridge_model::resolved::{RocketMqConnection, StartPosition};
use rocketbridge_proto::stream::v1::State;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{Audit, EVENTS, Order, Orders, PATTERN, Progress, Report, SEED, grpcurl_lines};
use crate::client::{Client, Resource, Settings};
use crate::failure::Failure;
use crate::output::Console;

const STREAM: &str = "orders";
const QUEUES: u32 = 4;
/// Orders that are sent at once.
const GROUP: usize = 1_024;
/// The demo gives up when nothing arrived for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the last order: how long nothing must arrive to be sure that there are no duplicates.
const QUIET: Duration = Duration::from_secs(1);
/// How long the standalone may drain.
const DRAIN: Duration = Duration::from_secs(30);

/// What `demo` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// How many orders
    #[arg(long, default_value_t = EVENTS, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    events: u64,
    /// Keep everything running afterwards, until interrupted
    #[arg(long)]
    keep: bool,
    /// Where everything is kept; emptied first [default: a folder that is removed afterwards]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs the demo; the exit status says whether everything arrived. Needs a runtime of several threads.
pub async fn run(arguments: &Arguments, console: &mut Console<'_>) -> Result<ExitCode, Failure> {
    let folder = Folder::new(arguments.data_dir.clone()).map_err(failed("make the demo's folder"))?;
    let mut progress = Progress::new(
        std::io::stderr(),
        std::io::IsTerminal::is_terminal(&std::io::stderr()),
        Audit::new(SEED, arguments.events).wanted(arguments.events),
    );
    progress.step("starting two RocketMQ clusters, in the regions qingdao and hohhot");
    let qingdao = cluster("qingdao", folder.path()).await?;
    let hohhot = cluster("hohhot", folder.path()).await?;
    progress.step("starting rocketbridge standalone between them");
    let mut standalone = Standalone::start(folder.path()).await?;
    let demonstrated = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(Failure::Failed("interrupted".into())),
        demonstrated = demonstrate(arguments, [&qingdao, &hohhot], &standalone, &mut progress) => demonstrated,
    };
    progress.clear();
    if let Ok(report) = &demonstrated {
        console.result(report)?;
        if arguments.keep {
            let lines = grpcurl_lines(&standalone.address, STREAM);
            console.remark(format!("\nrunning until interrupted; try:\n{lines}"));
            console.remark(format!("name servers: qingdao {}, hohhot {}", qingdao.name_server(), hohhot.name_server()));
            // Interrupted or not able to wait for it: either way it is over.
            let _ = tokio::signal::ctrl_c().await;
        }
    }
    standalone.stop().await;
    qingdao.stop().await;
    hohhot.stop().await;
    demonstrated.map(|report| report.exit_code())
}

async fn cluster(name: &str, folder: &Path) -> Result<Embedded, Failure> {
    let cluster = Embedded::start(EmbeddedConfig::new(name, folder.join(name))).await.map_err(failed("start an embedded RocketMQ"))?;
    cluster.create_topic(STREAM, QUEUES).await.map_err(failed("create the topic orders"))?;
    Ok(cluster)
}

/// Defines the stream, produces, and waits for what arrives.
async fn demonstrate(
    arguments: &Arguments,
    [source, target]: [&Embedded; 2],
    standalone: &Standalone,
    progress: &mut Progress<std::io::Stderr>,
) -> Result<Report, Failure> {
    let settings = Settings { server: format!("http://{}", standalone.address), timeout: Duration::from_secs(10), tls: None };
    let client = Client::new(&settings)?;
    progress.step("defining and starting the stream orders, for paid orders only");
    define(&client, [source.name_server(), target.name_server()]).await?;
    client.start(STREAM).await?;
    wait_until_running(&client).await?;

    progress.step(&format!("producing {} orders with binary bodies", arguments.events));
    let connectors = Connectors::new();
    let reach = |cluster: &Embedded| RocketMqConnection { endpoints: vec![cluster.name_server()], ..RocketMqConnection::default() };
    let mut tail =
        connectors.admin(&reach(target)).tail(STREAM, &[], StartPosition::Earliest).await.map_err(failed("read hohhot's topic orders"))?;
    let producer = connectors.admin(&reach(source)).producer(STREAM);
    let started = Instant::now();
    let clock = Arc::new(Clock::new(started, arguments.events));
    let production = tokio::spawn(produce(producer, arguments.events, clock.clone()));
    let (audit, elapsed) = receive(&mut tail, arguments.events, &clock, progress).await;
    let produced = production.await.map_err(failed("produce"))??;
    let filtered = filtered(&client, produced).await?;
    Ok(audit.report(produced, filtered, elapsed))
}

/// When each order was produced, microseconds from the start; 0 before.
struct Clock {
    started: Instant,
    produced: Vec<AtomicU64>,
}

impl Clock {
    fn new(started: Instant, count: u64) -> Self {
        Self { started, produced: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn stamp(&self, number: u64) {
        self.produced[number as usize].store(self.now(), Ordering::Relaxed);
    }

    fn since(&self, body: &[u8]) -> Duration {
        let produced = Order::number_in(body).and_then(|number| self.produced.get(number as usize));
        Duration::from_micros(produced.map_or(0, |produced| self.now().saturating_sub(produced.load(Ordering::Relaxed))))
    }
}

/// Sends every order; how many the broker acknowledged, which is all of them or a failure.
async fn produce(producer: Producer, count: u64, clock: Arc<Clock>) -> Result<u64, Failure> {
    let mut orders = Orders::new(SEED, count).peekable();
    while orders.peek().is_some() {
        let group: Vec<Message> = orders.by_ref().take(GROUP).inspect(|order| clock.stamp(order.number)).map(message).collect();
        let answers = producer.send(&group).await;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(Failure::Failed(error.to_string()));
        }
    }
    Ok(count)
}

fn message(order: Order) -> Message {
    let properties = order.properties.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Message { body: order.body, keys: order.key, tags: order.tag.to_owned(), properties, ..Message::default() }
}

/// Notes arrivals until every wanted order is there and nothing more comes, or nothing comes for too long. Also answers the time from the
/// start to the last arrival.
async fn receive(tail: &mut Tail, count: u64, clock: &Clock, progress: &mut Progress<std::io::Stderr>) -> (Audit, Duration) {
    let mut audit = Audit::new(SEED, count);
    let wanted = audit.wanted(count);
    let mut elapsed = Duration::ZERO;
    loop {
        let patience = if audit.delivered() < wanted { PATIENCE } else { QUIET };
        match tokio::time::timeout(patience, tail.next()).await {
            Err(_) => return (audit, elapsed),
            // Told once by the tail, which goes on; if it does not, patience ends it.
            Ok(Err(error)) => progress.step(&format!("reading hohhot: {error}")),
            Ok(Ok(arrived)) => {
                let envelope = &arrived.event.envelope;
                let get = |name| envelope.properties.get(name).unwrap_or_default();
                audit.arrived(get("KEYS"), get("TAGS"), &envelope.body, clock.since(&envelope.body));
                elapsed = clock.started.elapsed();
                progress.update(audit.delivered(), audit.delivered() as f64 / elapsed.as_secs_f64().max(f64::EPSILON), Instant::now());
            }
        }
    }
}

async fn define(client: &Client, [source, target]: [String; 2]) -> Result<(), Failure> {
    let text = format!(
        "kind: Connection\nname: qingdao\nregion: qingdao\nendpoints: ['{source}']\n---\n\
         kind: Connection\nname: hohhot\nregion: hohhot\nendpoints: ['{target}']\n---\n\
         kind: Stream\nname: {STREAM}\nfilter_pattern: '{PATTERN}'\n\
         source: {{source_rocketmq_parameters: {{connection: qingdao, topic: {STREAM}, offset: CONSUME_FROM_FIRST_OFFSET}}}}\n\
         sink:\n  sink_rocketmq_parameters:\n    connection: {{value: hohhot, form: CONSTANT}}\n    topic: {{value: {STREAM}, form: CONSTANT}}\n    body: {{value: $.data.body, form: JSONPATH}}\n"
    );
    let documents = read_definitions(&text, "demo").map_err(|errors| Failure::Failed(errors.iter().map(ToString::to_string).collect()))?;
    for document in documents {
        let resource = match document.definition {
            Definition::Connection(connection) => Resource::Connection(Box::new(protobuf::connection_to(*connection))),
            Definition::Stream(stream) => Resource::Stream(Box::new(protobuf::stream_to(*stream))),
            Definition::Network(network) => Resource::Network(Box::new(protobuf::network_to(*network))),
            Definition::Route(route) => Resource::Route(Box::new(protobuf::route_to(*route))),
        };
        client.create(resource, false).await?;
    }
    Ok(())
}

async fn wait_until_running(client: &Client) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = client.status(STREAM).await?;
        if status.state() == State::Running {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::Failed(format!("the stream does not run: {} {}", crate::status::word(status.state()), status.reason)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many orders the stream says it filtered, as soon as it has told of all.
async fn filtered(client: &Client, produced: u64) -> Result<u64, Failure> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let counts = client.status(STREAM).await?.counts.unwrap_or_default();
        if counts.filtered + counts.delivered >= produced || Instant::now() > deadline {
            return Ok(counts.filtered);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A standalone as a child process. Dropping it kills it.
struct Standalone {
    child: Child,
    address: String,
}

impl Standalone {
    async fn start(folder: &Path) -> Result<Self, Failure> {
        let binary = std::env::current_exe().map_err(failed("find this program"))?;
        let mut child = Command::new(binary)
            .args(["standalone", "--embedded-rocketmq=false", "--listen", "127.0.0.1:0", "--data-dir"])
            .env("ROCKETBRIDGE_TELEMETRY_LOG_LEVEL", "warn")
            .arg(folder.join("standalone"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed("start rocketbridge standalone"))?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::Failed("the standalone has no output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await.map_err(failed("read the standalone's first line"))?;
        let address = first
            .as_deref()
            .and_then(address_in)
            .ok_or_else(|| Failure::Failed("the standalone did not start: what it said stands above".into()))?;
        // Whatever it prints later must not block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, address })
    }

    /// Lets it drain, and ends it if it does not.
    async fn stop(&mut self) {
        if let Some(id) = self.child.id() {
            let _ = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        }
        if tokio::time::timeout(DRAIN, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// The `host:port` in a line such as `serving http://127.0.0.1:9080`.
fn address_in(line: &str) -> Option<String> {
    let words = line.split_whitespace().map(|word| word.rsplit("//").next().unwrap_or(word).trim_end_matches(['/', ',', '.']));
    words.filter(|word| word.parse::<std::net::SocketAddr>().is_ok()).map(str::to_owned).next()
}

/// The demo's folder; a temporary one is removed with it.
struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    fn new(given: Option<PathBuf>) -> std::io::Result<Self> {
        let is_temporary = given.is_none();
        let path = given.unwrap_or_else(|| std::env::temp_dir().join(format!("rocketbridge-demo-{}", std::process::id())));
        for part in ["qingdao", "hohhot", "standalone"] {
            match std::fs::remove_dir_all(path.join(part)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, is_temporary })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // Nobody is left to tell; the system clears its folder of temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Turns an error into a failure that says what was attempted.
fn failed<E: std::fmt::Display>(attempt: &str) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Failed(format!("cannot {attempt}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_line() {
        for line in ["serving http://127.0.0.1:9080", "rocketbridge standalone 127.0.0.1:9080.", "http://127.0.0.1:9080/ ready"] {
            assert_eq!(address_in(line).as_deref(), Some("127.0.0.1:9080"), "{line}");
        }
        assert_eq!(address_in("failed"), None);
    }
}
