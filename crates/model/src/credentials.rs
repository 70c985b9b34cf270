//! Credentials of a connection as people write them: one of five kinds.

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// Where the keys of a connection come from. Exactly one field is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialsDefinition {
    /// Keys that are written down.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<StaticDefinition>,
    /// Keys that an STS issues to an access key (AssumeRole).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<StsDefinition>,
    /// Keys that an STS issues to an OIDC token (AssumeRoleWithOIDC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcDefinition>,
    /// Keys that the metadata service of a cloud instance issues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_role: Option<InstanceRoleDefinition>,
    /// Keys in a file that another process refreshes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileDefinition>,
}

/// Keys that are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaticDefinition {
    /// Access key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Secret key, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
    /// Token of temporary credentials, or a reference to it; empty for none.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub security_token: Secret,
}

/// `AssumeRole` of Alibaba Cloud STS, API version 2015-04-01.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StsDefinition {
    /// The STS, `https://HOST[:PORT]`; empty: `https://sts.aliyuncs.com`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The role, `acs:ram::ACCOUNT:role/NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    /// Name of the session, for audits; empty: `rocketbridge`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_session_name: String,
    /// How long the keys shall live, seconds; 0: 3600.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration_seconds: u32,
    /// A policy that narrows the role's, JSON; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// The external id that the role's trust asks for; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub external_id: String,
    /// Access key of whoever assumes the role.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub access_key: String,
    /// Its secret key, or a reference to it.
    #[serde(skip_serializing_if = "Secret::is_empty")]
    pub secret_key: Secret,
}

/// `AssumeRoleWithOIDC` of Alibaba Cloud STS, API version 2015-04-01.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcDefinition {
    /// The STS, `https://HOST[:PORT]`; empty: `https://sts.aliyuncs.com`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The identity provider, `acs:ram::ACCOUNT:oidc-provider/NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider_arn: String,
    /// The role, `acs:ram::ACCOUNT:role/NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_arn: String,
    /// Name of the session, for audits; empty: `rocketbridge`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role_session_name: String,
    /// How long the keys shall live, seconds; 0: 3600.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration_seconds: u32,
    /// A policy that narrows the role's, JSON; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// Reference to the file with the token, `file:NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_file: String,
}

/// The role of the cloud instance that the process runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstanceRoleDefinition {
    /// The role's name; empty: the one that the metadata service names.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The metadata service, `http://ADDRESS[:PORT]`; empty: `http://100.100.100.200`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// A file that another process refreshes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileDefinition {
    /// Reference to the file, `file:NAME`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(number: &u32) -> bool {
    *number == 0
}
