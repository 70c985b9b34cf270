//! Peers that say what is not so: everything they claim is looked up, and what they send beyond their credit is not taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use rocketbridge_assignment::UnitKind;
use rocketbridge_model::session::{Answer, Batch, FilterRequest, Open, StreamVersion};
use rocketbridge_model::{Envelope, Epoch, Event, Origin, PartitionId, Revision};
use rocketbridge_transport::{Channels, ClientSession, Code, Destination, Dialer, Error};

use crate::world::{Node, Taste, World, route, terms};

/// What an honest router would say of the only partition of `s`.
async fn honest(world: &World, node: &Node) -> Open {
    let stream = node.api.get("s").await.expect("it is defined");
    let partition = PartitionId::new("receive/0");
    let stream = StreamVersion { name: "s".into(), uid: stream.uid, revision: Revision(stream.revision), as_of: 0 };
    Open {
        stream,
        partition_epoch: world.epoch(UnitKind::Partition(partition.clone())).await,
        origin: Arc::new(Origin { partition, ..Origin::default() }),
        shard: 0,
        shard_epoch: world.epoch(UnitKind::FilterShard(0)).await,
    }
}

async fn opened(node: &Node, open: Open) -> (ClientSession<FilterRequest>, Result<Answer, Error>) {
    let dialer = Dialer::Grpc(Arc::new(Channels::new(None, None)));
    let mut session = dialer.filter(Destination { address: &node.address, region: None }).await.expect("anybody on loopback reaches it");
    session.requests.send(FilterRequest::Open(Box::new(open))).await.expect("it is open");
    let answer = tokio::time::timeout(Duration::from_secs(20), session.answers.next()).await.expect("an answer comes");
    (session, answer.expect("an answer"))
}

async fn node(world: &World) -> Node {
    let node = world.standalone("one").await;
    node.api.create(route().stream_of(1)).await;
    node.api.start("s").await;
    node
}

/// *Scenario*: while a stream runs, a stranger opens sessions for its next revision, for the highest epoch there is, and for epochs that no owner has; then its
/// operator makes that revision, by which every message matches. *Guarantees*: the stranger is refused each time; nothing is fenced; not one message is
/// filtered or lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_neither_defines_nor_fences() {
    const COUNT: u64 = 500;
    let world = World::new(rocketbridge_connector::Terms { partitions: 1, ..terms() }).await;
    world.pool.add(COUNT, 1, 1);
    let node = node(&world).await;
    world.wait_for(COUNT as usize).await;
    let honest = honest(&world, &node).await;

    let next = StreamVersion { revision: Revision(honest.stream.revision.0 + 1), ..honest.stream.clone() };
    let (_, answer) = opened(&node, Open { stream: next, ..honest.clone() }).await;
    assert_eq!(answer.expect_err("no such revision").code(), Code::Refused);
    for epoch in [u64::MAX, i64::MAX as u64, honest.partition_epoch.0 + 1, honest.partition_epoch.0 - 1, 0] {
        let (_, answer) = opened(&node, Open { partition_epoch: Epoch(epoch), ..honest.clone() }).await;
        assert_eq!(answer.expect_err("nobody's epoch").code(), Code::Fenced);
    }

    let mut changed = route();
    changed.pattern = r#"{"data": {"topic": ["t"]}}"#.to_owned();
    node.api.update(changed.stream(), &["filter_pattern"]).await;
    world.pool.add(COUNT, 1, 1);
    world.wait_for(2 * COUNT as usize).await;
    node.stop().await;
    assert_eq!(world.delivered().len() as u64, 2 * COUNT);
}

/// *Scenario*: a peer that knows a partition's epoch opens a session and sends 100 events of 8 MiB, into a window of 32 MiB, while the target takes nothing.
/// *Guarantees*: its session ends with the reason; the memory of the process stays within a few windows; and the partition's own router goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_overdraws_ends() {
    let world = World::new(rocketbridge_connector::Terms { partitions: 1, ..terms() }).await;
    let node = node(&world).await;
    node.api.wait_until_running("s", Duration::from_secs(60)).await;
    world.taste(|_| Taste::Dead);
    let honest = honest(&world, &node).await;
    let before = resident();
    let mut most = 0;
    // The partition's own router comes back each time, and takes over; it waits longer and longer before it does.
    let ended = loop {
        let ended = overdraw(&node, &honest, || most = most.max(resident().saturating_sub(before))).await;
        if ended.code() != Code::Fenced {
            break ended;
        }
    };
    assert_eq!(ended.code(), Code::Protocol, "{ended}");
    assert!(ended.message.contains("the sender must wait for credit"), "{ended}");
    println!("grown by {} MiB at most; {ended}", most >> 20);
    assert!(most < 160 << 20, "it has grown by {} MiB", most >> 20);

    world.taste(|_| Taste::Takes);
    world.pool.add(100, 1, 1);
    world.wait_for(100).await;
    node.stop().await;
}

/// Sends 100 events of 8 MiB as fast as they are taken. Returns what its session ended with.
async fn overdraw(node: &Node, honest: &Open, mut look: impl FnMut()) -> Error {
    let (mut session, answer) = opened(node, honest.clone()).await;
    match answer {
        Ok(Answer::Opened(_)) => {}
        Ok(other) => panic!("{other:?}"),
        Err(error) => return error,
    }
    let body = Bytes::from(vec![b'x'; 8 << 20]);
    let (revision, requests) = (honest.stream.revision, session.requests.clone());
    let sending = tokio::spawn(async move {
        for offset in 0..100 {
            let envelope = Envelope { body: body.clone(), ..Envelope::default() };
            let events = vec![Event { offset, envelope, attributes: None }];
            if requests.send(FilterRequest::Batch(Batch { first_receipt: offset, revision, events })).await.is_err() {
                return;
            }
        }
    });
    let ended = loop {
        let answer = tokio::time::timeout(Duration::from_millis(100), session.answers.next()).await;
        look();
        match answer {
            Ok(Some(Err(error))) => break error,
            Ok(Some(Ok(_))) | Err(_) => {}
            Ok(None) => panic!("it ended without a reason"),
        }
    };
    sending.abort();
    ended
}

/// Resident memory of this process, bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}
