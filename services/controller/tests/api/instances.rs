//! Instances as a test writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use rocketbridge_controller::Clusters;
use rocketbridge_controller::clusters::{Commit, CommittedOffsets, Comparison, End, Positions, Queue, Translation, WantedOffsets, Way};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::Topic;

/// Instances as the test wrote them, by the first endpoint; any other does not answer.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<BTreeMap<String, Instance>>);

/// An instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instance {
    /// Topics with their numbers of queues.
    pub(crate) topics: BTreeMap<String, u32>,
    /// What groups have committed.
    pub(crate) offsets: CommittedOffsets,
    /// How far mirrors have come there; `None` for everything.
    pub(crate) copied: Option<u64>,
    /// One beyond the last message of queue 0 of each topic.
    pub(crate) end: u64,
    /// Groups that consume now.
    pub(crate) consuming: BTreeSet<String>,
    /// What was committed from outside, in order.
    pub(crate) commits: Vec<Commit>,
}

impl Written {
    /// Sets the topics of an instance.
    pub(crate) fn set(&self, endpoint: &str, topics: &[(&str, u32)]) {
        let topics = topics.iter().map(|(name, queues)| ((*name).to_owned(), *queues)).collect();
        self.0.lock().entry(endpoint.to_owned()).or_default().topics = topics;
    }

    /// No instance answers any more.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }

    /// An instance does not answer any more.
    pub(crate) fn remove(&self, endpoint: &str) {
        self.0.lock().remove(endpoint);
    }

    /// Changes an instance.
    pub(crate) fn change<T>(&self, endpoint: &str, change: impl FnOnce(&mut Instance) -> T) -> T {
        change(self.0.lock().entry(endpoint.to_owned()).or_default())
    }

    /// Sets what a group has committed in queue 0 of a topic.
    pub(crate) fn commit_of(&self, endpoint: &str, group: &str, topic: &str, offset: u64) {
        self.change(endpoint, |instance| instance.offsets.set(group, topic, Queue { broker: "b".into(), id: 0 }, offset));
    }

    fn of(&self, connection: &RocketMqConnection) -> Result<Instance, String> {
        self.0.lock().get(&connection.endpoints[0]).cloned().ok_or_else(|| "no answer within 5 s".to_owned())
    }
}

/// Commits as a broker does.
pub(crate) trait Set {
    fn set(&mut self, group: &str, topic: &str, queue: Queue, offset: u64);
}

impl Set for CommittedOffsets {
    fn set(&mut self, group: &str, topic: &str, queue: Queue, offset: u64) {
        self.groups.entry(group.to_owned()).or_default().entry(topic.to_owned()).or_default().insert(queue, offset);
    }
}

impl Clusters for Written {
    fn topics<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<Topic>, String>> {
        let topic = |name: String| Topic { internal: name.starts_with('%'), name };
        ready(self.of(connection).map(|instance| instance.topics.into_keys().map(topic).collect())).boxed()
    }

    /// Says which topics it was asked to compare.
    fn compare<'a>(&'a self, source: End<'a>, target: End<'a>) -> BoxFuture<'a, Result<Vec<Comparison>, String>> {
        let name = |end: End<'_>| format!("{}/{}", end.connection.endpoints[0], end.topic);
        let comparison = Comparison { source: name(source), target: name(target), compared: 3..9, messages: 6, ..Default::default() };
        ready(self.of(target.connection).map(|_| vec![comparison])).boxed()
    }

    fn queues<'a>(&'a self, connection: &'a RocketMqConnection, topics: Vec<String>) -> BoxFuture<'a, BTreeMap<String, u32>> {
        let known = self.of(connection).unwrap_or_default().topics;
        ready(known.into_iter().filter(|(topic, _)| topics.contains(topic)).collect()).boxed()
    }

    fn groups<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<String>, String>> {
        ready(self.of(connection).map(|instance| instance.offsets.groups.into_keys().collect())).boxed()
    }

    fn committed<'a>(
        &'a self,
        connection: &'a RocketMqConnection,
        wanted: WantedOffsets<'a>,
    ) -> BoxFuture<'a, Result<CommittedOffsets, String>> {
        let only_wanted = |mut offsets: CommittedOffsets| {
            offsets.groups.iter_mut().for_each(|(group, topics)| topics.retain(|topic, _| wanted(group, topic)));
            offsets.groups.retain(|_, topics| !topics.is_empty());
            offsets
        };
        ready(self.of(connection).map(|instance| only_wanted(instance.offsets))).boxed()
    }

    /// Each message of the source stands 1,000 further at the target, and the other way round; the mirror has come to `copied`.
    fn translate<'a>(&'a self, way: Way<'a>, positions: Positions<'a>) -> BoxFuture<'a, Result<Vec<Translation>, String>> {
        let is_forward = way.source.connection.endpoints[0] < way.target.connection.endpoints[0];
        let translated = self.of(way.source.connection).and_then(|_| self.of(way.target.connection)).map(|target| {
            let offset = |offset: u64| if is_forward { offset + 1_000 } else { offset.saturating_sub(1_000) };
            let translation = |(queue, read): (&Queue, &u64)| {
                let (wanted, copied) = (offset(*read), target.copied.unwrap_or(u64::MAX));
                Translation { source: queue.clone(), target: queue.clone(), translated: Ok((wanted.min(copied), wanted <= copied)) }
            };
            positions.read.iter().map(translation).collect()
        });
        ready(translated).boxed()
    }

    fn ends<'a>(&'a self, end: End<'a>) -> BoxFuture<'a, Result<BTreeMap<Queue, Range<u64>>, String>> {
        let queue = Queue { broker: "b".into(), id: 0 };
        ready(self.of(end.connection).map(|instance| BTreeMap::from([(queue, 0..instance.end)]))).boxed()
    }

    fn consumers<'a>(&'a self, connection: &'a RocketMqConnection, group: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>> {
        let client = |instance: Instance| if instance.consuming.contains(group) { vec!["client-1".to_owned()] } else { Vec::new() };
        ready(self.of(connection).map(client)).boxed()
    }

    fn commit<'a>(&'a self, connection: &'a RocketMqConnection, commit: &'a Commit) -> BoxFuture<'a, Result<(), String>> {
        let answered = self.of(connection).map(|_| {
            self.change(&connection.endpoints[0], |instance| {
                instance.offsets.set(&commit.group, &commit.topic, commit.queue.clone(), commit.offset);
                instance.commits.push(commit.clone());
            });
        });
        ready(answered).boxed()
    }
}
