//! Keeps consumer groups known to the brokers: RocketMQ's tools look a group up by what its heartbeats made (its retry topic).

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rocketbridge_runtime::TaskKind;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::client::Client;
use crate::error::Failure;
use crate::remoting::Request;
use crate::remoting::code::request;

/// How often a heartbeat is sent; brokers forget a client after two minutes.
const PERIOD: Duration = Duration::from_secs(30);

/// The groups that are present, and where.
#[derive(Default)]
pub(crate) struct Presence {
    members: Mutex<HashMap<Member, usize>>,
    changed: Arc<Notify>,
}

/// One group reading one topic at one broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Member {
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
pub(crate) struct Registration {
    client: Arc<Client>,
    member: Member,
}

impl Presence {
    /// Starts the loop of a client's heartbeats; it ends with the client.
    pub(crate) fn keep(client: &Arc<Client>) {
        let changed = Arc::clone(&client.presence().changed);
        let weak = Arc::downgrade(client);
        client.tasks().spawn("rocketmq heartbeats", TaskKind::Worker, async move {
            while beat(&weak).await {
                timeout(PERIOD, changed.notified()).await.ok();
            }
            Ok::<_, Infallible>(())
        });
    }

    /// Makes a group present, soon.
    pub(crate) fn register(client: &Arc<Client>, member: Member) -> Registration {
        let presence = client.presence();
        *presence.members.lock().entry(member.clone()).or_default() += 1;
        presence.changed.notify_one();
        Registration { client: Arc::clone(client), member }
    }

    /// Ends the loop when the client goes.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    fn by_broker(&self) -> BTreeMap<String, Vec<Member>> {
        let mut brokers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for member in self.members.lock().keys() {
            brokers.entry(member.broker.clone()).or_default().push(member.clone());
        }
        brokers
    }
}

impl Registration {
    /// Makes the group known to its broker now, and waits until it is.
    pub(crate) async fn beat(&self) -> Result<(), Failure> {
        let members = self.client.presence().by_broker().remove(&self.member.broker).unwrap_or_default();
        beat_at(&self.client, &self.member.broker, &members).await
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut members = self.client.presence().members.lock();
        if let Some(count) = members.get_mut(&self.member) {
            *count -= 1;
            if *count == 0 {
                members.remove(&self.member);
            }
        }
    }
}

/// One heartbeat to every broker with members; `false` when the client is gone. A failure only leaves the tools blind, so it is no
/// more than noted.
async fn beat(client: &Weak<Client>) -> bool {
    let Some(client) = client.upgrade() else { return false };
    for (broker, members) in client.presence().by_broker() {
        if let Err(failure) = beat_at(&client, &broker, &members).await {
            let error = failure.during(format!("heartbeat to broker {broker}"));
            tracing::debug!(%error, "consumer groups may be unknown to the tools of RocketMQ");
        }
    }
    true
}

/// One heartbeat with all members at a broker: it takes what is missing in one as gone.
async fn beat_at(client: &Client, broker: &str, members: &[Member]) -> Result<(), Failure> {
    let Some(first) = members.first() else { return Ok(()) };
    let address = client.master(&first.topic, broker).await?;
    client.ask(&address, heartbeat(client.id(), members)).await.map(drop)
}

fn heartbeat(id: &str, members: &[Member]) -> Request {
    let version = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let mut groups: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    for member in members {
        groups.entry(&member.group).or_default().push(serde_json::json!({
            "classFilterMode": false, "codeSet": [], "expressionType": "TAG", "subString": member.expression,
            "subVersion": u64::try_from(version).unwrap_or_default(), "tagsSet": [], "topic": member.topic,
        }));
    }
    let consumers: Vec<_> = groups
        .into_iter()
        .map(|(group, subscriptions)| {
            serde_json::json!({
                "groupName": group, "consumeType": "CONSUME_ACTIVELY", "messageModel": "CLUSTERING",
                "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "subscriptionDataSet": subscriptions, "unitMode": false,
            })
        })
        .collect();
    let body = serde_json::json!({ "clientID": id, "consumerDataSet": consumers, "producerDataSet": [] });
    Request::new(request::HEART_BEAT).body(body.to_string())
}
