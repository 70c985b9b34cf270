//! Windows and intervals of a router.

use std::time::Duration;

use rocketbridge_connector::PullLimits;
use rocketbridge_model::session::Credit;

/// How a router works. The memory of a partition is bounded by its window, besides what is read ahead of it, and by the budget of the process.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Events of one partition that may be under way, and bytes that may be held for them.
    pub window: Credit,
    /// Most events in one batch to a filter.
    pub batch: usize,
    /// Most events and bytes of one read.
    pub pull: PullLimits,
    /// Between two commits of one partition: after a crash at most this much is repeated, besides what was under way.
    pub commit_interval: Duration,
    /// Between two looks for new partitions of a source.
    pub discovery_interval: Duration,
}

/// The defaults of the configuration, too.
impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Credit { events: 8_192, bytes: 32 << 20 },
            batch: 256,
            pull: PullLimits { events: 512, bytes: 4 << 20, ahead: true },
            commit_interval: Duration::from_millis(200),
            discovery_interval: Duration::from_secs(30),
        }
    }
}
