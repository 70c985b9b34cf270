//! Failures that come again and again are told once, then once a minute.

use std::time::Duration;

use tokio::time::Instant;

/// How often the same failure is told.
const AGAIN: Duration = Duration::from_secs(60);

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    told: Option<(String, Instant)>,
    untold: u64,
}

impl Notices {
    /// Whether a failure is news: another one than the last, or the same after a minute. Then answers how often it came untold meanwhile.
    pub(crate) fn is_news(&mut self, failure: String, now: Instant) -> Option<u64> {
        match &self.told {
            Some((told, at)) if *told == failure && now.duration_since(*at) < AGAIN => {
                self.untold += 1;
                None
            }
            _ => {
                self.told = Some((failure, now));
                Some(std::mem::take(&mut self.untold))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: the same failure ten times a second for two minutes, then another one. *Guarantees*: it is told three times, with how often it came.
    #[test]
    fn the_same_failure_is_told_once_a_minute() {
        let (mut notices, begin) = (Notices::default(), Instant::now());
        let told: Vec<u64> =
            (0..1201).filter_map(|tenth| notices.is_news("refused".into(), begin + Duration::from_millis(tenth * 100))).collect();
        assert_eq!(told, [0, 599, 599]);
        assert_eq!(notices.is_news("denied".into(), begin), Some(0));
    }
}
