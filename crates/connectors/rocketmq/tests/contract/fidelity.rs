//! What a copy has of its original beyond body and properties, and the topics that RocketMQ makes for itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rocketbridge_connector_rocketmq::{Message, born_of};
use rocketbridge_model::Event;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::raw;
use crate::session::{LIMITS, Session, body, delivered, event, open, own, read, stored};
use crate::table::lacks;

/// *Scenario*: keys with brackets, quotes and characters beyond ASCII between spaces, a tag with spaces, properties whose names have spaces and brackets, a message
/// type, a sharding key and user properties without values; in a batch, and alone. *Guarantees*: the copy has them all, character by character; RocketMQ's own tool
/// finds the copies by such a key.
pub(crate) async fn keys_keep_spaces_and_brackets(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("keys", 1).await?, session.topic("keys-copy", 1).await?);
    let keys = "order[7] {a:1} (b) \"c\" 订单";
    let properties = [("a key [x]", " v ] "), ("空", ""), ("MSG_TYPE", "Normal"), ("__SHARDINGKEY", "[s 1]"), ("json", r#"{"a":["b"]}"#)];
    let message = |text: &str| Message {
        keys: keys.into(),
        tags: "a tag [b]".into(),
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        flag: -7,
        ..body(text)
    };
    session.send(&from, &[message("short"), message(&"long".repeat(300_000)), message("behind")]).await?;
    let originals = stored(&session, &from, 3).await?;
    delivered(&session.target(&to, false), originals.clone()).await?;
    let copies = stored(&session, &to, 3).await?;
    for (original, copy) in originals.iter().zip(&copies) {
        let mut left: Vec<_> = own(copy);
        left.retain(|(name, _)| !name.starts_with("RB_"));
        ensure!(left == own(original) && copy.envelope.flag == -7, "{left:?} of {:?}", own(original));
        let has = |name: &str, value: &str| copy.envelope.properties.get(name) == Some(value);
        ensure!(has("KEYS", keys) && has("TAGS", "a tag [b]"), "{left:?}");
        // Of a message that is sent alone brokers keep no property without a value.
        let wanted = |value: &str| !value.is_empty() || copy.envelope.body.len() < 10;
        ensure!(properties.iter().all(|(name, value)| !wanted(value) || has(name, value)), "{left:?}");
    }
    let id = copies[0].envelope.properties.get("UNIQ_KEY").context("an id")?;
    if let Some(found) = cluster.mqadmin(&["queryMsgByKey", "-t", &to, "-k", "order[7]"])? {
        ensure!(found.lines().filter(|line| line.contains(&id[..16])).count() == 3, "{found}");
    }
    Ok(())
}

/// *Scenario*: messages of one moment, of others, and one for a light queue, which goes alone; routed on from topic to topic. *Guarantees*: each copy says when its
/// original was born: by its own born time, as far as a batch has one, else by `RB_BORN`; two hops change nothing.
pub(crate) async fn born_times_are_kept(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let moment = 1_500_000_000_000;
    let born = [moment, moment, moment + 1, moment - 86_400_000, moment + 5];
    let mut events: Vec<Event> = (0..).zip(born).map(|(offset, _)| event(offset, offset.to_string(), &[])).collect();
    events[3] = event(3, "3", &[("INNER_MULTI_DISPATCH", "%LMQ%born")]);
    for (event, born) in events.iter_mut().zip(born) {
        event.envelope.born_timestamp = born;
    }
    let mut from = events;
    for hop in ["born", "born-on", "born-further"] {
        let topic = session.topic(hop, 1).await?;
        delivered(&session.target(&topic, false), from).await?;
        from = stored(&session, &topic, born.len()).await?;
        let said: Vec<_> = from.iter().map(|event| (event.envelope.born_timestamp, event.envelope.properties.get("RB_BORN"))).collect();
        ensure!(from.iter().map(|event| born_of(&event.envelope)).eq(born), "{hop}: {said:?}");
        ensure!(said[..2] == [(moment, None); 2] && said[3] == (born[3], None) && said[4] == (born[4], None), "{hop}: {said:?}");
        ensure!(said[2] == (moment, Some("1500000000001")), "{hop}: {said:?}");
        ensure!(from.iter().all(|event| event.envelope.store_timestamp > moment + 86_400_000));
    }
    Ok(())
}

/// What a broker answered to the first half of a transaction.
struct Half {
    broker: SocketAddr,
    topic: String,
    id: String,
    transaction: String,
    place: u64,
}

const PRODUCERS: &str = "producers";
/// The bits that say prepared, committed or rolled back (`MessageSysFlag` of Apache RocketMQ).
const TRANSACTION: i32 = 4 | 8;

/// Sends the first half of a transaction: what a producer does before it knows whether it will be committed.
async fn prepare(broker: SocketAddr, topic: &str, text: &str) -> Result<Half> {
    let id = format!("7F000001000000000000{text:0>12}");
    let properties = [("TRAN_MSG", "true"), ("PGROUP", PRODUCERS), ("UNIQ_KEY", &id), ("KEYS", text), ("user", "u")];
    let properties: String = properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect();
    let fields = [
        ("producerGroup", PRODUCERS.to_owned()),
        ("topic", topic.to_owned()),
        ("defaultTopic", "TBW102".to_owned()),
        ("defaultTopicQueueNums", "4".to_owned()),
        ("queueId", "0".to_owned()),
        ("sysFlag", "4".to_owned()),
        ("bornTimestamp", "1500000000000".to_owned()),
        ("flag", "9".to_owned()),
        ("properties", properties),
        ("reconsumeTimes", "0".to_owned()),
        ("unitMode", "false".to_owned()),
        ("batch", "false".to_owned()),
    ];
    let told = raw::ask(broker, raw::SEND_MESSAGE, &fields, text.as_bytes()).await?;
    let field = |name: &str| told.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let place = field("queueOffset").context("an offset")?.parse()?;
    let (topic, told_id) = (topic.to_owned(), field("msgId").context("an id")?);
    Ok(Half { broker, topic, id: told_id, transaction: field("transactionId").unwrap_or(id), place })
}

impl Half {
    /// Commits or rolls back.
    async fn end(&self, commits: bool) -> Result<()> {
        // Address and offset in the log, in hexadecimal.
        let log = u64::from_str_radix(self.id.get(self.id.len() - 16..).context("a long id")?, 16)?;
        let fields = [
            ("topic", self.topic.clone()),
            ("producerGroup", PRODUCERS.to_owned()),
            ("tranStateTableOffset", self.place.to_string()),
            ("commitLogOffset", log.to_string()),
            ("commitOrRollback", if commits { 8 } else { 12 }.to_string()),
            ("fromTransactionCheck", "false".to_owned()),
            ("msgId", self.transaction.clone()),
            ("transactionId", self.transaction.clone()),
        ];
        raw::ask(self.broker, raw::END_TRANSACTION, &fields, &[]).await.map(drop)
    }
}

/// *Scenario*: four transactions of a producer: one stays open, one is rolled back, two are committed, the later one first; with a message outside of any between
/// them. *Guarantees*: what is open or rolled back is not read, and is no gap; what is committed is read where it was committed, with its properties, and its copy is an
/// ordinary message.
pub(crate) async fn transactions_come_once_they_are_committed(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("transactions", 1).await?, session.topic("transactions-copy", 1).await?);
    session.send(&from, &[body("before")]).await?;
    let broker = stored(&session, &from, 1).await?[0].envelope.store_host.context("a broker")?;
    let (open_half, back) = (prepare(broker, &from, "open").await?, prepare(broker, &from, "back").await?);
    let (first, second) = (prepare(broker, &from, "first").await?, prepare(broker, &from, "second").await?);
    ensure!(stored(&session, &from, 1).await?.len() == 1, "halves are not read");
    second.end(true).await?;
    back.end(false).await?;
    session.send(&from, &[body("between")]).await?;
    first.end(true).await?;
    let mut queue = open(&session.source(&from, &[])).await?;
    let events = read(&mut queue, 0, 4).await?;
    let bodies: Vec<_> = events.iter().map(|event| String::from_utf8_lossy(&event.envelope.body).into_owned()).collect();
    ensure!(bodies == ["before", "second", "between", "first"], "{bodies:?}");
    ensure!(events.iter().map(|event| event.offset).eq(0..4));
    let pulled = queue.reader.pull(4, LIMITS).await?;
    ensure!(pulled.events.is_empty() && pulled.missing.is_empty() && pulled.maximum_offset == 4, "{pulled:?}");
    ensure!(open_half.place != second.place);

    delivered(&session.target(&to, false), events.clone()).await?;
    let copies = stored(&session, &to, 4).await?;
    for copy in &copies {
        let properties = &copy.envelope.properties;
        ensure!(properties.get("TRAN_MSG").is_none() && copy.envelope.system_flag & TRANSACTION == 0, "{copy:?}");
    }
    let second = &copies[1].envelope;
    let has = |name: &str| second.properties.get(name);
    ensure!(has("KEYS") == Some("second") && has("user") == Some("u") && second.flag == 9, "{:?}", second.properties);
    ensure!(
        has("UNIQ_KEY") == events[1].envelope.properties.get("UNIQ_KEY") && has("PGROUP") == Some(PRODUCERS),
        "{:?}",
        second.properties
    );
    ensure!(born_of(second) == 1_500_000_000_000, "{second:?}");
    Ok(())
}

/// *Scenario*: a consumer gives up a message, and its broker puts it into the dead letters of its group. *Guarantees*: `%DLQ%group` is read by its name, as any topic, and
/// copied; it is not among the topics of users, so no pattern takes it by accident.
pub(crate) async fn dead_letters_are_read_by_name(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("given-up", 1).await?, session.topic("given-up-copy", 1).await?);
    let message = Message { keys: "k".into(), properties: vec![("user".into(), "u".into())], ..body("hopeless") };
    session.send(&from, &[message]).await?;
    let original = stored(&session, &from, 1).await?.remove(0);
    // The group must be known, and it is by its heartbeat.
    let source = session.source(&from, &[]);
    let mut queue = open(&source).await?;
    queue.committer.commit(0).await?;
    let group = format!("group-{from}");
    let fields = [
        ("offset", original.envelope.commit_log_offset.to_string()),
        ("group", group.clone()),
        ("delayLevel", "-1".to_owned()),
        ("originMsgId", "id".to_owned()),
        ("originTopic", from.clone()),
        ("unitMode", "false".to_owned()),
        ("maxReconsumeTimes", "16".to_owned()),
    ];
    let broker = original.envelope.store_host.context("a broker")?;
    raw::ask(broker, raw::CONSUMER_SEND_MSG_BACK, &fields, &[]).await?;
    let letters = format!("%DLQ%{group}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !session.admin.queues(&letters).await.is_ok_and(|queues| !queues.is_empty()) {
        ensure!(Instant::now() < deadline, "{letters} cannot be read: {:?}", session.admin.queues(&letters).await);
        sleep(Duration::from_millis(100)).await;
    }
    let events = stored(&session, &letters, 1).await?;
    ensure!(events[0].envelope.body == "hopeless" && events[0].envelope.properties.get("user") == Some("u"), "{:?}", events[0]);
    delivered(&session.target(&to, false), events).await?;
    let copy = stored(&session, &to, 1).await?.remove(0);
    ensure!(copy.envelope.body == "hopeless" && copy.envelope.properties.get("KEYS") == Some("k"), "{copy:?}");
    ensure!(born_of(&copy.envelope) == original.envelope.born_timestamp, "{copy:?}");
    let of_users = session.admin.topics_of_users(false).await?;
    ensure!(of_users.contains(&from) && !of_users.contains(&letters), "{of_users:?}");
    ensure!(session.admin.topics_of_users(true).await?.contains(&letters));
    Ok(())
}

/// *Scenario*: messages that their producer put into light queues, one of them into two, between others. *Guarantees*: `%LMQ%name` is read by its name: its own messages, at
/// offsets of its own, committed as any; copies are put into the light queues of the target.
pub(crate) async fn light_queues_are_read_by_name(cluster: &mut Cluster) -> Result<()> {
    if !cluster.is_java() {
        lacks("it has no light queues");
        return Ok(());
    }
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("light", 1).await?, session.topic("light-copy", 1).await?);
    let light = |text: &str, queues: &str| Message { properties: vec![("INNER_MULTI_DISPATCH".into(), queues.into())], ..body(text) };
    let messages = [body("0"), light("1", "%LMQ%a"), light("2", "%LMQ%b,%LMQ%a"), body("3"), light("4", "%LMQ%b"), light("5", "%LMQ%a")];
    session.send(&from, &messages).await?;
    stored(&session, &from, messages.len()).await?;
    let source = session.source("%LMQ%a", &[]);
    let mut queue = open(&source).await?;
    let events = read(&mut queue, 0, 3).await?;
    let found: Vec<_> = events.iter().map(|event| (event.offset, &event.envelope.body[..])).collect();
    ensure!(found == [(0, &b"1"[..]), (1, b"2"), (2, b"5")], "{found:?}");
    ensure!(read(&mut queue, 2, 1).await?[0].envelope.body == "5");
    queue.committer.commit(2).await?;
    ensure!(open(&source).await?.committer.committed().await? == Some(2));
    ensure!(!session.admin.topics().await?.iter().any(|topic| topic.starts_with("%LMQ%")));
    delivered(&session.target(&to, false), events).await?;
    stored(&session, &to, 3).await?;
    let all = read(&mut queue, 0, 6).await?;
    let bodies: Vec<_> = all.iter().map(|event| String::from_utf8_lossy(&event.envelope.body).into_owned()).collect();
    ensure!(bodies == ["1", "2", "5", "1", "2", "5"] && all.iter().map(|event| event.offset).eq(0..6), "{bodies:?}");
    Ok(())
}
