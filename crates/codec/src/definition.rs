//! Definitions as they travel, as they are stored, and as people write them.
//!
//! - [`protobuf`]: to and from the messages of the API, without loss;
//! - [`mask`]: which fields an update changes (AIP-161);
//! - [`stored`]: the JSON under a key of the metastore, with its layout number;
//! - [`read`]: YAML and JSON files, native or the body of a `CreateEventStreaming` request;
//! - [`secrets`]: stars in answers, and what they mean in requests;
//! - [`fields`]: the names of all fields, which the others walk.
//!
//! Nothing here judges the content of a definition: see `rocketbridge_model::validate`.

mod credentials;
pub mod fields;
pub mod mask;
pub mod protobuf;
pub mod read;
pub mod secrets;
pub mod stored;

use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::{RouteDefinition, StreamDefinition};

pub use crate::kind::Kind;
pub use mask::Mask;
pub use read::{Document, Place, ReadError, read_definitions};

/// A definition of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// A stream.
    Stream(Box<StreamDefinition>),
    /// A connection.
    Connection(Box<ConnectionDefinition>),
    /// A network.
    Network(Box<NetworkDefinition>),
    /// A route.
    Route(Box<RouteDefinition>),
}

impl Definition {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Stream(_) => Kind::Stream,
            Self::Connection(_) => Kind::Connection,
            Self::Network(_) => Kind::Network,
            Self::Route(_) => Kind::Route,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Stream(stream) => &stream.name,
            Self::Connection(connection) => &connection.name,
            Self::Network(network) => &network.name,
            Self::Route(route) => &route.name,
        }
    }
}
