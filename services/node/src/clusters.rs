//! RocketMQ instances as a controller asks them, through the connectors of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use rocketbridge_connector::Error;
use rocketbridge_connector_rocketmq::{
    CommittedOffsets, Connectors, Difference, Positions, Progress, Queue, QueueReport, QueueTranslation,
};
use rocketbridge_controller::clusters::{self, Clusters, Commit, Comparison, DifferenceKind, End, WantedOffsets, Way};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::Topic;

/// Longest wait for an instance.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest search for the translations of a topic's queues.
const TRANSLATION: Duration = Duration::from_secs(20);
/// Topics whose queues are asked for at once.
const TOGETHER: usize = 16;

mod translators;

use translators::Translators;

/// Instances that are asked over the network.
pub(crate) struct Asked {
    connectors: Arc<Connectors>,
    translators: Translators,
}

impl Asked {
    /// Instances that these connectors reach.
    pub(crate) fn new(connectors: Arc<Connectors>) -> Self {
        Self { connectors, translators: Translators::default() }
    }
}

impl Clusters for Asked {
    fn topics<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<Topic>, String>> {
        async move {
            let admin = self.connectors.admin(connection);
            let listed = async { tokio::try_join!(admin.topics_of_users(true), admin.topics_of_users(false)) };
            let (all, of_users) = answered(listed).await?;
            let of_users: BTreeSet<String> = of_users.into_iter().collect();
            let topic = |name: String| Topic { internal: !of_users.contains(&name), name };
            let mut topics: Vec<Topic> = all.into_iter().map(topic).collect();
            topics.sort();
            Ok(topics)
        }
        .boxed()
    }

    fn compare<'a>(&'a self, source: End<'a>, target: End<'a>) -> BoxFuture<'a, Result<Vec<Comparison>, String>> {
        async move {
            let ends = self.connectors.mirror_ends((source.connection, source.topic), (target.connection, target.topic));
            let reports = ends.verify(None).await.map_err(|error| error.to_string())?;
            Ok(reports.into_iter().map(comparison).collect())
        }
        .boxed()
    }

    fn queues<'a>(&'a self, connection: &'a RocketMqConnection, topics: Vec<String>) -> BoxFuture<'a, BTreeMap<String, u32>> {
        async move {
            let admin = &self.connectors.admin(connection);
            let asked = stream::iter(topics).map(|topic| async move {
                let queues = tokio::time::timeout(ANSWER, admin.queues(&topic)).await.ok()?.ok()?;
                Some((topic, u32::try_from(queues.len()).unwrap_or(u32::MAX)))
            });
            asked.buffer_unordered(TOGETHER).filter_map(std::future::ready).collect().await
        }
        .boxed()
    }

    fn groups<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<String>, String>> {
        async move { Ok(answered(self.connectors.admin(connection).groups()).await?.into_iter().collect()) }.boxed()
    }

    fn committed<'a>(
        &'a self,
        connection: &'a RocketMqConnection,
        wanted: WantedOffsets<'a>,
    ) -> BoxFuture<'a, Result<clusters::CommittedOffsets, String>> {
        async move { answered(self.connectors.admin(connection).committed_offsets(wanted)).await.map(committed) }.boxed()
    }

    fn translate<'a>(
        &'a self,
        way: Way<'a>,
        positions: clusters::Positions<'a>,
    ) -> BoxFuture<'a, Result<Vec<clusters::Translation>, String>> {
        async move {
            let translator = self.translators.of(&self.connectors, way);
            let (read, at_target, copied_back) = (progress(positions.read), progress(positions.at_target), progress(positions.copied_back));
            let positions = Positions { read: &read, at_target: &at_target, copied_back: &copied_back };
            let translated = tokio::time::timeout(TRANSLATION, translator.translate(positions)).await;
            let found = translated.map_err(|_| format!("not found within {} s", TRANSLATION.as_secs()))?;
            Ok(found.map_err(|error| error.to_string())?.into_iter().map(translation).collect())
        }
        .boxed()
    }

    fn ends<'a>(&'a self, end: End<'a>) -> BoxFuture<'a, Result<BTreeMap<clusters::Queue, Range<u64>>, String>> {
        async move {
            let offsets = answered(self.connectors.admin(end.connection).offsets(end.topic)).await?;
            Ok(offsets.into_iter().map(|held| (queue(held.queue), held.minimum..held.maximum)).collect())
        }
        .boxed()
    }

    fn consumers<'a>(&'a self, connection: &'a RocketMqConnection, group: &'a str) -> BoxFuture<'a, Result<Vec<String>, String>> {
        async move { Ok(answered(self.connectors.admin(connection).consumers(group)).await?.into_iter().collect()) }.boxed()
    }

    fn commit<'a>(&'a self, connection: &'a RocketMqConnection, commit: &'a Commit) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let queue = Queue { broker: commit.queue.broker.clone(), id: commit.queue.id };
            let admin = self.connectors.admin(connection);
            answered(admin.set_committed(&commit.group, &commit.topic, &queue, commit.offset)).await
        }
        .boxed()
    }
}

/// What an instance answers, or why it does not, for people.
async fn answered<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    let answer = tokio::time::timeout(ANSWER, answer).await;
    answer.map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?.map_err(|error| error.to_string())
}

fn queue(queue: Queue) -> clusters::Queue {
    clusters::Queue { broker: queue.broker, id: queue.id }
}

fn progress(told: &clusters::Progress) -> Progress {
    told.iter().map(|(queue, offset)| (Queue { broker: queue.broker.clone(), id: queue.id }, *offset)).collect()
}

fn translation(found: QueueTranslation) -> clusters::Translation {
    let translated = found.translated.map(|found| (found.offset, found.is_complete)).map_err(|error| error.to_string());
    clusters::Translation { source: queue(found.source), target: queue(found.target), translated }
}

fn committed(told: CommittedOffsets) -> clusters::CommittedOffsets {
    let of_topic = |progress: Progress| progress.into_iter().map(|(at, offset)| (queue(at), offset)).collect();
    let topics = |topics: BTreeMap<String, Progress>| topics.into_iter().map(|(topic, progress)| (topic, of_topic(progress))).collect();
    let groups = told.groups.into_iter().map(|(group, of)| (group, topics(of))).collect();
    clusters::CommittedOffsets { groups, silent: told.silent }
}

fn comparison(report: QueueReport) -> Comparison {
    let name = |queue: &Queue| format!("{}/{}", queue.broker, queue.id);
    Comparison {
        source: name(&report.source),
        target: name(&report.target),
        compared: report.compared,
        messages: report.messages,
        checksum: report.checksum,
        behind: report.behind,
        looped: report.looped,
        difference: report.difference.map(difference),
    }
}

fn difference(found: Difference) -> clusters::Difference {
    let (kind, source_offset, target_offset) = match found {
        Difference::Missing { offset } => (DifferenceKind::Missing, offset, None),
        Difference::Repeated { offset, at } => (DifferenceKind::Repeated, offset, Some(at)),
        Difference::Changed { offset, at, what } => (DifferenceKind::Changed(what), offset, Some(at)),
        Difference::Unknown { offset, at } => (DifferenceKind::Unknown, offset, Some(at)),
    };
    clusters::Difference { kind, source_offset, target_offset }
}
