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

/// The source of a stream before and after a change of something that it refers to.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The stream's name.
    pub stream: String,
    /// Its source before.
    pub before: RocketMqSource,
    /// Its source after.
    pub after: RocketMqSource,
}

/// Two streams that share their progress after a change and did not before: one whose source changed, and another one.
pub fn newly_shared(streams: &[Moved]) -> Option<(&Moved, &Moved)> {
    // Almost always a change concerns few streams: only those are compared with all.
    let changed = streams.iter().filter(|moved| moved.before != moved.after);
    changed.into_iter().find_map(|one| {
        let meets = |other: &&Moved| {
            other.stream != one.stream && shares_progress(&one.after, &other.after) && !shares_progress(&one.before, &other.before)
        };
        streams.iter().find(meets).map(|other| (one, other))
    })
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

    /// *Scenario*: three streams of one group and topic on three name servers, two of which become one, or were one before. *Guarantees*: exactly those two are found,
    /// and only where the change made them one.
    #[test]
    fn streams_that_a_change_brings_together_are_found() {
        let moved = |stream: &str, before: &str, after: &str| Moved {
            stream: stream.into(),
            before: source(before, "", "orders", "g"),
            after: source(after, "", "orders", "g"),
        };
        let found = |streams: &[Moved]| newly_shared(streams).map(|(one, other)| (one.stream.clone(), other.stream.clone()));
        let apart = [moved("x", "a:1", "a:1"), moved("y", "b:1", "b:2"), moved("z", "c:1", "c:1")];
        assert_eq!(found(&apart), None);
        let meeting = [moved("x", "a:1", "a:1"), moved("y", "b:1", "a:1"), moved("z", "c:1", "c:1")];
        assert_eq!(found(&meeting), Some(("y".into(), "x".into())));
        let together = [moved("x", "a:1", "d:1"), moved("y", "a:1", "d:1")];
        assert_eq!(found(&together), None, "they were before, and may be mended");
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
