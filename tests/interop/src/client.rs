//! The library on one name server.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use rocketmq_client_rust::{
    ClientError, ClientRuntime, ClientRuntimeConfig, DefaultLitePullConsumer, DefaultMQAdminExt, DefaultMQProducer, MQAdminReadExt,
    TelemetryHandle,
};
use rocketmq_runtime::RuntimeContext;

use crate::compatibility::Compatibility;
use crate::message::{Queue, offset};
use crate::producer::Producer;
use crate::reader::Reader;

/// Longest wait of the library for an answer, in milliseconds. Generous, because machines that build and test are busy.
const ANSWER: u32 = 15_000;
/// How long a broker holds back the answer to a pull that found nothing, in milliseconds: short, because closing a reader waits for it.
const SUSPEND: u64 = 1_000;

/// The library on one name server; it has no connection of its own.
pub struct Client {
    runtime: Arc<ClientRuntime>,
    compatibility: Arc<Compatibility>,
    name_server: String,
}

/// How far a consumer group is in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The offset that the group committed; `None` if it never did.
    pub committed: Option<u64>,
    /// The offset that the next message of the queue gets.
    pub maximum: u64,
}

impl Client {
    /// A client of a name server, in the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn new(name_server: &str) -> Self {
        let context = RuntimeContext::from_current(format!("interop-{name_server}"));
        let config = ClientRuntimeConfig::default();
        let runtime = must("a client runtime", ClientRuntime::try_new(context.service_context("client"), config, TelemetryHandle::noop()));
        Self { runtime, compatibility: Arc::default(), name_server: name_server.to_owned() }
    }

    /// Sends to a topic.
    pub async fn producer(&self, topic: &str) -> Producer {
        let mut producer = DefaultMQProducer::builder(Arc::clone(&self.runtime))
            .producer_group("interop-producer")
            .name_server_addr(self.name_server.as_str())
            .send_msg_timeout(ANSWER)
            .rpc_hook(self.compatibility.clone())
            .build();
        must("start a producer", producer.start().await);
        let queues = must("the writable queues", producer.fetch_publish_message_queues(topic).await);
        Producer::new(producer, topic, queues)
    }

    /// Reads a topic, as a consumer group of its own.
    pub async fn reader(&self, topic: &str) -> Reader {
        let consumer = DefaultLitePullConsumer::builder(Arc::clone(&self.runtime))
            .consumer_group(format!("interop-reader-{topic}"))
            .name_server_addr(self.name_server.as_str())
            .auto_commit(false)
            .broker_suspend_max_time_millis(SUSPEND)
            .rpc_hook(self.compatibility.clone())
            .build();
        let consumer = must("a lite pull consumer", consumer);
        must("a subscription", consumer.set_sub_expression_for_assign(topic, "*").await);
        must("start a lite pull consumer", consumer.start().await);
        // Also teaches the consumer the addresses of the brokers, without which it cannot seek.
        let queues = must("the readable queues", consumer.fetch_message_queues(topic).await);
        Reader::new(consumer, queues)
    }

    /// The progress of a group in a topic, as RocketMQ's tools read it. An error while the group is not known.
    pub async fn try_progress(&self, topic: &str, group: &str) -> Result<BTreeMap<Queue, Progress>, String> {
        let mut admin = DefaultMQAdminExt::with_rpc_hook(Arc::clone(&self.runtime), self.compatibility.clone());
        admin.set_namesrv_addr(self.name_server.as_str());
        must("start an admin", DefaultMQAdminExt::start(&mut admin).await);
        let stats = MQAdminReadExt::examine_consume_stats(&admin, group.into(), Some(topic.into()), None, None, None).await;
        DefaultMQAdminExt::shutdown(&mut admin).await;
        let stats = stats.map_err(|error| chain(&error))?;
        let progress = stats.offset_table.iter().map(|(queue, offsets)| {
            let committed = u64::try_from(offsets.get_consumer_offset()).ok();
            (Queue::of(queue), Progress { committed, maximum: offset(offsets.get_broker_offset()) })
        });
        Ok(progress.collect())
    }

    /// Ends what is left of its producers and readers.
    pub async fn close(self) {
        self.runtime.shutdown().await;
    }
}

/// The value, or a panic with everything that the library reports.
pub(crate) fn must<T>(what: &str, result: Result<T, ClientError>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {}", chain(&error)))
}

/// An error with its sources: the library's own text is redacted.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
