//! One service as a process of its own, on etcd.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rocketbridge_assignment::Stage;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_metastore::{Etcd, etcd};
use rocketbridge_model::MemberId;
use rocketbridge_network::Egress;
use rocketbridge_router::Settings;
use rocketbridge_runtime::{Chain, Shutdown};
use rocketbridge_secrets::Secrets;
use rocketbridge_telemetry as telemetry;
use rocketbridge_transport::server::Listener;
use rocketbridge_transport::tls;

use crate::config::{self, LogFormat, Process};
use crate::run::{self, Setup};

/// Runs the service until it is told to stop.
pub fn run(stage: Stage, config: Process) -> anyhow::Result<ExitCode> {
    block_on(serve(stage, config))
}

async fn serve(stage: Stage, config: Process) -> anyhow::Result<ExitCode> {
    let guard = start_telemetry(stage.name(), &config.telemetry)?;
    let shutdown = Shutdown::on_signals(config.drain_deadline)?;
    let listener = Listener::bind(&config.listen.to_string()).await.map_err(chained)?;
    let etcd = store(&config.etcd)?;
    let store = Etcd::connect(etcd.clone()).await.map_err(chained)?;
    let advertise = config.advertise.clone();
    let connectors = Arc::new(Connectors::within(Arc::new(Egress::new(config.egress).following(Secrets::new(config.secrets)))));
    let setup = Setup {
        stages: vec![stage],
        id: config.member_id.clone().unwrap_or_else(|| made_up(stage.name())),
        region: config.region,
        networks: config.networks,
        advertise: Box::new(move |served: SocketAddr| match &advertise {
            Some(address) if address.port == 0 => config::Address { host: address.host.clone(), port: served.port() }.to_string(),
            Some(address) => address.to_string(),
            None => served.to_string(),
        }),
        listener,
        tls: config.tls.as_ref().map(read_tls).transpose()?,
        connections: config.connections,
        serves_sessions: true,
        store: Arc::new(store),
        lease_store: Box::new(move || Ok(Arc::new(Etcd::new(etcd).map_err(chained)?))),
        registry: Arc::<Connectors>::clone(&connectors),
        connectors,
        lease_ttl: config.lease_ttl,
        drain_deadline: config.drain_deadline,
        settings: settings(config.router),
        memory_budget: config.memory_budget,
        limits: config.pattern,
    };
    let run = run::run(setup, shutdown.clone(), |address| announce(config.tls.is_some(), address)).await;
    guard.stop().await;
    run?;
    Ok(status(&shutdown))
}

/// The first line of output: where the process serves, printed when it does.
pub(crate) fn announce(is_tls: bool, address: SocketAddr) {
    use std::io::Write;
    let scheme = if is_tls { "https" } else { "http" };
    let mut output = std::io::stdout().lock();
    // Whoever started this process may have closed its output; that is no reason to stop.
    let _ = writeln!(output, "serving {scheme}://{address}").and_then(|()| output.flush());
}

/// Failure when the process stopped for a failure.
pub(crate) fn status(shutdown: &Shutdown) -> ExitCode {
    if shutdown.cause().is_some_and(|cause| cause.is_failure()) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs a process to its end on a runtime of its own, after what must be done before anything uses TLS.
pub(crate) fn block_on<T>(process: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    // A second installation fails and changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    open_as_many_files_as_allowed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(process);
    // Not dropped: that would wait for threads that look up names of hosts which nobody needs any more.
    runtime.shutdown_background();
    ended
}

/// Many systems allow a process 1,024 files unless it asks for more, and a connection is a file.
fn open_as_many_files_as_allowed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // What it may have anyway is no reason not to start.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

pub(crate) fn start_telemetry(service: &str, config: &config::Telemetry) -> anyhow::Result<telemetry::Guard> {
    telemetry::start(&telemetry::Settings {
        service: format!("rocketbridge-{service}"),
        level: config.log_level.clone(),
        json: config.log_format == LogFormat::Json,
        otlp_endpoint: config.otlp_endpoint.clone(),
    })
    .map_err(chained)
}

pub(crate) fn read_tls(files: &config::Tls) -> anyhow::Result<tls::Tls> {
    let read = |path: &std::path::Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(tls::Tls { authorities: read(&files.ca)?, certificate: read(&files.cert)?, key: read(&files.key)? })
}

pub(crate) fn settings(router: config::Router) -> Settings {
    let mut settings = Settings::default();
    settings.window.events = router.window_events;
    settings.window.bytes = router.window_bytes.0;
    settings.commit_interval = router.commit_interval;
    settings
}

/// An identity for a process that was given none. It is short because people read it; two starts draw the same one in four billion times.
pub(crate) fn made_up(name: &str) -> MemberId {
    let drawn = uuid::Uuid::new_v4().simple().to_string();
    MemberId::new(format!("{name}-{}", &drawn[..8]))
}

/// An error with everything behind it, in one line.
pub(crate) fn chained(error: impl std::error::Error + 'static) -> anyhow::Error {
    anyhow::anyhow!("{}", Chain(&error))
}

fn store(config: &config::Etcd) -> anyhow::Result<etcd::Config> {
    let mut store = etcd::Config::new(config.endpoints.clone());
    store.namespace.clone_from(&config.prefix);
    store.compacts = config.compaction;
    if let Some(user) = &config.username {
        let password = Secrets::own().follow(&config.password).map_err(chained)?;
        store.credentials = Some(etcd::Credentials { user: user.clone(), password: password.expose().to_owned() });
    }
    if let Some(tls) = &config.tls {
        let read = |path: &std::path::Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let identity = match &tls.identity {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        store.tls = Some(etcd::Tls { authority: read(&tls.ca)?, identity, server_name: None });
    }
    Ok(store)
}
