//! How to reach an instance.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Name of the built-in connection to the RocketMQ that runs inside a standalone process.
pub const EMBEDDED: &str = "embedded";

/// A connection: type, endpoints, namespace, credentials, network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionDefinition {
    /// Unique name, at most 127 characters.
    pub name: String,
    /// A description for people; it has no effect.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Region of the instance.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// `SelfBuilt` (default), `Cloud_4` or `Cloud_5`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance_type: String,
    /// Id of the instance.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
    /// `Remoting` or `Grpc`; empty: it follows from the type of instance.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Name servers, or over gRPC proxies, `host:port`.
    pub endpoints: Vec<String>,
    /// Namespace: the prefix of topics and groups in the RocketMQ protocol; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Access key; empty if the instance needs none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Secret key, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
    /// Token of temporary credentials, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub security_token: Secret,
    /// Name of the network that connections go through; empty: connect directly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
}
