//! Credentials of connections to and from the messages of the API, without loss.

use rocketbridge_model::Secret;
use rocketbridge_model::credentials::{
    CredentialsDefinition, FileDefinition, InstanceRoleDefinition, OidcDefinition, StaticDefinition, StsDefinition,
};
use rocketbridge_proto::connection::v1 as proto;

/// Credentials from their message.
pub(super) fn from(message: proto::Credentials) -> CredentialsDefinition {
    CredentialsDefinition {
        fixed: message.r#static.map(|keys| StaticDefinition {
            access_key: keys.access_key,
            secret_key: Secret::new(keys.secret_key),
            security_token: Secret::new(keys.security_token),
        }),
        sts: message.sts.map(|sts| StsDefinition {
            endpoint: sts.endpoint,
            role_arn: sts.role_arn,
            role_session_name: sts.role_session_name,
            duration_seconds: sts.duration_seconds,
            policy: sts.policy,
            external_id: sts.external_id,
            access_key: sts.access_key,
            secret_key: Secret::new(sts.secret_key),
        }),
        oidc: message.oidc.map(|oidc| OidcDefinition {
            endpoint: oidc.endpoint,
            provider_arn: oidc.provider_arn,
            role_arn: oidc.role_arn,
            role_session_name: oidc.role_session_name,
            duration_seconds: oidc.duration_seconds,
            policy: oidc.policy,
            token_file: oidc.token_file,
        }),
        instance_role: message.instance_role.map(|role| InstanceRoleDefinition { role: role.role, address: role.address }),
        file: message.file.map(|file| FileDefinition { path: file.path }),
    }
}

/// Credentials to their message. Redact the definition first if it leaves the process.
pub(super) fn to(definition: CredentialsDefinition) -> proto::Credentials {
    proto::Credentials {
        r#static: definition.fixed.map(|keys| proto::StaticCredentials {
            access_key: keys.access_key,
            secret_key: keys.secret_key.expose().to_owned(),
            security_token: keys.security_token.expose().to_owned(),
        }),
        sts: definition.sts.map(|sts| proto::StsCredentials {
            endpoint: sts.endpoint,
            role_arn: sts.role_arn,
            role_session_name: sts.role_session_name,
            duration_seconds: sts.duration_seconds,
            policy: sts.policy,
            external_id: sts.external_id,
            access_key: sts.access_key,
            secret_key: sts.secret_key.expose().to_owned(),
        }),
        oidc: definition.oidc.map(|oidc| proto::OidcCredentials {
            endpoint: oidc.endpoint,
            provider_arn: oidc.provider_arn,
            role_arn: oidc.role_arn,
            role_session_name: oidc.role_session_name,
            duration_seconds: oidc.duration_seconds,
            policy: oidc.policy,
            token_file: oidc.token_file,
        }),
        instance_role: definition.instance_role.map(|role| proto::InstanceRoleCredentials { role: role.role, address: role.address }),
        file: definition.file.map(|file| proto::FileCredentials { path: file.path }),
    }
}
