//! How to reach an instance.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Name of the built-in connection to the RocketMQ that runs inside a standalone process.
pub const EMBEDDED: &str = "embedded";

/// A connection: type, endpoints, namespace, credentials, network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionDefinition {
    /// Its name, unique; at most 127 characters.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The region the instance is in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// `SelfBuilt` (default), `Cloud_4` or `Cloud_5`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance_type: String,
    /// The instance.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance_id: String,
    /// Name servers, `host:port`.
    pub endpoints: Vec<String>,
    /// Prefix of topics and groups on the wire; nothing for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Access key; nothing for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Secret key, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
    /// Token of temporary credentials, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub security_token: Secret,
    /// Name of the network it is dialled through; nothing for the process's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
}
