//! The committed offset of one queue, kept by the broker under the consumer group, where RocketMQ's own tools read it.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_connector::{Error, PartitionCommitter};
use serde::Deserialize;

use crate::client::Client;
use crate::error::Failure;
use crate::names::Names;
use crate::presence::Attendance;
use crate::remoting::code::{request, response};
use crate::remoting::{Request, json};
use crate::route::Queue;

/// Reads and commits the offset of one queue.
pub(crate) struct Committer {
    client: Arc<Client>,
    names: Arc<Names>,
    queue: Queue,
    present: Attendance,
}

impl Committer {
    pub(crate) fn new(client: Arc<Client>, names: Arc<Names>, queue: Queue, present: Attendance) -> Self {
        Self { client, names, queue, present }
    }

    fn failed(&self, failure: Failure, attempt: &str) -> Error {
        self.client.doubt_route(&self.names.topic);
        let Queue { broker, id } = &self.queue;
        let Names { topic, group, .. } = &*self.names;
        failure.during(format!("{attempt} of group {group} for topic {topic}, broker {broker}, queue {id}"))
    }
}

impl PartitionCommitter for Committer {
    fn committed(&mut self) -> BoxFuture<'_, Result<Option<u64>, Error>> {
        async move {
            committed(&self.client, &self.names.topic, &self.names.group, &self.queue)
                .await
                .map_err(|failure| self.failed(failure, "read the committed offset"))
        }
        .boxed()
    }

    fn commit(&mut self, offset: u64) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let commit = || commit(&self.client, &self.names.topic, &self.names.group, &self.queue, offset);
            let committed = match commit().await {
                // A broker learns of a group by its first heartbeat, which may not have been sent, or was lost with the broker.
                Err(Failure::Refused { code: response::SUBSCRIPTION_GROUP_NOT_EXIST, .. }) => match self.present.beat().await {
                    Ok(()) => commit().await,
                    Err(failure) => Err(failure),
                },
                committed => committed,
            };
            committed.map_err(|failure| self.failed(failure, "commit the offset"))
        }
        .boxed()
    }
}

/// Commits an offset for a group (wire names).
pub(crate) async fn commit(client: &Client, topic: &str, group: &str, queue: &Queue, offset: u64) -> Result<(), Failure> {
    let address = client.master(topic, &queue.broker).await?;
    let request = naming(Request::new(request::UPDATE_CONSUMER_OFFSET), topic, group, queue).number("commitOffset", offset);
    client.ask(&address, request).await.map(drop)
}

/// The offset a group has committed (wire names).
pub(crate) async fn committed(client: &Client, topic: &str, group: &str, queue: &Queue) -> Result<Option<u64>, Failure> {
    let address = client.reader(topic, &queue.broker).await?;
    let request = naming(Request::new(request::QUERY_CONSUMER_OFFSET), topic, group, queue).field("setZeroIfNotFound", "false");
    let response = client.exchange(&address, request, crate::client::ANSWER).await?;
    match response.code {
        response::SUCCESS => match response.number("offset") {
            Some(0) => Ok(really_zero(client, &address, topic, group, queue).await.then_some(0)),
            Some(offset) => Ok(Some(offset)),
            None => Err(Failure::nonsense(&address, "an answer without an offset")),
        },
        response::QUERY_NOT_FOUND => Ok(None),
        _ => Err(Failure::refused(&address, &response)),
    }
}

/// Whether a committed offset of 0 was committed. Brokers of 4.x answer 0 also for a group that never committed, and a group that
/// never committed must start where its stream says. Only the list of all offsets tells them apart; without it, 0 is believed, which
/// repeats events rather than loses them.
async fn really_zero(client: &Client, address: &str, topic: &str, group: &str, queue: &Queue) -> bool {
    let Ok(response) = client.ask(address, Request::new(request::GET_ALL_CONSUMER_OFFSET)).await else { return true };
    let Ok(table) = json::read::<OffsetTable>(&response.body) else { return true };
    table.0.get(&format!("{topic}@{group}")).is_some_and(|queues| queues.contains_key(&queue.id))
}

/// The topics and groups that a broker keeps offsets of, as pairs of wire names.
pub(crate) async fn committed_at(client: &Client, address: &str) -> Result<Vec<(String, String)>, Failure> {
    let response = client.ask(address, Request::new(request::GET_ALL_CONSUMER_OFFSET)).await?;
    let table = json::read::<OffsetTable>(&response.body).map_err(|error| Failure::nonsense(address, format!("offsets: {error}")))?;
    let pair = |key: &String| key.rsplit_once('@').map(|(topic, group)| (topic.to_owned(), group.to_owned()));
    Ok(table.0.keys().filter_map(pair).collect())
}

/// Adds the fields that say whose offset it is.
pub(crate) fn naming(request: Request, topic: &str, group: &str, queue: &Queue) -> Request {
    request
        .field("consumerGroup", group.to_owned())
        .field("topic", topic.to_owned())
        .number("queueId", queue.id)
        .field("bname", queue.broker.clone())
}

/// All offsets that a broker keeps: by `topic@group` (wire names), then by queue.
#[derive(Default, Deserialize)]
#[serde(from = "EncodedOffsets")]
pub(crate) struct OffsetTable(pub(crate) HashMap<String, HashMap<u32, i64>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EncodedOffsets {
    #[serde(default)]
    offset_table: HashMap<String, HashMap<u32, i64>>,
}

impl From<EncodedOffsets> for OffsetTable {
    fn from(encoded: EncodedOffsets) -> Self {
        Self(encoded.offset_table)
    }
}
