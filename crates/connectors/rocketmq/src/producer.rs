//! Sends messages to a topic, many at once: for the command line, the demo and tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::join_all;
use rocketbridge_connector::{Code, Error, Permit};
use rocketbridge_model::session::Delivery;
use rocketbridge_model::{Envelope, Event, Properties, property};

use crate::client::Client;
use crate::encode::{self, Placement};
use crate::outgoing::Making;
use crate::target::Sender;

/// Most messages of one batch; batches go round the queues.
const BATCH: usize = 256;

/// A message to send.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Any bytes, also none.
    pub body: Bytes,
    /// Keys, separated by spaces; empty for none.
    pub keys: String,
    /// The tag; empty for none.
    pub tags: String,
    /// Further properties.
    pub properties: Vec<(String, String)>,
    /// The index of its queue among the topic's writable queues, modulo their number; `None` for any.
    pub queue: Option<usize>,
    /// RocketMQ's delay level, 1 to 18; 0 for none.
    pub delay_level: u32,
    /// A word for the consumer.
    pub flag: i32,
}

/// Sends messages to a topic. Calls may overlap.
pub struct Producer {
    sender: Sender,
    topic: String,
    client: Arc<Client>,
    batches: AtomicUsize,
    messages: AtomicU32,
    identity: String,
}

impl Producer {
    pub(crate) fn new(client: Arc<Client>, topic: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let identity = format!("{:08X}{:016X}", std::process::id(), now as u64);
        Self {
            sender: Sender::new(Arc::clone(&client), topic),
            topic: topic.to_owned(),
            client,
            batches: AtomicUsize::new(0),
            messages: AtomicU32::new(0),
            identity,
        }
    }

    /// Sends messages and answers one result each. Messages of the same queue keep their order; queues are sent to side by side. The
    /// messages without a queue go in batches, each to the next queue.
    pub async fn send(&self, messages: &[Message]) -> Vec<Result<(), Error>> {
        let attempt = format!("send to topic {} of {}", self.topic, self.client.name_servers());
        let route = match self.sender.route(&attempt).await {
            Ok(route) => route,
            Err(error) => return vec![Err(error); messages.len()],
        };
        let queues = route.writable().len();
        let mut results = vec![Ok(()); messages.len()];
        let mut by_queue: Vec<(Vec<usize>, Vec<Delivery>)> = vec![Default::default(); queues];
        let mut queue = self.batches.fetch_add(messages.len().div_ceil(BATCH), Ordering::Relaxed);
        for (index, message) in messages.iter().enumerate() {
            if index > 0 && index % BATCH == 0 {
                queue = queue.wrapping_add(1);
            }
            match self.delivery(message) {
                Ok(delivery) => {
                    let (indices, deliveries) = &mut by_queue[message.queue.unwrap_or(queue) % queues];
                    indices.push(index);
                    deliveries.push(delivery);
                }
                Err(reason) => results[index] = Err(Error::new(Code::Rejected, attempt.as_str(), reason)),
            }
        }
        let (route, attempt) = (&route, &attempt);
        let sent = join_all(by_queue.into_iter().enumerate().map(|(queue, (indices, deliveries))| async move {
            let taste = self.sender.taste();
            let placement = Placement { queue, own: &[], queues, orderly: false, making: Making::Produced, last: None, taste, attempt };
            let plan = encode::plan(&deliveries, &placement);
            drop(deliveries);
            let mut failures = plan.refused;
            failures.extend(self.sender.send_in_order(route, &route.writable()[queue], &Permit::always(), plan.parts).await);
            failures.into_iter().map(move |(index, error)| (indices[index], error)).collect::<Vec<_>>()
        }))
        .await;
        for (index, error) in sent.into_iter().flatten() {
            results[index] = Err(error);
        }
        results
    }

    fn delivery(&self, message: &Message) -> Result<Delivery, String> {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}{:08X}", self.identity, number);
        let delay = message.delay_level.to_string();
        let named = [
            (property::KEYS, message.keys.as_str(), !message.keys.is_empty()),
            (property::TAGS, message.tags.as_str(), !message.tags.is_empty()),
            (property::DELAY, delay.as_str(), message.delay_level > 0),
            (property::UNIQUE_KEY, unique.as_str(), !message.properties.iter().any(|(name, _)| name == property::UNIQUE_KEY)),
        ];
        let own = message.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let named = named.into_iter().filter(|(_, _, given)| *given).map(|(name, value, _)| (name, value));
        let properties = Properties::from_pairs(own.chain(named)).map_err(|error| error.to_string())?;
        let envelope = Envelope { body: message.body.clone(), properties, flag: message.flag, ..Envelope::default() };
        Ok(Delivery { receipt: 0, event: Event { offset: 0, envelope, attributes: None }, parameters: Vec::new(), rejected: None })
    }
}
