//! Where the keys of a connection come from.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Where keys come from. Equal values may share what is issued.
///
/// Keys are stored and sent as earlier versions did; what those cannot handle they cannot read either.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// An STS, for an access key.
    Sts(AssumedRole),
    /// An STS, for an OIDC token.
    Oidc(FederatedRole),
    /// The metadata service of the cloud instance.
    InstanceRole(InstanceRole),
    /// A file that another process refreshes.
    File(KeyFile),
    /// The definition itself.
    #[serde(untagged)]
    Static(Keys),
}

/// Keys, and the token that temporary keys need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Keys {
    /// Access key.
    pub access_key: String,
    /// Secret key, or a reference to it.
    pub secret_key: Secret,
    /// Token of temporary credentials, or a reference to it; empty for none.
    pub security_token: Secret,
}

/// A role that an access key assumes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AssumedRole {
    /// The role, and for how long.
    #[serde(flatten)]
    pub role: Role,
    /// The external id that the role's trust asks for; empty for none.
    pub external_id: String,
    /// Access key of whoever assumes it.
    pub access_key: String,
    /// Its secret key, or a reference to it.
    pub secret_key: Secret,
}

/// A role that the holder of an OIDC token assumes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FederatedRole {
    /// The role, and for how long.
    #[serde(flatten)]
    pub role: Role,
    /// The identity provider's name in the cloud.
    pub provider_arn: String,
    /// Reference to the file with the token. It is read each time keys are issued.
    pub token: Secret,
}

/// What both ways to assume a role have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Role {
    /// The STS.
    pub endpoint: HttpEndpoint,
    /// The role.
    pub role_arn: String,
    /// Name of the session.
    pub session: String,
    /// How long keys shall live.
    pub life: Duration,
    /// A policy that narrows the role's, JSON; empty for none.
    pub policy: String,
}

/// The role of the cloud instance that the process runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstanceRole {
    /// The metadata service.
    pub endpoint: HttpEndpoint,
    /// The role's name; empty: the one that the service names.
    pub role: String,
}

/// A file with keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyFile {
    /// Reference to it.
    pub reference: Secret,
}

/// A server that is spoken to by HTTP. It displays as the URL it was written as, without a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpEndpoint {
    /// `host:port`, in its plain form.
    pub address: String,
    /// Whether TLS is spoken.
    pub is_tls: bool,
}

impl fmt::Display for HttpEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.is_tls { ("https", ":443") } else { ("http", ":80") };
        write!(formatter, "{scheme}://{}", self.address.strip_suffix(usual).unwrap_or(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: static keys as earlier versions write them, and a role. *Guarantees*: earlier and later versions read each other's keys, and each kind
    /// comes back as itself.
    #[test]
    fn keys_are_written_as_they_always_were() {
        let text = r#"{"access_key":"ak","secret_key":"sk","security_token":""}"#;
        let keys = Credentials::Static(Keys { access_key: "ak".into(), secret_key: Secret::new("sk"), security_token: Secret::default() });
        assert_eq!(serde_json::from_str::<Credentials>(text).expect("keys"), keys);
        assert_eq!(serde_json::to_string(&keys).expect("keys"), text);
        let endpoint = HttpEndpoint { address: "sts.aliyuncs.com:443".into(), is_tls: true };
        assert_eq!(endpoint.to_string(), "https://sts.aliyuncs.com");
        let role = Role {
            endpoint: endpoint.clone(),
            role_arn: "acs:ram::1:role/r".into(),
            session: "s".into(),
            life: Duration::from_secs(3_600),
            policy: String::new(),
        };
        for credentials in [
            Credentials::Sts(AssumedRole {
                role: role.clone(),
                external_id: String::new(),
                access_key: "ak".into(),
                secret_key: Secret::new("env:X"),
            }),
            Credentials::Oidc(FederatedRole { role, provider_arn: "p".into(), token: Secret::new("file:/t") }),
            Credentials::InstanceRole(InstanceRole { endpoint, role: String::new() }),
            Credentials::File(KeyFile { reference: Secret::new("file:/k") }),
        ] {
            let text = serde_json::to_string(&credentials).expect("serializes");
            assert_eq!(serde_json::from_str::<Credentials>(&text).expect("comes back"), credentials, "{text}");
        }
    }
}
