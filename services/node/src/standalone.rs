//! All four services in one process, on an embedded metadata store, with an embedded RocketMQ unless told otherwise, or built without one.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::Stage;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_metastore::Embedded;
use rocketbridge_network::{Egress, Rules};
use rocketbridge_runtime::Shutdown;
use rocketbridge_secrets::Secrets;
use rocketbridge_transport::server::Listener;

use crate::config::Standalone;
use crate::private;
use crate::process;
use crate::rocketmq::Rocketmq;
use crate::run::{self, Setup};

/// Nobody else can take over, so the lease only has to outlast a slow disk.
const LEASE: Duration = Duration::from_secs(30);

/// Runs until it is told to stop.
pub fn run(config: Standalone) -> anyhow::Result<ExitCode> {
    process::block_on(serve(config))
}

async fn serve(config: Standalone) -> anyhow::Result<ExitCode> {
    let guard = process::start_telemetry("standalone", &config.telemetry)?;
    let shutdown = Shutdown::on_signals(config.drain_deadline)?;
    let listener = Listener::bind(&config.listen.to_string()).await.map_err(process::chained)?;
    private::folder(&config.data_dir)?;
    let store = Embedded::open(&config.data_dir.join("metadata")).await.map_err(process::chained)?;
    let rocketmq = Rocketmq::start(&config).await?;
    let name_server = rocketmq.as_ref().map(Rocketmq::name_server);
    rocketbridge_controller::set_embedded(Arc::new(store.clone()), name_server.as_deref()).await.map_err(process::chained)?;
    let egress = Rules { own: rocketmq.as_ref().map(Rocketmq::addresses).unwrap_or_default(), ..config.egress };
    let connectors = Arc::new(Connectors::within(Arc::new(Egress::new(egress).following(Secrets::new(config.secrets)))));
    let setup = Setup {
        stages: vec![Stage::Controller, Stage::Router, Stage::Filter, Stage::Dispatcher],
        id: process::made_up("standalone"),
        region: config.region,
        networks: config.networks,
        advertise: Box::new(|served| served.to_string()),
        listener,
        tls: config.tls.as_ref().map(process::read_tls).transpose()?,
        connections: config.connections,
        serves_sessions: false,
        store: Arc::new(store.clone()),
        lease_store: {
            let store = store.clone();
            Box::new(move || Ok(Arc::new(store)))
        },
        registry: Arc::<Connectors>::clone(&connectors),
        connectors,
        lease_ttl: LEASE,
        drain_deadline: config.drain_deadline,
        settings: process::settings(config.router),
        memory_budget: config.memory_budget,
        limits: config.pattern,
    };
    let run = run::run(setup, shutdown.clone(), |address| {
        process::announce(config.tls.is_some(), address);
        if let Some(name_server) = name_server {
            println!("embedded RocketMQ name server {name_server}");
        }
    })
    .await;
    if let Some(rocketmq) = rocketmq {
        rocketmq.stop().await;
    }
    store.close().await;
    guard.stop().await;
    run?;
    Ok(process::status(&shutdown))
}
