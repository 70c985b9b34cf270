//! What a mirror promises: queue i to queue i, each message once, whatever happens to its owner.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rocketbridge_connector::{Arrival, Code, Error, Permit, Target};
use rocketbridge_connector_rocketmq::{Difference, Message, Queue, QueueReport, SourceQueue, Translation, VIA_PROPERTY};
use rocketbridge_model::resolved::RocketMqSource;
use rocketbridge_model::{Event, Origin};

use crate::cluster::Cluster;
use crate::session::{Session, body, deliver_from, event, read};

const BROKER: &str = "source-broker";

/// Where the events of a queue of the source come from.
pub(crate) fn origin_of(source: &RocketMqSource, queue: u32, queues: u32) -> Origin {
    Origin {
        region: source.connection.region.clone(),
        instance: source.connection.instance.clone(),
        topic: source.topic.clone(),
        broker: BROKER.into(),
        queue,
        brokers: vec![BROKER.into()],
        queues,
        ..Origin::default()
    }
}

/// Events of the source, stored a millisecond apart.
fn events(offsets: std::ops::Range<u64>) -> Vec<Event> {
    offsets.map(|offset| stored_at(event(offset, format!("{offset}"), &[("a", "b")]), 1_764_000_000_000 + offset as i64)).collect()
}

fn stored_at(mut event: Event, stored: i64) -> Event {
    event.envelope.store_timestamp = stored;
    event
}

pub(crate) async fn mirrored(target: &Arc<dyn Target>, origin: &Origin, events: Vec<Event>) -> Vec<Result<Arrival, Error>> {
    deliver_from(target, origin, &Permit::always(), events).await
}

pub(crate) fn count(results: &[Result<Arrival, Error>], arrival: Arrival) -> usize {
    results.iter().filter(|result| result.as_ref().is_ok_and(|found| *found == arrival)).count()
}

/// The offsets at the source of what a queue of the target holds; `None` for messages of others.
async fn held(session: &Session, topic: &str, source: &RocketMqSource, queue: u32, messages: usize) -> Result<Vec<Option<u64>>> {
    let partitions = session.source(topic, &[]);
    let partition = partitions.partitions().await?.into_iter().find(|partition| partition.queue == queue).context("the queue")?;
    let mut open = partitions.open(&partition).await?;
    let events = read(&mut open, 0, messages).await?;
    let mark = SourceQueue::new(source, Queue { broker: BROKER.into(), id: queue });
    Ok(events.iter().map(|event| mark.position_of(&event.envelope.properties).map(|position| position.offset)).collect())
}

fn all(offsets: std::ops::Range<u64>) -> Vec<Option<u64>> {
    offsets.map(Some).collect()
}

/// *Scenario*: the topic of a mirror is missing; events come, then some of them again with others behind, at a new owner; then all of them after the
/// source's topic was made anew. *Guarantees*: the topic has as many queues as the source, and queue 2 has what queue 2 had, in order and once; a new
/// topic's messages are not taken for the old one's.
pub(crate) async fn a_mirror_sends_nothing_twice(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let source = session.definition("mirrored", &[]);
    let origin = origin_of(&source, 2, 4);
    let target = session.mirror(&source, "mirror-once");
    ensure!(count(&mirrored(&target, &origin, events(0..10)).await, Arrival::Stored) == 10);
    ensure!(session.admin.queues("mirror-once").await?.len() == 4);
    ensure!(count(&mirrored(&target, &origin, events(10..20)).await, Arrival::Stored) == 10);
    let heir = session.mirror(&source, "mirror-once");
    let results = mirrored(&heir, &origin, events(5..30)).await;
    ensure!((count(&results, Arrival::Known), count(&results, Arrival::Stored)) == (15, 10), "{results:?}");
    ensure!(held(&session, "mirror-once", &source, 2, 30).await? == all(0..30));
    let anew: Vec<_> = (0..5).map(|offset| stored_at(event(offset, "anew", &[]), 1_764_000_900_000)).collect();
    let results = mirrored(&session.mirror(&source, "mirror-once"), &origin, anew).await;
    ensure!(count(&results, Arrival::Stored) == 5, "{results:?}");
    Ok(())
}

/// *Scenario*: other producers write to the mirror's queue; a new owner comes. Then one comes to a queue that others filled before the mirror began.
/// *Guarantees*: the last message is found among theirs; where there is none, and the queue is whole, that is certain.
pub(crate) async fn a_mirror_finds_its_last_message_among_others(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let source = session.definition("mirrored", &[]);
    let topic = session.topic("mirror-shared", 1).await?;
    let origin = origin_of(&source, 0, 1);
    session.send(&topic, &vec![body("before"); 40]).await?;
    ensure!(count(&mirrored(&session.mirror(&source, &topic), &origin, events(0..10)).await, Arrival::Stored) == 10);
    session.send(&topic, &vec![body("between"); 1_500]).await?;
    let results = mirrored(&session.mirror(&source, &topic), &origin, events(0..20)).await;
    ensure!((count(&results, Arrival::Known), count(&results, Arrival::Stored)) == (10, 10), "{results:?}");
    let held = held(&session, &topic, &source, 0, 1_560).await?;
    ensure!(held.iter().flatten().copied().collect::<Vec<_>>() == (0..20).collect::<Vec<_>>());
    Ok(())
}

/// *Scenario*: the right to send ends; then it is there again. *Guarantees*: nothing is stored without it; with it everything is, once.
pub(crate) async fn a_mirror_without_a_permit_sends_nothing(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let source = session.definition("mirrored", &[]);
    let topic = session.topic("mirror-fenced", 1).await?;
    let origin = origin_of(&source, 0, 1);
    let target = session.mirror(&source, &topic);
    let results = deliver_from(&target, &origin, &Permit::new(|| false), events(0..10)).await;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().err().map(Error::code)).collect();
    ensure!(codes == vec![Some(Code::Unavailable); 10], "{results:?}");
    ensure!(count(&mirrored(&target, &origin, events(0..10)).await, Arrival::Stored) == 10);
    ensure!(held(&session, &topic, &source, 0, 10).await? == all(0..10));
    Ok(())
}

/// *Scenario*: an event in the middle that no broker takes. *Guarantees*: what is before it is stored, what is behind it waits and is not stored: else the
/// last position would say that the queue holds it.
pub(crate) async fn nothing_overtakes_what_a_mirror_cannot_deliver(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let source = session.definition("mirrored", &[]);
    let topic = session.topic("mirror-strict", 1).await?;
    let origin = origin_of(&source, 0, 1);
    let target = session.mirror(&source, &topic);
    let mut group = events(0..10);
    group[4].envelope.body = vec![0; 16 * 1024 * 1024].into();
    let mut expected = [Some(Code::Unavailable); 10];
    expected[..4].fill(None);
    let mut codes = Vec::new();
    // A broker may answer what is too long by closing the connection: that counts as its answer when it does so again.
    for _ in 0..2 {
        let results = mirrored(&target, &origin, group.clone()).await;
        codes = results.iter().map(|result| result.as_ref().err().map(Error::code)).collect();
        if codes != expected {
            break;
        }
    }
    expected[4] = Some(Code::Rejected);
    ensure!(codes == expected, "{codes:?}");
    ensure!(held(&session, &topic, &source, 0, 4).await? == all(0..4));
    // It has been given up meanwhile.
    let rest = [events(0..4), events(5..10)].concat();
    let results = mirrored(&session.mirror(&source, &topic), &origin, rest).await;
    ensure!((count(&results, Arrival::Known), count(&results, Arrival::Stored)) == (4, 5), "{results:?}");
    Ok(())
}

/// *Scenario*: the source gets more queues, and the brokers of one side change so that a queue's home is another one. *Guarantees*: the topic gets as many
/// queues and loses nothing; what would tear a queue in two is refused, with both queues.
pub(crate) async fn a_mirrors_topic_follows_the_source(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let source = session.definition("mirrored", &[]);
    let topic = session.topic("mirror-grows", 2).await?;
    let first = origin_of(&source, 1, 2);
    ensure!(count(&mirrored(&session.mirror(&source, &topic), &first, events(0..3)).await, Arrival::Stored) == 3);
    let later = origin_of(&source, 5, 6);
    ensure!(count(&mirrored(&session.mirror(&source, &topic), &later, events(0..3)).await, Arrival::Stored) == 3);
    ensure!(session.admin.queues(&topic).await?.len() == 6);
    ensure!(held(&session, &topic, &source, 1, 3).await? == all(0..3) && held(&session, &topic, &source, 5, 3).await? == all(0..3));
    // A second broker at the source: its queues alternate with the first one's, so that queue 1 belongs to another place.
    let moved = Origin { brokers: vec!["another".into(), BROKER.into()], ..first };
    let results = mirrored(&session.mirror(&source, &topic), &moved, events(0..4)).await;
    let error = results[0].as_ref().err().context("refused")?;
    ensure!(error.code() == Code::NotFound && error.reason.contains("brokers of one of the two have changed"), "{error}");
    Ok(())
}

/// *Scenario*: a topic that is made at a mirror's target because it is missing there, after one that has a kind. *Guarantees*: kind and permission are the
/// source's, where brokers have kinds.
pub(crate) async fn a_mirrors_topic_is_made_after_the_source(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let from = session.topic("mirrored-kind", 3).await?;
    let (broker, mut settings) = session.admin.topic_settings(&from).await?.into_iter().next().context("settings")?;
    ensure!((settings.read_queue_nums, settings.write_queue_nums, settings.perm) == (3, 3, 6), "{settings:?}");
    if cluster.java_5().is_some() {
        settings.attributes.insert("message.type".into(), "FIFO".into());
        session.admin.set_topic(&broker, "mirrored-fifo", &settings, true).await?;
        let made = session.admin.topic_settings("mirrored-fifo").await?.remove(&broker).context("made")?;
        ensure!(made.attributes.get("message.type").map(String::as_str) == Some("FIFO"), "{made:?}");
    } else {
        session.admin.set_topic(&broker, "mirrored-fifo", &settings, true).await?;
    }
    let source = session.definition("mirrored-fifo", &[]);
    let origin = origin_of(&source, 0, 3);
    ensure!(count(&mirrored(&session.mirror(&source, "mirror-fifo"), &origin, events(0..3)).await, Arrival::Stored) == 3);
    let copy = session.admin.topic_settings("mirror-fifo").await?.remove(&broker).context("made")?;
    ensure!(copy == settings, "{copy:?} {settings:?}");
    Ok(())
}

/// *Scenario*: a mirror there and a mirror back, each with the other's topic. *Guarantees*: what came from a topic does not come back to it, and is said to be a
/// loop; what was produced at the far end comes.
pub(crate) async fn a_ring_of_mirrors_ends(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (here, there) = (session.topic("ring-here", 1).await?, session.topic("ring-there", 1).await?);
    let (to_there, to_here) = (session.definition(&here, &[]), session.definition(&there, &[]));
    session.send(&here, &[body("here"), Message { properties: vec![("p".into(), String::new())], ..body("here") }]).await?;
    let written = read(&mut crate::session::open(&session.source(&here, &[])).await?, 0, 2).await?;
    ensure!(count(&mirrored(&session.mirror(&to_there, &there), &origin_of(&to_there, 0, 1), written).await, Arrival::Stored) == 2);
    session.send(&there, &[body("there")]).await?;
    let arrived = read(&mut crate::session::open(&session.source(&there, &[])).await?, 0, 3).await?;
    ensure!(arrived[0].envelope.properties.get(VIA_PROPERTY).is_some() && arrived[2].envelope.properties.get(VIA_PROPERTY).is_none());
    let results = mirrored(&session.mirror(&to_here, &here), &origin_of(&to_here, 0, 1), arrived).await;
    let arrivals: Vec<_> = results.into_iter().collect::<Result<_, _>>()?;
    ensure!(arrivals == [Arrival::Looped, Arrival::Looped, Arrival::Stored], "{arrivals:?}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let back = read(&mut crate::session::open(&session.source(&here, &[])).await?, 0, 3).await?;
    ensure!(back[2].envelope.body == "there" && back[2].envelope.store_timestamp <= now + 60_000);
    Ok(())
}

/// *Scenario*: a topic of two queues is mirrored among other producers' messages; offsets of one end are looked up at the other, and both are compared: equal, with a
/// message too few, and with one that is changed. *Guarantees*: the exact offsets, there and back; the first difference, with its place.
pub(crate) async fn both_ends_of_a_mirror_are_looked_at(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let (from, to) = (session.topic("ends-from", 2).await?, session.topic("ends-to", 2).await?);
    let source = session.definition(&from, &[]);
    let messages: Vec<_> = (0..50).map(|number| Message { keys: "k 1".into(), ..body(&number.to_string()) }).collect();
    session.send(&from, &messages).await?;
    session.send(&to, &vec![body("of others"); 7]).await?;
    let partition = crate::session::first(&session.source(&from, &[])).await?;
    let written = read(&mut crate::session::open(&session.source(&from, &[])).await?, 0, 50).await?;
    let origin = Origin { broker: partition.broker.clone(), brokers: vec![partition.broker.clone()], ..origin_of(&source, 0, 2) };
    let target = session.mirror(&source, &to);
    ensure!(count(&mirrored(&target, &origin, written[..20].to_vec()).await, Arrival::Stored) == 20);
    session.send(&to, &vec![body("of others"); 5]).await?;

    let queue = Queue { broker: partition.broker.clone(), id: 0 };
    let ends = session.connectors.mirror_ends((&session.connection, &from), (&session.connection, &to));
    ensure!(ends.queues().await?.get(&queue) == Some(&queue));
    let translated = |offset: u64, is_complete: bool| Translation { offset, is_complete };
    ensure!(ends.target_offset(&queue, 0).await? == translated(7, true) || ends.target_offset(&queue, 0).await? == translated(0, true));
    ensure!(ends.target_offset(&queue, 12).await? == translated(19, true), "{:?}", ends.target_offset(&queue, 12).await?);
    ensure!(
        ends.target_offset(&queue, 20).await? == translated(27, true) && ends.target_offset(&queue, 30).await? == translated(27, false)
    );
    ensure!(
        ends.source_offset(&queue, 19).await? == Some(translated(12, true))
            && ends.source_offset(&queue, 32).await? == Some(translated(20, true))
    );
    let report = |reports: Vec<QueueReport>| reports.into_iter().find(|report| report.source == queue).context("the queue");
    let equal = report(ends.verify(None).await?)?;
    ensure!((equal.messages, equal.behind, equal.difference) == (20, 30, None), "{equal:?}");
    // A message is left out, as if it were lost.
    ensure!(count(&mirrored(&target, &origin, written[21..30].to_vec()).await, Arrival::Stored) == 9);
    let torn = report(ends.verify(None).await?)?;
    ensure!((torn.messages, torn.difference) == (20, Some(Difference::Missing { offset: 20 })), "{torn:?}");
    let mut changed = written[30].clone();
    changed.envelope.body = "changed".into();
    ensure!(count(&mirrored(&target, &origin, vec![changed]).await, Arrival::Stored) == 1);
    let differs = report(ends.verify(Some(21..50)).await?)?;
    let difference = Some(Difference::Changed { offset: 30, at: 41, what: "body" });
    ensure!((differs.compared.clone(), differs.messages, differs.difference) == (21..50, 9, difference), "{differs:?}");
    Ok(())
}
