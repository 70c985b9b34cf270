//! Configuration of the processes: from a file (TOML or YAML), the environment (`ROCKETBRIDGE_…`) and flags, checked as a whole.
//!
//! Flags win over the environment, which wins over the file. Everything that is wrong is told at once ([`problem`]), with the
//! key, the value, where it came from, the rule and the fix. There is no way to listen beyond loopback without TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use rocketbridge_model::{MemberId, Region, Secret};
use rocketbridge_network::Rules;
use rocketbridge_pattern::Limits;
use rocketbridge_secrets::Settings;
use rocketbridge_transport::Limits as ConnectionLimits;

pub mod address;
mod key;
pub mod layers;
mod memory;
pub mod problem;
pub mod quantity;
mod reader;

pub use address::Address;
pub use layers::Layers;
pub use problem::{Origin, Problem, Refused};
pub use quantity::ByteSize;

use reader::{Reader, is_log_filter, is_url};

/// The shortest lease: etcd extends leases by its own rounding below this.
const LEAST_LEASE: Duration = Duration::from_secs(3);
const MOST_LEASE: Duration = Duration::from_secs(120);
const LEASE: Duration = Duration::from_secs(9);
const DRAIN_DEADLINE: Duration = Duration::from_secs(25);
const MOST_DRAIN: Duration = Duration::from_secs(3600);
/// Port of the embedded name server at the first start on a data directory: next to the API's, and not RocketMQ's usual 9876, which a
/// RocketMQ of the user's own may have.
pub const NAME_SERVER_PORT: u16 = 9081;

/// What one of the four services, as a process of its own, is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// The address it serves; port 0 for any free one.
    pub listen: SocketAddr,
    /// Where others reach it; absent: at the address it serves. Port 0 stands for the served one.
    pub advertise: Option<Address>,
    /// The region it is in; may be empty.
    pub region: Region,
    /// Names of the networks it can dial through.
    pub networks: Vec<String>,
    /// What it may dial for connections and streams.
    pub egress: Rules,
    /// Where references to secrets in definitions may lead.
    pub secrets: Settings,
    /// Its identity among the members; absent: one is made up at each start.
    pub member_id: Option<MemberId>,
    /// The metadata store.
    pub etcd: Etcd,
    /// How long its ownerships outlive its last renewal.
    pub lease_ttl: Duration,
    /// How long a drain may take.
    pub drain_deadline: Duration,
    /// Certificates for sessions between services; present unless it listens on loopback.
    pub tls: Option<Tls>,
    /// What peers may take of it.
    pub connections: ConnectionLimits,
    /// What it tells about itself.
    pub telemetry: Telemetry,
    /// What events that are under way may take of the process's memory.
    pub memory_budget: ByteSize,
    /// Limits of the router stage.
    pub router: Router,
    /// Limits of patterns: what controllers accept and filters compile.
    pub pattern: Limits,
}

/// What a standalone process is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Standalone {
    /// Where its definitions, progress and embedded RocketMQ are kept.
    pub data_dir: PathBuf,
    /// The address of its API; port 0 for any free one.
    pub listen: SocketAddr,
    /// Whether a RocketMQ runs inside it; false in builds without the feature `embedded`.
    pub embedded_rocketmq: bool,
    /// Port of the name server of that RocketMQ, 0 for any free one; absent: that of the last start, at first [`NAME_SERVER_PORT`].
    pub name_server_port: Option<u16>,
    /// The region it is in; may be empty.
    pub region: Region,
    /// Names of the networks it can dial through.
    pub networks: Vec<String>,
    /// What it may dial for connections and streams.
    pub egress: Rules,
    /// Where references to secrets in definitions may lead.
    pub secrets: Settings,
    /// How long a drain may take.
    pub drain_deadline: Duration,
    /// Certificates of its API; present unless it listens on loopback.
    pub tls: Option<Tls>,
    /// What peers may take of it.
    pub connections: ConnectionLimits,
    /// What it tells about itself.
    pub telemetry: Telemetry,
    /// What events that are under way may take of the process's memory.
    pub memory_budget: ByteSize,
    /// Limits of the router stage.
    pub router: Router,
    /// Limits of patterns: what is accepted and compiled.
    pub pattern: Limits,
}

/// The metadata store of a mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Etcd {
    /// `http://host:port` or `https://host:port`, at least one.
    pub endpoints: Vec<String>,
    /// Prefix of every key, without a slash at its end.
    pub prefix: String,
    /// User; absent: none.
    pub username: Option<String>,
    /// Reference to the user's password, proven to lead somewhere; empty without a user.
    pub password: Secret,
    /// Certificates towards etcd; absent: those of the system, for `https` endpoints.
    pub tls: Option<EtcdTls>,
    /// Whether the leading controller lets etcd forget what was changed long ago.
    pub compaction: bool,
}

/// Certificates towards etcd, as PEM files that could be read when the configuration was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// Authorities that etcd's certificate must come from.
    pub ca: PathBuf,
    /// Our certificate and its private key; absent where etcd asks for none.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Certificates, as PEM files that could be read when the configuration was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that the other side's certificate must come from.
    pub ca: PathBuf,
    /// Our certificate, with those between it and the authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a process tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// OTLP over gRPC; absent: nothing is exported.
    pub otlp_endpoint: Option<String>,
    /// Form of the log on standard error.
    pub log_format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, also by target: `info,rocketbridge_router=debug`.
    pub log_level: String,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Limits of the router stage, for each partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// Most events whose outcome is open.
    pub window_events: u32,
    /// Most bytes of bodies and properties whose outcome is open.
    pub window_bytes: ByteSize,
    /// How often progress is committed.
    pub commit_interval: Duration,
}

impl Process {
    /// Checks what was collected for one of the four services.
    pub fn read(layers: Layers) -> Result<Self, Refused> {
        let mut reader = Reader::new(layers);
        let listen = reader.listen(None);
        let process = Self {
            listen,
            advertise: reader.advertise(listen),
            region: Region::new(reader.text("region").unwrap_or_default()),
            networks: reader.texts("networks"),
            egress: reader.egress(listen),
            secrets: reader.secrets(None),
            member_id: member_id(&mut reader),
            etcd: etcd(&mut reader),
            lease_ttl: reader.duration("lease_ttl", LEASE, LEAST_LEASE, MOST_LEASE),
            drain_deadline: drain_deadline(&mut reader),
            tls: reader.listener_tls(listen),
            connections: connections(&mut reader),
            telemetry: telemetry(&mut reader),
            memory_budget: memory_budget(&mut reader),
            router: router(&mut reader),
            pattern: pattern(&mut reader),
        };
        reader.finish(process)
    }
}

impl Standalone {
    /// Checks what was collected for standalone.
    pub fn read(layers: Layers) -> Result<Self, Refused> {
        let mut reader = Reader::new(layers);
        let data_dir = PathBuf::from(reader.text("data_dir").unwrap_or_else(|| "rocketbridge-data".to_owned()));
        let secrets = std::path::absolute(data_dir.join("secrets")).ok();
        let listen = reader.listen(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080)));
        let standalone = Self {
            data_dir,
            listen,
            embedded_rocketmq: reader.embedded_rocketmq(cfg!(feature = "embedded")),
            name_server_port: reader.parsed(
                "embedded.name_server_port",
                None,
                |text| text.parse().ok().map(Some),
                "a port from 0 to 65535 is needed",
                &format!("write {NAME_SERVER_PORT}, which is the default, or 0 for any free one"),
            ),
            region: Region::new(reader.text("region").unwrap_or_default()),
            networks: reader.texts("networks"),
            egress: reader.egress(listen),
            secrets: reader.secrets(secrets),
            drain_deadline: drain_deadline(&mut reader),
            tls: reader.listener_tls(listen),
            connections: connections(&mut reader),
            telemetry: telemetry(&mut reader),
            memory_budget: memory_budget(&mut reader),
            router: router(&mut reader),
            pattern: pattern(&mut reader),
        };
        reader.finish(standalone)
    }
}

fn member_id(reader: &mut Reader) -> Option<MemberId> {
    let is_valid =
        |text: &str| text.len() <= 127 && text.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
    let parse = |text: &str| is_valid(text).then(|| Some(MemberId::new(text)));
    reader.parsed("member_id", None, parse, "at most 127 letters, digits, `-`, `_` and `.` are allowed", "write a name such as router-0")
}

fn etcd(reader: &mut Reader) -> Etcd {
    let endpoints = reader.urls("etcd.endpoints");
    let tls = reader.etcd_tls();
    let username = reader.text("etcd.username");
    let password = reader.secret_reference("etcd.password");
    if username.is_some() && password.is_empty() {
        reader.refuse_absent("etcd.password", "etcd.username needs a password");
    } else if username.is_none() && !password.is_empty() {
        reader.refuse_absent("etcd.username", "etcd.password needs a user");
    }
    let is_prefix = |text: &str| (text.starts_with('/') && text.len() > 1 && !text.ends_with('/')).then(|| text.to_owned());
    let prefix = reader.parsed(
        "etcd.prefix",
        "/rocketbridge".to_owned(),
        is_prefix,
        "a path with a slash before and none behind is needed",
        "write /rocketbridge, which is the default",
    );
    let compaction = reader.parsed(
        "etcd.compaction",
        true,
        |text| text.parse().ok(),
        "true or false is needed",
        "write true, which is the default, or false where etcd compacts itself or others need its history",
    );
    Etcd { endpoints, prefix, username, password, tls, compaction }
}

fn drain_deadline(reader: &mut Reader) -> Duration {
    reader.duration("drain_deadline", DRAIN_DEADLINE, Duration::ZERO, MOST_DRAIN)
}

fn memory_budget(reader: &mut Reader) -> ByteSize {
    reader.byte_size("memory_budget", memory::default_budget(), memory::LEAST_BUDGET, memory::MOST_BUDGET)
}

fn connections(reader: &mut Reader) -> ConnectionLimits {
    let usual = ConnectionLimits::default();
    let second = Duration::from_secs(1);
    ConnectionLimits {
        total: reader.limit("connections.total", usual.total, 1_000_000),
        per_address: reader.limit("connections.per_address", usual.per_address, 1_000_000),
        handshake: reader.duration("connections.handshake_deadline", usual.handshake, second, 60 * second),
        ..usual
    }
}

fn telemetry(reader: &mut Reader) -> Telemetry {
    let is_endpoint = |text: &str| is_url(text).then(|| Some(text.to_owned()));
    let is_filter = |text: &str| is_log_filter(text).then(|| text.to_owned());
    let levels = "error, warn, info, debug, trace or off is needed, or several with targets";
    Telemetry {
        otlp_endpoint: reader.parsed(
            "telemetry.otlp_endpoint",
            None,
            is_endpoint,
            "an http:// or https:// address is needed",
            "write http://127.0.0.1:4317, or remove it",
        ),
        log_format: reader.log_format(),
        log_level: reader.parsed(
            "telemetry.log_level",
            "info".to_owned(),
            is_filter,
            levels,
            "write info, which is the default, or info,rocketbridge_router=debug",
        ),
    }
}

fn router(reader: &mut Reader) -> Router {
    let usual = rocketbridge_router::Settings::default();
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    Router {
        window_events: reader.count("router.window_events", usual.window.events, 1, 1_000_000),
        window_bytes: reader.byte_size("router.window_bytes", ByteSize(usual.window.bytes), ByteSize(1 << 20), ByteSize(4 << 30)),
        commit_interval: reader.duration("router.commit_interval", usual.commit_interval, 10 * millisecond, 60 * second),
    }
}

/// Every limit there is. The bounds keep what a process may be told within what it can bear.
fn pattern(reader: &mut Reader) -> Limits {
    let usual = Limits::default();
    Limits {
        text_bytes: reader.limit_bytes("pattern.text_bytes", usual.text_bytes, 16 << 20),
        depth: reader.limit("pattern.depth", usual.depth, 256),
        conditions: reader.limit("pattern.conditions", usual.conditions, 1_000_000),
        combinations: reader.limit("pattern.combinations", usual.combinations, 1_000_000),
        operand_bytes: reader.limit_bytes("pattern.operand_bytes", usual.operand_bytes, 1 << 20),
        wildcard_stars: reader.limit("pattern.wildcard_stars", usual.wildcard_stars, 4_096),
        regexps: reader.limit("pattern.regexps", usual.regexps, 1_024),
        regexp_program_bytes: reader.limit_bytes("pattern.regexp_program_bytes", usual.regexp_program_bytes, 64 << 20),
        regexp_repeat: reader.count("pattern.regexp_repeat", usual.regexp_repeat, 1, 100_000),
        combinations_tried: reader.count("pattern.combinations_tried", usual.combinations_tried, 1, 100_000_000),
    }
}

#[cfg(test)]
mod tests;
