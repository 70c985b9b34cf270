//! A producer of one topic: who sends, towards proxies.
//!
//! A proxy takes messages from clients that it does not know, too. One that it knows is told what the proxy checks, is asked to come again when the proxy is about to
//! go, and shows in RocketMQ's tools as a producer of the topic. So a session that cannot be opened stops nothing.

use std::sync::Arc;

use rocketbridge_rocketmq_proto::v2::settings::PubSub;
use rocketbridge_rocketmq_proto::v2::{self, ClientType};

use super::client::Client;
use super::session::Agreed;
use super::sessions::{self, Sessions};

/// A producer.
pub(crate) struct Producer {
    /// What it calls itself towards proxies.
    pub(crate) id: String,
    sessions: Sessions,
}

/// What a proxy checks of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checks {
    /// Whether a topic takes messages of its own type only.
    pub(crate) types: bool,
    /// Longest body, bytes.
    pub(crate) longest_body: usize,
}

impl Default for Checks {
    /// What is kept to while nothing is known: proxies check types unless they are set up otherwise, and lengths by themselves.
    fn default() -> Self {
        Self { types: true, longest_body: usize::MAX }
    }
}

impl Producer {
    pub(crate) fn new(client: &Arc<Client>, topic: &v2::Resource) -> Self {
        let id = client.new_identity();
        let publishing = v2::Publishing { topics: vec![topic.clone()], ..v2::Publishing::default() };
        let identity = sessions::identity(client, &id, None, ClientType::Producer, PubSub::Publishing(publishing));
        Self { sessions: Sessions::new(Arc::clone(client), identity), id }
    }

    /// What a proxy checks; waits until it knows the producer, or does not want to.
    pub(crate) async fn checks(&self, proxy: &str) -> Checks {
        match self.sessions.agreed(proxy).await {
            Ok(agreed) => checks(agreed),
            Err(failure) => {
                tracing::debug!(proxy, reason = %failure.during("session"), "messages are sent by a producer that the proxy does not know");
                Checks::default()
            }
        }
    }
}

fn checks(agreed: Agreed) -> Checks {
    let longest_body = usize::try_from(agreed.longest_body).ok().filter(|longest| *longest > 0);
    Checks { types: agreed.checks_types, longest_body: longest_body.unwrap_or(usize::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: proxies that say a longest body, none, and nonsense. *Guarantees*: only one that is said bounds bodies.
    #[test]
    fn only_a_length_that_is_said_counts() {
        let longest = |longest_body| checks(Agreed { longest_body, checks_types: false, ..Agreed::default() });
        assert_eq!(longest(4096), Checks { types: false, longest_body: 4096 });
        assert_eq!((longest(0).longest_body, longest(-1).longest_body), (usize::MAX, usize::MAX));
    }
}
