//! How TLS is spoken to an instance.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// How TLS is spoken. PEM texts may be references, which whoever dials follows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tls {
    /// Certificates of the authorities that servers' certificates must come from; `None` for those that the system trusts.
    #[serde(default)]
    pub ca: Option<Secret>,
    /// What we show servers that ask; `None` for nothing.
    #[serde(default)]
    pub identity: Option<ClientIdentity>,
    /// The name that servers' certificates are for; `None`: the host that is dialled.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Whether any certificate is taken.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// A certificate of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientIdentity {
    /// The certificate, with those between it and its authority.
    pub certificate: Secret,
    /// Its private key.
    pub key: Secret,
}
