//! A name server, a broker and a proxy of Apache RocketMQ.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rocketbridge_model::resolved::{Protocol, RocketMqConnection};

/// A cluster, stopped and removed when dropped.
pub(crate) struct Cluster {
    name: String,
    directory: PathBuf,
    pub(crate) name_server: String,
    /// The proxy's port for gRPC, and the one for remoting, which speaks both.
    pub(crate) proxy: String,
    pub(crate) both: String,
}

impl Cluster {
    /// Starts a cluster; installs the version first if need be.
    pub(crate) fn start(version: &str) -> Result<Self> {
        let name = format!("proxy-{}-{}", version.replace('.', "-"), std::process::id());
        let ports = ports()?;
        let [name_server, broker, proxy, both] = ports.map(|port| port.to_string());
        let address = |port: &str| format!("127.0.0.1:{port}");
        let cluster = Self {
            directory: kit_home().join("run").join(&name),
            name,
            name_server: address(&name_server),
            proxy: address(&proxy),
            both: address(&both),
        };
        kit(&["install", "--version", version])?;
        let mut arguments = vec!["up", "--version", version, "--name", &cluster.name, "--namesrv-port", &name_server];
        arguments.extend(["--broker-port", &broker, "--proxy-port", &proxy, "--proxy-remoting-port", &both]);
        arguments.extend(["--broker-conf", "autoCreateTopicEnable=false", "--broker-conf", "mappedFileSizeCommitLog=33554432"]);
        kit(&arguments)?;
        Ok(cluster)
    }

    /// A connection to the proxy.
    pub(crate) fn grpc(&self) -> RocketMqConnection {
        self.connection(Protocol::Grpc, &self.proxy)
    }

    /// A connection to the name server.
    pub(crate) fn remoting(&self) -> RocketMqConnection {
        self.connection(Protocol::Remoting, &self.name_server)
    }

    pub(crate) fn connection(&self, protocol: Protocol, endpoint: &str) -> RocketMqConnection {
        RocketMqConnection { region: "region".into(), protocol, endpoints: vec![endpoint.to_owned()], ..RocketMqConnection::default() }
    }

    /// Creates a topic of a type.
    pub(crate) fn topic(&self, topic: &str, queues: u32, kind: &str) -> Result<()> {
        let (queues, attribute) = (queues.to_string(), format!("+message.type={kind}"));
        let place = ["updateTopic", "-n", &self.name_server, "-c", &self.name, "-t", topic];
        let form = ["-r", &queues, "-w", &queues, "-a", &attribute];
        self.admin(&[&place[..], &form[..]].concat())
    }

    /// Creates a group that keeps order.
    pub(crate) fn ordered_group(&self, group: &str) -> Result<()> {
        self.admin(&["updateSubGroup", "-n", &self.name_server, "-c", &self.name, "-g", group, "-o", "true"])
    }

    fn admin(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(kit_path()).args(["admin", "--name", &self.name]).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("Exception") || !said.contains("success") {
            bail!("mqadmin {arguments:?}: {said}");
        }
        Ok(())
    }

    /// Kills the proxy, and starts it again at the same ports.
    pub(crate) fn kill_proxy(&self) -> Result<()> {
        kit(&["kill9", "--name", &self.name, "--part", "proxy"])
    }

    pub(crate) fn start_proxy(&self) -> Result<()> {
        kit(&["start-proxy", "--name", &self.name])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = kit(&["down", "--name", &self.name]) {
            eprintln!("{error}");
        }
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

fn kit(arguments: &[&str]) -> Result<()> {
    let output = Command::new(kit_path()).args(arguments).output().context("run rocketmq.sh")?;
    if !output.status.success() {
        bail!("rocketmq.sh {arguments:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn kit_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/rocketmq-java/rocketmq.sh")
}

/// Where the kit keeps what it installs and runs.
fn kit_home() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    variable("ROCKETMQ_KIT_HOME")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("rocketbridge")))
        .or_else(|| Some(variable("HOME")?.join(".cache/rocketbridge")))
        .unwrap_or_default()
}

/// Free ports for a name server, a broker, which also takes those two below and one above, and the proxy's two.
fn ports() -> Result<[u16; 4]> {
    let bind = |port: u16| TcpListener::bind(("127.0.0.1", port));
    let others = [bind(0)?, bind(0)?, bind(0)?];
    for _ in 0..64 {
        let broker = bind(0)?.local_addr()?.port();
        if broker > 1024 && broker < u16::MAX && [broker - 2, broker + 1].into_iter().all(|port| bind(port).is_ok()) {
            let port = |index: usize| others[index].local_addr().map(|address| address.port());
            return Ok([port(0)?, broker, port(1)?, port(2)?]);
        }
    }
    bail!("no free ports")
}
