//! Which queue of the target belongs to a queue of the source. Pure.
//!
//! Guarantees: no two queues of a source share one of the target; a queue keeps its home when either topic gets more queues. Where the target has
//! brokers of the same names, or as many, the queue's number stays what it is.

use crate::route::Queue;

/// The home of a queue at the target; `None` if the target has no broker.
///
/// `sources` are the names of the source's brokers, `targets` those of the target's, both sorted. Where each of the source's brokers has a namesake at
/// the target, names decide. Otherwise the brokers are paired in the order of their names. If the target has fewer, each of
/// them takes several of the source's, whose queues alternate: of two, queue 0 becomes queue 0 and 1, queue 1 becomes 2 and 3.
pub(crate) fn home(queue: &Queue, sources: &[String], targets: &[String]) -> Option<Queue> {
    let is_namesake = |broker: &String| targets.binary_search(broker).is_ok();
    if sources.iter().all(is_namesake) && is_namesake(&queue.broker) {
        return Some(queue.clone());
    }
    // A broker that is not in the list yet takes the place that its name would have.
    let rank = sources.partition_point(|broker| *broker < queue.broker);
    let count = sources.len() + usize::from(sources.get(rank) != Some(&queue.broker));
    let broker = targets.get(rank.checked_rem(targets.len())?)?.clone();
    let id = interleaved(queue.id, rank / targets.len(), count.div_ceil(targets.len()));
    Some(Queue { broker, id })
}

/// How many queues a broker of the target needs for so many of one of the source's.
pub(crate) fn queues_needed(queues: u32, sources: usize, targets: &[String], are_namesakes: bool) -> u32 {
    if are_namesakes { queues } else { queues.saturating_mul(shares(sources, targets.len())) }
}

/// Whether each of the source's brokers has a namesake at the target.
pub(crate) fn are_namesakes(sources: &[String], targets: &[String]) -> bool {
    sources.iter().all(|broker| targets.binary_search(broker).is_ok())
}

fn interleaved(id: u32, share: usize, shares: usize) -> u32 {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    id.saturating_mul(number(shares.max(1))).saturating_add(number(share))
}

fn shares(sources: usize, targets: usize) -> u32 {
    u32::try_from(sources.div_ceil(targets.max(1))).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn at(broker: &str, id: u32) -> Queue {
        Queue { broker: broker.to_owned(), id }
    }

    /// *Scenario*: equal names, as many brokers of other names, more, fewer, and none. *Guarantees*: queue i stays queue i wherever the brokers are as
    /// many; a broker more at the target that has namesakes moves nothing.
    #[test]
    fn queue_i_stays_queue_i() {
        let (ab, xy) = (names(&["a", "b"]), names(&["x", "y"]));
        assert_eq!(home(&at("b", 3), &ab, &ab), Some(at("b", 3)));
        assert_eq!(home(&at("b", 3), &ab, &names(&["a", "aa", "b"])), Some(at("b", 3)));
        assert_eq!((home(&at("a", 3), &ab, &xy), home(&at("b", 3), &ab, &xy)), (Some(at("x", 3)), Some(at("y", 3))));
        assert_eq!(home(&at("b", 3), &ab, &names(&["x", "y", "z"])), Some(at("y", 3)));
        let fewer = names(&["x"]);
        assert_eq!((home(&at("a", 1), &ab, &fewer), home(&at("b", 1), &ab, &fewer)), (Some(at("x", 2)), Some(at("x", 3))));
        assert_eq!(home(&at("a", 1), &[], &fewer), Some(at("x", 1)));
        assert_eq!(home(&at("a", 1), &ab, &[]), None);
        assert_eq!((queues_needed(8, 2, &fewer, false), queues_needed(8, 2, &xy, false), queues_needed(8, 2, &ab, true)), (16, 8, 8));
    }

    proptest! {
        /// *Scenario*: any brokers at both ends, with any number of queues. *Guarantees*: no two queues share a home, and each fits into the queues that are
        /// needed.
        #[test]
        fn homes_are_never_shared(
            sources in prop::collection::btree_set("[a-e]", 1..5),
            targets in prop::collection::btree_set("[a-h]", 1..5),
            queues in 1_u32..5,
        ) {
            let (sources, targets): (Vec<_>, Vec<_>) = (sources.into_iter().collect(), targets.into_iter().collect());
            let needed = queues_needed(queues, sources.len(), &targets, are_namesakes(&sources, &targets));
            let mut taken = BTreeSet::new();
            for broker in &sources {
                for id in 0..queues {
                    let home = home(&at(broker, id), &sources, &targets).expect("there are brokers");
                    prop_assert!(targets.contains(&home.broker) && home.id < needed);
                    prop_assert!(taken.insert(home));
                }
            }
        }
    }
}
