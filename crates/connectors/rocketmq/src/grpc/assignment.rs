//! Which broker a receiver asks. Pure.
//!
//! An empty broker holds a request for seconds, so receivers do not go from broker to broker where there are enough of them: each has one, and every broker
//! has one. With fewer receivers than brokers each receiver goes round its share.

/// The broker that the receiver of rank `rank` of `receivers` in this process asks, as an index below `brokers`, which is at least 1. `turn` counts its requests.
pub(crate) fn broker(rank: usize, receivers: usize, brokers: usize, turn: usize) -> usize {
    let receivers = receivers.max(1);
    if receivers >= brokers {
        return rank % brokers;
    }
    let rank = rank % receivers;
    let share = (brokers - rank).div_ceil(receivers);
    rank + turn % share * receivers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// *Scenario*: every number of receivers and brokers up to eight. *Guarantees*: the receivers of a process ask every broker, each broker is within bounds, and
    /// with enough receivers none of them changes its broker.
    #[test]
    fn every_broker_is_asked() {
        for (receivers, brokers) in (1..=8).flat_map(|receivers| (1..=8).map(move |brokers| (receivers, brokers))) {
            let asked: BTreeSet<_> =
                (0..receivers).flat_map(|rank| (0..brokers).map(move |turn| broker(rank, receivers, brokers, turn))).collect();
            assert_eq!(asked, (0..brokers).collect(), "{receivers} receivers, {brokers} brokers");
            if receivers >= brokers {
                assert!((0..receivers).all(|rank| broker(rank, receivers, brokers, 0) == broker(rank, receivers, brokers, 5)));
            }
        }
        assert_eq!(broker(7, 0, 1, 3), 0);
    }
}
