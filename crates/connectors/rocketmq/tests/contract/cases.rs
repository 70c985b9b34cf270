//! The promises, one by one. Each makes its own topics.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use rocketbridge_connector::{Code, Registry};
use rocketbridge_connector_rocketmq::{Message, ORIGIN_PROPERTY, origin_of};
use rocketbridge_model::resolved::{RocketMqConnection, StartPosition};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Cluster;
use crate::session::{LIMITS, Session, body, deliver, delivered, event, first, open, origin, own, read, stored};

/// *Scenario*: bodies of every byte, of none, of 1 MiB; keys, tags, empty and Chinese properties; sent, read, delivered, read again.
/// *Guarantees*: the same bodies, flags, ids and properties at the far end, plus the origin; order kept; hosts and times told.
pub(crate) async fn messages_keep_everything(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("everything", 1).await?, session.topic("everything-copy", 3).await?);
    let every: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let bodies = [Bytes::from(every), Bytes::new(), Bytes::from(vec![0xAB; 1024 * 1024]), Bytes::from_static(b"last")];
    let pairs = [("empty", ""), ("city", "青岛"), ("__SHARDINGKEY", "s 1"), ("BUYER_ID", "9")];
    let messages: Vec<_> = bodies
        .iter()
        .map(|body| Message {
            body: body.clone(),
            keys: "k1 k2".into(),
            tags: "paid".into(),
            properties: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            flag: 77,
            ..Message::default()
        })
        .collect();
    session.send(&from, &messages).await?;
    let originals = stored(&session, &from, bodies.len()).await?;
    ensure!(originals.iter().map(|event| &event.envelope.body).eq(&bodies));
    ensure!(originals.iter().map(|event| event.offset).eq(0..4));
    let envelope = &originals[0].envelope;
    ensure!(envelope.flag == 77 && envelope.born_host.is_some() && envelope.store_host.is_some());
    ensure!(envelope.store_timestamp >= envelope.born_timestamp && envelope.born_timestamp > 1_600_000_000_000);
    let mut expected: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    expected.extend([("KEYS".to_owned(), "k1 k2".to_owned()), ("TAGS".to_owned(), "paid".to_owned())]);
    expected.sort();
    ensure!(own(&originals[0]) == expected, "{:?}", originals[0].envelope.properties);

    delivered(&session.target(&to, false), originals.clone()).await?;
    let copies = stored(&session, &to, bodies.len()).await?;
    for (original, copy) in originals.iter().zip(&copies) {
        let mut properties = own(original);
        properties.push((ORIGIN_PROPERTY.to_owned(), format!("qingdao/i/t/b/0/{}", original.offset)));
        properties.sort();
        ensure!(own(copy) == properties, "{:?} of {:?}", copy.envelope.properties, original.envelope.properties);
        ensure!(copy.envelope.body == original.envelope.body && copy.envelope.flag == original.envelope.flag);
        let id = |event: &rocketbridge_model::Event| event.envelope.properties.get("UNIQ_KEY").map(str::to_owned);
        ensure!(id(copy).is_some() && id(copy) == id(original));
    }
    Ok(())
}

/// *Scenario*: bodies compressed by their producer, by zlib and Zstandard. *Guarantees*: read as they were before compression.
pub(crate) async fn compressed_bodies_arrive_plain(cluster: &mut Cluster) -> Result<()> {
    use std::io::Write;
    let session = Session::new(cluster.connection());
    let topic = session.topic("compressed", 1).await?;
    let plain = b"the same words again and again, ".repeat(1000);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(&plain)?;
    let mut compressed = [event(0, zlib.finish()?, &[("x", "y")]), event(1, zstd::encode_all(&plain[..], 3)?, &[])];
    // Compressed; and by Zstandard.
    compressed[0].envelope.system_flag = 1;
    compressed[1].envelope.system_flag = 1 | 2 << 8;
    delivered(&session.target(&topic, false), compressed).await?;
    for event in stored(&session, &topic, 2).await? {
        ensure!(event.envelope.body == plain, "{} bytes", event.envelope.body.len());
        ensure!(event.envelope.system_flag & 1 == 0);
    }
    Ok(())
}

/// *Scenario*: earliest, latest and times before, between and after messages, of an empty queue too. *Guarantees*: the first message at
/// or after it.
pub(crate) async fn positions_are_found(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("positions", 1).await?;
    let source = session.source(&topic, &[]);
    let queue = first(&source).await?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    for position in [StartPosition::Earliest, StartPosition::Latest, StartPosition::Timestamp(1), StartPosition::Timestamp(now())] {
        ensure!(source.offset_at(&queue, position).await? == 0, "{position:?} of an empty queue");
    }
    session.send(&topic, &[body("0"), body("1")]).await?;
    sleep(Duration::from_millis(50)).await;
    let between = now();
    sleep(Duration::from_millis(50)).await;
    session.send(&topic, &[body("2"), body("3"), body("4")]).await?;
    let events = stored(&session, &topic, 5).await?;
    ensure!(events[1].envelope.store_timestamp < between && between < events[2].envelope.store_timestamp);
    let cases = [
        (StartPosition::Earliest, 0),
        (StartPosition::Latest, 5),
        (StartPosition::Timestamp(1), 0),
        (StartPosition::Timestamp(between), 2),
        (StartPosition::Timestamp(now() + 3_600_000), 5),
    ];
    for (position, expected) in cases {
        let found = source.offset_at(&queue, position).await?;
        ensure!(found == expected, "{position:?} is {found}, not {expected}");
    }
    // Many of the same millisecond: the first of them.
    session.send(&topic, &vec![body("same"); 200]).await?;
    let events = stored(&session, &topic, 205).await?;
    for event in events.iter().step_by(23) {
        let timestamp = event.envelope.store_timestamp;
        let expected = events.iter().find(|event| event.envelope.store_timestamp >= timestamp).map(|event| event.offset);
        let found = source.offset_at(&queue, StartPosition::Timestamp(timestamp)).await?;
        ensure!(Some(found) == expected, "{timestamp} is {found}, not {expected:?}");
    }
    Ok(())
}

/// *Scenario*: a group that never committed; commits of an offset, of a later one, and of 0; another client asks. *Guarantees*: none
/// before, then what was committed; RocketMQ's own tool shows it.
pub(crate) async fn commits_are_kept_by_the_broker(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("commits", 2).await?;
    session.send(&topic, &[body("0"), body("1"), body("2"), body("3")]).await?;
    let source = session.source(&topic, &[]);
    let mut queue = open(&source).await?;
    ensure!(queue.committer.committed().await?.is_none());
    queue.committer.commit(0).await?;
    ensure!(queue.committer.committed().await? == Some(0));
    let second = source.partitions().await?.remove(1);
    ensure!(source.open(&second).await?.committer.committed().await?.is_none(), "the other queue was not committed");
    queue.committer.commit(2).await?;
    queue.committer.commit(3).await?;
    let other = Session::new(cluster.connection());
    ensure!(open(&other.source(&topic, &[])).await?.committer.committed().await? == Some(3));
    let progress = other.admin.progress(&topic, "group-commits").await?;
    ensure!(progress[0].committed == Some(3) && progress[0].maximum == 4, "{progress:?}");
    if let Some(shown) = cluster.mqadmin(&["consumerProgress", "-g", "group-commits"])? {
        let line = shown.lines().find(|line| line.starts_with(&topic)).with_context(|| shown.clone())?;
        let numbers: Vec<_> = line.split_whitespace().collect();
        ensure!(numbers.contains(&"4") && numbers.contains(&"3"), "{shown}");
    }
    Ok(())
}

/// *Scenario*: tags `A` and `B` wanted, with spaces around, of messages with A, B, C, AB and none; then only C at the end.
/// *Guarantees*: only wanted ones; the next offset passes over the others.
pub(crate) async fn tags_are_filtered(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("tags", 1).await?;
    let tags = ["A", "C", "B", "AB", "", "A", "C", "C"];
    let messages: Vec<_> = tags.iter().map(|tag| Message { tags: (*tag).to_owned(), ..body(tag) }).collect();
    session.send(&topic, &messages).await?;
    let mut queue = open(&session.source(&topic, &[" A ", "B "])).await?;
    let events = read(&mut queue, 0, 3).await?;
    ensure!(events.iter().map(|event| event.offset).eq([0, 2, 5]), "{events:?}");
    let mut offset = 6;
    let deadline = Instant::now() + Duration::from_secs(20);
    while offset < 8 {
        let pulled = queue.reader.pull(offset, LIMITS).await?;
        ensure!(pulled.events.is_empty());
        offset = pulled.next_offset;
        ensure!(Instant::now() < deadline, "the next offset stays at {offset}");
    }
    let all = read(&mut open(&session.source(&topic, &["A", "*"])).await?, 0, 8).await?;
    ensure!(all.len() == 8);
    Ok(())
}

/// *Scenario*: a topic that is not there, as source and target. *Guarantees*: `NotFound`, naming the topic and the name server.
pub(crate) async fn unknown_topics_and_groups_are_said(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let error = session.source("missing", &[]).partitions().await.expect_err("no such topic");
    ensure!(error.code() == Code::NotFound, "{error}");
    ensure!(error.to_string().contains("missing") && error.to_string().contains(&session.connection.name_servers[0]), "{error}");
    let results = deliver(&session.target("missing", false), [event(0, "x", &[]), event(1, "y", &[])]).await;
    ensure!(results.len() == 2 && results.iter().all(|result| result.as_ref().is_err_and(|error| error.code() == Code::NotFound)));
    Ok(())
}

/// *Scenario*: a name server that is not there, alone and before one that is. *Guarantees*: `Unavailable`, naming the address and why, soon;
/// of several the one that is there serves.
pub(crate) async fn unreachable_name_servers_are_said(cluster: &mut Cluster) -> Result<()> {
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let alone = Session::new(RocketMqConnection { name_servers: vec![closed.clone()], ..cluster.connection() });
    let began = Instant::now();
    let error = alone.source("any", &[]).partitions().await.expect_err("no name server");
    ensure!(error.code() == Code::Unavailable && error.to_string().contains(&format!("{closed}: connection refused")), "{error}");
    ensure!(began.elapsed() < Duration::from_secs(2));
    let real = cluster.connection().name_servers.remove(0);
    let both = Session::new(RocketMqConnection { name_servers: vec![closed, real], ..cluster.connection() });
    both.topic("reachable", 1).await?;
    Ok(())
}

/// *Scenario*: a pull far beyond the end. *Guarantees*: `OffsetOutOfRange` with the stored range, no quiet move; at the end exactly, nothing.
pub(crate) async fn offsets_out_of_range_are_said(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("range", 1).await?;
    session.send(&topic, &[body("0"), body("1")]).await?;
    stored(&session, &topic, 2).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    let error = queue.reader.pull(1000, LIMITS).await.expect_err("beyond the end");
    ensure!(error.code() == Code::OffsetOutOfRange && error.to_string().contains("0 to 2"), "{error}");
    let pulled = queue.reader.pull(2, LIMITS).await?;
    ensure!(pulled.events.is_empty() && pulled.next_offset == 2 && pulled.maximum_offset == 2, "{pulled:?}");
    Ok(())
}

/// *Scenario*: a message longer than the broker takes, among others. *Guarantees*: it alone is `Rejected`; those around it arrive in order.
pub(crate) async fn refused_messages_stand_alone(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("refused", 1).await?;
    let events = [event(0, "a", &[]), event(1, "b", &[]), event(2, vec![1; 5 * 1024 * 1024], &[]), event(3, "c", &[])];
    let results = deliver(&session.target(&topic, false), events).await;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().err().map(rocketbridge_connector::Error::code)).collect();
    ensure!(codes == [None, None, Some(Code::Rejected), None], "{results:?}");
    let arrived = stored(&session, &topic, 3).await?;
    ensure!(arrived.iter().map(|event| &event.envelope.body[..]).eq([&b"a"[..], b"b", b"c"]));
    Ok(())
}

/// *Scenario*: a message with a delay level between two without. *Guarantees*: the two arrive now, it a second later.
pub(crate) async fn delayed_messages_are_delayed(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("delayed", 1).await?;
    let sent = Instant::now();
    let events = [event(0, "now", &[]), event(1, "later", &[("DELAY", "1"), ("x", "y")]), event(2, "too", &[])];
    delivered(&session.target(&topic, false), events).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    let mut arrived = Vec::new();
    let mut offset = 0;
    while arrived.len() < 3 {
        ensure!(sent.elapsed() < Duration::from_secs(30), "{arrived:?}");
        let pulled = queue.reader.pull(offset, LIMITS).await?;
        offset = pulled.next_offset;
        arrived.extend(pulled.events.into_iter().map(|event| (event, sent.elapsed())));
    }
    ensure!(arrived.iter().map(|(event, _)| &event.envelope.body[..]).eq([&b"now"[..], b"too", b"later"]));
    ensure!(arrived[2].1 > Duration::from_millis(700), "{:?}", arrived[2].1);
    ensure!(arrived[2].0.envelope.properties.get("x") == Some("y") && origin_of(&arrived[2].0.envelope.properties).is_some());
    Ok(())
}

/// *Scenario*: 400 messages of 20 sharding keys to an orderly target of 4 queues. *Guarantees*: each key in one queue, in order.
pub(crate) async fn sharding_keys_keep_their_order(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("sharded", 4).await?;
    let events = (0..400_u64).map(|number| event(number, number.to_string(), &[("__SHARDINGKEY", &format!("key-{}", number % 20))]));
    delivered(&session.target(&topic, true), events).await?;
    let source = session.source(&topic, &[]);
    let mut queues_of_key = std::collections::BTreeMap::<String, Vec<(u32, u64)>>::new();
    // A broker counts a message into its queue a moment after it confirmed it.
    let deadline = Instant::now() + Duration::from_secs(10);
    let offsets = loop {
        let offsets = session.admin.offsets(&topic).await?;
        if offsets.iter().map(|offsets| offsets.maximum).sum::<u64>() == 400 {
            break offsets;
        }
        ensure!(Instant::now() < deadline, "{offsets:?}");
        sleep(Duration::from_millis(20)).await;
    };
    for offsets in offsets {
        let partition = source.partitions().await?.remove(offsets.queue.id as usize);
        let mut queue = source.open(&partition).await?;
        for event in read(&mut queue, 0, offsets.maximum as usize).await? {
            let key = event.envelope.properties.get("__SHARDINGKEY").context("a key")?.to_owned();
            let number = std::str::from_utf8(&event.envelope.body)?.parse()?;
            queues_of_key.entry(key).or_default().push((partition.queue, number));
        }
    }
    ensure!(queues_of_key.len() == 20);
    for (key, places) in queues_of_key {
        ensure!(places.len() == 20 && places.is_sorted() && places[0].0 == places[19].0, "{key}: {places:?}");
    }
    Ok(())
}

/// *Scenario*: a connection with a namespace. *Guarantees*: its topic is another than the one of that name without.
pub(crate) async fn namespaces_are_prefixes(cluster: &mut Cluster) -> Result<()> {
    let plain = Session::new(cluster.connection());
    let session = Session::new(RocketMqConnection { namespace: "NS".into(), ..cluster.connection() });
    let topic = session.topic("spaced", 1).await?;
    session.send(&topic, &[body("x")]).await?;
    ensure!(stored(&session, &topic, 1).await?.len() == 1);
    plain.admin.queues(&topic).await.expect_err("only with its namespace");
    ensure!(plain.admin.topics().await?.contains(&"NS%spaced".to_owned()));
    Ok(())
}

/// *Scenario*: a pull waits at the end; a message is sent, and another while it is being looked at. *Guarantees*: both are seen within a
/// second.
pub(crate) async fn a_waiting_pull_sees_the_next_message(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("waiting", 1).await?;
    session.send(&topic, &[body("0")]).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    for offset in 1..4 {
        let (pulled, sent) = tokio::join!(timeout(Duration::from_secs(10), read(&mut queue, offset, 1)), async {
            sleep(Duration::from_millis(100)).await;
            let sent = Instant::now();
            session.send(&topic, &[body("next")]).await.map(|()| sent)
        });
        ensure!(pulled??[0].offset == offset && sent?.elapsed() < Duration::from_secs(1), "offset {offset}");
    }
    Ok(())
}

/// *Scenario*: reading and sending every 100 ms while the broker ends (`kill -9` where it is a process) and starts again.
/// *Guarantees*: an error meanwhile, and both work within 5 s of the broker being back; nothing that was confirmed is lost.
pub(crate) async fn a_broker_that_is_back_is_used_at_once(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("recovery", 1).await?;
    let target = session.target(&topic, false);
    delivered(&target, [event(0, "before", &[])]).await?;
    let mut queue = open(&session.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    cluster.break_broker().await?;
    // A broker that stops in good order may still answer the pull that waits.
    let error = loop {
        match queue.reader.pull(1, LIMITS).await {
            Ok(pulled) => ensure!(pulled.events.is_empty()),
            Err(error) => break error,
        }
    };
    ensure!(error.code() == Code::Unavailable, "{error}");
    let result = deliver(&target, [event(1, "meanwhile", &[])]).await.remove(0);
    ensure!(result.is_err_and(|error| error.code() == Code::Unavailable));
    for _ in 0..20 {
        queue.reader.pull(1, LIMITS).await.expect_err("the broker is gone");
        sleep(Duration::from_millis(10)).await;
    }
    cluster.mend_broker().await?;
    let back = Instant::now();
    while let Err(error) = delivered(&target, [event(1, "after", &[])]).await {
        ensure!(back.elapsed() < Duration::from_secs(5), "{error}");
        sleep(Duration::from_millis(100)).await;
    }
    let sending = back.elapsed();
    let events = loop {
        match queue.reader.pull(0, LIMITS).await {
            Ok(pulled) if pulled.events.len() >= 2 => break pulled.events,
            other => ensure!(back.elapsed() < Duration::from_secs(5), "{other:?}"),
        }
        sleep(Duration::from_millis(100)).await;
    };
    println!("{}: sends {sending:?}, reads {:?} after the broker is back", cluster.name(), back.elapsed());
    ensure!(events[0].envelope.body == "before" && events[events.len() - 1].envelope.body == "after");
    Ok(())
}

/// *Scenario*: a cluster with access control; right keys, a wrong secret, none, and a reference that leads nowhere. *Guarantees*: right keys
/// send, read and commit; the others are `Denied` with the broker's reason, and no secret is shown.
pub(crate) async fn credentials_decide(cluster: &mut Cluster) -> Result<()> {
    let right = Session::new(cluster.connection_with("admin12345", "secret12345"));
    let topic = right.topic("guarded", 1).await?;
    right.send(&topic, &[body("0")]).await?;
    let mut queue = open(&right.source(&topic, &[])).await?;
    read(&mut queue, 0, 1).await?;
    queue.committer.commit(1).await?;
    ensure!(queue.committer.committed().await? == Some(1));
    delivered(&right.target(&topic, false), [event(0, "1", &[])]).await?;
    let partition = first(&right.source(&topic, &[])).await?;
    for connection in [
        cluster.connection_with("admin12345", "wrong-secret"),
        cluster.connection(),
        cluster.connection_with("admin12345", "env:ROCKETBRIDGE_TEST_UNSET"),
    ] {
        let secret = connection.credentials.as_ref().map(|credentials| credentials.secret_key.expose().to_owned());
        let session = Session::new(connection);
        let errors = [
            deliver(&session.target(&topic, false), [event(0, "2", &[])]).await.remove(0).expect_err("refused"),
            match session.source(&topic, &[]).open(&partition).await {
                Ok(mut open) => open.reader.pull(0, LIMITS).await.expect_err("refused"),
                Err(error) => error,
            },
        ];
        for error in errors {
            println!("{}: {error}", cluster.name());
            ensure!(error.code() == Code::Denied, "{error}");
            ensure!(secret.as_ref().is_none_or(|secret| secret.starts_with("env:") || !error.to_string().contains(secret)));
        }
    }
    Ok(())
}

/// Two clusters: see the test of the same name.
pub(crate) async fn two_clusters(qingdao: &Cluster, hohhot: &Cluster) -> Result<()> {
    let session = Session::new(qingdao.connection());
    let far = Session::new(hohhot.connection());
    let (from, to) = (session.topic("orders", 1).await?, far.topic("orders", 1).await?);
    session.send(&from, &[body("0"), body("1")]).await?;
    let source = session.source(&from, &[]);
    let events = read(&mut open(&source).await?, 0, 2).await?;
    // The same connectors hold both clients.
    let target = session.connectors.target(&rocketbridge_model::resolved::RocketMqTarget {
        connection: hohhot.connection(),
        topic: to.clone(),
        body: None,
        properties: None,
        keys: None,
        tags: None,
        sharding_key: None,
        orderly: false,
    });
    delivered(&target, events).await?;
    let arrived = stored(&far, &to, 2).await?;
    let prefix = format!("{}/{}/{}/{}/0/", origin().region, origin().instance, origin().topic, origin().broker);
    ensure!(origin_of(&arrived[1].envelope.properties) == Some(format!("{prefix}1").as_str()));
    ensure!(stored(&session, &from, 2).await?.len() == 2);
    Ok(())
}
