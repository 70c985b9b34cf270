//! How many messages wait in a topic for a group.
//!
//! The calls of gRPC for offsets are answered by no open-source proxy, so they are asked by remoting, where an endpoint speaks both protocols; elsewhere nobody
//! can say. A broker moves the group's offset in a queue when it hands messages out, and of an ordered group when they are acknowledged. Messages that were handed
//! out and come again stand in a topic of their own, and are not counted while they wait there.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use rocketbridge_connector::{Code, Error, Partition};
use rocketbridge_model::resolved::StartPosition;

use super::beside;
use super::consumer::Consumer;
use crate::client::Client;
use crate::committer::committed;
use crate::route::Queue;
use crate::source::Topic;

/// Queues that are asked about at once.
const AT_ONCE: usize = 16;

/// Messages that wait; `None` if nobody can say: only gRPC is spoken, the keys may not ask, or the group has no offset in some queue yet.
pub(crate) async fn waiting(consumer: &Consumer) -> Result<Option<u64>, Error> {
    let Some(client) = consumer.beside.client(&consumer.client).await else { return Ok(None) };
    match waiting_by(consumer, &client).await {
        Err(error) if error.code() == Code::Denied => Ok(None),
        waiting => waiting,
    }
}

async fn waiting_by(consumer: &Consumer, client: &Arc<Client>) -> Result<Option<u64>, Error> {
    let topic = Topic::new(Arc::clone(client), beside::definition(client, &consumer.definition));
    let partitions = topic.list().await?;
    let topic = &topic;
    let asked = stream::iter(partitions).map(|partition| waiting_in(consumer, client, topic, partition)).buffer_unordered(AT_ONCE);
    let queues: Vec<Option<u64>> = asked.try_collect().await?;
    Ok(queues.into_iter().sum())
}

async fn waiting_in(consumer: &Consumer, client: &Client, topic: &Topic, partition: Partition) -> Result<Option<u64>, Error> {
    let queue = Queue { broker: partition.broker.clone(), id: partition.queue };
    let names = (&consumer.topic.name, &consumer.group.name);
    // Asked first: what comes meanwhile is counted rather than made negative.
    let handed_out = committed(client, names.0, names.1, &queue)
        .await
        .map_err(|failure| failure.during(format!("read the offset of group {} in topic {}", names.1, names.0)))?;
    let end = topic.position(&partition, StartPosition::Latest).await?;
    Ok(match handed_out {
        Some(offset) => Some(end.saturating_sub(offset)),
        None if end == 0 => Some(0),
        None => None,
    })
}
