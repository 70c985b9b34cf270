//! The library's producer.

use rocketmq_client_rust::DefaultMQProducer;
use rocketmq_model::common::message::message_queue::MessageQueue;
use rocketmq_model::result::SendStatus;

use crate::client::chain;
use crate::message::{Outgoing, Place, Queue};

/// Sends to one topic.
pub struct Producer {
    producer: DefaultMQProducer,
    topic: String,
    queues: Vec<MessageQueue>,
}

/// What the broker answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where the message is stored.
    pub place: Place,
    /// The id that the library gave the message.
    pub id: String,
}

impl Producer {
    pub(crate) fn new(producer: DefaultMQProducer, topic: &str, mut queues: Vec<MessageQueue>) -> Self {
        queues.sort_by_key(Queue::of);
        Self { producer, topic: topic.to_owned(), queues }
    }

    /// Sends to the queue of an index, modulo their number, and waits for the broker.
    pub async fn send(&self, queue: usize, message: &Outgoing) -> Receipt {
        self.try_send(queue, message).await.unwrap_or_else(|error| panic!("send {message:?} to {}: {error}", self.topic))
    }

    /// As [`send`](Self::send); the library or the broker may refuse.
    pub async fn try_send(&self, queue: usize, message: &Outgoing) -> Result<Receipt, String> {
        let queue = self.queues[queue % self.queues.len()].clone();
        let result = self.producer.send_to_queue(message.message(&self.topic), queue.clone()).await.map_err(|error| chain(&error))?;
        let result = result.ok_or("no result")?;
        if result.send_status != SendStatus::SendOk {
            return Err(format!("stored with {}", result.send_status));
        }
        let place = Place { queue: Queue::of(&queue), offset: result.queue_offset };
        Ok(Receipt { place, id: result.msg_id.ok_or("no message id")?.to_string() })
    }

    /// Closes its connections.
    pub async fn close(mut self) {
        self.producer.shutdown().await;
    }
}
