//! Keeps consumer groups known to the brokers: RocketMQ's tools look a group up by what its heartbeats made (its retry topic).
//!
//! A group whose last partition at a broker is let go is unregistered there. Otherwise the broker waits for its heartbeats for two minutes,
//! and then closes the connection, which other groups and producers of the same client share.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rocketbridge_runtime::TaskKind;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::client::Client;
use crate::error::Failure;
use crate::remoting::Request;
use crate::remoting::code::request;

/// How often a heartbeat is sent; brokers forget a client after two minutes.
const PERIOD: Duration = Duration::from_secs(30);
/// How often a group that is gone is unregistered when that fails, and after which pause: before its broker gives it up.
const FAREWELLS: u32 = 10;
const BETWEEN_FAREWELLS: Duration = Duration::from_secs(10);

/// The groups that are present, and where.
pub(crate) struct Presence {
    client: Arc<Client>,
    subscriptions: Mutex<HashMap<Subscription, usize>>,
    changed: Arc<Notify>,
}

/// One group reading one topic at one broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Subscription {
    /// The broker's name.
    pub(crate) broker: String,
    /// Wire name of the group.
    pub(crate) group: String,
    /// Wire name of the topic.
    pub(crate) topic: String,
    /// The tag expression.
    pub(crate) expression: String,
}

/// A group is present for as long as this lives.
pub(crate) struct Attendance {
    presence: Arc<Presence>,
    subscription: Subscription,
}

impl Presence {
    /// The presence of a client's groups. Its loop of heartbeats ends with it.
    pub(crate) fn new(client: Arc<Client>) -> Arc<Self> {
        let presence = Arc::new(Self { client, subscriptions: Mutex::default(), changed: Arc::default() });
        let (weak, changed) = (Arc::downgrade(&presence), Arc::clone(&presence.changed));
        presence.client.tasks().spawn("rocketmq heartbeats", TaskKind::Worker, async move {
            while beat(&weak).await {
                timeout(PERIOD, changed.notified()).await.ok();
            }
            Ok::<_, Infallible>(())
        });
        presence
    }

    /// The client whose groups they are.
    pub(crate) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Makes a group present, soon.
    pub(crate) fn attend(self: &Arc<Self>, subscription: Subscription) -> Attendance {
        *self.subscriptions.lock().entry(subscription.clone()).or_default() += 1;
        self.changed.notify_one();
        Attendance { presence: Arc::clone(self), subscription }
    }

    fn by_broker(&self) -> BTreeMap<String, Vec<Subscription>> {
        let mut brokers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for subscription in self.subscriptions.lock().keys() {
            brokers.entry(subscription.broker.clone()).or_default().push(subscription.clone());
        }
        brokers
    }

    fn is_present(&self, broker: &str, group: &str) -> bool {
        self.subscriptions.lock().keys().any(|present| present.broker == broker && present.group == group)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl Attendance {
    /// Makes the group known to its broker now, and waits until it is.
    pub(crate) async fn beat(&self) -> Result<(), Failure> {
        let subscriptions = self.presence.by_broker().remove(&self.subscription.broker).unwrap_or_default();
        beat_at(&self.presence.client, &self.subscription.broker, &subscriptions).await
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        {
            let mut subscriptions = self.presence.subscriptions.lock();
            if let Some(count) = subscriptions.get_mut(&self.subscription) {
                *count -= 1;
                if *count == 0 {
                    subscriptions.remove(&self.subscription);
                }
            }
        }
        let Subscription { broker, group, .. } = &self.subscription;
        // Without a runtime the process is at its end, and so are its connections.
        if !self.presence.is_present(broker, group) && tokio::runtime::Handle::try_current().is_ok() {
            let farewell = farewell(Arc::clone(&self.presence), self.subscription.clone());
            self.presence.client.tasks().spawn("rocketmq unregister", TaskKind::Worker, farewell);
        }
    }
}

/// Tells a broker that a group is gone, unless it is back.
async fn farewell(presence: Arc<Presence>, subscription: Subscription) -> Result<(), Infallible> {
    let Subscription { broker, group, topic, .. } = &subscription;
    for _ in 0..FAREWELLS {
        if presence.is_present(broker, group) {
            return Ok(());
        }
        let client = &presence.client;
        let said = async {
            let address = client.master(topic, broker).await?;
            client.ask(&address, unregister(client.id(), group)).await
        };
        match said.await {
            Ok(_) => return Ok(()),
            Err(failure) => {
                let error = failure.during(format!("unregister group {group} at broker {broker}"));
                tracing::debug!(%error, "tried again, until the broker has forgotten the group by itself");
            }
        }
        sleep(BETWEEN_FAREWELLS).await;
    }
    Ok(())
}

pub(crate) fn unregister(id: &str, group: &str) -> Request {
    Request::new(request::UNREGISTER_CLIENT).field("clientID", id.to_owned()).field("consumerGroup", group.to_owned())
}

/// One heartbeat to every broker with subscriptions; `false` when nobody is present any more. A failure only leaves the tools blind, so it is no
/// more than noted.
async fn beat(presence: &Weak<Presence>) -> bool {
    let Some(presence) = presence.upgrade() else { return false };
    for (broker, subscriptions) in presence.by_broker() {
        if let Err(failure) = beat_at(&presence.client, &broker, &subscriptions).await {
            let error = failure.during(format!("heartbeat to broker {broker}"));
            tracing::debug!(%error, "consumer groups may be unknown to the tools of RocketMQ");
        }
    }
    true
}

/// One heartbeat with all subscriptions at a broker: it takes what is missing in one as gone.
async fn beat_at(client: &Client, broker: &str, subscriptions: &[Subscription]) -> Result<(), Failure> {
    let Some(first) = subscriptions.first() else { return Ok(()) };
    let address = client.master(&first.topic, broker).await?;
    client.ask(&address, heartbeat(client.id(), subscriptions)).await.map(drop)
}

pub(crate) fn heartbeat(id: &str, subscriptions: &[Subscription]) -> Request {
    let version = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut groups: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    for subscription in subscriptions {
        groups.entry(&subscription.group).or_default().push(serde_json::json!({
            "classFilterMode": false, "codeSet": [], "expressionType": "TAG", "subString": subscription.expression,
            "subVersion": u64::try_from(version).unwrap_or_default(), "tagsSet": [], "topic": subscription.topic,
        }));
    }
    let consumers: Vec<_> = groups
        .into_iter()
        .map(|(group, topics)| {
            serde_json::json!({
                "groupName": group, "consumeType": "CONSUME_ACTIVELY", "messageModel": "CLUSTERING",
                "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "subscriptionDataSet": topics, "unitMode": false,
            })
        })
        .collect();
    let body = serde_json::json!({ "clientID": id, "consumerDataSet": consumers, "producerDataSet": [] });
    Request::new(request::HEART_BEAT).body(body.to_string())
}
