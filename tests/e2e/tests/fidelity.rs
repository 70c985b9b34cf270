//! What a copy has of its original, through real processes: a mesh with sessions over gRPC between brokers.

#![recursion_limit = "256"]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketbridge_connector::{LaneKey, OffsetSource, Permit, PullLimits, Registry};
use rocketbridge_connector_rocketmq::{Connectors, born_of};
use rocketbridge_harness::{Brokers, Cluster, Etcd, Kind, Mesh, Route, eventually};
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Origin, Properties};

const DEADLINE: Duration = Duration::from_secs(90);
const LIMITS: PullLimits = PullLimits { events: 64, bytes: 1024 * 1024, ahead: false };
/// A moment of 2017.
const MOMENT: i64 = 1_500_000_000_000;

fn connection(cluster: &Cluster) -> RocketMqConnection {
    RocketMqConnection { endpoints: vec![cluster.name_server().to_owned()], ..RocketMqConnection::default() }
}

/// Messages that are easily changed on the way.
fn originals() -> Vec<Event> {
    let every: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let named = |pairs: &[(&str, &str)]| Properties::from_pairs(pairs.iter().copied()).expect("no separators");
    let keys = [("KEYS", "a[1] {b} 订单 \"c\""), ("TAGS", "a tag [x]"), ("a key", " v "), ("none", ""), ("UNIQ_KEY", "ID-1")];
    let envelope = |body: &[u8], properties: Properties| Envelope { body: Bytes::copy_from_slice(body), properties, ..Envelope::default() };
    let mut envelopes = vec![
        Envelope { flag: -77, ..envelope(&every, named(&keys)) },
        // A body that lies, and one that is Zstandard as it says: the magic number and an empty frame.
        Envelope { system_flag: 1, ..envelope(b"no zlib", named(&[("__SHARDINGKEY", "[s]"), ("MSG_TYPE", "Normal")])) },
        Envelope { system_flag: 1 | 2 << 8, ..envelope(&[0x28, 0xB5, 0x2F, 0xFD, 0x20, 0, 1, 0, 0], named(&[])) },
        envelope(b"bytes", Properties::from_wire(Bytes::from_static(b"caf\xe9\x01\xff\xfe\x02"))),
        envelope(&vec![b'l'; 1_200_000], Properties::from_wire(Bytes::from_static(b"caf\xe9\x01long\xff\x02"))),
        envelope(b"", named(&[("x", "y")])),
    ];
    for (envelope, age) in envelopes.iter_mut().zip(0..) {
        envelope.born_timestamp = MOMENT + age * 1_000;
    }
    (0..).zip(envelopes).map(|(offset, envelope)| Event { offset, envelope, attributes: None }).collect()
}

/// All that queue 0 of a topic holds, read from its broker.
async fn stored(connectors: &Connectors, cluster: &Cluster, topic: &str, count: usize) -> Vec<Event> {
    let definition = RocketMqSource {
        connection: connection(cluster),
        topic: topic.to_owned(),
        group: "GID_reader".to_owned(),
        ..rocketbridge_model::testing::source(topic)
    };
    let source: Arc<dyn OffsetSource> = connectors.source(&definition).offsets().expect("remoting reads at offsets");
    eventually(&format!("{count} messages are stored in {topic}"), DEADLINE, async || {
        let partition = source.partitions().await.map_err(|error| error.to_string())?.remove(0);
        let mut reader = source.open(&partition).await.map_err(|error| error.to_string())?.reader;
        let (mut offset, mut events) = (0, Vec::new());
        loop {
            let pulled = reader.pull(offset, LIMITS).await.map_err(|error| error.to_string())?;
            offset = pulled.next_offset;
            events.extend(pulled.events);
            if offset >= pulled.maximum_offset {
                break;
            }
        }
        if events.len() == count { Ok(events) } else { Err(format!("{} are", events.len())) }
    })
    .await
}

/// Property bytes by name, without what brokers and RocketBridge add.
fn own(event: &Event) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let added = |name: &[u8]| name.starts_with(b"RB_") || [&b"CLUSTER"[..], b"MSG_REGION", b"TRACE_ON"].contains(&name);
    let pairs = rocketbridge_model::properties::pairs(event.envelope.properties.as_wire());
    pairs.filter(|(name, _)| !added(name)).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

async fn copies_are_their_originals(kind: Kind) {
    let Some(etcd) = Etcd::start(1) else { return };
    let Some(brokers) = Brokers::start(kind).await else { return };
    brokers.create_topic("orders", 1).await;
    let connectors = Connectors::new();
    let target = RocketMqTarget { connection: connection(&brokers.source), ..rocketbridge_model::testing::target("orders") };
    let target = connectors.target(&target, &rocketbridge_model::testing::source("orders"));
    let originals = originals();
    let deliveries: Vec<_> =
        (0..).zip(originals.clone()).map(|(receipt, event)| Delivery { receipt, event, parameters: Vec::new(), rejected: None }).collect();
    let lane = LaneKey { stream: "s".into(), partition: "b/0".into() };
    let origin = Origin { broker: "b".into(), ..Origin::default() };
    for sent in target.deliver(&lane, &origin, &Permit::always(), &deliveries).await {
        sent.expect("stored");
    }
    let mesh = Mesh::start(&etcd, &[]);
    mesh.api().await.run(Route::new("orders", "orders", &brokers.source, &brokers.target).stream()).await;
    let read = stored(&connectors, &brokers.source, "orders", originals.len()).await;
    let copies = stored(&connectors, &brokers.target, "orders", originals.len()).await;
    for ((original, read), copy) in originals.iter().zip(&read).zip(&copies) {
        let (original, read, copy) = ((&original.envelope, own(original)), (&read.envelope, own(read)), (&copy.envelope, own(copy)));
        assert!(original.0.body == copy.0.body, "the body of {} bytes", original.0.body.len());
        assert_eq!((copy.0.flag, copy.0.system_flag & 0x701), (original.0.flag, original.0.system_flag));
        assert_eq!(born_of(copy.0), original.0.born_timestamp);
        assert_eq!(copy.1, read.1, "as the source's broker has stored them");
        if kind != Kind::Embedded {
            assert_eq!(copy.1, original.1, "bytes that are no text too");
        }
    }
    assert!(mesh.all().all(|process| !process.log().contains("panicked")), "a process panicked");
    drop(mesh);
    brokers.stop().await;
}

/// *Scenario*: a mesh copies between embedded clusters: every byte, empty and compressed bodies and one that lies, keys with brackets, properties without values, born times, flags.
/// *Guarantees*: each copy is what the source's broker has stored, and was born when its original was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_keep_everything() {
    copies_are_their_originals(Kind::Embedded).await;
}

/// *Scenario*: the same on Apache RocketMQ 5.3.3, with property bytes that are not UTF-8, also of a message too long for a batch of others. *Guarantees*: the same, to the byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_keep_everything_on_apache_rocketmq_5_3() {
    copies_are_their_originals(Kind::Java("5.3.3")).await;
}

/// *Scenario*: the same on Apache RocketMQ 4.9.7. *Guarantees*: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_keep_everything_on_apache_rocketmq_4_9() {
    copies_are_their_originals(Kind::Java("4.9.7")).await;
}
