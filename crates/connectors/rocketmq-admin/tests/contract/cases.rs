//! The cases of the contract. Each has topics and groups of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use rocketbridge_connector::{Code, Registry};
use rocketbridge_connector_rocketmq::{Connectors, Message, TopicSettings};
use rocketbridge_model::resolved::{Network, Proxy as ProxySetting, ProxyProtocol, RocketMqConnection, RocketMqSource, StartPosition};
use rocketbridge_network::testing::Proxy;
use rocketbridge_network::{Egress, Rules};
use rocketbridge_rocketmq_admin::{Administration, GroupSettings};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;

const SOON: Duration = Duration::from_secs(30);

/// Looks until what is seen is right.
pub(crate) async fn eventually<T>(what: &str, limit: Duration, mut look: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(error) if Instant::now() > deadline => return Err(error.context(format!("within {} s: {what}", limit.as_secs()))),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn open(cluster: &Cluster) -> Result<(Connectors, Administration, String)> {
    let connectors = Connectors::new();
    let administration = Administration::open(&connectors, &cluster.connection()).await?;
    let broker = administration.masters().keys().next().context("a master")?.clone();
    Ok((connectors, administration, broker))
}

fn settings(read: u32, write: u32, perm: u32) -> TopicSettings {
    TopicSettings { read_queue_nums: read, write_queue_nums: write, perm, attributes: BTreeMap::new() }
}

pub(crate) fn message(text: &str, queue: usize) -> Message {
    Message { body: Bytes::copy_from_slice(text.as_bytes()), queue: Some(queue), ..Message::default() }
}

/// *Scenario*: a topic is made, changed and deleted; on 5.x it has a type of messages. *Guarantees*: name server and broker tell each step, our own client as
/// well.
pub(crate) async fn topics_are_set_and_read_back(cluster: &mut Cluster) -> Result<()> {
    let (connectors, administration, broker) = open(cluster).await?;
    let mut wanted = settings(3, 2, 6);
    if cluster.java_5().is_some() {
        wanted.attributes.insert("message.type".to_owned(), "FIFO".to_owned());
    }
    administration.set_topic(&broker, "administered", &wanted).await?;
    for _ in 0..2 {
        let told = administration.topic_settings().await?;
        ensure!(told.get("administered") == Some(&BTreeMap::from([(broker.clone(), wanted.clone())])), "{:?}", told.get("administered"));
        let ours = connectors.admin(&cluster.connection()).topic_settings("administered").await?;
        ensure!(ours == BTreeMap::from([(broker.clone(), wanted.clone())]), "{ours:?}");
        wanted = TopicSettings { attributes: wanted.attributes, ..settings(5, 5, 4) };
        administration.set_topic(&broker, "administered", &wanted).await?;
    }
    let listed = async || match administration.topics().await?.iter().any(|topic| topic == "administered") {
        true => Ok(()),
        false => bail!("not listed"),
    };
    eventually("the name server lists the topic", SOON, listed).await?;
    administration.delete_topic("administered").await?;
    ensure!(!administration.topic_settings().await?.contains_key("administered"));
    ensure!(!administration.topics().await?.iter().any(|topic| topic == "administered"));
    let error = administration.set_topic("nowhere", "administered", &wanted).await.expect_err("no such broker");
    ensure!(error.code() == Code::Unavailable && error.to_string().contains("broker nowhere has no master"), "{error}");
    administration.close().await;
    Ok(())
}

/// *Scenario*: a group is made with settings that are nobody's default, changed and deleted. *Guarantees*: the broker tells each step; RocketMQ's own groups
/// are told only when asked for.
pub(crate) async fn groups_are_set_and_read_back(cluster: &mut Cluster) -> Result<()> {
    let (_connectors, administration, broker) = open(cluster).await?;
    let first = GroupSettings {
        consume_enable: false,
        consume_broadcast_enable: false,
        consume_message_orderly: Some(true),
        retry_queue_nums: 3,
        retry_max_times: 5,
    };
    for wanted in [first, GroupSettings { retry_max_times: 7, ..GroupSettings::default() }] {
        administration.set_group(&broker, "billing", &wanted).await?;
        let told = administration.group("billing").await?;
        // 4.9 knows nothing of order.
        let orderly = wanted.consume_message_orderly.filter(|_| cluster.java_5().is_some() || !cluster.is_java());
        let wanted = GroupSettings { consume_message_orderly: orderly, ..wanted };
        ensure!(told == BTreeMap::from([(broker.clone(), wanted)]), "{told:?}");
    }
    let (users, all) = (administration.groups(false).await?, administration.groups(true).await?);
    ensure!(users.contains_key("billing") && !users.contains_key("TOOLS_CONSUMER"), "{:?}", users.keys());
    ensure!(all.len() > users.len(), "{:?}", all.keys());
    administration.delete_group("billing").await?;
    ensure!(administration.group("billing").await?.is_empty());
    administration.close().await;
    Ok(())
}

/// *Scenario*: ten messages in two queues, of which a group committed some; a group that nobody knows. *Guarantees*: committed offset, end and lag of each
/// queue; the group's topics; an unknown group has none.
pub(crate) async fn progress_is_told(cluster: &mut Cluster) -> Result<()> {
    let (connectors, administration, broker) = open(cluster).await?;
    let admin = connectors.admin(&cluster.connection());
    admin.create_topic("progress", 2).await?;
    let messages: Vec<Message> = (0..10).map(|number| message("m", usize::from(number >= 4))).collect();
    admin.producer("progress").send(&messages).await.into_iter().collect::<Result<(), _>>()?;
    administration.set_group(&broker, "readers", &GroupSettings::default()).await?;
    let mut plan = administration.plan_reset("readers", "progress", StartPosition::Latest).await?;
    ensure!(
        plan.iter().map(|reset| (reset.queue.id, reset.from, reset.to)).collect::<Vec<_>>() == [(0, None, 4), (1, None, 6)],
        "{plan:?}"
    );
    plan[1].to = 2;
    administration.reset("readers", "progress", &plan).await?;
    let told = administration.progress("readers").await?;
    let queues: Vec<_> = told.queues.iter().filter(|queue| queue.topic == "progress").collect();
    ensure!(
        queues.iter().map(|queue| (queue.queue, queue.committed, queue.end, queue.lag())).collect::<Vec<_>>()
            == [(0, 4, 4, 0), (1, 2, 6, 4)],
        "{told:?}"
    );
    ensure!(queues.iter().all(|queue| queue.broker == broker), "{told:?}");
    let topics = administration.topics_of_groups().await?;
    ensure!(topics.get("readers").is_some_and(|topics| topics.contains("progress")), "{topics:?}");
    // Brokers differ: some answer with nothing, some with a refusal.
    match administration.progress("strangers").await {
        Ok(told) => ensure!(told.queues.is_empty(), "{told:?}"),
        Err(error) => ensure!(error.code() == Code::NotFound, "{error}"),
    }
    administration.close().await;
    Ok(())
}

/// *Scenario*: a group is reset to the end, to the beginning and to a time. *Guarantees*: a plan changes nothing; after the reset our own client reads the
/// plan's offsets.
pub(crate) async fn groups_begin_elsewhere(cluster: &mut Cluster) -> Result<()> {
    let (connectors, administration, broker) = open(cluster).await?;
    let admin = connectors.admin(&cluster.connection());
    admin.create_topic("reset", 1).await?;
    administration.set_group(&broker, "again", &GroupSettings::default()).await?;
    let producer = admin.producer("reset");
    let early: Vec<Message> = (0..3).map(|_| message("early", 0)).collect();
    producer.send(&early).await.into_iter().collect::<Result<(), _>>()?;
    // Brokers compare whole milliseconds of their own clock, which is this machine's.
    sleep(Duration::from_millis(50)).await;
    let between = i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    sleep(Duration::from_millis(50)).await;
    let late: Vec<Message> = (0..2).map(|_| message("late", 0)).collect();
    producer.send(&late).await.into_iter().collect::<Result<(), _>>()?;
    let committed = async || Ok::<_, anyhow::Error>(admin.progress("reset", "again").await?.remove(0).committed);
    for (to, expected) in [(StartPosition::Latest, 5), (StartPosition::Timestamp(between), 3), (StartPosition::Earliest, 0)] {
        let before = committed().await?;
        let plan = administration.plan_reset("again", "reset", to).await?;
        ensure!(committed().await? == before, "a plan changes nothing");
        // 4.9 answers a time with the message nearest to it, before or after.
        let is_near =
            cluster.is_java() && cluster.java_5().is_none() && to == StartPosition::Timestamp(between) && plan[0].to + 1 == expected;
        let expected = if is_near { expected - 1 } else { expected };
        ensure!(plan.len() == 1 && plan[0].from == before && plan[0].to == expected, "{to:?}: {plan:?}");
        administration.reset("again", "reset", &plan).await?;
        ensure!(committed().await? == Some(expected), "{to:?}: {:?}", committed().await?);
    }
    let error = administration.plan_reset("again", "no-such-topic", StartPosition::Latest).await.expect_err("no such topic");
    ensure!(error.code() == Code::NotFound && error.to_string().contains("no-such-topic"), "{error}");
    administration.close().await;
    Ok(())
}

/// *Scenario*: a source of ours reads as a group; the group is reset meanwhile, and after it left. *Guarantees*: the member is told with what it subscribes;
/// the reset is refused while it is there.
pub(crate) async fn members_are_told_and_protect_their_offsets(cluster: &mut Cluster) -> Result<()> {
    let (connectors, administration, broker) = open(cluster).await?;
    connectors.admin(&cluster.connection()).create_topic("attended", 1).await?;
    administration.set_group(&broker, "attendants", &GroupSettings::default()).await?;
    ensure!(administration.members("attendants").await?.members.is_empty());
    let definition = RocketMqSource {
        connection: cluster.connection(),
        group: "attendants".into(),
        sql: None,
        tags: Vec::new(),
        ..rocketbridge_model::testing::source("attended")
    };
    let source = connectors.source(&definition).offsets().context("at offsets")?;
    let partition = source.partitions().await?.remove(0);
    let reading = source.open(&partition).await?;
    let present = async || match administration.members("attendants").await? {
        members if members.members.len() == 1 => Ok(members),
        members => bail!("{members:?}"),
    };
    let members = eventually("the member is told", SOON, present).await?;
    let member = members.members.first().context("one")?;
    ensure!(member.client.starts_with("rocketbridge@") && member.host == "127.0.0.1", "{member:?}");
    ensure!(members.subscriptions.get("attended").map(String::as_str) == Some("*"), "{members:?}");
    let plan = administration.plan_reset("attendants", "attended", StartPosition::Latest).await?;
    let error = administration.reset("attendants", "attended", &plan).await.expect_err("it is consuming");
    ensure!(error.code() == Code::Rejected && error.to_string().contains("stop its members first"), "{error}");
    drop((reading, source));
    let gone = async || match administration.members("attendants").await?.members.is_empty() {
        true => Ok(()),
        false => bail!("it is still there"),
    };
    eventually("the member has left", SOON, gone).await?;
    administration.reset("attendants", "attended", &plan).await?;
    administration.close().await;
    Ok(())
}

/// *Scenario*: messages go to a topic for a while. *Guarantees*: a Java broker tells its version and that it takes messages of this topic; another topic has none.
pub(crate) async fn what_brokers_count_is_told(cluster: &mut Cluster) -> Result<()> {
    let (connectors, administration, broker) = open(cluster).await?;
    let told = administration.broker_statistics().await?;
    ensure!(told.get(&broker).is_some_and(|told| !told.all.is_empty()), "{told:?}");
    ensure!(administration.topic_statistics("nobody-writes", &["nobody".to_owned()]).await?.in_tps == 0.0);
    let admin = connectors.admin(&cluster.connection());
    admin.create_topic("counted", 1).await?;
    let producer = admin.producer("counted");
    if cluster.is_java() {
        let version = told.get(&broker).map(|told| told.version.clone()).unwrap_or_default();
        ensure!(version.starts_with(if cluster.java_5().is_some() { "V5_" } else { "V4_" }), "{version}");
        // A rate of a minute is the difference of two samples, which are ten seconds apart.
        let counts = async || {
            producer.send(&[message("m", 0)]).await.into_iter().collect::<Result<(), _>>()?;
            match administration.topic_statistics("counted", &[]).await? {
                statistics if statistics.in_tps > 0.0 => Ok(()),
                statistics => bail!("{statistics:?}"),
            }
        };
        eventually("the topic's rate is told", Duration::from_secs(90), counts).await?;
    }
    administration.close().await;
    Ok(())
}

/// *Scenario*: an instance behind a SOCKS proxy; and a process that may not dial loopback addresses. *Guarantees*: every connection of the library goes through the
/// proxy; nothing is dialled that may not be, and the rule is named.
pub(crate) async fn networks_hold_for_administration(cluster: &mut Cluster) -> Result<()> {
    let proxy = Proxy::start("127.0.0.1:0", None).await;
    let setting = ProxySetting {
        protocol: ProxyProtocol::Socks5,
        address: proxy.address().to_string().parse().map_err(|error| anyhow::anyhow!("{error:?}"))?,
        credentials: None,
        resolves: false,
    };
    let network = Network { name: "vpc".into(), proxy: Some(setting), vswitches: Vec::new(), security_groups: Vec::new() };
    let connection = RocketMqConnection { network: Some(network), ..cluster.connection() };
    let connectors = Connectors::new();
    let administration = Administration::open(&connectors, &connection).await?;
    let before = proxy.asked().len();
    ensure!(!administration.topics().await?.is_empty() && !administration.groups(true).await?.is_empty());
    let broker = administration.masters().values().next().context("a master")?.clone();
    let asked = proxy.asked().split_off(before);
    ensure!(asked.contains(&cluster.connection().endpoints[0]) && asked.contains(&broker), "{asked:?}");
    administration.close().await;

    let strict = Connectors::within(Arc::new(Egress::new(Rules::usual(false))));
    let error = Administration::open(&strict, &cluster.connection()).await.err().context("it may not dial")?;
    ensure!(error.code() == Code::Denied && error.to_string().contains("egress.allow"), "{error}");
    Ok(())
}

/// *Scenario*: the broker ends while it is administered, and comes back. *Guarantees*: the error names request and broker; opened anew, it works.
pub(crate) async fn a_broker_that_is_gone_is_said(cluster: &mut Cluster) -> Result<()> {
    let (_connectors, administration, _) = open(cluster).await?;
    administration.groups(true).await?;
    let address = administration.masters().values().next().context("a master")?.clone();
    cluster.break_broker().await?;
    let error = administration.groups(true).await.expect_err("it is gone");
    println!("{}: {error}", cluster.name());
    ensure!(error.code() == Code::Unavailable, "{error}");
    ensure!(error.to_string().starts_with(&format!("read the settings of all subscription groups: {address}: ")), "{error}");
    administration.close().await;
    cluster.mend_broker().await?;
    let back = async || {
        let (_connectors, administration, _) = open(cluster).await?;
        let read = administration.groups(true).await;
        administration.close().await;
        Ok(read.map(drop)?)
    };
    eventually("the broker is administered again", Duration::from_secs(60), back).await
}
