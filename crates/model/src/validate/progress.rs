//! Which streams would share their progress.
//!
//! The progress of a stream is the committed offset of its consumer group. Two streams with one group on one topic would share it, and each
//! would skip what the other has committed.

use crate::resolved::RocketMqSource;
use crate::violation::Violation;

/// Whether two sources store their progress in the same place: the same group, for the same topic of the same instance.
pub fn shares_progress(one: &RocketMqSource, other: &RocketMqSource) -> bool {
    let (here, there) = (&one.connection, &other.connection);
    let is_same_instance = !here.instance.is_empty() && here.instance == there.instance && here.region == there.region;
    one.topic == other.topic && one.group == other.group && here.namespace == there.namespace && (is_same_instance || here.meets(there))
}

/// The violation of a source that would share the progress of another stream.
pub fn shared_progress(source: &RocketMqSource, other: &str) -> Violation {
    Violation::new(
        "source.source_rocketmq_parameters.group_id",
        &source.group,
        format!(
            "stream {other:?} reads topic {} of the same instance with this group, and each would skip what the other has committed",
            source.topic
        ),
        "write another group, or remove group_id: then the stream gets one of its own",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolved::{Network, Proxy, ProxyProtocol, RocketMqConnection, StartPosition};

    fn source(server: &str, instance: &str, topic: &str, group: &str) -> RocketMqSource {
        let connection =
            RocketMqConnection { instance: instance.into(), endpoints: vec![server.to_owned()], ..RocketMqConnection::default() };
        RocketMqSource { connection, topic: topic.into(), tags: vec![], sql: None, group: group.into(), start: StartPosition::Latest }
    }

    /// *Scenario*: the same and other topics, groups, name servers and instances. *Guarantees*: only what is one progress counts as one.
    #[test]
    fn one_group_on_one_topic_of_one_instance_is_one_progress() {
        let base = source("a:9876", "", "orders", "g");
        assert!(shares_progress(&base, &source("A:9876 ", "", "orders", "g")));
        assert!(!shares_progress(&base, &source("b:9876", "", "orders", "g")));
        assert!(!shares_progress(&base, &source("a:9876", "", "bills", "g")));
        assert!(!shares_progress(&base, &source("a:9876", "", "orders", "h")));
        assert!(shares_progress(&source("a:9876", "i", "orders", "g"), &source("b:9876", "i", "orders", "g")));
    }

    /// *Scenario*: one private address, directly, through a proxy, and through another proxy. *Guarantees*: only behind the same proxy it is the same server.
    #[test]
    fn an_address_behind_another_proxy_is_another_server() {
        let through = |proxy: Option<&str>| {
            let proxy = proxy.map(|address| Proxy {
                protocol: ProxyProtocol::Socks5,
                address: address.parse().expect("an address"),
                credentials: None,
                resolves: false,
            });
            let mut source = source("127.0.0.1:9876", "", "orders", "g");
            source.connection.network = Some(Network { proxy, ..Network::default() });
            source
        };
        assert!(shares_progress(&through(Some("a:1080")), &through(Some("a:1080"))));
        assert!(!shares_progress(&through(Some("a:1080")), &through(Some("b:1080"))));
        assert!(!shares_progress(&through(Some("a:1080")), &through(None)));
        assert!(shares_progress(&through(None), &source("127.0.0.1:9876", "", "orders", "g")));
    }
}
