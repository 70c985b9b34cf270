//! The etcd store on an etcd that wants certificates, and on one that wants users.

use std::path::Path;
use std::time::Duration;

use etcd_client::{Client, Permission, PermissionType};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rocketbridge_metastore::etcd::{Config, Credentials, Tls};
use rocketbridge_metastore::testing::Cluster;
use rocketbridge_metastore::{Code, Etcd, Metastore, Transaction};

/// Writes an authority, and certificates of a server and a client that it signed.
fn write_certificates(directory: &Path) {
    let write = |name: &str, pem: String| std::fs::write(directory.join(name), pem).expect("writable");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", params.self_signed(&key).expect("signed").pem());
    let authority = Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).expect("names");
        write(&format!("{name}.pem"), params.signed_by(&key, &authority).expect("signed").pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}

fn tls(directory: &Path, with_identity: bool) -> Tls {
    let read = |name: &str| std::fs::read(directory.join(name)).expect("readable");
    Tls { authority: read("ca.pem"), identity: with_identity.then(|| (read("client.pem"), read("client-key.pem"))), server_name: None }
}

/// *Scenario*: an etcd with TLS that asks for certificates: with the right one, without one, and with an authority that did not sign the
/// server's. *Guarantees*: only the first connects; the others fail in bounded time, without a text being matched.
#[tokio::test]
async fn certificates_are_checked_on_both_sides() {
    let directory = tempfile::tempdir().expect("a directory");
    write_certificates(directory.path());
    let Some(cluster) = Cluster::start_with(1, Some(directory.path()), &[]) else {
        return;
    };
    let connect = |tls: Tls| {
        let mut config = cluster.config();
        config.tls = Some(tls);
        config.call_timeout = Duration::from_secs(1);
        Etcd::connect(config)
    };
    let store = connect(tls(directory.path(), true)).await.expect("connect");
    let written = store.transact(Transaction::new().put("a", "1")).await.expect("write");
    let mut watch = store.watch("", written.revision - 1).await.expect("watch");
    watch.next().await.expect("an event");

    let error = connect(tls(directory.path(), false)).await.expect_err("no certificate");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
    let other = tempfile::tempdir().expect("a directory");
    write_certificates(other.path());
    let error = connect(tls(other.path(), true)).await.expect_err("another authority");
    assert_eq!(error.code(), Code::Unavailable, "{error:?}");
}

async fn enable_authentication(cluster: &Cluster) {
    let mut root = Client::connect(&cluster.endpoints, None).await.expect("connect");
    root.user_add("root", "rootpw", None).await.expect("add root");
    root.user_grant_role("root", "root").await.expect("grant root");
    root.role_add("bridge").await.expect("add role");
    let own = Permission::new(PermissionType::Readwrite, "rocketbridge/").with_prefix();
    root.role_grant_permission("bridge", own).await.expect("grant role");
    root.user_add("bridge", "secret", None).await.expect("add user");
    root.user_grant_role("bridge", "bridge").await.expect("grant user");
    root.auth_enable().await.expect("enable");
}

fn user(cluster: &Cluster, password: &str) -> Config {
    let mut config = cluster.config();
    config.credentials = Some(Credentials { user: "bridge".into(), password: password.into() });
    config
}

/// *Scenario*: an etcd with users: none, a wrong password, another namespace, and the right ones for longer than a token lives.
/// *Guarantees*: a refused permission is reported as final; tokens are renewed without an error.
#[tokio::test]
async fn users_are_authenticated() {
    let Some(cluster) = Cluster::start_with(1, None, &["--auth-token-ttl=1"]) else {
        return;
    };
    enable_authentication(&cluster).await;
    for config in [cluster.config(), user(&cluster, "wrong")] {
        let error = Etcd::connect(config).await.expect_err("not permitted");
        assert!(matches!(error.code(), Code::Invalid | Code::Denied), "{error:?}");
    }
    let mut elsewhere = user(&cluster, "secret");
    elsewhere.namespace = "other".into();
    let error = Etcd::connect(elsewhere).await.expect_err("another namespace");
    assert_eq!(error.code(), Code::Denied, "{error:?}");

    let store = Etcd::connect(user(&cluster, "secret")).await.expect("connect");
    let lease = store.grant_lease(Duration::from_secs(60)).await.expect("grant").id;
    let mut watch = store.watch("", 0).await.expect("watch");
    // Time must pass here: it is what ends a token.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    store.transact(Transaction::new().put_leased("a", "1", lease)).await.expect("the token is renewed");
    watch.next().await.expect("the watch keeps working");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    store.keep_alive(lease).await.expect("the token is renewed");
    let watch = store.watch("", 0).await;
    watch.expect("the token is renewed").next().await.expect("an event");
}
