//! The sync of two ends: what differs is found, ended, and gone. On a pair of brokers, of one version or of two.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use rocketbridge_connector_rocketmq::{Connectors, TopicSettings};
use rocketbridge_model::Secret;
use rocketbridge_model::route::drift::{Drift, Scope, drift};
use rocketbridge_model::route::{Handling, Sync};
use rocketbridge_rocketmq_admin::{Administration, GroupSettings, Rule};

use crate::cluster::Cluster;

const APPLIED: Sync = Sync { topics: Handling::Apply, groups: Handling::Apply, acl: Handling::Off };

fn topic(queues: u32, perm: u32, kind: Option<&str>) -> TopicSettings {
    let attributes = kind.map(|kind| ("message.type".to_owned(), kind.to_owned())).into_iter().collect::<BTreeMap<_, _>>();
    TopicSettings { read_queue_nums: queues, write_queue_nums: queues, perm, attributes }
}

async fn set_topics(end: &Administration, topics: &[(&str, TopicSettings)]) -> Result<()> {
    for broker in end.masters().keys() {
        for (name, settings) in topics {
            end.set_topic(broker, name, settings).await?;
        }
    }
    Ok(())
}

async fn set_group(end: &Administration, name: &str, settings: &GroupSettings) -> Result<()> {
    for broker in end.masters().keys() {
        end.set_group(broker, name, settings).await?;
    }
    Ok(())
}

fn shown(drifts: &[Drift]) -> Vec<String> {
    let one = |drift: &Drift| {
        drift
            .differences
            .iter()
            .map(|found| format!("{} {}: {}/{}", drift.name, found.setting, found.source, found.target))
            .collect::<Vec<_>>()
    };
    drifts.iter().flat_map(one).collect()
}

/// *Scenario*: topics and groups that are missing, narrower or set up otherwise at the target are compared and set up there. *Guarantees*: every difference is found, with both
/// values; after it was ended it is gone; a topic that was wider keeps its queues. With `types`, both ends know types of messages.
pub(crate) async fn ends_are_set_up_alike(source: &Cluster, target: &Cluster, types: bool) -> Result<()> {
    let connectors = Connectors::new();
    let from = Administration::open(&connectors, &source.connection()).await?;
    let to = Administration::open(&connectors, &target.connection()).await?;
    let fifo = types.then_some("FIFO");
    set_topics(&from, &[("sync-new", topic(4, 6, fifo)), ("sync-narrow", topic(8, 6, None)), ("sync-wide", topic(2, 4, None))]).await?;
    set_topics(&to, &[("sync-narrow", topic(3, 4, None)), ("sync-wide", topic(6, 6, None))]).await?;
    let strict = GroupSettings { consume_broadcast_enable: false, retry_queue_nums: 2, retry_max_times: 5, ..GroupSettings::default() };
    set_group(&from, "sync-old", &strict).await?;
    set_group(&from, "sync-none", &GroupSettings::default()).await?;
    set_group(&to, "sync-old", &GroupSettings { retry_queue_nums: 3, ..GroupSettings::default() }).await?;

    let topics: Vec<_> = ["sync-new", "sync-narrow", "sync-wide"].map(|name| (name.to_owned(), name.to_owned())).into();
    let groups = ["sync-none".to_owned(), "sync-old".to_owned()];
    let scope = Scope { topics: &topics, groups: &groups, sync: APPLIED };
    let found = drift(&from.settings(false).await?, &to.settings(false).await?, &scope);
    let expected = [
        "sync-narrow read queues: 8/3",
        "sync-narrow write queues: 8/3",
        "sync-narrow permission: RW-/R--",
        "sync-new topic: 4 queues/-",
        "sync-wide permission: R--/RW-",
        "sync-none group: there/-",
        "sync-old consume_broadcast_enable: false/true",
        "sync-old retry_max_times: 5/16",
    ];
    ensure!(shown(&found) == expected, "{:#?}", shown(&found));
    for drift in found.iter().filter(|drift| drift.is_applied(APPLIED)) {
        to.set_up(drift).await?;
    }
    let left = drift(&from.settings(false).await?, &to.settings(false).await?, &scope);
    ensure!(shown(&left) == ["sync-wide permission: R--/RW-"], "{:#?}", shown(&left));
    let told = to.topic_settings().await?;
    let queues = |name: &str| told[name].values().map(|settings| settings.write_queue_nums).sum::<u32>();
    ensure!((queues("sync-new"), queues("sync-narrow"), queues("sync-wide")) == (4, 8, 6), "{told:?}");
    if types {
        ensure!(
            told["sync-new"].values().all(|settings| settings.attributes.get("message.type").map(String::as_str) == Some("FIFO")),
            "{told:?}"
        );
    }
    let group = to.group("sync-old").await?;
    ensure!(group.values().all(|group| group.retry_queue_nums == 3 && group.retry_max_times == 5), "{group:?}");
    from.close().await;
    to.close().await;
    Ok(())
}

/// *Scenario*: a rule that is narrower at the source, one that the target lacks, one of a user that the target lacks. *Guarantees*: the first is narrowed at the target, which
/// tells it so; the others are only said.
pub(crate) async fn rights_are_narrowed(source: &Cluster, target: &Cluster) -> Result<()> {
    let connectors = Connectors::new();
    let from = Administration::open(&connectors, &source.connection_with("admin12345", "secret12345")).await?;
    let to = Administration::open(&connectors, &target.connection_with("admin12345", "secret12345")).await?;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let rule = |user: &str, topic: &str, actions: &[&str]| Rule {
        subject: format!("User:{user}"),
        policy: "Custom".into(),
        resource: format!("Topic:{topic}"),
        actions: texts(actions),
        source_ips: texts(&[]),
        decision: "Allow".into(),
    };
    for user in ["reader", "stranger"] {
        from.create_user(user, &Secret::new("reader-secret"), "Normal").await?;
    }
    to.create_user("reader", &Secret::new("reader-secret"), "Normal").await?;
    for rule in [rule("reader", "shared", &["Sub"]), rule("reader", "lacking", &["Sub"]), rule("stranger", "shared", &["Sub"])] {
        from.set_rule(&rule).await?;
    }
    to.set_rule(&rule("reader", "shared", &["Pub", "Sub"])).await?;
    let topics: Vec<_> = ["shared", "lacking"].map(|name| (name.to_owned(), name.to_owned())).into();
    let sync = Sync { topics: Handling::Off, groups: Handling::Off, acl: Handling::Apply };
    let scope = Scope { topics: &topics, groups: &[], sync };
    let found = drift(&from.settings(true).await?, &to.settings(true).await?, &scope);
    ensure!(found.len() == 3 && found.iter().filter(|drift| drift.is_applied(sync)).count() == 1, "{found:#?}");
    for drift in found.iter().filter(|drift| drift.is_applied(sync)) {
        to.set_up(drift).await?;
    }
    let rules = to.rules().await?;
    let of_reader: Vec<_> = rules.iter().filter(|rule| rule.subject != "User:admin12345").collect();
    ensure!(of_reader == [&rule("reader", "shared", &["Sub"])], "{rules:#?}");
    let left = drift(&from.settings(true).await?, &to.settings(true).await?, &scope);
    ensure!(left.len() == 2 && left.iter().all(|drift| drift.remedy.is_none()), "{left:#?}");
    from.close().await;
    to.close().await;
    Ok(())
}
