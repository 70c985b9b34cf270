//! Follows a topic: every message of every queue, from now or from a position.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_compression as compression;
use rocketbridge_connector::{Error, Partition, PartitionReader, PullLimits};
use rocketbridge_model::Event;
use rocketbridge_model::event::system_flag;
use rocketbridge_model::resolved::{RocketMqSource, StartPosition};
use rocketbridge_runtime::{Backoff, TaskHandle, TaskKind};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::source::Topic;

/// Messages that may wait to be taken; when full, reading waits.
const WAITING: usize = 1024;
/// RocketMQ's own group for tools: every broker has it, also one that makes no groups.
const GROUP: &str = "TOOLS_CONSUMER";
const LIMITS: PullLimits = PullLimits { events: 256, bytes: 1024 * 1024, ahead: true };

/// A topic being followed. Dropping it ends the reading.
pub struct Tail {
    messages: mpsc::Receiver<Result<Tailed, Error>>,
    readers: Vec<TaskHandle>,
}

/// A message and where it was.
#[derive(Clone, Debug)]
pub struct Tailed {
    /// Its partition.
    pub partition: Partition,
    /// The message; its body is plain, whether its producer compressed it or not.
    pub event: Event,
}

impl Tail {
    pub(crate) async fn begin(client: Arc<Client>, topic: &str, tags: &[String], start: StartPosition) -> Result<Self, Error> {
        let definition = RocketMqSource {
            connection: client.settings().clone(),
            topic: topic.to_owned(),
            tags: tags.to_vec(),
            sql: None,
            group: GROUP.to_owned(),
            start,
        };
        let tasks = client.tasks().clone();
        let source = Topic::new(client, definition);
        let (sender, messages) = mpsc::channel(WAITING);
        let mut readers = Vec::new();
        for partition in source.list().await? {
            let offset = source.position(&partition, start).await?;
            let follow = follow(source.reader(&partition), partition, offset, sender.clone());
            readers.push(tasks.spawn(format!("rocketmq tail {topic}"), TaskKind::Worker, follow));
        }
        Ok(Self { messages, readers })
    }

    /// The next message of any queue; those of one queue come in order. An error is told once and reading goes on after it. Cancel-safe.
    pub async fn next(&mut self) -> Result<Tailed, Error> {
        match self.messages.recv().await {
            Some(message) => message,
            // Without queues nothing ever comes.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.readers.iter().for_each(TaskHandle::cancel);
    }
}

async fn follow(
    mut reader: impl PartitionReader,
    partition: Partition,
    mut offset: u64,
    messages: mpsc::Sender<Result<Tailed, Error>>,
) -> Result<(), Infallible> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match reader.pull(offset, LIMITS).await {
            Ok(pulled) => {
                backoff.reset();
                offset = pulled.next_offset;
                for event in pulled.events {
                    let event = plain(event).await;
                    if messages.send(Ok(Tailed { partition: partition.clone(), event })).await.is_err() {
                        return Ok(());
                    }
                }
            }
            Err(error) => {
                if backoff.attempts() == 0 && messages.send(Err(error)).await.is_err() {
                    return Ok(());
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
        }
    }
}

/// The event with its body as its producer had it. A body that cannot be decompressed is shown as it is.
async fn plain(mut event: Event) -> Event {
    if !event.envelope.is_compressed() {
        return event;
    }
    let (body, flag) = (event.envelope.body.clone(), event.envelope.system_flag);
    match tokio::task::spawn_blocking(move || compression::decompress(&body, flag)).await {
        Ok(Ok(plain)) => {
            event.envelope.body = plain;
            event.envelope.system_flag &= !system_flag::ANY_COMPRESSION;
        }
        Ok(Err(error)) => tracing::warn!(%error, offset = event.offset, "a body is shown compressed"),
        Err(error) => tracing::warn!(%error, offset = event.offset, "a body is shown compressed"),
    }
    event
}
