//! Access control on brokers that enforce it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rocketbridge_connector::Code;
use rocketbridge_connector_rocketmq::{Account, Connectors};
use rocketbridge_model::Secret;
use rocketbridge_rocketmq_admin::{Administration, Rule, User};

use crate::cases::{eventually, message};
use crate::cluster::Cluster;

/// How long brokers may take to heed what was set.
const HEEDED: Duration = Duration::from_secs(30);

async fn open(cluster: &Cluster) -> Result<(Connectors, Administration)> {
    let connectors = Connectors::new();
    let administration = Administration::open(&connectors, &cluster.connection_with("admin12345", "secret12345")).await?;
    Ok((connectors, administration))
}

/// Whether keys suffice to send to a topic.
async fn may_send(cluster: &Cluster, key: &str, secret: &str, topic: &str) -> Result<bool> {
    let connectors = Connectors::new();
    let sent = connectors.admin(&cluster.connection_with(key, secret)).producer(topic).send(&[message("m", 0)]).await.remove(0);
    match sent {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Code::Denied => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn until_may_send(cluster: &Cluster, key: &str, secret: &str, topic: &str, wanted: bool) -> Result<()> {
    let look = async || match may_send(cluster, key, secret, topic).await? == wanted {
        true => Ok(()),
        false => bail!("it is not so"),
    };
    eventually(&format!("{key} may send to {topic}: {wanted}"), HEEDED, look).await
}

/// *Scenario*: the administrator's keys; a wrong secret. *Guarantees*: the first may; the second is refused as denied, naming request and server, without the
/// secret.
pub(crate) async fn keys_decide(cluster: &Cluster) -> Result<()> {
    let (_connectors, administration) = open(cluster).await?;
    ensure!(!administration.groups(true).await?.is_empty());
    administration.close().await;
    let connectors = Connectors::new();
    let wrong = cluster.connection_with("admin12345", "wrong-secret");
    // 4.9 checks keys at brokers only, 5.3 at brokers as well as here.
    let error = match Administration::open(&connectors, &wrong).await {
        Err(error) => error,
        Ok(administration) => {
            let error = administration.groups(true).await.expect_err("wrong keys");
            administration.close().await;
            error
        }
    };
    println!("{}: {error}", cluster.name());
    ensure!(error.code() == Code::Denied && error.to_string().contains("127.0.0.1:"), "{error}");
    ensure!(!error.to_string().contains("wrong-secret"), "{error}");
    Ok(())
}

/// *Scenario*: a user is made, may do nothing, gets a rule, loses a part of it, is disabled, and deleted with its rule. *Guarantees*: each step is read back, by
/// RocketMQ's own tool as well; the broker heeds it.
pub(crate) async fn users_and_rules_are_set_and_read_back(cluster: &Cluster) -> Result<()> {
    let (connectors, administration) = open(cluster).await?;
    connectors.admin(&cluster.connection_with("admin12345", "secret12345")).create_topic("guarded", 1).await?;
    administration.create_user("clerk", &Secret::new("clerk-secret"), "Normal").await?;
    let clerk = User { name: "clerk".into(), kind: "Normal".into(), status: "enable".into() };
    ensure!(administration.users().await?.contains(&clerk), "{:?}", administration.users().await?);
    until_may_send(cluster, "clerk", "clerk-secret", "guarded", false).await?;

    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    let mut rule = Rule {
        subject: "User:clerk".into(),
        policy: "Custom".into(),
        resource: "Topic:guarded".into(),
        actions: texts(&["Pub", "Sub"]),
        source_ips: texts(&["127.0.0.1"]),
        decision: "Allow".into(),
    };
    administration.set_rule(&rule).await?;
    let told = administration.rules().await?;
    ensure!(told.contains(&rule), "{told:?}");
    if let Some(listed) = cluster.mqadmin(&["listAcl", "-c", cluster.cluster_name(), "-s", "User:clerk"])? {
        ensure!(listed.contains("Topic:guarded") && listed.contains("Pub"), "{listed}");
    }
    until_may_send(cluster, "clerk", "clerk-secret", "guarded", true).await?;
    rule.actions = texts(&["Sub"]);
    administration.set_rule(&rule).await?;
    ensure!(administration.rules().await?.contains(&rule), "{:?}", administration.rules().await?);
    until_may_send(cluster, "clerk", "clerk-secret", "guarded", false).await?;

    let disabled = User { status: "disable".into(), ..clerk };
    administration.update_user(&disabled, None).await?;
    ensure!(administration.users().await?.contains(&disabled), "{:?}", administration.users().await?);
    administration.delete_rule("User:clerk", "Topic:guarded").await?;
    ensure!(!administration.rules().await?.iter().any(|rule| rule.subject == "User:clerk"));
    administration.delete_user("clerk").await?;
    ensure!(!administration.users().await?.iter().any(|user| user.name == "clerk"));
    let error = administration.create_user("admin12345", &Secret::new("clerk-secret"), "Normal").await.expect_err("the user is there");
    println!("{}: {error}", cluster.name());
    ensure!(error.to_string().starts_with("create user admin12345: 127.0.0.1:") && !error.to_string().contains("clerk-secret"), "{error}");
    administration.close().await;
    Ok(())
}

/// *Scenario*: an account of 4.9 is set. *Guarantees*: the broker heeds it: its keys may send to the topic that it names.
pub(crate) async fn plain_accounts_are_set(cluster: &Cluster) -> Result<()> {
    let (connectors, administration) = open(cluster).await?;
    connectors.admin(&cluster.connection_with("admin12345", "secret12345")).create_topic("guarded", 1).await?;
    let account = Account {
        access_key: "clerk12345".into(),
        secret_key: Secret::new("clerk-secret"),
        admin: false,
        default_topic_permission: "DENY".into(),
        default_group_permission: "DENY".into(),
        topic_permissions: vec!["guarded=PUB|SUB".into()],
        group_permissions: Vec::new(),
    };
    administration.set_account(&account).await?;
    until_may_send(cluster, "clerk12345", "clerk-secret", "guarded", true).await?;
    administration.close().await;
    Ok(())
}
