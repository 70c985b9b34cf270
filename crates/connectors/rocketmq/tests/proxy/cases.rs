//! The cases.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rocketbridge_connector::{Code, Registry, Start};
use rocketbridge_connector_rocketmq::{Message, origin_of};
use rocketbridge_model::resolved::{Protocol, RocketMqConnection, RocketMqSource, StartPosition};
use rocketbridge_model::{Event, testing};
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::Cluster;
use crate::session::{INVISIBLE, LIMITS, Session, acknowledge, bodies, body, deliver, delivered, event, open, own, receive, text};

const COMPRESSED: i32 = 1;
const ZSTANDARD: i32 = COMPRESSED | 2 << 8;

fn source(connection: RocketMqConnection, topic: &str) -> RocketMqSource {
    RocketMqSource { connection, group: format!("group-{topic}"), ..testing::source(topic) }
}

/// *Scenario*: 300 messages with binary bodies, keys with spaces and brackets, tags, properties with empty and Chinese values. *Guarantees*: all are stored once,
/// byte for byte, with their own properties, message id, born time and origin.
pub(crate) async fn messages_arrive_whole(cluster: &Cluster) -> Result<()> {
    cluster.topic("whole", 4, "NORMAL")?;
    let session = Session::default();
    let events = (0..300).map(|offset| {
        let id = format!("id-{offset}");
        let pairs = [("KEYS", "k 1 [x]"), ("TAGS", "t"), ("UNIQ_KEY", &id), ("empty", ""), ("chinese", "订单"), ("a.b-c", "1=2;3")];
        let mut event = event(offset, vec![0, 255, (offset % 256) as u8], &pairs);
        event.envelope.born_timestamp = 1_700_000_000_123;
        event
    });
    let events: Vec<_> = events.collect();
    delivered(&session.target(cluster.grpc(), "whole"), events.clone()).await?;
    let stored = session.stored(cluster.remoting(), "whole", 300).await?;
    let by_id: BTreeMap<_, _> = stored.iter().map(|event| (event.envelope.properties.get("UNIQ_KEY").unwrap_or_default(), event)).collect();
    for event in &events {
        let id = event.envelope.properties.get("UNIQ_KEY").context("an id")?;
        let stored = by_id.get(id).context("it is stored")?;
        ensure!(stored.envelope.body == event.envelope.body && own(stored) == own(event), "{stored:?}");
        ensure!(origin_of(&stored.envelope.properties) == Some(&format!("r/i/t/b/0/{}", event.offset)), "{stored:?}");
        ensure!(stored.envelope.born_timestamp == 1_700_000_000_123, "{stored:?}");
    }
    Ok(())
}

/// *Scenario*: bodies compressed by zlib and by Zstandard. *Guarantees*: zlib is stored as it was; what gRPC has no word for is stored plain.
pub(crate) async fn compressed_bodies_arrive_readable(cluster: &Cluster) -> Result<()> {
    cluster.topic("compressed", 1, "NORMAL")?;
    let session = Session::default();
    let plain = "compress me ".repeat(100);
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(plain.as_bytes())?;
    let (zlib, zstandard) = (zlib.finish()?, zstd::encode_all(plain.as_bytes(), 3)?);
    let compressed = |body: &[u8], flag: i32, name: &str| {
        let mut event = event(0, body.to_vec(), &[("name", name)]);
        event.envelope.system_flag = flag;
        event
    };
    let events = [compressed(&zlib, COMPRESSED, "zlib"), compressed(&zstandard, ZSTANDARD, "zstd"), event(0, "x", &[("name", "plain")])];
    delivered(&session.target(cluster.grpc(), "compressed"), events).await?;
    let stored = session.stored(cluster.remoting(), "compressed", 3).await?;
    let find = |name: &str| stored.iter().find(|event| event.envelope.properties.get("name") == Some(name)).context("stored");
    ensure!(find("zlib")?.envelope.body == zlib && find("zlib")?.envelope.is_compressed());
    ensure!(text(find("zstd")?) == plain && !find("zstd")?.envelope.is_compressed());
    // Received, they have their flag again.
    let mut open = open(&session.source(&source(cluster.grpc(), "compressed"))?).await?;
    let received = receive(&mut open, 3).await?;
    acknowledge(&open, &received).await?;
    let zlib_again = received.iter().find(|received| received.event.envelope.properties.get("name") == Some("zlib")).context("received")?;
    ensure!(zlib_again.event.envelope.body == zlib && zlib_again.event.envelope.system_flag == COMPRESSED);
    Ok(())
}

/// *Scenario*: messages with and without sharding key for topics of each type. *Guarantees*: FIFO topics get message groups, DELAY topics get what is due now,
/// TRANSACTION topics are refused as a whole, and a NORMAL topic refuses the message with a sharding key alone.
pub(crate) async fn topics_get_the_types_that_they_take(cluster: &Cluster) -> Result<()> {
    for (topic, kind) in
        [("typed-fifo", "FIFO"), ("typed-delay", "DELAY"), ("typed-transaction", "TRANSACTION"), ("typed-normal", "NORMAL")]
    {
        cluster.topic(topic, 2, kind)?;
    }
    let session = Session::default();
    let events = || [event(0, "plain", &[]), event(1, "keyed", &[("__SHARDINGKEY", "s")])];
    delivered(&session.target(cluster.grpc(), "typed-fifo"), events()).await?;
    let fifo = session.stored(cluster.remoting(), "typed-fifo", 2).await?;
    let keys: BTreeSet<_> = fifo.iter().filter_map(|event| event.envelope.properties.get("__SHARDINGKEY")).collect();
    ensure!(keys == BTreeSet::from(["b/0", "s"]), "{keys:?}");
    delivered(&session.target(cluster.grpc(), "typed-delay"), [event(0, "due", &[])]).await?;
    let began = Instant::now();
    ensure!(text(&session.stored(cluster.remoting(), "typed-delay", 1).await?[0]) == "due" && began.elapsed() < Duration::from_secs(5));
    let results = deliver(&session.target(cluster.grpc(), "typed-transaction"), events()).await;
    ensure!(results.iter().all(|result| result.as_ref().is_err_and(|error| error.code() == Code::Denied)), "{results:?}");
    let results = deliver(&session.target(cluster.grpc(), "typed-normal"), events()).await;
    let error = results[1].as_ref().err().context("refused")?;
    ensure!(results[0].is_ok() && error.code() == Code::Rejected && error.to_string().contains("NORMAL only"), "{results:?}");
    session.stored(cluster.remoting(), "typed-normal", 1).await.map(drop)
}

/// *Scenario*: among good messages: no body, properties beyond the proxy's limit, a control character, bytes that are no text, a body beyond the limit.
/// *Guarantees*: exactly these are refused, each with the proxy's or our reason; the others are stored once.
pub(crate) async fn what_cannot_be_carried_stands_alone(cluster: &Cluster) -> Result<()> {
    cluster.topic("carried", 1, "NORMAL")?;
    let session = Session::default();
    let big = "x".repeat(17_000);
    let mut bytes = event(5, "bytes", &[]);
    bytes.envelope.properties = rocketbridge_model::Properties::from_wire(bytes::Bytes::from_static(b"a\x01\xff\x02"));
    let events = [
        event(0, "good", &[]),
        event(1, "", &[]),
        event(2, "good", &[("a", "b")]),
        event(3, "big", &[("big", &big)]),
        event(4, "control", &[("a", "x\ty")]),
        bytes,
        event(6, vec![b'x'; 5 * 1024 * 1024], &[]),
        event(7, "good", &[]),
    ];
    let results = deliver(&session.target(cluster.grpc(), "carried"), events).await;
    let refused: Vec<_> = results.iter().enumerate().filter(|(_, result)| result.is_err()).map(|(index, _)| index).collect();
    ensure!(refused == [1, 3, 4, 5, 6], "{results:?}");
    for (index, words) in [(1, "cannot be empty"), (3, "too large"), (4, "control character"), (5, "not UTF-8"), (6, "exceed")] {
        let error = results[index].as_ref().err().context("refused")?;
        ensure!(error.code() == Code::Rejected && error.to_string().contains(words), "{index}: {error}");
    }
    session.stored(cluster.remoting(), "carried", 3).await.map(drop)
}

/// *Scenario*: a topic whose type is unspecified, which a proxy that checks types takes nothing for. *Guarantees*: a person is told what to do; nothing is
/// given up as if the messages were at fault.
pub(crate) async fn an_untyped_topic_is_told(cluster: &Cluster) -> Result<()> {
    cluster.topic("untyped", 1, "UNSPECIFIED")?;
    let session = Session::default();
    let results = deliver(&session.target(cluster.grpc(), "untyped"), [event(0, "x", &[]), event(1, "y", &[])]).await;
    for result in results {
        let error = result.err().context("refused")?;
        ensure!(error.code() == Code::Denied && error.to_string().contains("+message.type=NORMAL"), "{error}");
    }
    Ok(())
}

/// *Scenario*: 300 messages of ten sharding keys to a FIFO topic. *Guarantees*: in each queue the messages of a key stand in order.
pub(crate) async fn message_groups_keep_their_order(cluster: &Cluster) -> Result<()> {
    cluster.topic("groups", 4, "FIFO")?;
    let session = Session::default();
    let events = (0..300_u64).map(|offset| event(offset, offset.to_string(), &[("__SHARDINGKEY", &format!("k{}", offset % 10))]));
    delivered(&session.target(cluster.grpc(), "groups"), events).await?;
    let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in session.stored(cluster.remoting(), "groups", 300).await? {
        by_key
            .entry(event.envelope.properties.get("__SHARDINGKEY").unwrap_or_default().to_owned())
            .or_default()
            .push(text(&event).parse()?);
    }
    ensure!(by_key.len() == 10 && by_key.values().all(|numbers| numbers.is_sorted()), "{by_key:?}");
    Ok(())
}

/// *Scenario*: a connection with a namespace. *Guarantees*: topic and group have its prefix on the wire, in both directions.
pub(crate) async fn namespaces_are_part_of_the_name(cluster: &Cluster) -> Result<()> {
    cluster.topic("NS%named", 1, "NORMAL")?;
    let session = Session::default();
    let connection = RocketMqConnection { namespace: "NS".into(), ..cluster.grpc() };
    delivered(&session.target(connection.clone(), "named"), [event(0, "x", &[])]).await?;
    session.stored(cluster.remoting(), "NS%named", 1).await?;
    let mut open = open(&session.source(&source(connection, "named"))?).await?;
    let received = receive(&mut open, 1).await?;
    acknowledge(&open, &received).await
}

/// *Scenario*: a topic that is not there, as source and as target. *Guarantees*: said so, with the proxy and the name.
pub(crate) async fn unknown_topics_are_told(cluster: &Cluster) -> Result<()> {
    let session = Session::default();
    let error = deliver(&session.target(cluster.grpc(), "missing"), [event(0, "x", &[])]).await.remove(0).err().context("refused")?;
    ensure!(
        error.code() == Code::NotFound && error.to_string().contains("missing") && error.to_string().contains(&cluster.proxy),
        "{error}"
    );
    let error = session.source(&source(cluster.grpc(), "missing"))?.terms().await.err().context("refused")?;
    ensure!(error.code() == Code::NotFound && error.to_string().contains("missing"), "{error}");
    Ok(())
}

/// *Scenario*: a name server where a proxy is meant, a proxy's port where a name server is meant, and a proxy's port with nothing said. *Guarantees*: the first two
/// are told with what to write; the third is used over gRPC, as target at once and as source at the second attempt.
pub(crate) async fn endpoints_of_the_other_kind_are_told_or_found_out(cluster: &Cluster) -> Result<()> {
    cluster.topic("kinds", 1, "NORMAL")?;
    let session = Session::default();
    let told = |error: rocketbridge_connector::Error, words: &str| {
        ensure!(error.code() == Code::Denied && error.to_string().contains(words), "{error}");
        Ok(())
    };
    let name_server_as_proxy = cluster.connection(Protocol::Grpc, &cluster.name_server);
    let error = session.source(&source(name_server_as_proxy.clone(), "kinds"))?.terms().await.err().context("refused")?;
    told(error, "it speaks remoting")?;
    let error = deliver(&session.target(name_server_as_proxy, "kinds"), [event(0, "x", &[])]).await.remove(0).err().context("refused")?;
    told(error, "it speaks remoting")?;
    let proxy_as_name_server = source(cluster.connection(Protocol::Remoting, &cluster.proxy), "kinds");
    let offsets = session.0.source(&proxy_as_name_server).offsets().context("remoting")?;
    told(offsets.partitions().await.err().context("refused")?, "it speaks gRPC only")?;

    let session = Session::default();
    let unsaid = source(cluster.connection(Protocol::Detected, &cluster.proxy), "kinds");
    delivered(&session.target(unsaid.connection.clone(), "kinds"), [event(0, "x", &[])]).await?;
    let session = Session::default();
    let offsets = session.0.source(&unsaid).offsets().context("not known yet")?;
    told(offsets.partitions().await.err().context("refused")?, "it speaks gRPC only")?;
    let mut open = open(&session.source(&unsaid)?).await?;
    let received = receive(&mut open, 1).await?;
    acknowledge(&open, &received).await
}

/// *Scenario*: 500 messages over four queues, received by three receivers of two processes side by side. *Guarantees*: each message comes once, as remoting reads it:
/// body, properties, place, times, hosts; after they are acknowledged none comes again.
pub(crate) async fn messages_are_received_whole_and_acknowledged(cluster: &Cluster) -> Result<()> {
    cluster.topic("received", 4, "NORMAL")?;
    let (session, other) = (Session::default(), Session::default());
    let messages: Vec<_> = (0..500)
        .map(|number| Message {
            keys: format!("k{number} x"),
            tags: "t".into(),
            properties: vec![("empty".into(), String::new()), ("chinese".into(), "订单".into())],
            queue: Some(number % 4),
            ..body(&number.to_string())
        })
        .collect();
    let definition = source(cluster.grpc(), "received");
    session.0.admin(&cluster.remoting()).producer("received").send(&messages).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let stored: BTreeMap<_, _> =
        session.stored(cluster.remoting(), "received", 500).await?.into_iter().map(|event| (text(&event), event)).collect();
    ensure!(session.source(&definition)?.terms().await?.partitions == 8);
    let mut receivers = Vec::new();
    for session in [&session, &session, &other] {
        receivers.push(open(&session.source(&definition)?).await?);
    }
    let mut received = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while received.len() < 500 && Instant::now() < deadline {
        for open in &mut receivers {
            let some = timeout(Duration::from_secs(15), open.receiver.receive(LIMITS, INVISIBLE)).await.context("a receive returns")??;
            acknowledge(open, &some).await?;
            received.extend(some);
        }
    }
    ensure!(received.len() == 500 && bodies(&received).len() == 500, "{} came, {} bodies", received.len(), bodies(&received).len());
    for message in &received {
        let (event, stored) = (&message.event, stored.get(&text(&message.event)).context("stored")?);
        ensure!(own(event) == own(stored) && message.attempt == 1, "{event:?} {stored:?}");
        ensure!(event.envelope.properties.get("UNIQ_KEY") == stored.envelope.properties.get("UNIQ_KEY"));
        let place = event.envelope.place.as_deref().context("a place")?;
        ensure!(place.offset == stored.offset && place.broker.ends_with("-a") && place.queue < 4, "{place:?} {stored:?}");
        ensure!(
            event.envelope.store_timestamp == stored.envelope.store_timestamp
                && event.envelope.born_timestamp == stored.envelope.born_timestamp
        );
        ensure!(event.envelope.store_host == stored.envelope.store_host && event.envelope.born_host.is_some());
    }
    // What is acknowledged twice is no error, and nothing comes again.
    acknowledge(&receivers[0], &received[..10]).await?;
    ensure!(receivers[0].receiver.receive(LIMITS, INVISIBLE).await?.is_empty());
    Ok(())
}

/// *Scenario*: of three messages one is acknowledged, one is given back, and one is left by a receiver that dies. *Guarantees*: the second comes again soon, the third after
/// its invisible time, both as second attempts that do not claim a place; the first never; a handle whose time is over counts no more.
pub(crate) async fn messages_that_are_given_back_or_left_come_again(cluster: &Cluster) -> Result<()> {
    cluster.topic("again", 1, "NORMAL")?;
    let session = Session::default();
    let definition = source(cluster.grpc(), "again");
    session.send(&cluster.remoting(), "again", &["acknowledged", "given back", "left"].map(body)).await?;
    let mut first = open(&session.source(&definition)?).await?;
    let short = Duration::from_secs(10);
    let mut received = Vec::new();
    while received.len() < 3 {
        received.extend(first.receiver.receive(LIMITS, short).await?);
    }
    let of = |body: &str| {
        received.iter().filter(|received| text(&received.event) == body).map(|received| received.handle.clone()).collect::<Vec<_>>()
    };
    ensure!(first.handles.acknowledge(&of("acknowledged")).await[0].is_ok());
    ensure!(first.handles.release(&of("given back")).await[0].is_ok());
    drop(first);
    let began = Instant::now();
    let mut second = open(&session.source(&definition)?).await?;
    let again = receive(&mut second, 1).await?;
    ensure!(bodies(&again) == BTreeSet::from(["given back".to_owned()]) && began.elapsed() < Duration::from_secs(10), "{again:?}");
    ensure!(again[0].attempt == 2 && again[0].event.envelope.place.is_none(), "{again:?}");
    let left = receive(&mut second, 1).await?;
    ensure!(bodies(&left) == BTreeSet::from(["left".to_owned()]) && left[0].attempt == 2, "{left:?}");
    let late = second.handles.acknowledge(&of("left")).await.remove(0);
    ensure!(late.as_ref().is_err_and(|error| error.code() == Code::Rejected), "{late:?}");
    acknowledge(&second, &again).await?;
    acknowledge(&second, &left).await
}

/// *Scenario*: a message that is under way for twice its invisible time, extended meanwhile. *Guarantees*: each extension has a new handle that counts, nobody else gets
/// the message, and the last handle acknowledges it.
pub(crate) async fn an_extended_message_stays_invisible(cluster: &Cluster) -> Result<()> {
    cluster.topic("extended", 1, "NORMAL")?;
    let session = Session::default();
    let definition = source(cluster.grpc(), "extended");
    session.send(&cluster.remoting(), "extended", &[body("slow")]).await?;
    let (mut first, mut other) = (open(&session.source(&definition)?).await?, open(&session.source(&definition)?).await?);
    let short = Duration::from_secs(10);
    let mut received = Vec::new();
    while received.is_empty() {
        received = first.receiver.receive(LIMITS, short).await?;
    }
    let mut handle = received[0].handle.clone();
    for _ in 0..4 {
        ensure!(other.receiver.receive(LIMITS, short).await?.is_empty(), "somebody else got it");
        let extended = first.handles.extend(std::slice::from_ref(&handle), short).await.remove(0)?;
        ensure!(extended.token != handle.token);
        handle = extended;
    }
    first.handles.acknowledge(&[handle]).await.remove(0)?;
    sleep(short).await;
    ensure!(other.receiver.receive(LIMITS, short).await?.is_empty(), "it came again");
    Ok(())
}

/// *Scenario*: messages of three tags and of several amounts; a group for two tags, and one for an expression. *Guarantees*: each gets exactly what it wants.
pub(crate) async fn tags_and_expressions_are_filtered(cluster: &Cluster) -> Result<()> {
    cluster.topic("filtered", 2, "NORMAL")?;
    let session = Session::default();
    let messages: Vec<_> = (0..30)
        .map(|number| {
            let properties = vec![("amount".to_owned(), number.to_string())];
            Message { tags: ["a", "b", "c"][number % 3].into(), properties, queue: Some(number % 2), ..body(&number.to_string()) }
        })
        .collect();
    session.0.admin(&cluster.remoting()).producer("filtered").send(&messages).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let numbers =
        |wanted: fn(usize) -> bool| (0..30).filter(|number| wanted(*number)).map(|number| number.to_string()).collect::<BTreeSet<_>>();
    let tagged = RocketMqSource { tags: vec!["a".into(), " b".into()], ..source(cluster.grpc(), "filtered") };
    let by_expression = RocketMqSource {
        sql: Some("amount > 9 AND TAGS = 'c'".into()),
        group: "group-filtered-sql".into(),
        ..source(cluster.grpc(), "filtered")
    };
    for (definition, expected) in
        [(tagged, numbers(|number| number % 3 < 2)), (by_expression, numbers(|number| number > 9 && number % 3 == 2))]
    {
        let mut open = open(&session.source(&definition)?).await?;
        let received = receive(&mut open, expected.len()).await?;
        ensure!(bodies(&received) == expected, "{:?}", bodies(&received));
        acknowledge(&open, &received).await?;
        ensure!(open.receiver.receive(LIMITS, INVISIBLE).await?.is_empty());
    }
    Ok(())
}

/// *Scenario*: a FIFO topic and a group that keeps order; two receivers, of which the first holds what it got for a while. *Guarantees*: the terms say so; of a queue
/// nothing more is handed out until it is acknowledged, and then the rest in order.
pub(crate) async fn an_ordered_group_keeps_its_order(cluster: &Cluster) -> Result<()> {
    cluster.topic("ordered", 1, "FIFO")?;
    cluster.ordered_group("group-ordered")?;
    let session = Session::default();
    let events = (0..60_u64).map(|offset| event(offset, offset.to_string(), &[("__SHARDINGKEY", "s")]));
    delivered(&session.target(cluster.grpc(), "ordered"), events).await?;
    let definition = source(cluster.grpc(), "ordered");
    let handles = session.source(&definition)?;
    let terms = handles.terms().await?;
    ensure!(terms.is_ordered && terms.partitions == 1, "{terms:?}");
    let (mut first, mut second) = (open(&handles).await?, open(&handles).await?);
    let mut numbers: Vec<u64> = Vec::new();
    let mut held = Vec::new();
    while held.is_empty() {
        held = first.receiver.receive(LIMITS, INVISIBLE).await?;
    }
    ensure!(second.receiver.receive(LIMITS, INVISIBLE).await?.is_empty(), "a queue in use was handed out");
    acknowledge(&first, &held).await?;
    let number = |event: &Event| text(event).parse::<u64>();
    for message in &held {
        numbers.push(number(&message.event)?);
    }
    while numbers.len() < 60 {
        let some = second.receiver.receive(LIMITS, INVISIBLE).await?;
        acknowledge(&second, &some).await?;
        for message in &some {
            numbers.push(number(&message.event)?);
        }
    }
    ensure!(numbers == (0..60).collect::<Vec<_>>(), "{numbers:?}");
    Ok(())
}

/// *Scenario*: a backlog of 100 messages and new groups: from the earliest, from a time, from the latest, at the port that speaks both protocols; and from the earliest at the
/// port that speaks gRPC only. *Guarantees*: the first three get all, those of the time, and none but newer ones; the last is refused with what to write, unless
/// the definition names the group.
pub(crate) async fn a_new_group_begins_where_the_definition_says(cluster: &Cluster) -> Result<()> {
    cluster.topic("begun", 2, "NORMAL")?;
    let session = Session::default();
    let send = async |from: usize, to: usize| -> Result<()> {
        let messages: Vec<_> = (from..to).map(|number| Message { queue: Some(number % 2), ..body(&number.to_string()) }).collect();
        session.0.admin(&cluster.remoting()).producer("begun").send(&messages).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    };
    let now = || i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis()).context("in range");
    send(0, 60).await?;
    sleep(Duration::from_millis(50)).await;
    let middle = now()?;
    send(60, 100).await?;
    sleep(Duration::from_millis(50)).await;
    let both = cluster.connection(Protocol::Grpc, &cluster.both);
    let begin = async |connection: RocketMqConnection, group: &str, position| -> Result<_> {
        let definition = RocketMqSource { group: group.to_owned(), ..source(connection, "begun") };
        let source = session.source(&definition)?;
        Ok((source.open(Start { position, moment: now()? }).await?, source))
    };
    let (mut all, _all) = begin(both.clone(), "GID_rocketbridge_all", StartPosition::Earliest).await?;
    let (mut some, _some) = begin(both.clone(), "GID_rocketbridge_some", StartPosition::Timestamp(middle)).await?;
    let (mut none, _none) = begin(both.clone(), "GID_rocketbridge_none", StartPosition::Latest).await?;
    send(100, 104).await?;
    for (open, from) in [(&mut all, 0), (&mut some, 60), (&mut none, 100)] {
        let received = receive(open, 104 - from).await?;
        ensure!(bodies(&received) == (from..104).map(|number| number.to_string()).collect(), "from {from}: {:?}", bodies(&received));
        acknowledge(open, &received).await?;
    }
    let error = begin(cluster.grpc(), "GID_rocketbridge_pure", StartPosition::Earliest).await.err().context("refused")?;
    ensure!(format!("{error:#}").contains("remoting port"), "{error:#}");
    begin(cluster.grpc(), "set-by-hand", StartPosition::Earliest).await.map(drop)
}

/// *Scenario*: 20 messages in two queues, for a group that takes five of them, at the port that speaks both protocols and at the one that speaks gRPC only. *Guarantees*: at the first,
/// those that were not handed out are counted; at the second, nobody can say.
pub(crate) async fn what_waits_is_counted_where_remoting_is_spoken_too(cluster: &Cluster) -> Result<()> {
    cluster.topic("waits", 2, "NORMAL")?;
    let session = Session::default();
    let messages: Vec<_> = (0..20).map(|number| Message { queue: Some(number % 2), ..body(&number.to_string()) }).collect();
    session.0.admin(&cluster.remoting()).producer("waits").send(&messages).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let both = session.source(&source(cluster.connection(Protocol::Grpc, &cluster.both), "waits"))?;
    ensure!(both.waiting().await?.is_none(), "a group without offsets");
    let from = Start { position: StartPosition::Earliest, moment: 0 };
    let mut open = both.open(from).await?;
    ensure!(both.waiting().await? == Some(20), "{:?}", both.waiting().await);
    let few = rocketbridge_connector::PullLimits { events: 5, ..LIMITS };
    let received = open.receiver.receive(few, INVISIBLE).await?;
    let waiting = both.waiting().await?;
    ensure!(!received.is_empty() && waiting == Some(20 - received.len() as u64), "{} received, {waiting:?}", received.len());
    acknowledge(&open, &received).await?;
    ensure!(both.waiting().await? == waiting);
    ensure!(session.source(&source(cluster.grpc(), "waits"))?.waiting().await?.is_none());
    Ok(())
}

/// *Scenario*: on 5.5, a message with a priority for a PRIORITY topic, one for a lite topic, and messages without either. *Guarantees*: priority and lite topic are stored and
/// received as they were; a message without a priority gets the lowest; one without a lite topic is refused, alone.
pub(crate) async fn priorities_and_lite_topics_are_kept(cluster: &Cluster) -> Result<()> {
    if !cluster.has_lite_topics() {
        crate::table::lacks("it has neither");
        return Ok(());
    }
    cluster.topic("urgent", 1, "PRIORITY")?;
    cluster.topic("light", 1, "LITE")?;
    let session = Session::default();
    let named = |event: &Event, name: &str| event.envelope.properties.get(name).map(str::to_owned);
    let events = [event(0, "urgent", &[("_SYS_MSG_PRIORITY_", "3")]), event(1, "plain", &[])];
    delivered(&session.target(cluster.grpc(), "urgent"), events).await?;
    let priorities: BTreeMap<_, _> = session
        .stored(cluster.remoting(), "urgent", 2)
        .await?
        .iter()
        .map(|event| (text(event), named(event, "_SYS_MSG_PRIORITY_")))
        .collect();
    let expected = BTreeMap::from([("urgent".to_owned(), Some("3".to_owned())), ("plain".to_owned(), Some("0".to_owned()))]);
    ensure!(priorities == expected, "{priorities:?}");
    let mut open = open(&session.source(&source(cluster.grpc(), "urgent"))?).await?;
    let received = receive(&mut open, 2).await?;
    acknowledge(&open, &received).await?;
    let priorities: BTreeMap<_, _> =
        received.iter().map(|received| (text(&received.event), named(&received.event, "_SYS_MSG_PRIORITY_"))).collect();
    ensure!(priorities == expected, "{priorities:?}");

    let results =
        deliver(&session.target(cluster.grpc(), "light"), [event(0, "lite", &[("__LITE_TOPIC", "l1")]), event(1, "none", &[])]).await;
    let error = results[1].as_ref().err().context("refused")?;
    ensure!(results[0].is_ok() && error.code() == Code::Rejected && error.to_string().contains("LITE only"), "{results:?}");
    let stored = session.stored(cluster.remoting(), "light", 1).await?;
    ensure!(named(&stored[0], "__LITE_TOPIC").as_deref() == Some("l1"), "{stored:?}");
    // The topic of a lite topic holds its messages, too.
    let mut open = self::open(&session.source(&source(cluster.grpc(), "light"))?).await?;
    let received = receive(&mut open, 1).await?;
    ensure!(named(&received[0].event, "__LITE_TOPIC").as_deref() == Some("l1"), "{received:?}");
    acknowledge(&open, &received).await
}

/// *Scenario*: the proxy is killed and started again, with a target and a receiver in use. *Guarantees*: both fail as unavailable meanwhile, and work within 5 s of its return; nothing
/// that was not acknowledged is lost.
pub(crate) async fn a_proxy_that_is_back_is_used_at_once(cluster: &Cluster) -> Result<()> {
    cluster.topic("back", 1, "NORMAL")?;
    let session = Session::default();
    let (target, definition) = (session.target(cluster.grpc(), "back"), source(cluster.grpc(), "back"));
    let mut open = open(&session.source(&definition)?).await?;
    delivered(&target, [event(0, "before", &[])]).await?;
    let before = receive(&mut open, 1).await?;
    cluster.kill_proxy()?;
    let failed = deliver(&target, [event(1, "meanwhile", &[])]).await.remove(0);
    ensure!(failed.as_ref().is_err_and(|error| error.code() == Code::Unavailable), "{failed:?}");
    let failed = open.receiver.receive(LIMITS, INVISIBLE).await;
    ensure!(failed.as_ref().is_err_and(|error| error.code() == Code::Unavailable), "{failed:?}");
    let handles: Vec<_> = before.iter().map(|received| received.handle.clone()).collect();
    let failed = open.handles.acknowledge(&handles).await.remove(0);
    ensure!(failed.is_err_and(|error| error.code() == Code::Unavailable));
    cluster.start_proxy()?;
    let began = Instant::now();
    while deliver(&target, [event(2, "after", &[])]).await[0].is_err() {
        ensure!(began.elapsed() < Duration::from_secs(5), "the target does not come back");
        sleep(Duration::from_millis(100)).await;
    }
    acknowledge(&open, &before).await?;
    let mut received = Vec::new();
    while received.is_empty() {
        match open.receiver.receive(LIMITS, INVISIBLE).await {
            Ok(some) => received = some,
            Err(error) if began.elapsed() > Duration::from_secs(15) => return Err(error.into()),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    ensure!(bodies(&received) == BTreeSet::from(["after".to_owned()]), "{received:?}");
    acknowledge(&open, &received).await
}
