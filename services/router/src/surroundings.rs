//! What partitions need of their process.

use std::sync::Arc;

use rocketbridge_assignment::Owners;
use rocketbridge_connector::Registry;
use rocketbridge_delivery::Budget;
use rocketbridge_mesh::Definitions;
use rocketbridge_metastore::Metastore;
use rocketbridge_transport::Dialer;

use crate::config::Settings;

/// What partitions need of their process. Cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    /// Where the sources' partitions are written down.
    pub store: Arc<dyn Metastore>,
    /// Makes connectors.
    pub registry: Arc<dyn Registry>,
    /// The streams as they should run now.
    pub definitions: Definitions,
    /// Who owns the shards of filters.
    pub owners: Owners,
    /// How filters are reached.
    pub dialer: Dialer,
    /// Windows and intervals.
    pub settings: Settings,
    /// What all partitions together may hold.
    pub budget: Budget,
}
