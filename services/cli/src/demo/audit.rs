//! The far end's book: what arrived, compared by hash with what was produced.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::order::Order;
use super::report::Report;

/// Counts arrivals. Holds a byte and a latency for each order, no bodies.
#[derive(Clone, Debug)]
pub struct Audit {
    seed: u64,
    seen: Vec<bool>,
    latencies: Vec<Duration>,
    duplicates: u64,
    corrupt: u64,
    unwanted: u64,
}

impl Audit {
    /// A book for the first `count` orders of a seed.
    pub fn new(seed: u64, count: u64) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self { seed, seen: vec![false; count], latencies: Vec::with_capacity(count), duplicates: 0, corrupt: 0, unwanted: 0 }
    }

    /// Notes an arrival: its key, tag and body, and how long ago its order was produced. A message whose body, key or tag is not that
    /// of any order counts as corrupt, and its order as lost unless it arrives whole as well.
    pub fn arrived(&mut self, key: &str, tag: &str, body: &[u8], latency: Duration) {
        let number = Order::number_in(body).filter(|number| (*number as usize) < self.seen.len());
        let Some(order) = number.map(|number| Order::new(self.seed, number)) else {
            self.corrupt += 1;
            return;
        };
        let is_whole = order.key == key && order.tag == tag && order.digest() == <[u8; 32]>::from(Sha256::digest(body));
        match (is_whole, order.is_wanted(), self.seen[order.number as usize]) {
            (false, _, _) => self.corrupt += 1,
            (true, false, _) => self.unwanted += 1,
            (true, true, true) => self.duplicates += 1,
            (true, true, false) => {
                self.seen[order.number as usize] = true;
                self.latencies.push(latency);
            }
        }
    }

    /// How many different orders arrived whole.
    pub fn delivered(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// How many of the first `produced` orders the pattern wants.
    pub fn wanted(&self, produced: u64) -> u64 {
        (0..produced).filter(|number| Order::new(self.seed, *number).is_wanted()).count() as u64
    }

    /// Closes the book. `filtered` is what the stream itself counted; `elapsed` is from the first order to the last arrival.
    pub fn report(mut self, produced: u64, filtered: u64, elapsed: Duration) -> Report {
        let matched = self.wanted(produced);
        let delivered = self.delivered();
        self.latencies.sort_unstable();
        Report {
            produced,
            matched,
            delivered,
            filtered,
            lost: matched.saturating_sub(delivered),
            duplicates: self.duplicates,
            corrupt: self.corrupt,
            unwanted: self.unwanted,
            elapsed,
            p50: percentile(&self.latencies, 50),
            p99: percentile(&self.latencies, 99),
        }
    }
}

/// The smallest value that so many in a hundred do not exceed; zero of nothing.
fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    let rank = (sorted.len() * hundredths).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::order::Orders;
    use super::*;

    /// *Scenario:* of 1,000 orders one is lost, one comes twice, one is changed on the way and one should have been filtered.
    /// *Guarantees:* each is counted as what it is.
    #[test]
    fn each_mishap_is_counted() {
        let mut audit = Audit::new(7, 1_000);
        let wanted: Vec<Order> = Orders::new(7, 1_000).filter(Order::is_wanted).collect();
        for (index, order) in wanted.iter().enumerate().skip(1) {
            audit.arrived(&order.key, order.tag, &order.body, Duration::from_micros(index as u64));
        }
        audit.arrived(&wanted[5].key, "paid", &wanted[5].body, Duration::ZERO);
        let mut changed = wanted[0].body.to_vec();
        *changed.last_mut().expect("not empty") ^= 1;
        audit.arrived(&wanted[0].key, "paid", &changed, Duration::ZERO);
        audit.arrived("x", "paid", b"text", Duration::ZERO);
        let other = Orders::new(7, 1_000).find(|order| !order.is_wanted()).expect("a third");
        audit.arrived(&other.key, other.tag, &other.body, Duration::ZERO);
        let report = audit.report(1_000, 300, Duration::from_secs(1));
        assert_eq!((report.lost, report.duplicates, report.corrupt, report.unwanted), (1, 1, 2, 1));
        assert_eq!((report.matched, report.delivered), (wanted.len() as u64, wanted.len() as u64 - 1));
        assert!(!report.is_good());
    }

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let list: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((percentile(&list, 50), percentile(&list, 99)), (Duration::from_millis(100), Duration::from_millis(198)));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
