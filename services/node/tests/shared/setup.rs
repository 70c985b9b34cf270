//! Processes of a test, on sources and targets that the test makes up.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::Registry;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_metastore::Embedded;
use rocketbridge_model::{MemberId, Region};
use rocketbridge_node::config::ByteSize;
use rocketbridge_node::{Setup, Stage};
use rocketbridge_pattern::Limits as PatternLimits;
use rocketbridge_router::Settings;
use rocketbridge_transport::Limits;
use rocketbridge_transport::server::Listener;

/// What a process is made of that has some stages, on loopback and without TLS.
pub(crate) async fn setup(id: &str, stages: Vec<Stage>, store: &Embedded, registry: Arc<dyn Registry>) -> Setup {
    let leased = store.clone();
    Setup {
        stages,
        id: MemberId::new(id),
        region: Region::default(),
        networks: Vec::new(),
        advertise: Box::new(|served| served.to_string()),
        listener: Listener::bind("127.0.0.1:0").await.expect("a free port"),
        tls: None,
        connections: Limits::default(),
        serves_sessions: true,
        store: Arc::new(store.clone()),
        lease_store: Box::new(move || Ok(Arc::new(leased))),
        registry,
        connectors: Arc::new(Connectors::new()),
        lease_ttl: Duration::from_secs(30),
        drain_deadline: Duration::from_secs(25),
        settings: Settings::default(),
        memory_budget: ByteSize(64 << 20),
        limits: PatternLimits::default(),
    }
}
