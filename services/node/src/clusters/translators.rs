//! The translators of a process: what one has found is of use to the next translation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rocketbridge_connector_rocketmq::{Connectors, Translator};
use rocketbridge_controller::clusters::{End, Way};
use rocketbridge_model::resolved::RocketMqConnection;

/// How long a translator is kept that nobody uses, as when another controller has become the leader.
const UNUSED: Duration = Duration::from_secs(60);

/// Translators by their ends.
#[derive(Default)]
pub(super) struct Translators(Mutex<Vec<Kept>>);

struct Kept {
    ends: Ends,
    translator: Arc<Translator>,
    used: Instant,
}

#[derive(PartialEq, Eq)]
struct Ends {
    source: (RocketMqConnection, String),
    target: (RocketMqConnection, String),
    both_ways: bool,
}

impl Translators {
    /// The translator of a way: the one that is kept, or a new one.
    pub(super) fn of(&self, connectors: &Connectors, way: Way<'_>) -> Arc<Translator> {
        let named = |end: End<'_>| (end.connection.clone(), end.topic.to_owned());
        let ends = Ends { source: named(way.source), target: named(way.target), both_ways: way.both_ways };
        let now = Instant::now();
        let mut kept = self.0.lock();
        kept.retain(|kept| now.duration_since(kept.used) < UNUSED);
        if let Some(known) = kept.iter_mut().find(|kept| kept.ends == ends) {
            known.used = now;
            return Arc::clone(&known.translator);
        }
        let (source, target) = (way.source, way.target);
        let ways = ((source.connection, source.topic), (target.connection, target.topic));
        let translator = Arc::new(connectors.translator(ways.0, ways.1, way.both_ways));
        kept.push(Kept { ends, translator: Arc::clone(&translator), used: now });
        translator
    }
}
