//! RocketMQ instances as a controller asks them, through the connectors of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use rocketbridge_connector_rocketmq::{Connectors, Difference, Queue, QueueReport};
use rocketbridge_controller::clusters::{self, Clusters, Comparison, DifferenceKind, End};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::Topic;

/// Longest wait for an instance.
const ANSWER: Duration = Duration::from_secs(5);
/// Topics whose queues are asked for at once.
const TOGETHER: usize = 16;

/// Instances that are asked over the network.
pub(crate) struct Asked {
    connectors: Arc<Connectors>,
}

impl Asked {
    /// Instances that these connectors reach.
    pub(crate) fn new(connectors: Arc<Connectors>) -> Self {
        Self { connectors }
    }
}

impl Clusters for Asked {
    fn topics<'a>(&'a self, connection: &'a RocketMqConnection) -> BoxFuture<'a, Result<Vec<Topic>, String>> {
        async move {
            let admin = self.connectors.admin(connection);
            let listed = async { tokio::try_join!(admin.topics_of_users(true), admin.topics_of_users(false)) };
            let (all, of_users) = tokio::time::timeout(ANSWER, listed)
                .await
                .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
                .map_err(|error| error.to_string())?;
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
