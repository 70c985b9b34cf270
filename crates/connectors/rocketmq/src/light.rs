//! Light queues (LMQ): a broker puts a message into them beside its own topic, as its property `INNER_MULTI_DISPATCH` says.
//!
//! No name server knows `%LMQ%NAME`: it has one queue, 0, at each broker that got such messages. A message is stored once, with the offset of its own topic;
//! its offset in each light queue is in `INNER_MULTI_QUEUE_OFFSET`, in the order of `INNER_MULTI_DISPATCH` (`MultiDispatch` of Apache RocketMQ).

use std::collections::BTreeMap;

use rocketbridge_model::{Event, Properties, property};
use serde::Deserialize;

use crate::remoting::json;
use crate::route::{BrokerData, Route};

/// What the names of light queues begin with (`MixAll.LMQ_PREFIX`).
const PREFIX: &str = "%LMQ%";
const OFFSETS: &str = "INNER_MULTI_QUEUE_OFFSET";
/// What separates names, and offsets (`MixAll.MULTI_DISPATCH_QUEUE_SPLITTER`).
const SEPARATOR: char = ',';

/// Whether a topic is a light queue.
pub(crate) fn is_light(topic: &str) -> bool {
    topic.starts_with(PREFIX)
}

/// The route of every light queue, from a name server's list of brokers: queue 0 of every broker. Nothing is sent to it.
pub(crate) fn route(list: &[u8]) -> Result<Route, serde_json::Error> {
    let brokers: Brokers = json::read(list)?;
    Ok(Route::of_readable(brokers.broker_addr_table.into_values()))
}

/// Gives events the offsets that they have in a light queue. An event that does not say keeps its own: then positions count.
pub(crate) fn place(topic: &str, events: &mut [Event]) {
    for event in events {
        event.offset = offset(topic, &event.envelope.properties).unwrap_or(event.offset);
    }
}

fn offset(topic: &str, properties: &Properties) -> Option<u64> {
    let at = properties.get(property::MULTI_DISPATCH)?.split(SEPARATOR).position(|name| name == topic)?;
    properties.get(OFFSETS)?.split(SEPARATOR).nth(at)?.parse().ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brokers {
    #[serde(default)]
    broker_addr_table: BTreeMap<String, BrokerData>,
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::Envelope;

    use super::*;

    /// *Scenario*: the list of two brokers. *Guarantees*: queue 0 of each is read at its address, and none is written to.
    #[test]
    fn every_broker_may_have_a_part_of_a_light_queue() {
        let list = br#"{"brokerAddrTable":{"b":{"brokerAddrs":{0:"b:1"},"brokerName":"b","cluster":"c"},
            "a":{"brokerAddrs":{1:"a:2"},"brokerName":"a","cluster":"c"}},"clusterAddrTable":{"c":["a","b"]}}"#;
        let route = route(list).expect("a list");
        let queues: Vec<_> = route.readable().iter().map(|queue| (queue.broker.as_str(), queue.id)).collect();
        assert_eq!((queues, route.writable().len()), (vec![("a", 0), ("b", 0)], 0));
        assert_eq!((route.reader("a"), route.master("b")), (Some("a:2"), Some("b:1")));
    }

    /// *Scenario*: a message of two light queues, one that is in another, one whose offsets are nonsense. *Guarantees*: the offset is that of the queue that
    /// is read; where it is not said, nothing is made up.
    #[test]
    fn offsets_are_those_of_the_light_queue() {
        let event = |dispatch: &str, offsets: &str| {
            let properties = Properties::from_pairs([(property::MULTI_DISPATCH, dispatch), (OFFSETS, offsets)]).expect("no separators");
            Event { offset: 99, envelope: Envelope { properties, ..Envelope::default() }, attributes: None }
        };
        let mut events = [event("%LMQ%a,%LMQ%b", "4,7"), event("%LMQ%b", "8"), event("%LMQ%a", "1"), event("%LMQ%a,%LMQ%b", "4,x")];
        place("%LMQ%b", &mut events);
        assert_eq!(events.map(|event| event.offset), [7, 8, 99, 99]);
        assert!(is_light("%LMQ%b") && !is_light("%DLQ%b") && !is_light("orders"));
    }
}
