//! The keys that the controller reads and writes.

use rocketbridge_codec::definition::Kind;
use rocketbridge_metastore::key;

/// Everything that users define.
pub const DEFINITIONS: &str = "definitions/";
/// What routers found of sources.
pub const SOURCES: &str = "sources/";
/// Requests that were done, so that a repeat does nothing twice.
pub const REQUESTS: &str = "requests/";
/// Written with every change of a definition, so that a change is made only on the definitions that it was checked against.
pub const GENERATION: &str = "controller/generation";

/// The prefix of all definitions of a kind.
pub fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "definitions/networks/",
        Kind::Connection => "definitions/connections/",
        Kind::Stream => "definitions/streams/",
    }
}

/// A definition.
pub fn definition(kind: Kind, name: &str) -> String {
    format!("{}{}", folder(kind), key::encode(name))
}

/// What routers found of the source of a stream, by the identity of its creation.
pub fn source(uid: &str) -> String {
    format!("{SOURCES}{}", key::encode(uid))
}

/// A request that was done.
pub fn request(id: &str) -> String {
    format!("{REQUESTS}{}", key::encode(id))
}
