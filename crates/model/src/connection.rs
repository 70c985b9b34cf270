//! How to reach an instance.

use serde::{Deserialize, Serialize};

use crate::credentials::CredentialsDefinition;
use crate::secret::Secret;

/// Name of the built-in connection to the RocketMQ that runs inside a standalone process.
pub const EMBEDDED: &str = "embedded";

/// A connection: type, endpoints, namespace, credentials, network, TLS.
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
    /// Access key; empty if the instance needs none, or `credentials` has it. Short for `credentials.static`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Secret key, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
    /// Token of temporary credentials, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub security_token: Secret,
    /// Where the keys come from; absent: the three fields above, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsDefinition>,
    /// Name of the network that connections go through; empty: connect directly.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub network: String,
    /// TLS for the connections to name servers and brokers; absent: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsDefinition>,
}

/// TLS for the connections to an instance. PEM texts may be references, `env:NAME` or `file:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsDefinition {
    /// Whether TLS is used. If not, the other fields have no effect.
    pub enabled: bool,
    /// Certificates of the authorities that sign the servers' certificates, PEM; empty: those that the system trusts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca: String,
    /// Client certificate, with its intermediate certificates, PEM; empty if the servers request none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_certificate: String,
    /// Private key of the client certificate, PEM.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub client_key: Secret,
    /// Name that the servers' certificates must contain; empty: the host of the address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// Whether any certificate is accepted, so that anyone on the way can read and change everything.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_verify: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_false(flag: &bool) -> bool {
    !flag
}
