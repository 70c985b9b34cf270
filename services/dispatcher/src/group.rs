//! Which deliveries go together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rocketbridge_model::session::Delivery;

/// Deliveries that wait, in order. Bounded by the credit that the filter was given.
pub(crate) struct Queue {
    waiting: VecDeque<(Instant, Delivery)>,
    most: usize,
    linger: Duration,
}

/// Most bytes in one group; a larger delivery goes alone.
const MOST_BYTES: usize = 4 << 20;

impl Queue {
    /// Groups of at most `most`, each waiting at most `linger` to fill.
    pub(crate) fn new(most: usize, linger: Duration) -> Self {
        Self { waiting: VecDeque::new(), most: most.max(1), linger }
    }

    pub(crate) fn push(&mut self, delivery: Delivery, now: Instant) {
        self.waiting.push_back((now, delivery));
    }

    /// Puts back what must be tried again, before everything else.
    pub(crate) fn put_back(&mut self, deliveries: Vec<Delivery>, now: Instant) {
        // What was once due stays due: a wait for more would only be added to the wait for the target.
        let due = now.checked_sub(self.linger).unwrap_or(now);
        for delivery in deliveries.into_iter().rev() {
            self.waiting.push_front((due, delivery));
        }
    }

    /// How long until a group is due; `None` when nothing waits.
    pub(crate) fn due_in(&self, now: Instant) -> Option<Duration> {
        let (since, _) = self.waiting.front()?;
        if self.waiting.len() >= self.most {
            return Some(Duration::ZERO);
        }
        Some(self.linger.saturating_sub(now.duration_since(*since)))
    }

    /// The next group. A delivery that a transform rejected is a group of its own.
    pub(crate) fn take(&mut self) -> Vec<Delivery> {
        let mut group: Vec<Delivery> = Vec::new();
        let mut bytes = 0;
        while let Some((_, next)) = self.waiting.front() {
            let size = next.size();
            let apart = next.rejected.is_some() || group.first().is_some_and(|first| first.rejected.is_some());
            if !group.is_empty() && (group.len() >= self.most || bytes + size > MOST_BYTES || apart) {
                break;
            }
            bytes += size;
            group.extend(self.waiting.pop_front().map(|(_, delivery)| delivery));
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketbridge_model::{Envelope, Event};

    use super::*;

    fn delivery(receipt: u64, size: usize) -> Delivery {
        let envelope = Envelope { body: Bytes::from(vec![0; size]), ..Envelope::default() };
        Delivery { receipt, event: Event { offset: receipt, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    }

    fn receipts(group: &[Delivery]) -> Vec<u64> {
        group.iter().map(|delivery| delivery.receipt).collect()
    }

    #[test]
    fn groups_keep_order_and_limits() {
        let now = Instant::now();
        let mut queue = Queue::new(2, Duration::ZERO);
        for receipt in 0..3 {
            queue.push(delivery(receipt, 1), now);
        }
        queue.push(delivery(3, MOST_BYTES), now);
        queue.push(Delivery { rejected: Some("no".into()), ..delivery(4, 1) }, now);
        queue.push(delivery(5, 1), now);
        let first = queue.take();
        assert_eq!(receipts(&first), [0, 1]);
        queue.put_back(first, now);
        let groups: Vec<_> = std::iter::from_fn(|| Some(queue.take()).filter(|group| !group.is_empty())).collect();
        assert_eq!(groups.iter().map(|group| receipts(group)).collect::<Vec<_>>(), [vec![0, 1], vec![2], vec![3], vec![4], vec![5]]);
    }

    #[test]
    fn a_group_waits_until_it_is_full_or_old() {
        let now = Instant::now();
        let mut queue = Queue::new(2, Duration::from_secs(5));
        assert_eq!(queue.due_in(now), None);
        queue.push(delivery(0, 1), now);
        assert_eq!(queue.due_in(now + Duration::from_secs(2)), Some(Duration::from_secs(3)));
        queue.push(delivery(1, 1), now);
        assert_eq!(queue.due_in(now), Some(Duration::ZERO));
    }
}
