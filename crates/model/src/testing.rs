//! The plainest stream there is, for the tests of other crates: they write down only what they are about.

use std::time::Duration;

use crate::dialect::PatternDialect;
use crate::name::Revision;
use crate::resolved::{
    RetrySettings, RetryStrategy, RocketMqConnection, RocketMqSource, RocketMqTarget, RunSettings, StartPosition, Stream,
};
use crate::session::StreamVersion;

/// The stream `s`, of uid `u` and revision 1, which delivers every message of topic `t` to topic `copy`, from the oldest on.
pub fn stream() -> Stream {
    Stream {
        name: "s".into(),
        uid: "u".into(),
        revision: Revision(1),
        pattern: "{}".into(),
        dialect: PatternDialect::Default,
        source: source("t"),
        target: target("copy"),
        run: run(),
    }
}

/// The version of [`stream`].
pub fn version() -> StreamVersion {
    StreamVersion { name: "s".into(), uid: "u".into(), revision: Revision(1), as_of: 0 }
}

/// All of a topic, from the oldest message on, with the group `g`.
pub fn source(topic: &str) -> RocketMqSource {
    RocketMqSource {
        connection: RocketMqConnection::default(),
        topic: topic.into(),
        tags: Vec::new(),
        sql: None,
        group: "g".into(),
        start: StartPosition::Earliest,
    }
}

/// A topic that gets each message as it is, in no particular order.
pub fn target(topic: &str) -> RocketMqTarget {
    RocketMqTarget {
        connection: RocketMqConnection::default(),
        topic: topic.into(),
        body: None,
        properties: None,
        keys: None,
        tags: None,
        sharding_key: None,
        orderly: false,
        mirror: false,
        loop_guard: false,
    }
}

/// One shard, event by event, without waiting; three retries, and nothing is passed over.
pub fn run() -> RunSettings {
    RunSettings {
        shards: 1,
        throttling: None,
        tolerate_errors: false,
        batch_count: 1,
        batch_linger: Duration::ZERO,
        retry: RetrySettings { strategy: RetryStrategy::Backoff, attempts: 3, maximum_age: None },
        dead_letter: None,
    }
}
