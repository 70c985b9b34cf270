//! Where the queues of a topic are.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::remoting::json;

/// A queue of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    /// The broker's name.
    pub broker: String,
    /// Its number at that broker.
    pub id: u32,
}

/// The route of a topic as a name server tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    readable: Vec<Queue>,
    writable: Vec<Queue>,
    addresses: BTreeMap<String, BTreeMap<u64, String>>,
}

/// `PermName` of Apache RocketMQ.
pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
/// The id of a master among the brokers of one name.
const MASTER: u64 = 0;

impl Route {
    pub(crate) fn read(body: &[u8]) -> Result<Self, serde_json::Error> {
        let body: Body = json::read(body)?;
        let addresses: BTreeMap<_, _> = body.broker_datas.into_iter().map(|broker| (broker.broker_name, broker.broker_addrs)).collect();
        let mut route = Self { addresses, ..Self::default() };
        for queues in body.queue_datas {
            let list = |count: u32| (0..count).map(|id| Queue { broker: queues.broker_name.clone(), id });
            if queues.perm & READ != 0 && route.addresses.contains_key(&queues.broker_name) {
                route.readable.extend(list(queues.read_queue_nums));
            }
            if queues.perm & WRITE != 0 && route.master(&queues.broker_name).is_some() {
                route.writable.extend(list(queues.write_queue_nums));
            }
        }
        route.readable.sort();
        route.writable.sort();
        Ok(route)
    }

    /// Queue 0 of each broker, to be read and not to be written.
    pub(crate) fn of_readable(brokers: impl IntoIterator<Item = BrokerData>) -> Self {
        let addresses: BTreeMap<_, _> = brokers.into_iter().map(|broker| (broker.broker_name, broker.broker_addrs)).collect();
        let readable = addresses.keys().map(|broker| Queue { broker: broker.clone(), id: 0 }).collect();
        Self { readable, writable: Vec::new(), addresses }
    }

    /// Queues that may be read, sorted.
    pub(crate) fn readable(&self) -> &[Queue] {
        &self.readable
    }

    /// Queues that may be written, sorted.
    pub(crate) fn writable(&self) -> &[Queue] {
        &self.writable
    }

    /// The names of the brokers that have the topic, sorted, also of those that have no master now.
    pub(crate) fn brokers(&self) -> Vec<String> {
        self.addresses.keys().cloned().collect()
    }

    /// The master of a broker name.
    pub(crate) fn master(&self, broker: &str) -> Option<&str> {
        self.addresses.get(broker)?.get(&MASTER).map(String::as_str)
    }

    /// The master, or the first replica when there is no master: whom to read from.
    pub(crate) fn reader(&self, broker: &str) -> Option<&str> {
        self.addresses.get(broker)?.values().next().map(String::as_str)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    broker_datas: Vec<BrokerData>,
    #[serde(default)]
    queue_datas: Vec<QueueData>,
}

/// One broker name and its members, in routes and in the list of the cluster.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BrokerData {
    pub(crate) broker_name: String,
    #[serde(default)]
    pub(crate) broker_addrs: BTreeMap<u64, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueueData {
    broker_name: String,
    read_queue_nums: u32,
    write_queue_nums: u32,
    perm: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a 4.x route with number keys unquoted: one broker readable and writable, one read-only, one without a master.
    /// *Guarantees*: queues by permission, sorted; a read falls to the replica, a write never does.
    #[test]
    fn queues_follow_permissions_and_masters() {
        let body = br#"{"brokerDatas":[{"brokerAddrs":{0:"b:1",1:"b:2"},"brokerName":"b","cluster":"c"},
            {"brokerAddrs":{0:"a:1"},"brokerName":"a","cluster":"c"},{"brokerAddrs":{1:"s:2"},"brokerName":"s","cluster":"c"}],
            "filterServerTable":{},"queueDatas":[{"brokerName":"b","perm":4,"readQueueNums":1,"topicSysFlag":0,"writeQueueNums":1},
            {"brokerName":"a","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":1},
            {"brokerName":"s","perm":6,"readQueueNums":1,"topicSysFlag":0,"writeQueueNums":1}]}"#;
        let route = Route::read(body).expect("a route");
        let queue = |broker: &str, id| Queue { broker: broker.into(), id };
        assert_eq!(route.readable(), [queue("a", 0), queue("a", 1), queue("b", 0), queue("s", 0)]);
        assert_eq!(route.writable(), [queue("a", 0)]);
        assert_eq!((route.reader("s"), route.master("s")), (Some("s:2"), None));
        assert_eq!(route.reader("b"), Some("b:1"));
    }
}
