//! Topics as people manage them: made, listed, looked at, and removed, at every master or at those of one cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use rocketbridge_connector::{Code, Error};
use serde::Deserialize;

use super::Admin;
use crate::error::Failure;
use crate::offsets::Offsets;
use crate::remoting::code::request;
use crate::remoting::{Request, json};
use crate::route::{BrokerData, Queue, Route};

/// Readable and writable.
const PERMISSION: u32 = 6;
/// How long brokers may take to register a topic.
const REGISTRATION: Duration = Duration::from_secs(5);
/// Between two looks whether a name server knows a topic.
const LOOK: Duration = Duration::from_millis(20);

/// Topics that every RocketMQ has for its own use, as Java's `TopicValidator` lists them.
const SYSTEM_TOPICS: [&str; 10] = [
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "BenchmarkTest",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "CHECKPOINT_TOPIC",
];

/// A queue of a topic, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicQueue {
    /// The queue.
    pub queue: Queue,
    /// Address of the broker's master; the first replica if there is no master.
    pub address: String,
    /// Whether consumers may read it.
    pub is_readable: bool,
    /// Whether producers may write to it.
    pub is_writable: bool,
    /// The oldest offset stored, and one beyond the newest; absent for a queue that cannot be read.
    pub offsets: Option<(u64, u64)>,
}

impl Admin {
    /// Creates a topic with so many queues at every master of the instance, or changes their number.
    pub async fn create_topic(&self, topic: &str, queues: u32) -> Result<(), Error> {
        self.create_topic_in(None, topic, queues).await.map(drop)
    }

    /// Creates a topic at the masters of one cluster, or of all, or changes its number of queues. Returns the names of the brokers, as soon as a
    /// name server knows the topic at each of them, so that whoever uses it next finds it; a broker that is slow to register is not waited for
    /// longer than five seconds.
    ///
    /// # Errors
    ///
    /// There is no such cluster or no master, or a broker refuses. Then the topic may stand at some brokers; the error names them.
    pub async fn create_topic_in(&self, cluster: Option<&str>, topic: &str, queues: u32) -> Result<Vec<String>, Error> {
        let attempt = format!("create topic {topic} through name server {}", self.client.name_servers());
        let brokers = self.at_masters(cluster, &attempt, self.set_up(topic, queues, queues, PERMISSION)).await?;
        let is_known = |route: &Route| brokers.iter().all(|broker| route.readable().iter().any(|queue| queue.broker == *broker));
        self.registered(topic, is_known).await;
        Ok(brokers)
    }

    /// The request that creates a topic or changes how it is set up.
    pub(crate) fn set_up(&self, topic: &str, read_queues: u32, write_queues: u32, permission: u32) -> Request {
        Request::new(request::UPDATE_AND_CREATE_TOPIC)
            .field("topic", self.client.wire_name(topic))
            .field("defaultTopic", "TBW102")
            .number("readQueueNums", read_queues)
            .number("writeQueueNums", write_queues)
            .number("perm", permission)
            .field("topicFilterType", "SINGLE_TAG")
            .field("topicSysFlag", "0")
            .field("order", "false")
    }

    /// Waits until a name server knows of a topic what it should: brokers confirm a topic before they have registered it. Too late is no failure: the topic is
    /// there, and whoever uses it tries again.
    pub(super) async fn registered(&self, topic: &str, is_known: impl Fn(&Route) -> bool) {
        let topic = self.client.wire_name(topic);
        let looks = async {
            while !self.client.fresh_route(&topic).await.is_ok_and(|route| is_known(&route)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let _ = tokio::time::timeout(REGISTRATION, looks).await;
    }

    /// Removes a topic and its messages from the masters of one cluster, or of all, and from every name server. Answers the names of
    /// the brokers.
    ///
    /// # Errors
    ///
    /// As for [`Admin::create_topic_in`]. A topic that is not there is no error to brokers.
    pub async fn delete_topic_in(&self, cluster: Option<&str>, topic: &str) -> Result<Vec<String>, Error> {
        let attempt = format!("delete topic {topic} through name server {}", self.client.name_servers());
        let wire = self.client.wire_name(topic);
        let request = Request::new(request::DELETE_TOPIC_IN_BROKER).field("topic", wire.clone());
        let brokers = self.at_masters(cluster, &attempt, request).await?;
        // Each name server forgets by itself at the broker's next registration; this makes it at once. With other clusters left, the
        // route must stay.
        if cluster.is_none() {
            for server in &self.client.settings().endpoints {
                let request = Request::new(request::DELETE_TOPIC_IN_NAME_SERVER).field("topic", wire.clone());
                self.client.ask(server.trim(), request).await.map_err(|failure| failure.during(attempt.clone()))?;
            }
        }
        Ok(brokers)
    }

    /// Topics that users made, sorted, by the name they use; with `all` also RocketMQ's own, such as those of retries.
    pub async fn topics_of_users(&self, all: bool) -> Result<Vec<String>, Error> {
        let attempt = || format!("list the topics of name server {}", self.client.name_servers());
        let own = self.clusters().await.map_err(|failure| failure.during(attempt()))?.names();
        let topics = self.topics().await?;
        let named = topics.iter().filter_map(|topic| self.client.plain_name(topic));
        Ok(named.filter(|topic| all || !(own.contains(&**topic) || is_system_topic(topic))).map(Into::into).collect())
    }

    /// Every queue of a topic, sorted. `NotFound` if no name server knows the topic.
    pub async fn describe_topic(&self, topic: &str) -> Result<Vec<TopicQueue>, Error> {
        let wire = &self.client.wire_name(topic);
        let attempt = || format!("look at topic {topic} through name server {}", self.client.name_servers());
        let route = self.client.fresh_route(wire).await.map_err(|failure| failure.during(attempt()))?;
        let queues: BTreeSet<&Queue> = route.readable().iter().chain(route.writable()).collect();
        let described = queues.into_iter().map(|queue| {
            let route = &route;
            async move {
                let is_readable = route.readable().binary_search(queue).is_ok();
                let offsets = Offsets { client: &self.client, topic: wire, queue, address: None };
                Ok(TopicQueue {
                    queue: queue.clone(),
                    address: route.reader(&queue.broker).unwrap_or_default().to_owned(),
                    is_readable,
                    is_writable: route.writable().binary_search(queue).is_ok(),
                    offsets: if is_readable { Some((offsets.minimum().await?, offsets.maximum().await?)) } else { None },
                })
            }
        });
        try_join_all(described).await.map_err(|failure: Failure| failure.during(attempt()))
    }

    /// Asks the same of every master, of one cluster or of all. Answers the names of the brokers, sorted.
    pub(super) async fn at_masters(&self, cluster: Option<&str>, attempt: &str, request: Request) -> Result<Vec<String>, Error> {
        let clusters = self.clusters().await.map_err(|failure| failure.during(attempt))?;
        let masters = clusters.masters(cluster).map_err(|reason| Error::new(Code::NotFound, attempt, reason))?;
        if masters.is_empty() {
            return Err(Error::new(Code::Unavailable, attempt, "the name server knows no master broker now"));
        }
        let asked = masters.iter().map(|(broker, address)| {
            let request = request.clone();
            async move { (broker.clone(), self.client.ask(address, request).await) }
        });
        let (mut done, mut failed) = (Vec::new(), None);
        for (broker, answer) in join_all(asked).await {
            match answer {
                Ok(_) => done.push(broker),
                Err(failure) => failed = failed.or(Some((broker, failure))),
            }
        }
        let Some((broker, failure)) = failed else { return Ok(done) };
        let mut error = failure.during(attempt);
        error.reason = format!("broker {broker} at {}", error.reason);
        if !done.is_empty() {
            error.reason = format!("{}; done at {}", error.reason, done.join(", "));
        }
        Err(error)
    }

    pub(super) async fn clusters(&self) -> Result<Clusters, Failure> {
        let (address, response) = self.client.ask_name_server(Request::new(request::GET_BROKER_CLUSTER_INFO)).await?;
        json::read(&response.body).map_err(|error| Failure::nonsense(&address, error.to_string()))
    }
}

/// Whether RocketMQ made the topic for its own use: a group's retries, dead letters, a broker's replies.
fn is_system_topic(topic: &str) -> bool {
    let prefixes = ["%RETRY%", "%DLQ%", "rmq_sys_", "%SYS%"];
    SYSTEM_TOPICS.contains(&topic) || topic.ends_with("_REPLY_TOPIC") || prefixes.iter().any(|prefix| topic.starts_with(prefix))
}

/// The clusters that a name server knows.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clusters {
    #[serde(default)]
    broker_addr_table: BTreeMap<String, BrokerData>,
    #[serde(default)]
    cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}

impl Clusters {
    /// Names and addresses of the masters of one cluster, or of all. The error says which clusters there are.
    pub(super) fn masters(&self, cluster: Option<&str>) -> Result<BTreeMap<String, String>, String> {
        let members = match cluster {
            Some(name) => Some(self.cluster_addr_table.get(name).ok_or_else(|| {
                let names: Vec<&str> = self.cluster_addr_table.keys().map(String::as_str).collect();
                format!("there is no cluster {name}; there is {}", names.join(", "))
            })?),
            None => None,
        };
        let brokers = self.broker_addr_table.iter().filter(|(name, _)| members.is_none_or(|members| members.contains(*name)));
        Ok(brokers.filter_map(|(name, broker)| Some((name.clone(), broker.broker_addrs.get(&0)?.clone()))).collect())
    }

    /// Names of clusters and brokers: each broker keeps topics of these names.
    fn names(&self) -> BTreeSet<String> {
        self.cluster_addr_table.keys().chain(self.broker_addr_table.keys()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: two clusters under one name server, one broker without a master. *Guarantees*: a cluster's masters are its own, a
    /// broker without a master is none, and a wrong name says which there are.
    #[test]
    fn a_cluster_has_its_own_masters() {
        let clusters: Clusters = json::read(
            br#"{"brokerAddrTable":{"a":{"brokerAddrs":{0:"a:1",1:"a:2"},"brokerName":"a","cluster":"east"},
                "b":{"brokerAddrs":{1:"b:2"},"brokerName":"b","cluster":"east"},"c":{"brokerAddrs":{0:"c:1"},"brokerName":"c","cluster":"west"}},
                "clusterAddrTable":{"east":["a","b"],"west":["c"]}}"#,
        )
        .expect("clusters");
        let masters = |cluster| clusters.masters(cluster).map(|masters| masters.into_iter().collect::<Vec<_>>());
        let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        assert_eq!(masters(None), Ok(vec![pair("a", "a:1"), pair("c", "c:1")]));
        assert_eq!(masters(Some("west")), Ok(vec![pair("c", "c:1")]));
        assert_eq!(masters(Some("east")), Ok(vec![pair("a", "a:1")]));
        assert_eq!(masters(Some("north")), Err("there is no cluster north; there is east, west".to_owned()));
        assert_eq!(clusters.names().into_iter().collect::<Vec<_>>(), ["a", "b", "c", "east", "west"]);
    }

    #[test]
    fn rocketmqs_own_topics_are_known() {
        for topic in ["TBW102", "%RETRY%group", "%DLQ%group", "rmq_sys_wheel_timer", "c_REPLY_TOPIC", "SCHEDULE_TOPIC_XXXX"] {
            assert!(is_system_topic(topic), "{topic}");
        }
        assert!(!is_system_topic("orders"));
    }
}
