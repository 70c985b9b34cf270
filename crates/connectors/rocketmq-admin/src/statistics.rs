//! What brokers count.

use std::collections::BTreeMap;

use rocketbridge_connector::Error;
use rocketmq_client_rust::BrokerAdmin;

use crate::administration::Administration;

/// Names of what brokers count (`Stats` of Apache RocketMQ).
const TOPIC_PUT: &str = "TOPIC_PUT_NUMS";
const GROUP_GET: &str = "GROUP_GET_NUMS";

/// What one broker tells of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BrokerStatistics {
    /// Its version, such as `V5_3_3`.
    pub version: String,
    /// Messages a second that producers put, over the last ten seconds.
    pub put_tps: f64,
    /// Messages a second that consumers got, over the last ten seconds.
    pub get_tps: f64,
    /// Everything that it tells, by its own names.
    pub all: BTreeMap<String, String>,
}

/// How a topic is used, over all brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TopicStatistics {
    /// Messages a second that producers put, over the last minute.
    pub in_tps: f64,
    /// Messages a second that these groups got, over the last minute.
    pub out_tps: f64,
}

impl Administration {
    /// What each master tells of itself, by the broker's name.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn broker_statistics(&self) -> Result<BTreeMap<String, BrokerStatistics>, Error> {
        let read = |relay: String| BrokerAdmin::fetch_broker_runtime_stats(&self.library, relay.into());
        let told = self.at_masters("read the statistics of the brokers", read).await?;
        let table = |(broker, told): (String, rocketmq_protocol::protocol::body::kv_table::KVTable)| {
            (broker, statistics(told.table.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()))
        };
        Ok(told.into_iter().map(table).collect())
    }

    /// How a topic is used. A broker that counted nothing yet counts as 0.
    ///
    /// # Errors
    ///
    /// A master cannot be reached.
    pub async fn topic_statistics(&self, topic: &str, groups: &[String]) -> Result<TopicStatistics, Error> {
        let wire = self.wire_name(topic);
        let mut statistics = TopicStatistics { in_tps: self.counted(TOPIC_PUT, &wire).await?, out_tps: 0.0 };
        for group in groups {
            statistics.out_tps += self.counted(GROUP_GET, &format!("{wire}@{}", self.wire_name(group))).await?;
        }
        Ok(statistics)
    }

    async fn counted(&self, name: &str, key: &str) -> Result<f64, Error> {
        let attempt = format!("read {name} of {key}");
        let mut sum = 0.0;
        for address in self.masters().values() {
            let read = |relay: String| BrokerAdmin::view_broker_stats_data(&self.library, relay.into(), name.into(), key.into());
            match self.at(address, &attempt, read).await {
                Ok(data) => sum += data.get_stats_minute().get_tps(),
                // A system error with these words: nothing was counted yet. The first are Java's, the second those of the embedded broker.
                Err(error) if ["not exist", "No stats data"].iter().any(|words| error.reason.contains(words)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sum)
    }
}

/// The rates over ten seconds stand first of three: over 10 s, 1 min and 10 min.
fn statistics(all: BTreeMap<String, String>) -> BrokerStatistics {
    let text = |name: &str| all.get(name).map(String::as_str).unwrap_or_default();
    let rate = |name: &str| text(name).split_whitespace().next().and_then(|rate| rate.parse().ok()).unwrap_or_default();
    let version = text("brokerVersionDesc").to_owned();
    BrokerStatistics { version, put_tps: rate("putTps"), get_tps: rate("getTransferredTps"), all }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: what a broker of 5.3 tells, and one that tells nothing. *Guarantees*: the first rate counts; what is not told is 0.
    #[test]
    fn rates_are_read() {
        let told = [("putTps", "12.5 3.0 1.0"), ("getTransferredTps", "7 1 1"), ("brokerVersionDesc", "V5_3_3")];
        let read = statistics(told.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!((read.put_tps, read.get_tps, read.version.as_str()), (12.5, 7.0, "V5_3_3"));
        assert_eq!(statistics(BTreeMap::new()), BrokerStatistics::default());
    }
}
