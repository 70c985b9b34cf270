//! The property that says where a routed message first came from.

use rocketbridge_model::{Origin, Properties};

/// Name of the property. Its value is `region/instance/topic/broker/queue/offset` of the message that was read first: a message that
/// is routed on keeps the value it has, so it neither grows nor forgets.
pub const ORIGIN_PROPERTY: &str = "RB_ORIGIN";

/// Where a message first came from, if it was routed by RocketBridge.
pub fn origin_of(properties: &Properties) -> Option<&str> {
    properties.get(ORIGIN_PROPERTY)
}

/// The part of the value that all messages of a partition share.
pub(crate) fn prefix(origin: &Origin) -> String {
    format!("{}/{}/{}/{}/{}/", origin.region, origin.instance, origin.topic, origin.broker, origin.queue)
}
