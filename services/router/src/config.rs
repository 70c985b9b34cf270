//! Windows and intervals of a router.

use std::time::Duration;

use rocketbridge_connector::PullLimits;
use rocketbridge_model::session::Credit;

/// How a router works. Memory of a partition is bounded by twice the window: what is under way and what is read ahead.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Events and bytes of one partition that may be under way.
    pub window: Credit,
    /// Most events in one batch to a filter.
    pub batch: usize,
    /// Most events and bytes of one read.
    pub pull: PullLimits,
    /// Between two commits of one partition: after a crash at most this much is repeated, besides what was under way.
    pub commit_interval: Duration,
    /// Between two looks for new partitions of a source.
    pub discovery_interval: Duration,
    /// How long events under way may take to end when the definition changes, before they are sent again under the new one.
    pub change_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Credit { events: 4096, bytes: 32 << 20 },
            batch: 256,
            pull: PullLimits { events: 512, bytes: 4 << 20 },
            commit_interval: Duration::from_millis(500),
            discovery_interval: Duration::from_secs(30),
            change_grace: Duration::from_secs(5),
        }
    }
}
