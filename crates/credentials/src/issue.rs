//! From settings to keys.

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{AssumedRole, Credentials, FederatedRole, KeyFile, Keys, Role};
use rocketbridge_network::Dialer;
use rocketbridge_secrets::{Secrets, Unresolvable};
use uuid::Uuid;

use crate::answer::{self, Issued};
use crate::error::{Code, Error};
use crate::exchange::{self, Question};
use crate::metadata;
use crate::rpc::{self, Parameters};

/// Version of the STS's API.
const VERSION: &str = "2015-04-01";
/// Lengths that an OIDC token may have, characters.
const TOKEN: std::ops::RangeInclusive<usize> = 4..=20_000;

/// What is attempted, on what, for people.
pub(crate) fn attempt(credentials: &Credentials) -> String {
    match credentials {
        Credentials::Static(keys) => format!("read the keys of {}", keys.access_key),
        Credentials::File(file) => format!("read {}", file.reference),
        Credentials::Sts(sts) => format!("AssumeRole {} at {}", sts.role.role_arn, sts.role.endpoint),
        Credentials::Oidc(oidc) => format!("AssumeRoleWithOIDC {} at {}", oidc.role.role_arn, oidc.role.endpoint),
        Credentials::InstanceRole(role) if role.role.is_empty() => format!("get the instance's keys at {}", role.endpoint),
        Credentials::InstanceRole(role) => format!("get the keys of role {} at {}", role.role, role.endpoint),
    }
}

/// Gets keys, once.
pub(crate) async fn issue(credentials: &Credentials, dialer: &Dialer) -> Result<Issued, Error> {
    let attempt = attempt(credentials);
    match credentials {
        Credentials::Static(keys) => read_keys(&attempt, keys.clone(), dialer).await,
        Credentials::File(KeyFile { reference }) => {
            let text = followed(&attempt, reference, dialer, Secrets::follow_token).await?;
            answer::of_file(&attempt, text.expose(), Timestamp::now())
        }
        Credentials::Sts(sts) => assume(&attempt, sts, dialer).await,
        Credentials::Oidc(oidc) => federate(&attempt, oidc, dialer).await,
        Credentials::InstanceRole(role) => metadata::issue(&attempt, role, dialer).await,
    }
}

/// Keys that are written down, with references followed.
async fn read_keys(attempt: &str, keys: Keys, dialer: &Dialer) -> Result<Issued, Error> {
    let secret_key = followed(attempt, &keys.secret_key, dialer, Secrets::follow).await?;
    let security_token = followed(attempt, &keys.security_token, dialer, Secrets::follow).await?;
    Ok(Issued { access_key: keys.access_key, secret_key, security_token, life: None })
}

async fn assume(attempt: &str, sts: &AssumedRole, dialer: &Dialer) -> Result<Issued, Error> {
    let secret_key = followed(attempt, &sts.secret_key, dialer, Secrets::follow).await?;
    let mut query = common("AssumeRole");
    query.extend([
        ("AccessKeyId", sts.access_key.clone()),
        ("SignatureMethod", "HMAC-SHA1".to_owned()),
        ("SignatureVersion", "1.0".to_owned()),
        ("SignatureNonce", Uuid::new_v4().to_string()),
    ]);
    let mut fields = of_role(&sts.role);
    if !sts.external_id.is_empty() {
        fields.push(("ExternalId", sts.external_id.clone()));
    }
    let signature = rpc::signature("POST", &query, &fields, &secret_key);
    query.push(("Signature", signature));
    post(attempt, &sts.role, &query, &fields, &[secret_key.expose()], dialer).await
}

async fn federate(attempt: &str, oidc: &FederatedRole, dialer: &Dialer) -> Result<Issued, Error> {
    // Read anew each time: whoever projects the token replaces it before it ends.
    let token = followed(attempt, &oidc.token, dialer, Secrets::follow_token).await?;
    let text = token.expose().trim();
    if !TOKEN.contains(&text.len()) {
        let reason = format!("the token in {} has {} characters; 4 to 20000 are allowed", oidc.token, text.len());
        return Err(Error::new(Code::Denied, attempt, reason));
    }
    let mut query = common("AssumeRoleWithOIDC");
    query.push(("SignatureNonce", Uuid::new_v4().to_string()));
    let mut fields = of_role(&oidc.role);
    fields.extend([("OIDCProviderArn", oidc.provider_arn.clone()), ("OIDCToken", text.to_owned())]);
    post(attempt, &oidc.role, &query, &fields, &[text], dialer).await
}

fn common(action: &str) -> Parameters {
    vec![
        ("Action", action.to_owned()),
        ("Version", VERSION.to_owned()),
        ("Format", "JSON".to_owned()),
        ("Timestamp", Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    ]
}

fn of_role(role: &Role) -> Parameters {
    let mut fields = vec![
        ("RoleArn", role.role_arn.clone()),
        ("RoleSessionName", role.session.clone()),
        ("DurationSeconds", role.life.as_secs().to_string()),
    ];
    if !role.policy.is_empty() {
        fields.push(("Policy", role.policy.clone()));
    }
    fields
}

/// What is secret goes in the form, which proxies and servers do not log.
async fn post(
    attempt: &str,
    role: &Role,
    query: &Parameters,
    fields: &Parameters,
    secrets: &[&str],
    dialer: &Dialer,
) -> Result<Issued, Error> {
    let question = Question {
        attempt,
        endpoint: &role.endpoint,
        method: Method::POST,
        target: format!("/?{}", rpc::form(query)),
        headers: &[],
        body: rpc::form(fields),
    };
    let answer = exchange::ask(dialer, question).await?;
    if answer.status != 200 {
        return Err(answer::refusal(attempt, answer.status, &answer.body, secrets));
    }
    answer::of_sts(attempt, &answer.body, answer.moment)
}

/// By which rules a reference is followed: those of secrets, or those of tokens.
type Follow = fn(&Secrets, &Secret) -> Result<Secret, Unresolvable>;

/// Follows a reference to a secret, away from the threads that must not block.
async fn followed(attempt: &str, secret: &Secret, dialer: &Dialer, follow: Follow) -> Result<Secret, Error> {
    if !secret.is_reference() {
        return Ok(secret.clone());
    }
    let (reference, secrets) = (secret.clone(), Arc::clone(dialer.secrets()));
    match tokio::task::spawn_blocking(move || follow(&secrets, &reference)).await {
        Ok(resolved) => resolved.map_err(|unresolvable| Error::unresolvable(attempt, &unresolvable)),
        Err(_) => Err(Error::new(Code::Unavailable, attempt, "the reference was not followed to its end")),
    }
}
