//! Makes sources and targets; keeps one client per connection.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocketbridge_connector::{Registry, Source, Target};
use rocketbridge_model::resolved::{DeadLetterTarget, RocketMqConnection, RocketMqSource, RocketMqTarget};
use rocketbridge_network::Egress;
use rocketbridge_runtime::{Shutdown, Tasks};

use crate::admin::Admin;
use crate::client::Client;
use crate::mirror::{MirrorEnds, MirrorTarget, Original};
use crate::presence::Presence;
use crate::source::TopicSource;
use crate::target::TopicTarget;
use crate::via::Guard;

/// The RocketMQ connectors of a process. Must be made and used within a tokio runtime.
///
/// A client lives for as long as something made from it does, beyond the registry itself; then its connections close. So a drain needs
/// no word here: sources and targets work until their owners drop them.
pub struct Connectors {
    tasks: Tasks,
    egress: Arc<Egress>,
    clients: Mutex<HashMap<RocketMqConnection, Weak<Client>>>,
    presences: Mutex<HashMap<RocketMqConnection, Weak<Presence>>>,
}

impl Connectors {
    /// Connectors without clients, for a process on loopback.
    pub fn new() -> Self {
        Self::within(Arc::new(Egress::default()))
    }

    /// Connectors without clients that dial what the process may dial.
    pub fn within(egress: Arc<Egress>) -> Self {
        Self { tasks: Tasks::new(Shutdown::new()), egress, clients: Mutex::default(), presences: Mutex::default() }
    }

    /// Topics, offsets and messages of an instance.
    pub fn admin(&self, connection: &RocketMqConnection) -> Admin {
        Admin::new(self.client(connection))
    }

    /// Both ends of a mirror: a topic of an instance and its copy.
    pub fn mirror_ends(&self, source: (&RocketMqConnection, &str), target: (&RocketMqConnection, &str)) -> MirrorEnds {
        MirrorEnds::new((self.client(source.0), source.1), (self.client(target.0), target.1))
    }

    fn client(&self, connection: &RocketMqConnection) -> Arc<Client> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(connection).and_then(Weak::upgrade) {
            return client;
        }
        clients.retain(|_, client| client.strong_count() > 0);
        let client = Client::new(connection.clone(), self.tasks.clone(), Arc::clone(&self.egress));
        clients.insert(connection.clone(), Arc::downgrade(&client));
        client
    }

    /// The groups that read by a connection, which are one member of the instance together.
    fn presence(&self, connection: &RocketMqConnection) -> Arc<Presence> {
        let mut presences = self.presences.lock();
        if let Some(presence) = presences.get(connection).and_then(Weak::upgrade) {
            return presence;
        }
        presences.retain(|_, presence| presence.strong_count() > 0);
        let presence = Presence::new(self.client(connection));
        presences.insert(connection.clone(), Arc::downgrade(&presence));
        presence
    }
}

impl Default for Connectors {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry for Connectors {
    fn source(&self, definition: &RocketMqSource) -> Source {
        Source::Offsets(Arc::new(TopicSource::new(self.presence(&definition.connection), definition.clone())))
    }

    fn target(&self, definition: &RocketMqTarget, source: &RocketMqSource) -> Arc<dyn Target> {
        let guard = definition.loop_guard.then(|| Guard::new(source, definition));
        let client = self.client(&definition.connection);
        if definition.mirror {
            let original = Original { client: self.client(&source.connection), topic: source.topic.clone() };
            return Arc::new(MirrorTarget::new(client, &definition.topic, guard, original));
        }
        Arc::new(TopicTarget::new(client, &definition.topic, definition.orderly, guard))
    }

    fn dead_letter(&self, definition: &DeadLetterTarget) -> Arc<dyn Target> {
        Arc::new(TopicTarget::new(self.client(&definition.connection), &definition.topic, false, None))
    }
}
