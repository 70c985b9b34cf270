//! Makes sources and targets; keeps one client per connection.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rocketbridge_connector::{Registry, Source, Target};
use rocketbridge_credentials::{Keeper, Keepers};
use rocketbridge_model::resolved::{DeadLetterTarget, Protocol, RocketMqConnection, RocketMqSource, RocketMqTarget};
use rocketbridge_network::{Dialer, Egress};
use rocketbridge_runtime::{Shutdown, Tasks};
use rocketbridge_secrets::Secrets;

use crate::acl::Keys;
use crate::admin::Admin;
use crate::client::Client;
use crate::detected::DetectedTarget;
use crate::grpc::client::Client as GrpcClient;
use crate::grpc::consumer::Consumer;
use crate::grpc::source::TopicSource as ReceivedSource;
use crate::grpc::target::TopicTarget as GrpcTarget;
use crate::mirror::{MirrorEnds, MirrorTarget, Original, Translator};
use crate::presence::Presence;
use crate::probe::GrpcOnly;
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
    keepers: Keepers,
    clients: Mutex<HashMap<RocketMqConnection, Weak<Client>>>,
    presences: Mutex<HashMap<RocketMqConnection, Weak<Presence>>>,
    grpc_clients: Mutex<HashMap<RocketMqConnection, Weak<GrpcClient>>>,
    /// Consumers of the sources that are in use: one for each definition.
    consumers: Mutex<Vec<Weak<Consumer>>>,
    grpc_only: GrpcOnly,
}

impl Connectors {
    /// Connectors without clients, for a command on loopback: references to secrets are those of whoever runs it, and lead anywhere.
    pub fn new() -> Self {
        Self::within(Arc::new(Egress::default().following(Secrets::own())))
    }

    /// Connectors without clients that dial what the process may dial.
    pub fn within(egress: Arc<Egress>) -> Self {
        let tasks = Tasks::new(Shutdown::new());
        let keepers = Keepers::new(tasks.clone(), Arc::clone(&egress));
        Self {
            tasks,
            egress,
            keepers,
            clients: Mutex::default(),
            presences: Mutex::default(),
            grpc_clients: Mutex::default(),
            consumers: Mutex::default(),
            grpc_only: GrpcOnly::default(),
        }
    }

    /// Topics, offsets and messages of an instance.
    pub fn admin(&self, connection: &RocketMqConnection) -> Admin {
        Admin::new(self.client(connection))
    }

    /// Both ends of a mirror: a topic of an instance and its copy.
    pub fn mirror_ends(&self, source: (&RocketMqConnection, &str), target: (&RocketMqConnection, &str)) -> MirrorEnds {
        MirrorEnds::new((self.client(source.0), source.1), (self.client(target.0), target.1))
    }

    /// Dials the servers of an instance, by its network, its TLS and this process's rules.
    pub fn dialer(&self, connection: &RocketMqConnection) -> Dialer {
        Dialer::new(connection, Arc::clone(&self.egress))
    }

    /// The keys of a connection, shared with its clients; `None` if requests are not signed.
    pub fn keeper(&self, connection: &RocketMqConnection) -> Option<Keeper> {
        self.keepers.keeper(connection)
    }

    /// Starts tasks that end with these connectors.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Translates the progress of groups from a topic to its mirror; with `both_ways` the mirror is mirrored back.
    pub fn translator(&self, source: (&RocketMqConnection, &str), target: (&RocketMqConnection, &str), both_ways: bool) -> Translator {
        Translator::new(self.mirror_ends(source, target), both_ways.then(|| self.mirror_ends(target, source)))
    }

    pub(crate) fn client(&self, connection: &RocketMqConnection) -> Arc<Client> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(connection).and_then(Weak::upgrade) {
            return client;
        }
        clients.retain(|_, client| client.strong_count() > 0);
        let keys = Keys::new(self.keepers.keeper(connection));
        let client = Client::new(connection.clone(), self.tasks.clone(), Arc::clone(&self.egress), self.grpc_only.clone(), keys);
        clients.insert(connection.clone(), Arc::downgrade(&client));
        client
    }

    fn grpc_client(&self, connection: &RocketMqConnection) -> Arc<GrpcClient> {
        let mut clients = self.grpc_clients.lock();
        if let Some(client) = clients.get(connection).and_then(Weak::upgrade) {
            return client;
        }
        clients.retain(|_, client| client.strong_count() > 0);
        let client =
            GrpcClient::new(connection.clone(), self.tasks.clone(), Arc::clone(&self.egress), Keys::new(self.keepers.keeper(connection)));
        clients.insert(connection.clone(), Arc::downgrade(&client));
        client
    }

    /// The consumer of a source, which all its receivers in this process share.
    fn consumer(&self, definition: &RocketMqSource) -> Arc<Consumer> {
        let mut consumers = self.consumers.lock();
        consumers.retain(|consumer| consumer.strong_count() > 0);
        if let Some(consumer) = consumers.iter().filter_map(Weak::upgrade).find(|consumer| consumer.definition == *definition) {
            return consumer;
        }
        let consumer = Arc::new(Consumer::new(self.grpc_client(&definition.connection), definition.clone()));
        consumers.push(Arc::downgrade(&consumer));
        consumer
    }

    /// A topic as a target, by the protocol of its instance.
    fn topic(&self, connection: &RocketMqConnection, topic: &str, orderly: bool, guard: impl Fn() -> Option<Guard>) -> Arc<dyn Target> {
        let remoting = || Arc::new(TopicTarget::new(self.client(connection), topic, orderly, guard()));
        let grpc = || Arc::new(GrpcTarget::new(self.grpc_client(connection), topic, orderly, guard()));
        match connection.protocol {
            Protocol::Remoting => remoting(),
            Protocol::Grpc => grpc(),
            Protocol::Detected => Arc::new(DetectedTarget::new(remoting(), grpc(), connection.endpoints.clone(), self.grpc_only.clone())),
        }
    }

    /// Whether an instance is reached over gRPC: because its definition says so, or because nothing else was found to be spoken.
    fn is_grpc(&self, connection: &RocketMqConnection) -> bool {
        match connection.protocol {
            Protocol::Remoting => false,
            Protocol::Grpc => true,
            Protocol::Detected => self.grpc_only.has_any(&connection.endpoints),
        }
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
    /// A source whose protocol nobody said is one at offsets until its endpoints turn out to speak gRPC only: then its uses fail, saying so, and the next
    /// one that is made is of the other form.
    fn source(&self, definition: &RocketMqSource) -> Source {
        if self.is_grpc(&definition.connection) {
            return Source::Handles(Arc::new(ReceivedSource::new(self.consumer(definition))));
        }
        Source::Offsets(Arc::new(TopicSource::new(self.presence(&definition.connection), definition.clone())))
    }

    fn target(&self, definition: &RocketMqTarget, source: &RocketMqSource) -> Arc<dyn Target> {
        let guard = || definition.loop_guard.then(|| Guard::new(source, definition));
        if definition.mirror {
            let original = Original { client: self.client(&source.connection), topic: source.topic.clone() };
            return Arc::new(MirrorTarget::new(self.client(&definition.connection), &definition.topic, guard(), original));
        }
        self.topic(&definition.connection, &definition.topic, definition.orderly, guard)
    }

    fn dead_letter(&self, definition: &DeadLetterTarget) -> Arc<dyn Target> {
        self.topic(&definition.connection, &definition.topic, false, || None)
    }
}
