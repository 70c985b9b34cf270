//! What the kinds of definition have in common, so that one set of methods serves them all.

use rocketbridge_codec::definition::fields::Described;
use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::definition::{Kind, stored::Stored};
use rocketbridge_codec::keyspace;
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::record::{Desired, OLDEST_SCHEMA, Owner, Record, RouteRecord, StreamRecord};
use rocketbridge_model::resolved::RocketMqSource;
use rocketbridge_model::validate::{self, Known};
use rocketbridge_model::{Revision, RouteDefinition, StreamDefinition, Violation};
use rocketbridge_program::Compiler;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a user writes.
pub trait Defines: Described + Guarded + Serialize + DeserializeOwned + Clone + Default + PartialEq + Send + Sync + 'static {
    /// Its kind.
    const KIND: Kind;

    /// Its name.
    fn name(&self) -> &str;

    /// Checks it against all rules.
    fn check(&self, references: &Known, compiler: &Compiler) -> Result<(), Vec<Violation>>;

    /// Whether it refers to a definition of another kind.
    fn refers_to(&self, kind: Kind, name: &str) -> bool;

    /// Where it keeps its progress, if it reads anything and can be resolved. `uid` is the identity of its creation, if it was made.
    fn source(&self, uid: &str, references: &Known) -> Option<RocketMqSource>;
}

/// A stored record of a definition.
pub trait Resource: Stored + Clone + PartialEq + Send + Sync + 'static {
    /// What it is a record of.
    type Definition: Defines;

    /// A new record.
    fn made(definition: Self::Definition, uid: String, request_id: &str, now: i64) -> Self;

    /// What its user wrote.
    fn definition(&self) -> &Self::Definition;

    /// What its user wrote, to redact it.
    fn definition_mut(&mut self) -> &mut Self::Definition;

    /// Changes the definition and everything that counts changes.
    fn amend(&mut self, definition: Self::Definition, now: i64);

    /// Identity of its creation.
    fn uid(&self) -> &str;

    /// Its etag.
    fn current_etag(&self) -> String;

    /// Keys that go with the record.
    fn companions(&self) -> Vec<String>;

    /// Whether the process made it itself, so that users cannot change or delete it.
    fn is_built_in(&self) -> bool;

    /// The route that made it and alone may change it.
    fn owner(&self) -> Option<&Owner> {
        None
    }

    /// Prefixes of further keys that go with the record.
    fn companion_folders(&self) -> Vec<String>;
}

impl Defines for StreamDefinition {
    const KIND: Kind = Kind::Stream;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, references: &Known, compiler: &Compiler) -> Result<(), Vec<Violation>> {
        validate::stream(self, references, compiler)
    }

    fn refers_to(&self, kind: Kind, name: &str) -> bool {
        if kind != Kind::Connection {
            return false;
        }
        let source = self.source.source_rocketmq_parameters.as_ref();
        let sink = self.sink.sink_rocketmq_parameters.as_ref().and_then(|sink| sink.connection.as_ref());
        let dead_letter = self.run_options.dead_letter_queue.as_ref().map(|queue| queue.arn.as_str());
        source.is_some_and(|source| source.connection == name)
            || sink.is_some_and(|connection| connection.value == name)
            || dead_letter.and_then(|arn| arn.split_once('/')).is_some_and(|(connection, _)| connection == name)
    }

    fn source(&self, uid: &str, references: &Known) -> Option<RocketMqSource> {
        let record = StreamRecord { uid: uid.to_owned(), definition: self.clone(), ..StreamRecord::default() };
        validate::resolve(&record, references).ok().map(|stream| stream.source)
    }
}

impl Defines for ConnectionDefinition {
    const KIND: Kind = Kind::Connection;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, references: &Known, _compilers: &Compiler) -> Result<(), Vec<Violation>> {
        validate::connection(self, references)
    }

    fn refers_to(&self, kind: Kind, name: &str) -> bool {
        kind == Kind::Network && self.network == name
    }

    fn source(&self, _uid: &str, _references: &Known) -> Option<RocketMqSource> {
        None
    }
}

impl Defines for NetworkDefinition {
    const KIND: Kind = Kind::Network;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _references: &Known, _compilers: &Compiler) -> Result<(), Vec<Violation>> {
        validate::network(self)
    }

    fn refers_to(&self, _kind: Kind, _name: &str) -> bool {
        false
    }

    fn source(&self, _uid: &str, _references: &Known) -> Option<RocketMqSource> {
        None
    }
}

impl Defines for RouteDefinition {
    const KIND: Kind = Kind::Route;

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, references: &Known, compiler: &Compiler) -> Result<(), Vec<Violation>> {
        validate::route(self, references, compiler)
    }

    fn refers_to(&self, kind: Kind, name: &str) -> bool {
        kind == Kind::Connection && (self.from == name || self.to == name)
    }

    fn source(&self, _uid: &str, _references: &Known) -> Option<RocketMqSource> {
        None
    }
}

impl Resource for RouteRecord {
    type Definition = RouteDefinition;

    fn made(definition: RouteDefinition, uid: String, request_id: &str, now: i64) -> Self {
        Self {
            schema: OLDEST_SCHEMA,
            uid,
            revision: Revision(1),
            change: 1,
            create_time: now,
            update_time: now,
            create_request_id: request_id.to_owned(),
            definition,
            ..Self::default()
        }
    }

    fn definition(&self) -> &RouteDefinition {
        &self.definition
    }

    fn definition_mut(&mut self) -> &mut RouteDefinition {
        &mut self.definition
    }

    fn amend(&mut self, definition: RouteDefinition, now: i64) {
        self.definition = definition;
        self.revision.0 += 1;
        self.change += 1;
        self.update_time = now;
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn current_etag(&self) -> String {
        self.etag()
    }

    fn companions(&self) -> Vec<String> {
        Vec::new()
    }

    fn is_built_in(&self) -> bool {
        false
    }

    fn companion_folders(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Resource for StreamRecord {
    type Definition = StreamDefinition;

    fn made(definition: StreamDefinition, uid: String, request_id: &str, now: i64) -> Self {
        Self {
            schema: OLDEST_SCHEMA,
            uid,
            revision: Revision(1),
            change: 1,
            desired: Desired::Ready,
            create_time: now,
            update_time: now,
            create_request_id: request_id.to_owned(),
            owner: None,
            definition,
        }
    }

    fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    fn definition(&self) -> &StreamDefinition {
        &self.definition
    }

    fn definition_mut(&mut self) -> &mut StreamDefinition {
        &mut self.definition
    }

    /// The revision counts what the data path can notice: words for people are none of it.
    fn amend(&mut self, definition: StreamDefinition, now: i64) {
        let unnoticed =
            |definition: &StreamDefinition| StreamDefinition { description: String::new(), tags: Vec::new(), ..definition.clone() };
        if unnoticed(&self.definition) != unnoticed(&definition) {
            self.revision.0 += 1;
        }
        self.definition = definition;
        self.change += 1;
        self.update_time = now;
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn current_etag(&self) -> String {
        self.etag()
    }

    fn companions(&self) -> Vec<String> {
        vec![keyspace::source(&self.uid)]
    }

    fn is_built_in(&self) -> bool {
        false
    }

    fn companion_folders(&self) -> Vec<String> {
        vec![keyspace::skips_of(&self.uid), keyspace::partitions(&self.uid)]
    }
}

impl<D: Defines> Resource for Record<D> {
    type Definition = D;

    fn made(definition: D, uid: String, request_id: &str, now: i64) -> Self {
        Self {
            schema: OLDEST_SCHEMA,
            uid,
            change: 1,
            create_time: now,
            update_time: now,
            create_request_id: request_id.to_owned(),
            built_in: false,
            definition,
        }
    }

    fn definition(&self) -> &D {
        &self.definition
    }

    fn definition_mut(&mut self) -> &mut D {
        &mut self.definition
    }

    fn amend(&mut self, definition: D, now: i64) {
        self.definition = definition;
        self.change += 1;
        self.update_time = now;
    }

    fn uid(&self) -> &str {
        &self.uid
    }

    fn current_etag(&self) -> String {
        self.etag()
    }

    fn companions(&self) -> Vec<String> {
        Vec::new()
    }

    fn is_built_in(&self) -> bool {
        self.built_in
    }

    fn companion_folders(&self) -> Vec<String> {
        Vec::new()
    }
}
