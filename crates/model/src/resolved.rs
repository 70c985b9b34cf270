//! A definition after validation, with every reference followed: what the data path works from.

mod credentials;
mod network;
mod tls;

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::dialect::PatternDialect;
use crate::name::{InstanceId, PartitionId, Region, Revision};
use crate::stream::TargetParameter;

pub use credentials::{AssumedRole, Credentials, FederatedRole, HttpEndpoint, InstanceRole, KeyFile, Keys, Role};
pub use network::{Network, Proxy, ProxyCredentials, ProxyProtocol, SecurityGroup, SecurityRule, Vswitch};
pub use tls::{ClientIdentity, Tls};

/// A stream that may run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Identity of its creation.
    pub uid: String,
    /// Version of the definition.
    pub revision: Revision,
    /// The pattern, JSON text.
    pub pattern: String,
    /// Whose rules the pattern follows.
    #[serde(default)]
    pub dialect: PatternDialect,
    /// Where events come from.
    pub source: RocketMqSource,
    /// Where events go.
    pub target: RocketMqTarget,
    /// How it runs.
    pub run: RunSettings,
}

/// How to reach a RocketMQ instance. Equal values may share a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RocketMqConnection {
    /// Its region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// Its protocol.
    #[serde(default)]
    pub protocol: Protocol,
    /// Where it is reached, `host:port`: name servers over remoting, proxies over gRPC. Stored under the name it had when there was remoting only.
    #[serde(rename = "name_servers")]
    pub endpoints: Vec<String>,
    /// Prefix of topics and groups on the wire; empty for none.
    pub namespace: String,
    /// Where the keys for it come from; `None` if it needs none.
    pub credentials: Option<Credentials>,
    /// The network it is dialled through; `None` for the process's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// How TLS is spoken to it; `None`: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// The protocol of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Nobody said. It is what the endpoint turns out to speak, and remoting where it speaks both.
    #[default]
    Detected,
    /// Remoting: name servers and brokers, RocketMQ 4.x and 5.x.
    Remoting,
    /// gRPC, version 2: proxies of RocketMQ 5.x.
    Grpc,
}

impl RocketMqConnection {
    /// Whether both lead to one server: they have an endpoint in common, and reach it through the same proxy. Behind another proxy the same
    /// private address belongs to another machine.
    pub fn meets(&self, other: &Self) -> bool {
        let plain = |endpoint: &String| endpoint.trim().to_ascii_lowercase();
        let own: HashSet<String> = self.endpoints.iter().map(plain).collect();
        self.proxy() == other.proxy() && other.endpoints.iter().any(|endpoint| own.contains(&plain(endpoint)))
    }

    fn proxy(&self) -> Option<&Address> {
        Some(&self.network.as_ref()?.proxy.as_ref()?.address)
    }
}

/// A RocketMQ topic as a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocketMqSource {
    /// How to reach it.
    pub connection: RocketMqConnection,
    /// The topic.
    pub topic: String,
    /// Tags that are wanted; empty for all.
    pub tags: Vec<String>,
    /// SQL92 expression over the message's properties; `None` for none. Never beside tags.
    #[serde(default)]
    pub sql: Option<String>,
    /// The consumer group that carries the progress.
    pub group: String,
    /// Where a partition without progress begins.
    pub start: StartPosition,
}

impl RocketMqSource {
    /// The identity that its offsets belong to: instance, namespace and topic. Endpoints and keys may change without changing it.
    pub fn identity(&self) -> String {
        format!("{}|{}|{}", self.connection.instance, self.connection.namespace, self.topic)
    }
}

/// Where a partition without progress begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPosition {
    /// After the newest stored message.
    #[default]
    Latest,
    /// With the oldest stored message.
    Earliest,
    /// With the first message stored at or after this time, milliseconds since 1970.
    Timestamp(i64),
}

/// A RocketMQ topic as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RocketMqTarget {
    /// How to reach it.
    pub connection: RocketMqConnection,
    /// The topic.
    pub topic: String,
    /// How the message's body is made; `None` keeps the original's.
    pub body: Option<TargetParameter>,
    /// How its user properties are made; `None` keeps the original's.
    pub properties: Option<TargetParameter>,
    /// How its keys are made; `None` keeps the original's.
    pub keys: Option<TargetParameter>,
    /// How its tag is made; `None` keeps the original's.
    pub tags: Option<TargetParameter>,
    /// How its sharding key is made; `None` keeps the original's.
    pub sharding_key: Option<TargetParameter>,
    /// Whether messages of one sharding key must keep their order across partitions of the source.
    pub orderly: bool,
    /// Whether the topic mirrors the source's: queue i to queue i, each message once.
    #[serde(default)]
    pub mirror: bool,
    /// Whether an event that has been at the topic before is not delivered there again.
    #[serde(default)]
    pub loop_guard: bool,
}

/// How a stream runs, with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSettings {
    /// Shards of filters and dispatchers that share the work.
    pub shards: u32,
    /// Highest rate, events per second; `None` for no limit.
    pub throttling: Option<u32>,
    /// Whether events that cannot be delivered are passed over.
    pub tolerate_errors: bool,
    /// Most events in one group of deliveries.
    pub batch_count: u32,
    /// Longest wait for a group to fill.
    pub batch_linger: Duration,
    /// How failed deliveries are tried again.
    pub retry: RetrySettings,
    /// Where events go that cannot be delivered.
    pub dead_letter: Option<DeadLetterTarget>,
}

impl RunSettings {
    /// The shard of filters and dispatchers that a partition's events go through. It is the same in every process and version, and the
    /// queues of one broker, `broker name/queue id`, spread evenly.
    pub fn shard_of(&self, partition: &PartitionId) -> u32 {
        let text = partition.as_str();
        let (broker, queue) = match text.rsplit_once('/') {
            Some((broker, queue)) => (broker, queue.parse().ok()),
            None => (text, None),
        };
        let place = match queue {
            Some(queue) => fnv1a(broker).wrapping_add(queue),
            None => fnv1a(text),
        };
        let shards = u64::from(self.shards.max(1));
        u32::try_from(place % shards).expect("a remainder is below its divisor, which fits")
    }
}

/// FNV-1a of 64 bits: fixed for ever, unlike the hashers of the standard library.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// How failed deliveries are tried again (strategies of Alibaba Cloud EventBridge).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrySettings {
    /// The strategy.
    pub strategy: RetryStrategy,
    /// Most retries.
    pub attempts: u32,
    /// Oldest an event may get before it is given up.
    pub maximum_age: Option<Duration>,
}

/// How waits between attempts grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryStrategy {
    /// Each wait is random, 10 to 20 s.
    Backoff,
    /// 1, 2, 4 … 256 s, then 512 s each.
    ExponentialDecay,
}

/// The topic for events that cannot be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetterTarget {
    /// How to reach it.
    pub connection: RocketMqConnection,
    /// The topic.
    pub topic: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: the queues of brokers over some shards. *Guarantees*: each broker's spread evenly, and where one goes never changes.
    #[test]
    fn queues_spread_evenly_over_shards() {
        let run = RunSettings { shards: 4, ..crate::testing::run() };
        let shards: Vec<u32> = (0..8).map(|queue| run.shard_of(&PartitionId::new(format!("broker-a/{queue}")))).collect();
        assert_eq!(shards, [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(run.shard_of(&PartitionId::new("no queue")), 1);
        assert_eq!(RunSettings { shards: 0, ..run }.shard_of(&PartitionId::new("b/1")), 0);
    }
}
