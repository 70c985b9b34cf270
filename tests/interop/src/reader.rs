//! The library's lite pull consumer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use rocketmq_client_rust::DefaultLitePullConsumer;
use rocketmq_model::common::message::message_queue::MessageQueue;

use crate::client::must;
use crate::message::{Queue, Stored, offset};

/// Longest wait of one poll, in milliseconds: a condition of the caller is looked at as often.
const POLL: u64 = 500;

/// Reads one topic at explicit offsets.
pub struct Reader {
    consumer: DefaultLitePullConsumer,
    queues: BTreeMap<Queue, MessageQueue>,
}

impl Reader {
    pub(crate) fn new(consumer: DefaultLitePullConsumer, queues: Vec<MessageQueue>) -> Self {
        Self { consumer, queues: queues.into_iter().map(|queue| (Queue::of(&queue), queue)).collect() }
    }

    /// The offsets that are stored in each queue.
    pub async fn stored(&self) -> BTreeMap<Queue, Range<u64>> {
        let mut stored = BTreeMap::new();
        for (queue, asked) in &self.queues {
            let minimum = must("the minimum offset", self.consumer.min_offset(asked).await);
            let maximum = must("the maximum offset", self.consumer.max_offset(asked).await);
            stored.insert(queue.clone(), offset(minimum)..offset(maximum));
        }
        stored
    }

    /// Reads these offsets of these queues; of each queue in order.
    ///
    /// # Panics
    ///
    /// When it has not within `deadline`, or when the library reads other offsets.
    pub async fn read(&self, wanted: &BTreeMap<Queue, Range<u64>>, deadline: Duration) -> BTreeMap<Queue, Vec<Stored>> {
        let assigned: Vec<_> = wanted.keys().map(|queue| self.queues[queue].clone()).collect();
        must("assign", self.consumer.assign(assigned).await);
        for (queue, offsets) in wanted {
            let start = i64::try_from(offsets.start).expect("an offset is an i64");
            must("seek", self.consumer.seek(&self.queues[queue], start).await);
        }
        let begin = Instant::now();
        let mut read: BTreeMap<Queue, Vec<Stored>> = wanted.keys().map(|queue| (queue.clone(), Vec::new())).collect();
        let is_missing = |read: &BTreeMap<Queue, Vec<Stored>>| {
            read.iter().any(|(queue, messages)| (messages.len() as u64) < wanted[queue].end - wanted[queue].start)
        };
        while is_missing(&read) {
            let counts: Vec<_> = read.iter().map(|(queue, messages)| (queue, messages.len())).collect();
            assert!(begin.elapsed() < deadline, "not within {deadline:?}: read {wanted:?}; read so far: {counts:?}");
            for message in self.consumer.poll_with_timeout_zero_copy(POLL).await {
                let message = Stored::of(&message);
                let messages = read.get_mut(&message.place.queue).expect("nothing else is assigned");
                let next = wanted[&message.place.queue].start + messages.len() as u64;
                // The library reads on beyond what is wanted.
                if next < wanted[&message.place.queue].end {
                    assert_eq!(message.place.offset, next, "the library skips or repeats offsets of {:?}", message.place.queue);
                    messages.push(message);
                }
            }
        }
        read
    }

    /// Closes its connections.
    pub async fn close(self) {
        self.consumer.shutdown().await;
    }
}
