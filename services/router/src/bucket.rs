//! A token bucket: how many events a partition may read now.
//!
//! It is asked before a pull, so that nothing is read that would then wait. It takes the clock as an argument. A stream's rate is shared
//! evenly among its partitions, and their buckets begin out of step: at one event per second over four partitions, an event comes each second.

use std::time::Duration;

use tokio::time::Instant;

/// What may come at once after a rest: the tokens of this long, at least one.
const BURST: Duration = Duration::from_millis(100);

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Tokens per second.
    rate: f64,
    most: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// The bucket of one of some partitions that share a rate (events per second).
    pub(crate) fn shared(rate: u32, partitions: usize, rank: usize, now: Instant) -> Self {
        let partitions = partitions.max(1);
        let rate = f64::from(rate.max(1)) / partitions as f64;
        let most = (rate * BURST.as_secs_f64()).max(1.0);
        // The first of them may read at once, the others one after the other.
        let phase = 1.0 - (rank % partitions) as f64 / partitions as f64;
        Self { rate, most, tokens: phase, filled: now }
    }

    /// How many events may be read now.
    pub(crate) fn available(&mut self, now: Instant) -> u32 {
        let passed = now.duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.most);
        // A token that lacks less than the clock can tell is there.
        (self.tokens + 1e-6).max(0.0) as u32
    }

    /// How long until one event may be read.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).max(0.0)) + Duration::from_millis(1)
    }

    /// Events were read. More than were available is a debt.
    pub(crate) fn spend(&mut self, events: usize) {
        self.tokens -= events as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the events of one partition may be read, with a backlog, as seconds since the beginning.
    fn times(mut bucket: Bucket, begin: Instant, end: f64) -> Vec<f64> {
        let (mut now, mut times) = (begin, Vec::new());
        while (now - begin).as_secs_f64() < end {
            let events = bucket.available(now);
            if events == 0 {
                now += bucket.wait();
                continue;
            }
            bucket.spend(events as usize);
            times.extend((0..events).map(|_| (now - begin).as_secs_f64()));
        }
        times
    }

    /// *Scenario*: one event per second over four partitions, all with a backlog. *Guarantees*: an event comes each second, not four every four seconds.
    #[test]
    fn at_one_per_second_over_four_partitions_an_event_comes_each_second() {
        let begin = Instant::now();
        let mut all: Vec<f64> = (0..4).flat_map(|rank| times(Bucket::shared(1, 4, rank, begin), begin, 60.0)).collect();
        all.sort_by(f64::total_cmp);
        assert!((60..=61).contains(&all.len()), "{} events in 60 s", all.len());
        for pair in all.windows(2) {
            assert!((0.9..1.1).contains(&(pair[1] - pair[0])), "{pair:?}");
        }
    }

    /// *Scenario*: fast and fractional rates, and a rest of a minute. *Guarantees*: the rate is kept, and a rest saves up a tenth of a second at most.
    #[test]
    fn rates_are_kept_and_rests_save_up_little() {
        let begin = Instant::now();
        for (rate, partitions, expected) in [(1000, 1, 10_000), (1000, 3, 3_333), (2, 3, 6), (3, 2, 15)] {
            let came = times(Bucket::shared(rate, partitions, 0, begin), begin, 10.0).len();
            assert!(came.abs_diff(expected) <= 1 + expected / 20, "{rate}/{partitions}: {came} in 10 s");
        }
        let mut bucket = Bucket::shared(1000, 1, 0, begin);
        assert_eq!(bucket.available(begin + Duration::from_secs(60)), 100);
        bucket.spend(150);
        assert_eq!(bucket.available(begin + Duration::from_secs(60)), 0);
        assert_eq!(bucket.available(begin + Duration::from_millis(60_060)), 10);
    }
}
