//! Numbered messages, sent to the queues of a topic.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocketbridge_connector_rocketmq::Producer;

use crate::brokers::Cluster;
use crate::message::Numbered;

/// How many messages one call sends.
const CHUNK: u64 = 1024;
/// How long the broker may refuse a message before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before refused messages are sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends to one topic. The message of number n goes to queue n modulo the number of queues; those of a queue are stored in their order.
pub struct Load {
    producer: Producer,
    seed: u64,
    queues: u64,
    produced: AtomicU64,
    resent: AtomicU64,
    leaves_out_empty: bool,
}

impl Load {
    /// A load for a topic with a number of queues.
    pub fn new(cluster: &Cluster, topic: &str, queues: u32, seed: u64) -> Self {
        let (produced, resent) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { producer: cluster.admin().producer(topic), seed, queues: queues.into(), produced, resent, leaves_out_empty: false }
    }

    /// The same load without the messages that have no body, for sources that cannot hand such messages out.
    pub fn with_bodies(self) -> Self {
        Self { leaves_out_empty: true, ..self }
    }

    /// Sends the messages of these numbers; returns when the broker has acknowledged each.
    ///
    /// # Panics
    ///
    /// When the broker keeps refusing a message.
    pub async fn send(&self, numbers: Range<u64>) {
        let mut first = numbers.start;
        while first < numbers.end {
            let end = numbers.end.min(first + CHUNK);
            self.send_chunk(first..end).await;
            first = end;
        }
    }

    /// How many messages were acknowledged.
    pub fn produced(&self) -> u64 {
        self.produced.load(Ordering::Relaxed)
    }

    /// How many were sent again because their first answer was a failure: the source itself may contain those twice.
    pub fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    async fn send_chunk(&self, numbers: Range<u64>) {
        let queue = |number: u64| usize::try_from(number % self.queues).expect("a few queues");
        let numbered = numbers.map(|number| Numbered::new(self.seed, number));
        let sent = numbered.filter(|message| !(self.leaves_out_empty && message.body.is_empty()));
        let in_queue = |message: Numbered| {
            let queue = queue(message.number);
            message.message(queue)
        };
        let mut messages: Vec<_> = sent.map(in_queue).collect();
        let begin = Instant::now();
        loop {
            let results = self.producer.send(&messages).await;
            // In each queue all messages after the first failure failed too, so sending them again keeps their order.
            let mut failure = None;
            let mut refused = Vec::new();
            for (message, result) in messages.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.produced.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        failure = Some(error);
                        refused.push(message);
                    }
                }
            }
            let Some(failure) = failure else { return };
            assert!(begin.elapsed() < PATIENCE, "the source's broker refuses messages: {failure}");
            self.resent.fetch_add(refused.len() as u64, Ordering::Relaxed);
            messages = refused;
            tokio::time::sleep(PAUSE).await;
        }
    }
}
