//! The things that are defined: streams, routes, connections and networks, as one.

use std::fmt;

use clap::ValueEnum;
use prost::Message;
use prost_types::FieldMask;
use rocketbridge_proto::connection::v1 as connection;
use rocketbridge_proto::network::v1 as network;
use rocketbridge_proto::record::v1::UnreadableRecord;
use rocketbridge_proto::route::v1 as route;
use rocketbridge_proto::stream::v1 as stream;
use serde_json::Value;

use super::{Client, Error};
use crate::output::document;

/// A kind of definition. The order is the one in which definitions can refer to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// A network.
    #[value(name = "networks", alias = "network")]
    Network,
    /// A connection.
    #[value(name = "connections", alias = "connection")]
    Connection,
    /// A stream.
    #[value(name = "streams", alias = "stream")]
    Stream,
    /// A route.
    #[value(name = "routes", alias = "route")]
    Route,
}

/// A definition as the server takes and gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum Resource {
    /// A network.
    Network(Box<network::Network>),
    /// A connection.
    Connection(Box<connection::Connection>),
    /// A stream.
    Stream(Box<stream::Stream>),
    /// A route.
    Route(Box<route::Route>),
}

/// What the server has of a kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The definitions.
    pub resources: Vec<Resource>,
    /// Records that the server cannot read: the first ones.
    pub unreadable: Vec<UnreadableRecord>,
    /// How many records the server cannot read.
    pub unreadable_count: usize,
}

/// Fields that the server sets. What a person writes there means nothing.
const OUTPUT_ONLY: [&str; 9] = ["uid", "etag", "revision", "state", "state_reason", "create_time", "update_time", "built_in", "route"];

impl Resource {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Network(_) => Kind::Network,
            Self::Connection(_) => Kind::Connection,
            Self::Stream(_) => Kind::Stream,
            Self::Route(_) => Kind::Route,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Network(network) => &network.name,
            Self::Connection(connection) => &connection.name,
            Self::Stream(stream) => &stream.name,
            Self::Route(route) => &route.name,
        }
    }

    /// Its etag.
    pub fn etag(&self) -> &str {
        match self {
            Self::Network(network) => &network.etag,
            Self::Connection(connection) => &connection.etag,
            Self::Stream(stream) => &stream.etag,
            Self::Route(route) => &route.etag,
        }
    }

    /// The same with another etag.
    #[must_use]
    pub fn with_etag(mut self, etag: &str) -> Self {
        match &mut self {
            Self::Network(network) => network.etag = etag.to_owned(),
            Self::Connection(connection) => connection.etag = etag.to_owned(),
            Self::Stream(stream) => stream.etag = etag.to_owned(),
            Self::Route(route) => route.etag = etag.to_owned(),
        }
        self
    }

    /// As a document, `kind` first, fields under their proto names, without what says nothing.
    pub fn document(&self) -> Value {
        let value = match self {
            Self::Network(network) => document::brief("rocketbridge.network.v1.Network", &network.encode_to_vec()),
            Self::Connection(connection) => document::brief("rocketbridge.connection.v1.Connection", &connection.encode_to_vec()),
            Self::Stream(stream) => document::brief("rocketbridge.stream.v1.Stream", &stream.encode_to_vec()),
            Self::Route(route) => document::brief("rocketbridge.route.v1.Route", &route.encode_to_vec()),
        };
        let mut entries = serde_json::Map::new();
        entries.insert("kind".into(), self.kind().title().into());
        if let Value::Object(fields) = value {
            entries.extend(fields);
        }
        // As people write it in files, and where: beside the pattern, not as the API names and numbers it.
        if let Some(Value::String(dialect)) = entries.shift_remove("filter_pattern_dialect") {
            let word = dialect.strip_prefix("PATTERN_DIALECT_").unwrap_or(&dialect).to_lowercase();
            let behind = entries.keys().position(|name| name == "filter_pattern").map_or(entries.len(), |place| place + 1);
            entries.shift_insert(behind, "filter_pattern_dialect".into(), word.into());
        }
        let mut document = Value::Object(entries);
        prune(&mut document);
        document
    }

    /// The document without its etag. It can be applied again also when the stream was started or paused since, which changes the etag.
    pub fn applicable(&self) -> Value {
        self.without(&["etag"])
    }

    /// What its user wrote: the document without what the server sets.
    pub fn definition(&self) -> Value {
        self.without(&OUTPUT_ONLY)
    }

    fn without(&self, names: &[&str]) -> Value {
        let mut document = self.document();
        if let Value::Object(fields) = &mut document {
            fields.retain(|name, _| !names.contains(&name.as_str()));
        }
        document
    }
}

impl Kind {
    /// As it stands behind `kind:` in a file.
    pub fn title(self) -> &'static str {
        match self {
            Self::Network => "Network",
            Self::Connection => "Connection",
            Self::Stream => "Stream",
            Self::Route => "Route",
        }
    }
}

impl fmt::Display for Kind {
    /// One of it, as in `stream/orders`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Network => "network",
            Self::Connection => "connection",
            Self::Stream => "stream",
            Self::Route => "route",
        })
    }
}

impl fmt::Display for Resource {
    /// As in `stream/orders`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.kind(), self.name())
    }
}

impl Client {
    /// One definition.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<Resource, Error> {
        let what = format!("get {kind}/{name}");
        let name = name.to_owned();
        let resource = match kind {
            Kind::Network => {
                let request = network::GetNetworkRequest { name };
                self.call(&what, async { self.networks().get_network(request).await }).await?.network.map(from_network)
            }
            Kind::Connection => {
                let request = connection::GetConnectionRequest { name };
                self.call(&what, async { self.connections().get_connection(request).await }).await?.connection.map(from_connection)
            }
            Kind::Stream => {
                let request = stream::GetStreamRequest { name };
                self.call(&what, async { self.streams().get_stream(request).await }).await?.stream.map(from_stream)
            }
            Kind::Route => {
                let request = route::GetRouteRequest { name };
                self.call(&what, async { self.routes().get_route(request).await }).await?.route.map(from_route)
            }
        };
        resource.ok_or_else(|| self.incomplete(&what))
    }

    /// All definitions of a kind, in the order of their names, and what the server cannot read.
    pub async fn list(&self, kind: Kind) -> Result<Listed, Error> {
        let mut listed = Listed::default();
        let mut page_token = String::new();
        loop {
            let (page, next) = self.page(kind, page_token).await?;
            listed.resources.extend(page.resources);
            listed.unreadable.extend(page.unreadable);
            listed.unreadable_count += page.unreadable_count;
            if next.is_empty() {
                return Ok(listed);
            }
            page_token = next;
        }
    }

    async fn page(&self, kind: Kind, page_token: String) -> Result<(Listed, String), Error> {
        let what = format!("list {kind}s");
        let page_size = 1_000;
        let (resources, unreadable, count, next_page_token) = match kind {
            Kind::Network => {
                let request = network::ListNetworksRequest { page_size, page_token };
                let answer = self.call(&what, async { self.networks().list_networks(request).await }).await?;
                let resources = answer.networks.into_iter().map(from_network).collect();
                (resources, answer.unreadable, answer.unreadable_count, answer.next_page_token)
            }
            Kind::Connection => {
                let request = connection::ListConnectionsRequest { page_size, page_token };
                let answer = self.call(&what, async { self.connections().list_connections(request).await }).await?;
                let resources = answer.connections.into_iter().map(from_connection).collect();
                (resources, answer.unreadable, answer.unreadable_count, answer.next_page_token)
            }
            Kind::Stream => {
                let request = stream::ListStreamsRequest { page_size, page_token };
                let answer = self.call(&what, async { self.streams().list_streams(request).await }).await?;
                let resources = answer.streams.into_iter().map(from_stream).collect();
                (resources, answer.unreadable, answer.unreadable_count, answer.next_page_token)
            }
            Kind::Route => {
                let request = route::ListRoutesRequest { page_size, page_token };
                let answer = self.call(&what, async { self.routes().list_routes(request).await }).await?;
                let resources = answer.routes.into_iter().map(from_route).collect();
                (resources, answer.unreadable, answer.unreadable_count, answer.next_page_token)
            }
        };
        let unreadable_count = usize::try_from(count).unwrap_or_default();
        Ok((Listed { resources, unreadable, unreadable_count }, next_page_token))
    }

    /// Makes a definition, or only checks whether it could be made.
    pub async fn create(&self, resource: Resource, validate_only: bool) -> Result<Resource, Error> {
        let what = format!("create {resource}");
        let request_id = String::new();
        let created = match resource {
            Resource::Network(network) => {
                let request = network::CreateNetworkRequest { network: Some(*network), request_id, validate_only };
                self.call(&what, async { self.networks().create_network(request).await }).await?.network.map(from_network)
            }
            Resource::Connection(connection) => {
                let request = connection::CreateConnectionRequest { connection: Some(*connection), request_id, validate_only };
                self.call(&what, async { self.connections().create_connection(request).await }).await?.connection.map(from_connection)
            }
            Resource::Stream(stream) => {
                let request = stream::CreateStreamRequest { stream: Some(*stream), request_id, validate_only };
                self.call(&what, async { self.streams().create_stream(request).await }).await?.stream.map(from_stream)
            }
            Resource::Route(route) => {
                let request = route::CreateRouteRequest { route: Some(*route), request_id, validate_only };
                self.call(&what, async { self.routes().create_route(request).await }).await?.route.map(from_route)
            }
        };
        created.ok_or_else(|| self.incomplete(&what))
    }

    /// Replaces a definition if it still has the etag that the resource carries, or only checks whether it could be replaced.
    pub async fn replace(&self, resource: Resource, validate_only: bool) -> Result<Resource, Error> {
        let what = format!("update {resource}");
        let update_mask = Some(FieldMask { paths: vec!["*".into()] });
        let allow_missing = false;
        let replaced = match resource {
            Resource::Network(network) => {
                let request = network::UpdateNetworkRequest { network: Some(*network), update_mask, validate_only, allow_missing };
                self.call(&what, async { self.networks().update_network(request).await }).await?.network.map(from_network)
            }
            Resource::Connection(connection) => {
                let request =
                    connection::UpdateConnectionRequest { connection: Some(*connection), update_mask, validate_only, allow_missing };
                self.call(&what, async { self.connections().update_connection(request).await }).await?.connection.map(from_connection)
            }
            Resource::Stream(stream) => {
                let request = stream::UpdateStreamRequest {
                    stream: Some(*stream),
                    update_mask,
                    validate_only,
                    allow_missing,
                    request_id: String::new(),
                };
                self.call(&what, async { self.streams().update_stream(request).await }).await?.stream.map(from_stream)
            }
            Resource::Route(route) => {
                let request =
                    route::UpdateRouteRequest { route: Some(*route), update_mask, validate_only, allow_missing, request_id: String::new() };
                self.call(&what, async { self.routes().update_route(request).await }).await?.route.map(from_route)
            }
        };
        replaced.ok_or_else(|| self.incomplete(&what))
    }

    /// Removes a definition. With `allow_missing` it is no error if there is none.
    pub async fn delete(&self, kind: Kind, name: &str, allow_missing: bool) -> Result<(), Error> {
        let what = format!("delete {kind}/{name}");
        let (name, etag, validate_only) = (name.to_owned(), String::new(), false);
        match kind {
            Kind::Network => {
                let request = network::DeleteNetworkRequest { name, etag, allow_missing, validate_only };
                self.call(&what, async { self.networks().delete_network(request).await }).await.map(drop)
            }
            Kind::Connection => {
                let request = connection::DeleteConnectionRequest { name, etag, allow_missing, validate_only };
                self.call(&what, async { self.connections().delete_connection(request).await }).await.map(drop)
            }
            Kind::Stream => {
                let request = stream::DeleteStreamRequest { name, etag, allow_missing, validate_only, request_id: String::new() };
                self.call(&what, async { self.streams().delete_stream(request).await }).await.map(drop)
            }
            Kind::Route => {
                let request = route::DeleteRouteRequest { name, etag, allow_missing, validate_only, request_id: String::new() };
                self.call(&what, async { self.routes().delete_route(request).await }).await.map(drop)
            }
        }
    }
}

fn from_network(network: network::Network) -> Resource {
    Resource::Network(Box::new(network))
}

fn from_connection(connection: connection::Connection) -> Resource {
    Resource::Connection(Box::new(connection))
}

fn from_stream(stream: stream::Stream) -> Resource {
    Resource::Stream(Box::new(stream))
}

fn from_route(route: route::Route) -> Resource {
    Resource::Route(Box::new(route))
}

/// Removes objects and lists that hold nothing: absent and empty mean the same in a definition.
fn prune(value: &mut Value) {
    let is_nothing = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(prune);
            fields.retain(|_, value| !is_nothing(value));
        }
        Value::Array(elements) => elements.iter_mut().for_each(prune),
        _ => {}
    }
}
