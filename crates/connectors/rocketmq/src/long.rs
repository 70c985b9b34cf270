//! Messages that are longer than brokers take unless they are set up for it.
//!
//! A broker answers a message that is longer than its `maxMessageSize` (by default 4 MiB). But a frame that is longer than it reads
//! (`com.rocketmq.remoting.frameMaxLength`, by default 16 MiB) makes it close the connection, as a broken network does. One closed connection proves
//! nothing; a second one, while the broker answers other questions, is taken for a refusal. It is believed for a while, so that one message
//! that blocks is not sent over the network again and again; then it is tried anew, because limits can be raised.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client::Client;
use crate::error::Failure;
use crate::offsets::Offsets;
use crate::remoting::{Request, Response};
use crate::route::Queue;

/// How long a refusal is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// Sends long messages to the brokers of a topic.
pub(crate) struct LongMessages {
    client: Arc<Client>,
    /// Wire name of the topic.
    topic: String,
    closings: Mutex<Closings>,
}

/// On what brokers closed the connection, by address.
#[derive(Debug, Default)]
struct Closings(HashMap<String, Closed>);

#[derive(Debug)]
struct Closed {
    /// The shortest message that it closed the connection on, bytes.
    bytes: usize,
    /// How often it did, on this message or a longer one, without taking one in between.
    times: u32,
    last: Instant,
}

impl LongMessages {
    pub(crate) fn new(client: Arc<Client>, topic: &str) -> Self {
        Self { client, topic: topic.to_owned(), closings: Mutex::default() }
    }

    /// Sends a message and waits for the broker's response.
    pub(crate) async fn exchange(&self, address: &str, queue: &Queue, request: Request, limit: Duration) -> Result<Response, Failure> {
        let (bytes, begun) = (request.body.len(), Instant::now());
        let unread = || Failure::Unread { address: address.to_owned(), bytes };
        if self.closings.lock().refuses(address, bytes, begun) {
            return Err(unread());
        }
        match self.client.exchange(address, request, limit).await {
            // A first loss is one for the sender, too: the message may be stored, so it is looked for, or sent again.
            Err(lost @ Failure::Lost { .. }) if begun.elapsed() < limit && self.is_there(address, queue).await => {
                Err(if self.closings.lock().closed(address, bytes, Instant::now()) { unread() } else { lost })
            }
            answered => {
                if answered.is_ok() {
                    self.closings.lock().took(address, bytes);
                }
                answered
            }
        }
    }

    /// Whether a broker answers at all.
    async fn is_there(&self, address: &str, queue: &Queue) -> bool {
        let offsets = Offsets { client: &self.client, topic: &self.topic, queue, address: Some(address) };
        offsets.maximum().await.is_ok()
    }
}

impl Closings {
    /// A broker that answers otherwise closed the connection on a message. True if that is a refusal.
    fn closed(&mut self, address: &str, bytes: usize, now: Instant) -> bool {
        let closed = self.0.entry(address.to_owned()).or_insert(Closed { bytes, times: 0, last: now });
        if bytes < closed.bytes {
            *closed = Closed { bytes, times: 0, last: now };
        }
        closed.times += 1;
        closed.last = now;
        closed.times > 1
    }

    /// A broker took a message.
    fn took(&mut self, address: &str, bytes: usize) {
        if self.0.get(address).is_some_and(|closed| closed.bytes <= bytes) {
            self.0.remove(address);
        }
    }

    /// Whether a broker has lately refused a message that was no longer.
    fn refuses(&self, address: &str, bytes: usize, now: Instant) -> bool {
        let is_refusal = |closed: &Closed| closed.times > 1 && closed.bytes <= bytes && now.duration_since(closed.last) < BELIEVED;
        self.0.get(address).is_some_and(is_refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a broker closes the connection on 64 MiB, once and again; then a minute passes, and it takes as much. *Guarantees*: the second time is a refusal, of what
    /// is as long or longer, at this broker only, for a minute; what it took is forgotten to be refused.
    #[test]
    fn a_broker_refuses_what_it_closed_the_connection_on_twice() {
        const LONG: usize = 64 << 20;
        let (mut closings, now) = (Closings::default(), Instant::now());
        assert!(!closings.closed("a", LONG, now) && !closings.refuses("a", LONG, now));
        assert!(closings.closed("a", LONG, now));
        let refused = |closings: &Closings, at| [LONG - 1, LONG, LONG + 1].map(|bytes| closings.refuses("a", bytes, at));
        assert_eq!(refused(&closings, now), [false, true, true]);
        assert!(!closings.refuses("b", LONG, now));
        assert_eq!(refused(&closings, now + BELIEVED), [false; 3]);
        assert!(closings.closed("a", LONG, now + BELIEVED), "it is known already");
        closings.took("a", LONG - 1);
        assert_eq!(refused(&closings, now + BELIEVED), [false, true, true], "that says nothing of longer ones");
        closings.took("a", LONG);
        assert!(!closings.closed("a", LONG, now + BELIEVED), "it is the first time again");
    }

    /// *Scenario*: a broker closes the connection on messages of different lengths. *Guarantees*: a refusal of a long one says nothing of a shorter one, but one of a short
    /// one counts for longer ones.
    #[test]
    fn a_shorter_message_is_judged_by_itself() {
        let (mut closings, now) = (Closings::default(), Instant::now());
        assert!(!closings.closed("a", 60, now) && closings.closed("a", 60, now));
        assert!(!closings.closed("a", 40, now));
        assert!(closings.closed("a", 50, now) && closings.refuses("a", 40, now));
    }
}
