//! Two RocketMQ clusters: one in the source's region and one in the target's.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rocketbridge_connector::{OffsetSource, Registry};
use rocketbridge_connector_rocketmq::{Admin, Connectors, QueueReport};
use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig};
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, StartPosition};
use tempfile::TempDir;

use crate::skip::skip;

/// The kinds of cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the test process.
    Embedded,
    /// Real Apache RocketMQ of a version.
    Java(&'static str),
}

/// The two clusters.
pub struct Brokers {
    /// Region qingdao.
    pub source: Cluster,
    /// Region hohhot.
    pub target: Cluster,
}

/// One cluster.
pub struct Cluster {
    connectors: Connectors,
    name_server: String,
    running: Running,
    proxy: Option<String>,
}

enum Running {
    Embedded {
        name: &'static str,
        directory: TempDir,
        ports: (u16, u16),
        embedded: Option<Embedded>,
    },
    /// Stopped when it is dropped.
    Java(Java),
}

impl Brokers {
    /// Starts both. Java brokers start only if `ROCKETBRIDGE_TEST_JAVA` is 1; otherwise this prints what is skipped and returns `None`.
    pub async fn start(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Embedded => {
                let (source, target) = tokio::join!(Cluster::embedded("qingdao"), Cluster::embedded("hohhot"));
                Some(Self { source, target })
            }
            Kind::Java(version) => {
                if std::env::var("ROCKETBRIDGE_TEST_JAVA").as_deref() != Ok("1") {
                    skip(&format!("ROCKETBRIDGE_TEST_JAVA is not 1 (Apache RocketMQ {version}, Java and Maven)"));
                    return None;
                }
                let start = |region| tokio::task::spawn_blocking(move || Java::start(version, region, &Special::default()));
                let (source, target) = tokio::join!(start("qingdao"), start("hohhot"));
                Some(Self { source: Cluster::of(source.expect("it starts")), target: Cluster::of(target.expect("it starts")) })
            }
        }
    }

    /// Creates two topics with a number of queues: one at the source, one of the same name at the target.
    pub async fn create_topic(&self, topic: &str, queues: u32) {
        self.source.create_topic(topic, queues).await;
        self.target.create_topic(topic, queues).await;
    }

    /// Compares a topic of the source, message by message, with the one of the same name that mirrors it at the target.
    ///
    /// # Panics
    ///
    /// When one of them cannot be read.
    pub async fn compare(&self, topic: &str) -> Vec<QueueReport> {
        let connection = |cluster: &Cluster, region: &str| RocketMqConnection { region: region.into(), ..cluster.connection() };
        // As `Route` defines both.
        let (source, target) = (connection(&self.source, "qingdao"), connection(&self.target, ""));
        let ends = self.source.connectors.mirror_ends((&source, topic), (&target, topic));
        ends.verify(None).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Stops both.
    pub async fn stop(self) {
        self.source.end().await;
        self.target.end().await;
    }
}

impl Cluster {
    /// Starts Apache RocketMQ of a version with a proxy, or prints that it is skipped.
    pub async fn with_proxy(version: &'static str, region: &'static str) -> Option<Self> {
        Self::java(version, region, Special { with_proxy: true, ..Special::default() }).await
    }

    /// Starts Apache RocketMQ of a version, set up as wanted, or prints that it is skipped.
    pub async fn java(version: &'static str, region: &'static str, special: Special) -> Option<Self> {
        if std::env::var("ROCKETBRIDGE_TEST_JAVA").as_deref() != Ok("1") {
            skip(&format!("ROCKETBRIDGE_TEST_JAVA is not 1 (Apache RocketMQ {version}, Java and Maven)"));
            return None;
        }
        let java = tokio::task::spawn_blocking(move || Java::start(version, region, &special)).await;
        Some(Self::of(java.expect("it starts")))
    }

    fn of(java: Java) -> Self {
        let (name_server, proxy) = (java.name_server.clone(), java.proxy.clone());
        Self { connectors: Connectors::new(), name_server, running: Running::Java(java), proxy }
    }

    /// Starts an embedded cluster.
    pub async fn embedded(name: &'static str) -> Self {
        Self::embedded_at(name, 0).await
    }

    /// Starts an embedded cluster whose name server has a certain port.
    pub async fn embedded_at(name: &'static str, name_server_port: u16) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = EmbeddedConfig { name_server_port: name_server_port.into(), ..EmbeddedConfig::new(name, directory.path()) };
        let embedded = Embedded::start(config).await.unwrap_or_else(|error| panic!("embedded cluster {name}: {error}"));
        let port = |address: String| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("an address has a port");
        let ports = (port(embedded.name_server()), port(embedded.broker()));
        let name_server = embedded.name_server();
        Self {
            connectors: Connectors::new(),
            name_server,
            running: Running::Embedded { name, directory, ports, embedded: Some(embedded) },
            proxy: None,
        }
    }

    /// Address of its name server.
    pub fn name_server(&self) -> &str {
        &self.name_server
    }

    fn connection(&self) -> RocketMqConnection {
        RocketMqConnection { endpoints: vec![self.name_server.clone()], ..RocketMqConnection::default() }
    }

    /// Address of its proxy, where clients of gRPC and of remoting are served.
    ///
    /// # Panics
    ///
    /// When it was started without one.
    pub fn proxy(&self) -> &str {
        self.proxy.as_deref().expect("it was started with a proxy")
    }

    /// A client for its administration.
    pub fn admin(&self) -> Admin {
        self.connectors.admin(&self.connection())
    }

    /// Creates a topic.
    pub async fn create_topic(&self, topic: &str, queues: u32) {
        let created = self.admin().create_topic(topic, queues).await;
        created.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A topic as a group reads it, from its oldest message.
    pub(crate) fn source(&self, topic: &str, group: &str) -> Arc<dyn OffsetSource> {
        let definition = RocketMqSource {
            connection: self.connection(),
            topic: topic.to_owned(),
            tags: Vec::new(),
            sql: None,
            group: group.to_owned(),
            start: StartPosition::Earliest,
        };
        self.connectors.source(&definition).offsets().expect("remoting reads at offsets")
    }

    /// Kills all processes of a Java cluster at once, for good.
    ///
    /// # Panics
    ///
    /// When it is no Java cluster.
    pub fn kill(&self) {
        let Running::Java(java) = &self.running else { panic!("only Java clusters are killed") };
        for part in ["broker", "namesrv"] {
            kit(&["kill9", "--name", &java.name, "--part", part]).unwrap_or_else(|output| panic!("{output}"));
        }
    }

    /// Messages stored in a topic, over all queues.
    pub async fn stored(&self, topic: &str) -> u64 {
        let offsets = self.admin().offsets(topic).await.unwrap_or_else(|error| panic!("{error}"));
        offsets.iter().map(|queue| queue.maximum - queue.minimum).sum()
    }

    /// Stops an embedded cluster for a while.
    pub async fn stop(&mut self) {
        let Running::Embedded { embedded, .. } = &mut self.running else { panic!("only embedded clusters are stopped") };
        embedded.take().expect("it runs").stop().await;
    }

    /// Starts a stopped embedded cluster again, with the same addresses and data.
    pub async fn restart(&mut self) {
        let Running::Embedded { name, directory, ports, embedded } = &mut self.running else {
            panic!("only embedded clusters are restarted")
        };
        let config =
            EmbeddedConfig { name_server_port: ports.0.into(), broker_port: ports.1, ..EmbeddedConfig::new(*name, directory.path()) };
        *embedded = Some(Embedded::start(config).await.unwrap_or_else(|error| panic!("embedded cluster {name}, again: {error}")));
    }

    /// Kills the broker of a Java cluster with SIGKILL. Its name server goes on.
    pub fn kill_broker(&self) {
        kit(&["kill9", "--name", &self.as_java().name]).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts a killed broker of a Java cluster again, with further settings, `name=value`.
    pub fn start_broker(&self, settings: &[&str]) {
        let java = self.as_java();
        let file = java.directory.join("broker.conf");
        let text = std::fs::read_to_string(&file).expect("the broker has settings") + &settings.join("\n") + "\n";
        std::fs::write(&file, text).expect("they can be changed");
        kit(&["start-broker", "--name", &java.name]).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Stops the process of a Java cluster's broker with SIGSTOP, or lets it go on.
    pub fn freeze_broker(&self, is_frozen: bool) {
        let process = std::fs::read_to_string(self.as_java().directory.join("broker.pid")).expect("the broker runs");
        let signal = if is_frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill").args([signal, process.trim()]).status().expect("kill is there");
        assert!(status.success(), "kill {signal} {process}");
    }

    /// Where the broker of a Java cluster stores what it has.
    pub fn store(&self) -> PathBuf {
        self.as_java().directory.join("store")
    }

    fn as_java(&self) -> &Java {
        let Running::Java(java) = &self.running else { panic!("this is an embedded cluster") };
        java
    }

    /// Stops it for good.
    pub async fn end(mut self) {
        if let Running::Embedded { embedded, .. } = &mut self.running
            && let Some(embedded) = embedded.take()
        {
            embedded.stop().await;
        }
    }
}

/// How a Java cluster differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Special {
    /// Whether it has a proxy.
    pub with_proxy: bool,
    /// Further settings of the broker, `name=value`.
    pub settings: Vec<String>,
    /// Options of every Java that is started, as `JAVA_TOOL_OPTIONS` has them.
    pub java_options: String,
    /// Heap of the broker, as `-Xmx` has it; empty for the usual one.
    pub heap: String,
}

/// A name server and a broker of Apache RocketMQ; stopped, and its files removed, when dropped.
struct Java {
    name: String,
    name_server: String,
    proxy: Option<String>,
    directory: PathBuf,
}

impl Java {
    fn start(version: &str, region: &str, special: &Special) -> Self {
        // Tests of one process may start clusters of one version side by side.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("e2e-{region}-{}-{}-{number}", version.replace('.', "-"), std::process::id());
        let directory = std::env::temp_dir().join("rocketbridge-rocketmq").join(&name);
        let mut last = String::new();
        // Another process may take the ports in between.
        for _ in 0..3 {
            let (name_server, broker) = ports();
            let proxy = special.with_proxy.then(|| (free_port().to_string(), free_port().to_string()));
            let java = Self {
                name: name.clone(),
                name_server: format!("127.0.0.1:{name_server}"),
                // Of a proxy's two ports, the one for remoting serves both protocols.
                proxy: proxy.as_ref().map(|(_, both)| format!("127.0.0.1:{both}")),
                directory: directory.clone(),
            };
            let (name_server, broker, directory) = (name_server.to_string(), broker.to_string(), directory.to_string_lossy());
            let up = kit(&["install", "--version", version]).and_then(|()| {
                let arguments = [
                    &["up", "--version", version, "--name", &name, "--dir", &directory][..],
                    &["--namesrv-port", &name_server, "--broker-port", &broker],
                    &["--broker-conf", "autoCreateTopicEnable=false"],
                    &proxy.iter().flat_map(|(grpc, both)| ["--proxy-port", grpc, "--proxy-remoting-port", both]).collect::<Vec<_>>(),
                    &special.settings.iter().flat_map(|setting| ["--broker-conf", setting.as_str()]).collect::<Vec<_>>(),
                ];
                kit_with(special, &arguments.concat())
            });
            match up {
                Ok(()) => return java,
                Err(output) => last = output,
            }
        }
        panic!("Apache RocketMQ {version} does not start: {last}")
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        // This fails only if the cluster did not start.
        let _ = kit(&["down", "--name", &self.name]);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn kit(arguments: &[&str]) -> Result<(), String> {
    kit_with(&Special::default(), arguments)
}

/// Runs the kit; what it starts is as wanted.
fn kit_with(special: &Special, arguments: &[&str]) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rocketmq-java/rocketmq.sh");
    let mut command = Command::new(&script);
    if !special.java_options.is_empty() {
        command.env("JAVA_TOOL_OPTIONS", &special.java_options);
    }
    if !special.heap.is_empty() {
        command.env("ROCKETMQ_KIT_BROKER_HEAP", &special.heap);
    }
    let output = command.args(arguments).output().map_err(|error| format!("{}: {error}", script.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// Free ports of a name server and a broker. A broker takes those two below and one above its own as well.
fn ports() -> (u16, u16) {
    loop {
        let (name_server, broker) = (free_port(), free_port());
        let taken = [broker - 2, broker, broker.saturating_add(1)];
        let apart = !taken.contains(&name_server);
        if apart && taken.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return (name_server, broker);
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}
