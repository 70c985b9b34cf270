//! A consumer of one topic for one group: its sessions with proxies, shared by all receivers of this process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rocketbridge_model::resolved::RocketMqSource;
use rocketbridge_rocketmq_proto::v2::settings::PubSub;
use rocketbridge_rocketmq_proto::v2::{self, ClientType, FilterExpression, FilterType};
use tokio::sync::OnceCell;

use super::beside::Beside;
use super::client::Client;
use super::route::Route;
use super::session::Agreed;
use super::sessions::{self, Sessions};
use super::unheld::Unheld;
use crate::error::Failure;

/// A consumer.
pub(crate) struct Consumer {
    pub(crate) client: Arc<Client>,
    pub(crate) definition: RocketMqSource,
    pub(crate) topic: v2::Resource,
    pub(crate) group: v2::Resource,
    pub(crate) filter: FilterExpression,
    /// What it calls itself towards proxies.
    pub(crate) id: String,
    sessions: Sessions,
    /// Remoting, where the endpoints speak it as well.
    pub(crate) beside: Beside,
    /// Numbers of the receivers that are open, and of the next one.
    receivers: Mutex<BTreeSet<u64>>,
    next: AtomicU64,
    /// Requests that brokers did not hold.
    pub(crate) unheld: Unheld,
    /// Set once the group begins where the definition says.
    pub(crate) placed: OnceCell<()>,
}

/// A receiver's place among those of its consumer, for as long as this lives.
pub(crate) struct Seat {
    consumer: Arc<Consumer>,
    number: u64,
}

impl Consumer {
    pub(crate) fn new(client: Arc<Client>, definition: RocketMqSource) -> Self {
        let (topic, group) = (client.resource(&definition.topic), client.resource(&definition.group));
        let (filter, id) = (filter(&definition), client.new_identity());
        let subscription = v2::Subscription {
            group: Some(group.clone()),
            subscriptions: vec![v2::SubscriptionEntry { topic: Some(topic.clone()), expression: Some(filter.clone()) }],
            ..v2::Subscription::default()
        };
        let identity =
            sessions::identity(&client, &id, Some(group.clone()), ClientType::SimpleConsumer, PubSub::Subscription(subscription));
        Self {
            sessions: Sessions::new(Arc::clone(&client), identity),
            client,
            definition,
            topic,
            group,
            filter,
            id,
            beside: Beside::default(),
            receivers: Mutex::default(),
            next: AtomicU64::new(0),
            unheld: Unheld::default(),
            placed: OnceCell::new(),
        }
    }

    /// The topic's route, if it has a queue to read from.
    pub(crate) async fn route(&self) -> Result<Arc<Route>, Failure> {
        let route = self.client.route(&self.topic).await?;
        if route.readable().next().is_none() {
            self.client.doubt_route(&self.topic);
            return Err(Failure::Lost { address: self.client.endpoints(), reason: "the topic has no readable queue now".to_owned() });
        }
        Ok(route)
    }

    /// What a proxy and this consumer agreed upon; waits until the proxy knows the consumer.
    pub(crate) async fn agreed(&self, proxy: &str) -> Result<Agreed, Failure> {
        self.sessions.agreed(proxy).await
    }

    /// Something that a proxy should know of this consumer it did not know, or its route was wrong.
    pub(crate) fn doubt(&self, proxy: &str, failure: &Failure) {
        self.client.doubt_route(&self.topic);
        // A proxy that has no settings of its client answers with whatever breaks first.
        if matches!(failure, Failure::Refused { .. }) {
            self.sessions.doubt(proxy);
        }
    }

    /// Takes a place among the receivers.
    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.receivers.lock().insert(number);
        Seat { consumer: Arc::clone(self), number }
    }
}

impl Seat {
    pub(crate) fn consumer(&self) -> &Arc<Consumer> {
        &self.consumer
    }

    /// Its rank among the receivers that are open, and how many there are.
    pub(crate) fn rank(&self) -> (usize, usize) {
        let receivers = self.consumer.receivers.lock();
        (receivers.range(..self.number).count(), receivers.len())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.consumer.receivers.lock().remove(&self.number);
    }
}

/// What is wanted of the topic, as brokers evaluate it.
fn filter(definition: &RocketMqSource) -> FilterExpression {
    if let Some(sql) = &definition.sql {
        return FilterExpression { r#type: FilterType::Sql.into(), expression: sql.clone() };
    }
    let tags: Vec<_> = definition.tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()).collect();
    let all = tags.is_empty() || tags.contains(&"*");
    FilterExpression { r#type: FilterType::Tag.into(), expression: if all { "*".to_owned() } else { tags.join("||") } }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::resolved::RocketMqConnection;
    use rocketbridge_runtime::{Shutdown, Tasks};

    use super::*;
    use crate::acl::Keys;

    fn definition(tags: &[&str], sql: Option<&str>) -> RocketMqSource {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        RocketMqSource { tags, sql: sql.map(str::to_owned), ..rocketbridge_model::testing::stream().source }
    }

    #[test]
    fn a_filter_is_tags_or_an_expression() {
        let of = |tags: &[&str], sql| filter(&definition(tags, sql));
        let tag = |expression: &str| FilterExpression { r#type: FilterType::Tag.into(), expression: expression.into() };
        assert_eq!((of(&[], None), of(&["a", "*"], None), of(&["a ", "b"], None)), (tag("*"), tag("*"), tag("a||b")));
        assert_eq!(of(&[], Some("a > 1")), FilterExpression { r#type: FilterType::Sql.into(), expression: "a > 1".into() });
    }

    /// *Scenario*: three receivers, of which the first is closed. *Guarantees*: the others close ranks.
    #[tokio::test]
    async fn receivers_close_ranks() {
        let client = Client::new(RocketMqConnection::default(), Tasks::new(Shutdown::new()), Arc::default(), Keys::new(None));
        let consumer = Arc::new(Consumer::new(client, definition(&[], None)));
        let (first, second, third) = (consumer.seat(), consumer.seat(), consumer.seat());
        assert_eq!((first.rank(), second.rank(), third.rank()), ((0, 3), (1, 3), (2, 3)));
        drop(first);
        assert_eq!((second.rank(), third.rank()), ((0, 2), (1, 2)));
    }
}
