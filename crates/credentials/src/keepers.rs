//! One keeper for each distinct setting.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocketbridge_model::resolved::{Credentials, HttpEndpoint, Network, RocketMqConnection, Tls};
use rocketbridge_network::{Dialer, Egress};
use rocketbridge_runtime::Tasks;

use crate::keeper::{Keeper, Kept};

/// The keepers of a process. A keeper lives for as long as somebody uses it.
pub struct Keepers {
    tasks: Tasks,
    egress: Arc<Egress>,
    kept: Mutex<HashMap<Setting, Weak<Kept>>>,
}

/// What makes keys the same: where they come from, and through which network.
type Setting = (Credentials, Option<Network>);

impl Keepers {
    /// No keepers. They dial what the process may dial.
    pub fn new(tasks: Tasks, egress: Arc<Egress>) -> Self {
        Self { tasks, egress, kept: Mutex::default() }
    }

    /// The keeper of a connection's keys; `None` if it needs none. Must be called within a tokio runtime.
    pub fn keeper(&self, connection: &RocketMqConnection) -> Option<Keeper> {
        let credentials = connection.credentials.clone()?;
        // The metadata service is the machine's own, so no network leads to it; other kinds dial nothing.
        let (network, server) = match &credentials {
            Credentials::Sts(sts) => (connection.network.clone(), Some(&sts.role.endpoint)),
            Credentials::Oidc(oidc) => (connection.network.clone(), Some(&oidc.role.endpoint)),
            Credentials::InstanceRole(role) => (None, Some(&role.endpoint)),
            Credentials::Static(_) | Credentials::File(_) => (None, None),
        };
        let dialer = self.dialer(network.clone(), server);
        let mut kept = self.kept.lock();
        let setting = (credentials, network);
        if let Some(kept) = kept.get(&setting).and_then(Weak::upgrade) {
            return Some(Keeper::of(kept));
        }
        kept.retain(|_, kept| kept.strong_count() > 0);
        let keeper = Keeper::new(setting.0.clone(), dialer, &self.tasks);
        kept.insert(setting, keeper.downgrade());
        Some(keeper)
    }

    fn dialer(&self, network: Option<Network>, server: Option<&HttpEndpoint>) -> Dialer {
        let tls = server.filter(|server| server.is_tls).map(|_| Tls::default());
        Dialer::new(&RocketMqConnection { network, tls, ..RocketMqConnection::default() }, Arc::clone(&self.egress))
    }
}
