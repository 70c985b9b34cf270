//! The clusters that the contract is tried on.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rocketbridge_embedded_rocketmq::{Embedded, EmbeddedConfig};
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{Credentials, Keys, RocketMqConnection};

/// A cluster.
pub(crate) enum Cluster {
    /// In this process.
    Embedded { name: &'static str, directory: tempfile::TempDir, running: Option<Box<Embedded>>, name_server: String, ports: (u16, u16) },
    /// Processes of real Apache RocketMQ.
    Java(Java),
}

/// A name server and a broker of Apache RocketMQ, stopped and removed when dropped.
pub(crate) struct Java {
    version: String,
    name: String,
    name_server: String,
    directory: PathBuf,
}

/// Whether the Java brokers are to be tested.
pub(crate) fn java_wanted() -> bool {
    std::env::var("ROCKETBRIDGE_TEST_JAVA").is_ok_and(|value| value == "1")
}

impl Cluster {
    /// An embedded cluster in a directory of its own.
    pub(crate) async fn embedded(name: &'static str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let running = Embedded::start(EmbeddedConfig::new(name, directory.path())).await?;
        let name_server = running.name_server();
        let port = |address: String| address.rsplit(':').next().and_then(|port| port.parse().ok()).context("a port");
        let ports = (port(running.name_server())?, port(running.broker())?);
        Ok(Self::Embedded { name, directory, running: Some(Box::new(running)), name_server, ports })
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Embedded { name, .. } => name,
            Self::Java(java) => &java.version,
        }
    }

    /// Whether it is Apache RocketMQ.
    pub(crate) fn is_java(&self) -> bool {
        matches!(self, Self::Java(_))
    }

    pub(crate) fn connection(&self) -> RocketMqConnection {
        let name_server = match self {
            Self::Embedded { name_server, .. } => name_server.clone(),
            Self::Java(java) => java.name_server.clone(),
        };
        RocketMqConnection {
            region: self.name().into(),
            instance: "instance".into(),
            endpoints: vec![name_server],
            ..RocketMqConnection::default()
        }
    }

    /// A connection with keys of the Java kit's administrator, or others.
    pub(crate) fn connection_with(&self, access_key: &str, secret_key: &str) -> RocketMqConnection {
        let keys = Keys { access_key: access_key.into(), secret_key: Secret::new(secret_key), security_token: Secret::default() };
        RocketMqConnection { credentials: Some(Credentials::Static(keys)), ..self.connection() }
    }

    /// Ends the broker: at once where it is a process.
    pub(crate) async fn break_broker(&mut self) -> Result<()> {
        match self {
            Self::Embedded { running, .. } => {
                running.take().context("it runs")?.stop().await;
                Ok(())
            }
            Self::Java(java) => java.kit(&["kill9", "--name", &java.name, "--part", "broker"]),
        }
    }

    /// Starts the broker again, at the same addresses.
    pub(crate) async fn mend_broker(&mut self) -> Result<()> {
        match self {
            Self::Embedded { name, directory, running, ports, .. } => {
                let config = EmbeddedConfig {
                    name_server_port: ports.0.into(),
                    broker_port: ports.1,
                    ..EmbeddedConfig::new(*name, directory.path())
                };
                *running = Some(Box::new(Embedded::start(config).await?));
                Ok(())
            }
            Self::Java(java) => java.kit(&["start-broker", "--name", &java.name]),
        }
    }

    /// The cluster's name, as RocketMQ's own tool wants it.
    pub(crate) fn cluster_name(&self) -> &str {
        match self {
            Self::Embedded { name, .. } => name,
            Self::Java(java) => &java.name,
        }
    }

    /// RocketMQ's own tool; `None` where there is none.
    pub(crate) fn mqadmin(&self, arguments: &[&str]) -> Result<Option<String>> {
        let Self::Java(java) = self else { return Ok(None) };
        let output = Command::new(kit()).args(["admin", "--name", &java.name]).args(arguments).output()?;
        Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)))
    }

    /// Apache RocketMQ 5, if it is.
    pub(crate) fn java_5(&self) -> Option<&Java> {
        match self {
            Self::Java(java) if java.version.starts_with("5.") => Some(java),
            _ => None,
        }
    }

    pub(crate) async fn stop(self) {
        if let Self::Embedded { running: Some(running), .. } = self {
            running.stop().await;
        }
    }
}

impl Java {
    /// Starts a cluster, with further arguments of the kit; installs the version first if need be.
    pub(crate) fn start(version: &str, more: &[&str]) -> Result<Self> {
        let kind: String = more.iter().filter_map(|argument| argument.strip_prefix('-')).filter(|flag| flag.starts_with('-')).collect();
        let name = format!("contract-{}-{}{kind}", version.replace('.', "-"), std::process::id());
        let (name_server, broker) = ports()?;
        let (name_server_port, broker_port) = (name_server.to_string(), broker.to_string());
        let java =
            Self { version: version.to_owned(), name_server: format!("127.0.0.1:{name_server}"), directory: run_directory(&name), name };
        java.kit(&["install", "--version", version])?;
        let mut arguments = vec!["up", "--version", version, "--name", &java.name];
        arguments.extend(["--namesrv-port", &name_server_port, "--broker-port", &broker_port]);
        arguments.extend(["--broker-conf", "autoCreateTopicEnable=false", "--broker-conf", "mappedFileSizeCommitLog=33554432"]);
        // Light queues.
        arguments.extend(["--broker-conf", "enableLmq=true", "--broker-conf", "enableMultiDispatch=true"]);
        arguments.extend(more);
        java.kit(&arguments)?;
        Ok(java)
    }

    /// The cluster's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its broker keeps messages.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    /// Runs a Java program on RocketMQ's own client; its arguments are the name server's address and `more`.
    pub(crate) fn run(&self, program: &str, more: &[&str]) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("Program.java");
        std::fs::write(&source, program)?;
        let libraries = kit_home().join(format!("rocketmq-{}/lib/*", self.version));
        let output = Command::new("java").arg("-cp").arg(libraries).arg(source).arg(&self.name_server).args(more).output()?;
        if !output.status.success() {
            bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn kit(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(kit()).args(arguments).output().context("run rocketmq.sh")?;
        if !output.status.success() {
            bail!("rocketmq.sh {arguments:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        if let Err(error) = self.kit(&["down", "--name", &self.name]) {
            eprintln!("{error}");
        }
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/rocketmq-java/rocketmq.sh")
}

fn run_directory(name: &str) -> PathBuf {
    kit_home().join("run").join(name)
}

/// Where the kit keeps what it installs and runs.
fn kit_home() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    variable("ROCKETMQ_KIT_HOME")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("rocketbridge")))
        .or_else(|| Some(variable("HOME")?.join(".cache/rocketbridge")))
        .unwrap_or_default()
}

/// Free ports for a name server and a broker, which also takes those two below and one above.
fn ports() -> Result<(u16, u16)> {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
    let name_server = bind(0)?;
    for _ in 0..64 {
        let broker = bind(0)?;
        let port = broker.local_addr()?.port();
        if port > 1024 && port < u16::MAX && [port - 2, port + 1].into_iter().all(|port| bind(port).is_ok()) {
            return Ok((name_server.local_addr()?.port(), port));
        }
    }
    bail!("no free ports")
}
