//! Groups, as those ask who are no members, and their progress from a topic to its mirror.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rocketbridge_connector::Code;
use rocketbridge_connector_rocketmq::{Positions, Progress, Queue, Translation, Translator};
use rocketbridge_model::Origin;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::mirror::{mirrored, origin_of};
use crate::session::{Session, body, open, read};

const SOON: Duration = Duration::from_secs(30);

/// Waits until a group has so many consumers.
async fn consumed_by(session: &Session, group: &str, count: usize) -> Result<BTreeSet<String>> {
    let deadline = Instant::now() + SOON;
    loop {
        let consumers = session.admin.consumers(group).await?;
        if consumers.len() == count {
            return Ok(consumers);
        }
        if Instant::now() > deadline {
            bail!("group {group} has consumers {consumers:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// *Scenario*: the offset of a group that nobody has used is set from outside, and again; offsets of several groups are read at once; a group of the instance consumes, and
/// stops. *Guarantees*: what was set is what the broker tells, for that queue alone; only what is wanted is told; a group is known to consume while it does, and no longer; a topic that is not there
/// is refused.
pub(crate) async fn groups_are_seen_and_set_from_outside(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("outside", 2).await?;
    session.send(&topic, &[body("0"), body("1"), body("2"), body("3")]).await?;
    let queues = session.admin.queues(&topic).await?;
    for offset in [0, 2, 3] {
        session.admin.set_committed("set-outside", &topic, &queues[0], offset).await?;
        let told = session.admin.committed_offsets(|group, _| group == "set-outside").await?;
        ensure!(told.of("set-outside", &topic) == Some(&Progress::from([(queues[0].clone(), offset)])), "{told:?}");
        ensure!(told.groups.len() == 1 && told.silent.is_empty(), "{told:?}");
    }
    let progress = session.admin.progress(&topic, "set-outside").await?;
    ensure!((progress[0].committed, progress[1].committed) == (Some(3), None), "{progress:?}");
    session.admin.set_committed("set-too", &topic, &queues[1], 1).await?;
    let told = session.admin.committed_offsets(|_, of| of == topic).await?;
    let groups: Vec<_> = told.groups.keys().map(String::as_str).collect();
    ensure!(groups == ["set-outside", "set-too"], "{told:?}");
    let error = session.admin.set_committed("set-outside", "nowhere", &queues[0], 1).await.err().context("refused")?;
    ensure!(error.code() == Code::NotFound, "{error}");

    let source = session.definition(&topic, &[]);
    ensure!(session.admin.consumers(&source.group).await?.is_empty());
    let reading = open(&session.source_of(&source)).await?;
    consumed_by(&session, &source.group, 1).await?;
    ensure!(session.admin.groups().await?.contains(&source.group));
    ensure!(session.admin.consumers("set-outside").await?.is_empty(), "it was set, but nobody consumes with it");
    drop(reading);
    consumed_by(&session, &source.group, 0).await?;
    Ok(())
}

/// Two topics that mirror each other, written in turns, and what each holds: the name of each message, in order.
struct Pair {
    session: Session,
    topics: [String; 2],
    copied: [u64; 2],
}

impl Pair {
    async fn new(cluster: &Cluster) -> Result<Self> {
        let session = Session::new(cluster.connection());
        let topics = [session.topic("progress-here", 1).await?, session.topic("progress-there", 1).await?];
        Ok(Self { session, topics, copied: [0, 0] })
    }

    async fn write(&self, end: usize, names: &[String]) -> Result<()> {
        let messages: Vec<_> = names.iter().map(|name| body(name)).collect();
        self.session.send(&self.topics[end], &messages).await
    }

    /// Copies what an end has got since the last time, as a mirror does.
    async fn copy(&mut self, from: usize) -> Result<()> {
        let source = self.session.definition(&self.topics[from], &[]);
        let stored = self.session.admin.offsets(&self.topics[from]).await?[0].maximum;
        let count = usize::try_from(stored - self.copied[from])?;
        if count > 0 {
            let written = read(&mut open(&self.session.source_of(&source)).await?, self.copied[from], count).await?;
            let target = self.session.mirror(&source, &self.topics[1 - from]);
            let broker = self.session.admin.queues(&self.topics[from]).await?.remove(0).broker;
            let origin = Origin { brokers: vec![broker.clone()], broker, ..origin_of(&source, 0, 1) };
            mirrored(&target, &origin, written).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            self.copied[from] = stored;
        }
        Ok(())
    }

    async fn held(&self, end: usize) -> Result<Vec<String>> {
        let stored = usize::try_from(self.session.admin.offsets(&self.topics[end]).await?[0].maximum)?;
        let events = read(&mut open(&self.session.source(&self.topics[end], &[])).await?, 0, stored).await?;
        Ok(events.iter().map(|event| String::from_utf8_lossy(&event.envelope.body).into_owned()).collect())
    }

    fn translator(&self, from: usize, both_ways: bool) -> Translator {
        let end = |end: usize| (&self.session.connection, self.topics[end].as_str());
        self.session.connectors.translator(end(from), end(1 - from), both_ways)
    }
}

/// *Scenario*: two topics that mirror each other are written in turns, in blocks of different lengths; at the end each has messages that the other does not have yet. Each offset of either is
/// translated, by a translator that is new and by one that has translated others before. *Guarantees*: the translation is the furthest that misses nothing, as the names of the messages tell; translated
/// back and again it adds nothing, so that two ways never push each other on. One way only, others' messages are passed over.
pub(crate) async fn progress_is_translated_there_and_back(cluster: &mut Cluster) -> Result<()> {
    let mut pair = Pair::new(cluster).await?;
    for (turn, count) in [3_usize, 1, 4, 2, 0, 5, 3].into_iter().enumerate() {
        for end in [0, 1] {
            let names: Vec<_> = (0..count + end).map(|number| format!("{end}-{turn}-{number}")).collect();
            pair.write(end, &names).await?;
        }
        if turn < 6 {
            pair.copy(turn % 2).await?;
            pair.copy(1 - turn % 2).await?;
        }
    }
    let held = [pair.held(0).await?, pair.held(1).await?];
    let queue = pair.session.admin.queues(&pair.topics[0]).await?.remove(0);
    for from in [0, 1] {
        let (here, there) = (&held[from], &held[1 - from]);
        let (used, used_back) = (pair.translator(from, true), pair.translator(1 - from, true));
        // What the way back has copied is told late: a moment ago it was half as much. The group has read nothing at the target, or a part of what is there.
        for (copied, read_there) in [(pair.copied[1 - from], 0), (pair.copied[1 - from] / 2, 0), (pair.copied[1 - from], 17)] {
            let fresh = pair.translator(from, true);
            for offset in 0..=here.len() as u64 {
                let read: BTreeSet<&String> =
                    here.iter().take(usize::try_from(offset)?).chain(there.iter().take(usize::try_from(read_there)?)).collect();
                let furthest = |names: &[String]| names.iter().take_while(|name| read.contains(name)).count() as u64;
                let expected = furthest(there);
                for translator in [&used, &fresh] {
                    let found = one(&queue, translator, offset, read_there, copied).await?;
                    let is_expected = found.offset == expected || (copied < pair.copied[1 - from] && found.offset <= expected);
                    ensure!(is_expected, "from {from} at {offset}, {read_there}: {found:?}, expected {expected}\n{here:?}\n{there:?}");
                }
                let back = one(&queue, &used_back, expected, offset, pair.copied[from]).await?.offset;
                let again = one(&queue, &used, offset.max(back), expected, pair.copied[1 - from]).await?.offset;
                ensure!(back == furthest(here) && again == expected, "from {from} at {offset}: {expected} is {back}, and that {again}");
            }
        }
    }
    // Behind everything that the other has: the mirror has not come so far.
    let behind = one(&queue, &pair.translator(0, false), held[0].len() as u64, 0, 0).await?;
    ensure!(!behind.is_complete && behind.offset <= held[1].len() as u64, "{behind:?}");
    let first = one(&queue, &pair.translator(0, false), 1, 0, 0).await?;
    let expected = held[1].iter().position(|name| *name == held[0][0]).context("copied")? as u64 + 1;
    ensure!(first == Translation { offset: expected, is_complete: true }, "{first:?}");
    let none = Progress::new();
    let positions = Positions { read: &none, at_target: &none, copied_back: &none };
    ensure!(pair.translator(0, true).translate(positions).await?.is_empty(), "nothing was committed");
    Ok(())
}

/// The translation of an offset of the only queue, by what the group has read at the target and the way back has copied.
async fn one(queue: &Queue, translator: &Translator, offset: u64, read_there: u64, copied: u64) -> Result<Translation> {
    let progress = |offset: u64| Progress::from([(queue.clone(), offset)]);
    let positions = Positions { read: &progress(offset), at_target: &progress(read_there), copied_back: &progress(copied) };
    let translated = translator.translate(positions).await?;
    ensure!(translated.len() == 1, "{translated:?}");
    Ok(translated.into_iter().next().context("one")?.translated?)
}
