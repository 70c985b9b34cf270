//! Which queue of the target a message goes to.
//!
//! Guarantees: all events of a source queue go to one queue, and all of a sharding key to one where order is asked for, as long as the target's
//! queues stay the same; the queues of a source spread over all brokers of the target, and over all its queues if there are enough.

use crate::route::Queue;

/// The queue of a lane, as an index of `writable`, which is sorted by broker and not empty.
///
/// The target's queues are numbered across its brokers (`a/0`, `b/0`, `a/1` …), so that neighbours are on different brokers. The queues of
/// a source broker take neighbouring numbers, and those of the next broker the ones behind. Which broker is the next one is read from the
/// sum of its name's bytes: names of brokers differ in a letter or a digit at the end, so that the sums of neighbours differ by one.
pub(crate) fn lane_queue(broker: &str, queue: u32, writable: &[Queue]) -> usize {
    let mut brokers: Vec<(usize, usize)> = Vec::new();
    for (index, queue) in writable.iter().enumerate() {
        match brokers.last_mut() {
            Some((first, count)) if writable[*first].broker == queue.broker => *count += 1,
            _ => brokers.push((index, 1)),
        }
    }
    if brokers.is_empty() {
        return 0;
    }
    let share = writable.len().div_ceil(brokers.len());
    let sum = broker.bytes().map(usize::from).sum::<usize>();
    let mut number = ((sum % brokers.len()) * share + queue as usize) % writable.len();
    let mut round = 0;
    loop {
        let mut here = brokers.iter().filter(|(_, count)| *count > round);
        let width = here.clone().count();
        if let Some((first, _)) = here.nth(number) {
            return first + round;
        }
        number -= width;
        round += 1;
    }
}

/// The queue of a sharding key among `queues`, as `SelectMessageQueueByHash` of RocketMQ's own client chooses it.
pub(crate) fn key_queue(key: &str, queues: usize) -> usize {
    java_hash(key) as usize % queues.max(1)
}

/// `String.hashCode` of Java without its sign.
fn java_hash(text: &str) -> u32 {
    let hash = text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn queues(brokers: &[(&str, u32)]) -> Vec<Queue> {
        let mut queues: Vec<_> =
            brokers.iter().flat_map(|(broker, count)| (0..*count).map(|id| Queue { broker: (*broker).into(), id })).collect();
        queues.sort();
        queues
    }

    /// How many lanes each broker of the target gets, and how many queues are used.
    fn spread(source: &[(&str, u32)], target: &[(&str, u32)]) -> (Vec<usize>, usize) {
        let writable = queues(target);
        let (mut brokers, mut used) = (BTreeMap::<String, usize>::new(), BTreeSet::new());
        for queue in queues(source) {
            let index = lane_queue(&queue.broker, queue.id, &writable);
            *brokers.entry(writable[index].broker.clone()).or_default() += 1;
            used.insert(index);
        }
        (target.iter().map(|(broker, _)| brokers.get(*broker).copied().unwrap_or_default()).collect(), used.len())
    }

    /// *Scenario*: sources and targets of one to four brokers. *Guarantees*: every broker of the target gets its share; with as many queues as
    /// the source has, every queue is used.
    #[test]
    fn all_queues_on_all_brokers_are_used() {
        assert_eq!(spread(&[("broker-a", 8), ("broker-b", 8)], &[("x", 8), ("y", 8)]), (vec![8, 8], 16));
        assert_eq!(spread(&[("broker-0", 8), ("broker-1", 8), ("broker-2", 8)], &[("x", 8), ("y", 8), ("z", 8)]), (vec![8, 8, 8], 24));
        assert_eq!(spread(&[("broker-a", 8)], &[("x", 8), ("y", 8)]), (vec![4, 4], 8));
        assert_eq!(spread(&[("broker-a", 8), ("broker-b", 8)], &[("x", 8)]), (vec![16], 8));
        assert_eq!(spread(&[("broker-a", 16)], &[("x", 8), ("y", 8)]), (vec![8, 8], 16));
        assert_eq!(spread(&[("a", 4), ("b", 4), ("c", 4), ("d", 4)], &[("x", 8), ("y", 8)]), (vec![8, 8], 8));
        assert_eq!(spread(&[("broker-a", 12)], &[("x", 2), ("y", 10)]), (vec![2, 10], 12));
    }

    /// *Scenario*: one broker at both ends. *Guarantees*: a queue goes to the queue of its number.
    #[test]
    fn one_broker_keeps_its_numbers() {
        let writable = queues(&[("x", 4)]);
        assert_eq!((0..6).map(|queue| lane_queue("any", queue, &writable)).collect::<Vec<_>>(), [0, 1, 2, 3, 0, 1]);
        assert_eq!(lane_queue("any", 3, &[]), 0);
    }

    /// *Scenario*: keys whose hashes are small, large and the smallest there is. *Guarantees*: Java's choice.
    #[test]
    fn keys_choose_as_in_java() {
        // "a" is 97; "polygenelubricants" is the smallest i32.
        assert_eq!((key_queue("a", 4), key_queue("b", 4), key_queue("polygenelubricants", 4), key_queue("x", 0)), (1, 2, 0, 0));
    }
}
