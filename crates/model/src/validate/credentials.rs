//! Where the keys of a connection come from.

use std::time::Duration;

use super::findings::Findings;
use super::secret;
use crate::address::{Address, Host};
use crate::connection::ConnectionDefinition;
use crate::credentials::{CredentialsDefinition, InstanceRoleDefinition, OidcDefinition, StsDefinition};
use crate::resolved::{AssumedRole, Credentials, FederatedRole, HttpEndpoint, InstanceRole, KeyFile, Keys, Role};
use crate::secret::{REDACTED, Secret};

/// The STS that serves every region of Alibaba Cloud.
const STS: &str = "https://sts.aliyuncs.com";
/// The metadata service of an ECS instance.
const METADATA: &str = "http://100.100.100.200";
/// Name of a session that has none.
const SESSION: &str = "rocketbridge";
/// How long keys of a role live unless told otherwise, seconds; what an STS issues at least, and at most to any role.
const USUAL_LIFE: u32 = 3_600;
const SHORTEST_LIFE: u32 = 900;
const LONGEST_LIFE: u32 = 43_200;
/// Longest policy, characters.
const POLICY: usize = 2_048;
/// Longest of the other texts, characters. The cloud's own limits are lower; this one keeps requests small.
const TEXT: usize = 1_224;

/// Notes every violation of a connection's credentials, in both ways to write them.
pub(super) fn check(connection: &ConnectionDefinition, findings: &mut Findings) {
    secret::check("secret_key", &connection.secret_key, findings);
    secret::check("security_token", &connection.security_token, findings);
    secret::check_pair(("access_key", &connection.access_key), ("secret_key", &connection.secret_key), findings);
    check_token("", &connection.access_key, &connection.security_token, findings);
    let Some(definition) = &connection.credentials else { return };
    let given = kinds(definition);
    let short = [
        ("access_key", connection.access_key.clone()),
        ("secret_key", connection.secret_key.redacted()),
        ("security_token", connection.security_token.redacted()),
    ];
    if let (Some((field, value)), Some(kind)) = (short.iter().find(|(_, value)| !value.is_empty()), given.first()) {
        let rule = format!("the keys are given twice, as {field} and as credentials.{kind}");
        findings.add(*field, value, rule, format!("remove {field}, or credentials"));
    }
    match given.as_slice() {
        [] => {
            let fix = "write one of static, sts, oidc, instance_role and file below it, or leave credentials out";
            findings.add("credentials", "", "credentials have a kind", fix);
        }
        [_] => {}
        [first, second, ..] => {
            let rule = format!("credentials have one kind, and both credentials.{first} and credentials.{second} are given");
            findings.add(format!("credentials.{second}"), second, rule, "remove all kinds but one");
        }
    }
    check_kinds(definition, findings);
}

/// The kinds that are given, in the order of the definition.
fn kinds(definition: &CredentialsDefinition) -> Vec<&'static str> {
    let given = [
        ("static", definition.fixed.is_some()),
        ("sts", definition.sts.is_some()),
        ("oidc", definition.oidc.is_some()),
        ("instance_role", definition.instance_role.is_some()),
        ("file", definition.file.is_some()),
    ];
    given.into_iter().filter_map(|(kind, is_given)| is_given.then_some(kind)).collect()
}

fn check_kinds(definition: &CredentialsDefinition, findings: &mut Findings) {
    if let Some(keys) = &definition.fixed {
        let (key, secret) = ("credentials.static.access_key", "credentials.static.secret_key");
        secret::check(secret, &keys.secret_key, findings);
        secret::check("credentials.static.security_token", &keys.security_token, findings);
        needed(key, &keys.access_key, "an access key", "write the access key", findings);
        needed(secret, keys.secret_key.expose(), "a secret key", "write env:NAME or file:NAME of the secret key", findings);
        check_token("credentials.static.", &keys.access_key, &keys.security_token, findings);
    }
    if let Some(sts) = &definition.sts {
        check_sts(sts, findings);
    }
    if let Some(oidc) = &definition.oidc {
        check_oidc(oidc, findings);
    }
    if let Some(role) = &definition.instance_role {
        bounded("credentials.instance_role.role", &role.role, TEXT, findings);
        if !role.role.chars().all(is_of_a_name) {
            let rule = "a role's name consists of letters, digits, ., @, - and _";
            findings.add("credentials.instance_role.role", &role.role, rule, "write the name of the role, not its ARN");
        }
        check_endpoint("credentials.instance_role.address", &role.address, METADATA, Plain::IsUsual, findings);
    }
    if let Some(file) = &definition.file {
        check_file("credentials.file.path", &file.path, findings);
    }
}

fn check_sts(sts: &StsDefinition, findings: &mut Findings) {
    check_endpoint("credentials.sts.endpoint", &sts.endpoint, STS, Plain::IsForLoopback, findings);
    check_role("credentials.sts", &sts.role_arn, &sts.role_session_name, sts.duration_seconds, &sts.policy, findings);
    bounded("credentials.sts.external_id", &sts.external_id, TEXT, findings);
    needed("credentials.sts.access_key", &sts.access_key, "the access key of whoever assumes the role", "write the access key", findings);
    secret::check("credentials.sts.secret_key", &sts.secret_key, findings);
    let fix = "write env:NAME or file:NAME of the secret key";
    needed("credentials.sts.secret_key", sts.secret_key.expose(), "the secret key of that access key", fix, findings);
}

fn check_oidc(oidc: &OidcDefinition, findings: &mut Findings) {
    check_endpoint("credentials.oidc.endpoint", &oidc.endpoint, STS, Plain::IsForLoopback, findings);
    check_arn("credentials.oidc.provider_arn", &oidc.provider_arn, "oidc-provider", findings);
    check_role("credentials.oidc", &oidc.role_arn, &oidc.role_session_name, oidc.duration_seconds, &oidc.policy, findings);
    check_file("credentials.oidc.token_file", &oidc.token_file, findings);
}

fn check_role(path: &str, arn: &str, session: &str, seconds: u32, policy: &str, findings: &mut Findings) {
    check_arn(&format!("{path}.role_arn"), arn, "role", findings);
    let is_sound = session.is_empty() || (2..=64).contains(&session.len()) && session.chars().all(is_of_a_name);
    if !is_sound {
        let rule = "a session's name has 2 to 64 letters, digits, ., @, - and _";
        findings.add(format!("{path}.role_session_name"), session, rule, format!("write such a name, or leave it out for {SESSION}"));
    }
    if seconds != 0 && !(SHORTEST_LIFE..=LONGEST_LIFE).contains(&seconds) {
        let rule = format!("keys live {SHORTEST_LIFE} to {LONGEST_LIFE} seconds, and no longer than the role allows");
        findings.add(format!("{path}.duration_seconds"), &seconds.to_string(), rule, format!("write {USUAL_LIFE}, or leave it out"));
    }
    bounded(&format!("{path}.policy"), policy, POLICY, findings);
}

/// `acs:ram::ACCOUNT:KIND/NAME`.
fn check_arn(field: &str, arn: &str, kind: &str, findings: &mut Findings) {
    let fix = format!("write acs:ram::ACCOUNT:{kind}/NAME, as the RAM console shows it");
    if arn.is_empty() {
        findings.add(field, "", "an ARN is needed", fix);
        return;
    }
    let parts = arn.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(':'));
    let named = parts.and_then(|(account, rest)| Some((account, rest.strip_prefix(kind)?.strip_prefix('/')?)));
    let is_sound = named.is_some_and(|(account, name)| {
        account.chars().all(|digit| digit.is_ascii_digit())
            && !account.is_empty()
            && !name.is_empty()
            && name.chars().all(|character| is_of_a_name(character) || character == '/')
    });
    if !is_sound || arn.len() > TEXT {
        findings.add(field, arn, format!("the ARN of this kind is acs:ram::ACCOUNT:{kind}/NAME"), fix);
    }
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || ".@-_".contains(character)
}

/// Where HTTP without TLS is spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plain {
    /// On this machine only: what is sent and answered is secret.
    IsForLoopback,
    /// Everywhere: metadata services speak nothing else, and their addresses are dialled only where `egress.allow` names them.
    IsUsual,
}

fn check_endpoint(field: &str, text: &str, usual: &str, plain: Plain, findings: &mut Findings) {
    match http_endpoint(text, usual) {
        Err(fix) => findings.add(field, &without_login(text), "a server is https://HOST[:PORT], without a path", fix),
        Ok(endpoint) if !endpoint.is_tls && plain == Plain::IsForLoopback && !is_loopback(&endpoint) => {
            let rule = "keys are asked for by TLS; http:// is for addresses of this machine only";
            findings.add(field, text, rule, format!("write https://{}", text.trim_start_matches("http://")));
        }
        Ok(_) => {}
    }
}

/// Reads the URL of a server; nothing is the usual one. The error is the fix.
fn http_endpoint(text: &str, usual: &str) -> Result<HttpEndpoint, String> {
    let text = if text.is_empty() { usual } else { text };
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("write https:// before the host, such as {usual}"))?;
    let (is_tls, port) = match scheme {
        "https" => (true, 443),
        "http" => (false, 80),
        _ => return Err("write https://HOST[:PORT]".to_owned()),
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains(['/', '?', '#', '@']) {
        return Err("write the host and its port alone, without a path and without a login".to_owned());
    }
    let read = |text: &str| Address::read(text, port).map(|address| HttpEndpoint { address: address.to_string(), is_tls });
    read(host).or_else(|_| read(&format!("{host}:{port}"))).map_err(|malformed| malformed.fix)
}

/// A URL as it may be shown: what stands before the host may be a password.
fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            format!("{scheme}{REDACTED}@{host}")
        }
        None => text.to_owned(),
    }
}

fn is_loopback(endpoint: &HttpEndpoint) -> bool {
    let address: Option<Address> = endpoint.address.parse().ok();
    address.is_some_and(|address| matches!(address.host, Host::Ip(ip) if ip.is_loopback()))
}

/// A file is always named by a reference, so that what holds for references to secrets holds for it.
fn check_file(field: &str, text: &str, findings: &mut Findings) {
    secret::check(field, &Secret::new(text), findings);
    if !text.starts_with("file:") {
        let fix = if text.starts_with('/') { format!("write file:{text}") } else { "write file:NAME".to_owned() };
        findings.add(field, text, "a reference to a file is needed", fix);
    }
}

fn check_token(path: &str, access_key: &str, token: &Secret, findings: &mut Findings) {
    if access_key.is_empty() && !token.is_empty() {
        let fix = "write access_key and secret_key, or remove the token";
        findings.add(format!("{path}security_token"), &token.redacted(), "a token needs an access key", fix);
    }
}

fn needed(field: &str, text: &str, what: &str, fix: &str, findings: &mut Findings) {
    if text.is_empty() {
        findings.add(field, "", format!("{what} is needed"), fix);
    }
}

fn bounded(field: &str, text: &str, most: usize, findings: &mut Findings) {
    if text.chars().count() > most {
        findings.add(field, text, format!("at most {most} characters are allowed"), "shorten it");
    }
}

/// Where a connection's keys come from; `None` if it has none. The definition was checked when it was stored.
pub(super) fn read(connection: &ConnectionDefinition) -> Option<Credentials> {
    let Some(definition) = &connection.credentials else {
        return (!connection.access_key.is_empty()).then(|| {
            Credentials::Static(Keys {
                access_key: connection.access_key.clone(),
                secret_key: connection.secret_key.clone(),
                security_token: connection.security_token.clone(),
            })
        });
    };
    let fixed = definition.fixed.as_ref().map(|keys| {
        Credentials::Static(Keys {
            access_key: keys.access_key.clone(),
            secret_key: keys.secret_key.clone(),
            security_token: keys.security_token.clone(),
        })
    });
    fixed
        .or_else(|| definition.sts.as_ref().and_then(read_sts))
        .or_else(|| definition.oidc.as_ref().and_then(read_oidc))
        .or_else(|| definition.instance_role.as_ref().and_then(read_instance_role))
        .or_else(|| definition.file.as_ref().map(|file| Credentials::File(KeyFile { reference: Secret::new(file.path.as_str()) })))
}

fn read_sts(sts: &StsDefinition) -> Option<Credentials> {
    Some(Credentials::Sts(AssumedRole {
        role: role(&sts.endpoint, &sts.role_arn, &sts.role_session_name, sts.duration_seconds, &sts.policy)?,
        external_id: sts.external_id.clone(),
        access_key: sts.access_key.clone(),
        secret_key: sts.secret_key.clone(),
    }))
}

fn read_oidc(oidc: &OidcDefinition) -> Option<Credentials> {
    Some(Credentials::Oidc(FederatedRole {
        role: role(&oidc.endpoint, &oidc.role_arn, &oidc.role_session_name, oidc.duration_seconds, &oidc.policy)?,
        provider_arn: oidc.provider_arn.clone(),
        token: Secret::new(oidc.token_file.as_str()),
    }))
}

fn read_instance_role(role: &InstanceRoleDefinition) -> Option<Credentials> {
    let endpoint = http_endpoint(&role.address, METADATA).ok()?;
    Some(Credentials::InstanceRole(InstanceRole { endpoint, role: role.role.clone() }))
}

fn role(endpoint: &str, arn: &str, session: &str, seconds: u32, policy: &str) -> Option<Role> {
    Some(Role {
        endpoint: http_endpoint(endpoint, STS).ok()?,
        role_arn: arn.to_owned(),
        session: if session.is_empty() { SESSION } else { session }.to_owned(),
        life: Duration::from_secs(if seconds == 0 { USUAL_LIFE } else { seconds }.into()),
        policy: policy.to_owned(),
    })
}
