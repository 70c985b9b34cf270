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
    version: String,
    pub(crate) name_server: String,
    broker: String,
    /// The proxy's port for gRPC, and the one for remoting, which speaks both.
    pub(crate) proxy: String,
    pub(crate) both: String,
}

impl Cluster {
    /// Starts a cluster, with further arguments of the kit; installs the version first if need be.
    pub(crate) fn start(version: &str, more: &[&str]) -> Result<Self> {
        let kind: String = more.first().map(|first| first.replace("--", "-")).unwrap_or_default();
        let name = format!("proxy-{}-{}{kind}", version.replace('.', "-"), std::process::id());
        let ports = ports()?;
        let [name_server, broker, proxy, both] = ports.map(|port| port.to_string());
        let address = |port: &str| format!("127.0.0.1:{port}");
        let cluster = Self {
            directory: kit_home().join("run").join(&name),
            name,
            version: version.to_owned(),
            name_server: address(&name_server),
            broker: address(&broker),
            proxy: address(&proxy),
            both: address(&both),
        };
        kit(&["install", "--version", version])?;
        let mut arguments = vec!["up", "--version", version, "--name", &cluster.name, "--namesrv-port", &name_server];
        arguments.extend(["--broker-port", &broker, "--proxy-port", &proxy, "--proxy-remoting-port", &both]);
        arguments.extend(["--broker-conf", "autoCreateTopicEnable=false", "--broker-conf", "mappedFileSizeCommitLog=33554432"]);
        arguments.extend(more);
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

    /// Whether it knows lite topics and priorities over gRPC, as 5.5 does.
    pub(crate) fn has_lite_topics(&self) -> bool {
        let minor = self.version.strip_prefix("5.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        minor.is_some_and(|minor| minor >= 5)
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

    /// Creates a user, or gives an old one another secret.
    pub(crate) fn user(&self, verb: &str, name: &str, secret: &str) -> Result<()> {
        let place = [verb, "-n", &self.name_server, "-c", &self.name, "-u", name, "-p", secret];
        self.admin(&[&place[..], if verb == "createUser" { &["-t", "Normal"] } else { &[] }].concat())
    }

    /// Lets a user do something with something, such as `Topic:orders`.
    pub(crate) fn allow(&self, user: &str, resource: &str, actions: &str) -> Result<()> {
        let (place, user) = (["createAcl", "-n", &self.name_server, "-c", &self.name], format!("User:{user}"));
        self.admin(&[&place[..], &["-s", &user, "-r", resource, "-a", actions, "-d", "Allow"]].concat())
    }

    fn admin(&self, arguments: &[&str]) -> Result<()> {
        let output = Command::new(kit_path()).args(["admin", "--name", &self.name]).args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || said.contains("Exception") || !said.contains("success") {
            bail!("mqadmin {arguments:?}: {said}");
        }
        Ok(())
    }

    /// Runs a Java program on RocketMQ's own libraries; its arguments are the broker's address and `more`.
    pub(crate) fn run(&self, program: &str, more: &[&str]) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("Program.java");
        std::fs::write(&source, program)?;
        let libraries = kit_home().join(format!("rocketmq-{}/lib/*", self.version));
        let output = Command::new("java").arg("-cp").arg(libraries).arg(source).arg(&self.broker).args(more).output()?;
        if !output.status.success() {
            bail!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
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
