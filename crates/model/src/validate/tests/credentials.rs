//! Where the keys of connections come from.

use std::time::Duration;

use super::*;
use crate::credentials::{CredentialsDefinition, FileDefinition, InstanceRoleDefinition, OidcDefinition, StaticDefinition, StsDefinition};
use crate::resolved::{Credentials, Keys};

fn sts() -> StsDefinition {
    StsDefinition {
        role_arn: "acs:ram::1234567890:role/bridge".into(),
        access_key: "ak".into(),
        secret_key: Secret::new("env:SK"),
        ..Default::default()
    }
}

fn oidc() -> OidcDefinition {
    OidcDefinition {
        provider_arn: "acs:ram::1234567890:oidc-provider/ack".into(),
        role_arn: "acs:ram::1234567890:role/bridge".into(),
        token_file: "file:/var/run/secrets/token".into(),
        ..Default::default()
    }
}

fn keys() -> StaticDefinition {
    StaticDefinition { access_key: "ak".into(), secret_key: Secret::new("hunter2"), security_token: Secret::new("env:T") }
}

fn connection(credentials: CredentialsDefinition) -> ConnectionDefinition {
    ConnectionDefinition {
        name: "c".into(),
        endpoints: vec!["ns.example:9876".into()],
        credentials: Some(credentials),
        ..Default::default()
    }
}

fn told(connection: &ConnectionDefinition) -> String {
    lines(super::connection(connection, &Known::default()))
}

/// The credentials of a stream through the connection.
fn resolved(connection: ConnectionDefinition) -> Credentials {
    let mut definition = sound();
    *source(&mut definition) = SourceRocketMqParameters { topic: "t".into(), connection: "c".into(), ..Default::default() };
    let references = Known { connections: vec![connection], networks: Vec::new() };
    resolve(&record(definition), &references).expect("sound").source.connection.credentials.expect("credentials")
}

/// *Scenario*: each kind with what it needs. *Guarantees*: it is accepted, and its defaults are those of Alibaba Cloud.
#[test]
fn every_kind_resolves_with_its_defaults() {
    let fixed = connection(CredentialsDefinition { fixed: Some(keys()), ..Default::default() });
    let short = ConnectionDefinition {
        access_key: "ak".into(),
        secret_key: Secret::new("hunter2"),
        security_token: Secret::new("env:T"),
        credentials: None,
        ..fixed.clone()
    };
    assert_eq!((told(&fixed), told(&short)), (String::new(), String::new()));
    assert_eq!(resolved(fixed), resolved(short), "both ways to write keys are one");

    let definition = connection(CredentialsDefinition { sts: Some(sts()), ..Default::default() });
    assert_eq!(told(&definition), "");
    let Credentials::Sts(role) = resolved(definition) else { panic!("an STS") };
    assert_eq!(role.role.endpoint.to_string(), "https://sts.aliyuncs.com");
    assert_eq!((role.role.session.as_str(), role.role.life), ("rocketbridge", Duration::from_secs(3_600)));

    let sts = OidcDefinition { endpoint: "https://STS.example:8443/".into(), duration_seconds: 900, ..oidc() };
    let definition = connection(CredentialsDefinition { oidc: Some(sts), ..Default::default() });
    assert_eq!(told(&definition), "");
    let Credentials::Oidc(role) = resolved(definition) else { panic!("an OIDC token") };
    assert_eq!((role.role.endpoint.address.as_str(), role.role.endpoint.is_tls), ("sts.example:8443", true));
    assert_eq!((role.token.expose(), role.role.life), ("file:/var/run/secrets/token", Duration::from_secs(900)));

    let definition = connection(CredentialsDefinition { instance_role: Some(InstanceRoleDefinition::default()), ..Default::default() });
    assert_eq!(told(&definition), "");
    let Credentials::InstanceRole(role) = resolved(definition) else { panic!("an instance role") };
    assert_eq!(role.endpoint.to_string(), "http://100.100.100.200");

    let file = FileDefinition { path: "file:/run/keys.json".into() };
    let definition = connection(CredentialsDefinition { file: Some(file), ..Default::default() });
    assert_eq!(told(&definition), "");
    let Credentials::File(file) = resolved(definition) else { panic!("a file") };
    assert_eq!(file.reference.expose(), "file:/run/keys.json");
}

/// *Scenario*: keys in both ways, two kinds, no kind. *Guarantees*: each is refused with both places.
#[test]
fn credentials_have_one_kind_in_one_place() {
    let mut twice = connection(CredentialsDefinition { sts: Some(sts()), oidc: Some(oidc()), ..Default::default() });
    twice.access_key = "ak".into();
    twice.secret_key = Secret::new("hunter2");
    assert_eq!(
        told(&twice),
        "access_key: found \"ak\"; the keys are given twice, as access_key and as credentials.sts; remove access_key, or credentials\n\
         credentials.oidc: found \"oidc\"; credentials have one kind, and both credentials.sts and credentials.oidc are given; remove all kinds but one\n"
    );
    assert_eq!(
        told(&connection(CredentialsDefinition::default())),
        "credentials: is missing; credentials have a kind; write one of static, sts, oidc, instance_role and file below it, or leave credentials out\n"
    );
}

/// *Scenario*: everything that can be wrong. *Guarantees*: each field, value, rule and fix is named, and no secret.
#[test]
fn every_violation_of_credentials_is_named() {
    let keys = StaticDefinition { access_key: String::new(), secret_key: Secret::default(), security_token: Secret::new("hunter2") };
    let role = StsDefinition {
        endpoint: "http://sts.example".into(),
        role_arn: "bridge".into(),
        role_session_name: "a b".into(),
        duration_seconds: 60,
        policy: String::new(),
        external_id: String::new(),
        access_key: String::new(),
        secret_key: Secret::new("******"),
    };
    let token = OidcDefinition {
        endpoint: "sts.example/path".into(),
        provider_arn: "acs:ram::1:role/r".into(),
        token_file: "/token".into(),
        ..OidcDefinition::default()
    };
    let found: Vec<String> = [
        CredentialsDefinition { fixed: Some(keys), ..Default::default() },
        CredentialsDefinition { sts: Some(role), ..Default::default() },
        CredentialsDefinition { oidc: Some(token), ..Default::default() },
        CredentialsDefinition {
            instance_role: Some(InstanceRoleDefinition { role: "a/b".into(), address: "http://me:pw@host".into() }),
            ..Default::default()
        },
        CredentialsDefinition { file: Some(FileDefinition { path: "file:../keys.json".into() }), ..Default::default() },
    ]
    .into_iter()
    .map(|credentials| told(&connection(credentials)))
    .collect();
    let found = found.concat();
    for line in [
        "credentials.static.access_key: is missing; an access key is needed; write the access key",
        "credentials.static.secret_key: is missing; a secret key is needed; write env:NAME or file:NAME of the secret key",
        "credentials.static.security_token: found \"******\"; a token needs an access key; write access_key and secret_key, or remove the token",
        "credentials.sts.endpoint: found \"http://sts.example\"; keys are asked for by TLS; http:// is for addresses of this machine only; write https://sts.example",
        "credentials.sts.role_arn: found \"bridge\"; the ARN of this kind is acs:ram::ACCOUNT:role/NAME; write acs:ram::ACCOUNT:role/NAME, as the RAM console shows it",
        "credentials.sts.role_session_name: found \"a b\"; a session's name has 2 to 64 letters, digits, ., @, - and _; write such a name, or leave it out for rocketbridge",
        "credentials.sts.duration_seconds: found \"60\"; keys live 900 to 43200 seconds, and no longer than the role allows; write 3600, or leave it out",
        "credentials.sts.access_key: is missing; the access key of whoever assumes the role is needed; write the access key",
        "credentials.sts.secret_key: found \"******\"; stars keep the stored secret, but no secret is stored; write the secret, or env:NAME or file:NAME",
        "credentials.oidc.endpoint: found \"sts.example/path\"; a server is https://HOST[:PORT], without a path; write https:// before the host, such as https://sts.aliyuncs.com",
        "credentials.oidc.provider_arn: found \"acs:ram::1:role/r\"; the ARN of this kind is acs:ram::ACCOUNT:oidc-provider/NAME; write acs:ram::ACCOUNT:oidc-provider/NAME, as the RAM console shows it",
        "credentials.oidc.role_arn: is missing; an ARN is needed; write acs:ram::ACCOUNT:role/NAME, as the RAM console shows it",
        "credentials.oidc.token_file: found \"/token\"; a reference to a file is needed; write file:/token",
        "credentials.instance_role.role: found \"a/b\"; a role's name consists of letters, digits, ., @, - and _; write the name of the role, not its ARN",
        "credentials.instance_role.address: found \"http://******@host\"; a server is https://HOST[:PORT], without a path; write the host and its port alone, without a path and without a login",
        "credentials.file.path: found \"file:../keys.json\"; file: must be followed by the name of a file in the folder of secrets, without ..; write file:NAME",
    ] {
        assert!(found.contains(line), "{line}\nis not in\n{found}");
    }
    assert!(!found.contains("hunter2") && !found.contains(":pw@"), "{found}");
    let long = CredentialsDefinition { sts: Some(StsDefinition { policy: "x".repeat(2_049), ..sts() }), ..Default::default() };
    let expected = "credentials.sts.policy: found 2049 characters; at most 2048 characters are allowed; remove 1 characters\n";
    assert_eq!(told(&connection(long)), expected);
}

/// *Scenario*: a stream names a connection with keys, and an endpoint: the connection's own and another one. *Guarantees*: the keys are never used at a server
/// that the connection does not name; keys of the stream's own may go anywhere.
#[test]
fn the_keys_of_a_connection_stay_at_its_endpoints() {
    for held in [
        connection(CredentialsDefinition { sts: Some(sts()), ..Default::default() }),
        ConnectionDefinition {
            access_key: "ak".into(),
            secret_key: Secret::new("hunter2"),
            credentials: None,
            ..connection(CredentialsDefinition::default())
        },
    ] {
        let references = Known { connections: vec![held], networks: Vec::new() };
        let mut definition = sound();
        *source(&mut definition) = SourceRocketMqParameters {
            topic: "t".into(),
            connection: "c".into(),
            instance_endpoint: "NS.example:9876".into(),
            ..Default::default()
        };
        assert_eq!(said(&definition, &references), "");
        source(&mut definition).instance_endpoint = "ns.example:9876;evil.example:9876".into();
        assert_eq!(
            said(&definition, &references),
            "source.source_rocketmq_parameters.instance_endpoint: found \"evil.example:9876\"; the credentials of connection c are for its own endpoints \
             only; leave instance_endpoint out, or write instance_username and instance_password\n"
        );
        source(&mut definition).instance_username = "other".into();
        source(&mut definition).instance_password = Secret::new("hunter3");
        assert_eq!(said(&definition, &references), "");
        let stream = resolve(&record(definition), &references).expect("sound");
        let expected = Keys { access_key: "other".into(), secret_key: Secret::new("hunter3"), security_token: Secret::default() };
        assert_eq!(stream.source.connection.credentials, Some(Credentials::Static(expected)));
    }
}
