//! Which deliveries go together.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::fate::{Form, Stage};
use crate::pending::{Pending, Standing};

/// Most bytes in one group, as they are sent; a larger delivery goes alone.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// Deliveries that wait, in order. Bounded by the credit that the filter was given.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: VecDeque<Pending>,
    bytes: usize,
    most: usize,
    linger: Duration,
}

/// How many deliveries may go together now: few after a group failed as a whole, so that the one that is to blame, if any, shows soon,
/// and so that a target that has just come back is not overrun; as many as the stream allows while all is well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breadth {
    now: usize,
    /// Above this the breadth grows slowly: groups of this size have failed before.
    doubtful: usize,
    most: usize,
}

impl Queue {
    /// Groups of at most `most`, each waiting at most `linger` to fill.
    pub(crate) fn new(most: usize, linger: Duration) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, most: most.max(1), linger }
    }

    pub(crate) fn push(&mut self, pending: Pending) {
        self.bytes += pending.outgoing();
        self.waiting.push_back(pending);
    }

    /// Puts back what has no outcome, before everything else, in its order.
    pub(crate) fn put_back(&mut self, group: Vec<Pending>) {
        for pending in group.into_iter().rev() {
            self.bytes += pending.outgoing();
            self.waiting.push_front(pending);
        }
    }

    /// The delivery that goes next.
    pub(crate) fn front(&self) -> Option<&Pending> {
        self.waiting.front()
    }

    /// Takes the delivery of one event out.
    pub(crate) fn remove(&mut self, offset: u64) -> Option<Pending> {
        let index = self.waiting.iter().position(|pending| pending.record.offset == offset)?;
        self.waiting.remove(index).inspect(|pending| self.bytes = self.bytes.saturating_sub(pending.outgoing()))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.bytes = 0;
        self.waiting.clear();
    }

    /// How long until a group is due; `None` when nothing waits, or what is in front will never go.
    pub(crate) fn due_in(&self, now: Instant) -> Option<Duration> {
        let front = &self.waiting.front()?.record;
        match front.standing() {
            Standing::Holding(until) | Standing::Blocked(Some(until)) => Some(until.saturating_duration_since(now)),
            Standing::Blocked(None) => None,
            // What was once due stays due: a wait for more would only be added to the wait for the target.
            Standing::Due if front.has_failed() || self.waiting.len() >= self.most || self.bytes >= MOST_BYTES => Some(Duration::ZERO),
            Standing::Due => Some(self.linger.saturating_sub(now.duration_since(front.arrived))),
        }
    }

    /// The next group: at most `breadth` deliveries of the stage of the first. One that blocks goes alone, and so does a letter that was made to fit.
    pub(crate) fn take(&mut self, breadth: Breadth) -> Vec<Pending> {
        let mut group: Vec<Pending> = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let size = next.outgoing();
            let fits = group.len() < breadth.now && bytes + size <= MOST_BYTES && group.first().is_none_or(|first| goes_with(first, next));
            if !group.is_empty() && !fits {
                break;
            }
            bytes += size;
            group.extend(self.waiting.pop_front());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        group
    }
}

fn goes_with(first: &Pending, next: &Pending) -> bool {
    let alone = |pending: &Pending| {
        matches!(pending.record.standing(), Standing::Blocked(_))
            || matches!(pending.record.stage(), Stage::DeadLetter { form, .. } if *form != Form::Whole)
    };
    let same_stage = matches!(
        (first.record.stage(), next.record.stage()),
        (Stage::Target, Stage::Target) | (Stage::DeadLetter { .. }, Stage::DeadLetter { .. })
    );
    same_stage && !alone(first) && !alone(next)
}

impl Breadth {
    /// As many as `most`.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { now: most, doubtful: most, most }
    }

    /// A group of this size failed as a whole.
    pub(crate) fn failed(&mut self, size: usize) {
        self.doubtful = (size / 2).max(1);
        self.now = 1;
    }

    /// A group was taken: twice as many may go together, or somewhat more where that has failed before.
    pub(crate) fn succeeded(&mut self) {
        let grown = if self.now * 2 <= self.doubtful { self.now * 2 } else { self.now + (self.most / 32).max(1) };
        self.now = grown.min(self.most);
        self.doubtful = self.doubtful.max(self.now);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketbridge_connector::{Code, Error};
    use rocketbridge_model::resolved::RunSettings;
    use rocketbridge_model::session::{Delivery, Parameter, ParameterKey};
    use rocketbridge_model::{Envelope, Event, testing};

    use super::*;
    use crate::fate::{Failure, Rules};

    fn rules(tolerate_errors: bool) -> Rules {
        Rules::new(&RunSettings { tolerate_errors, ..testing::run() })
    }

    fn delivery(receipt: u64, size: usize) -> Delivery {
        let envelope = Envelope { body: Bytes::from(vec![0; size]), ..Envelope::default() };
        Delivery { receipt, event: Event { offset: receipt, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    }

    fn pending(receipt: u64, size: usize, now: Instant) -> Pending {
        Pending::new(delivery(receipt, size), now)
    }

    fn offsets(group: &[Pending]) -> Vec<u64> {
        group.iter().map(|pending| pending.record.offset).collect()
    }

    fn groups(queue: &mut Queue, breadth: Breadth) -> Vec<Vec<u64>> {
        std::iter::from_fn(|| Some(queue.take(breadth)).filter(|group| !group.is_empty())).map(|group| offsets(&group)).collect()
    }

    #[test]
    fn groups_keep_order_and_limits() {
        let now = Instant::now();
        let mut queue = Queue::new(2, Duration::ZERO);
        for receipt in 0..3 {
            queue.push(pending(receipt, 1, now));
        }
        queue.push(pending(3, MOST_BYTES, now));
        queue.push(pending(4, 1, now));
        let breadth = Breadth::new(2);
        let first = queue.take(breadth);
        assert_eq!(offsets(&first), [0, 1]);
        queue.put_back(first);
        assert_eq!(groups(&mut queue, breadth), [vec![0, 1], vec![2], vec![3], vec![4]]);
        assert_eq!(queue.bytes, 0);
    }

    /// *Scenario*: deliveries whose transforms made long values of short events. *Guarantees*: a group closes by what is sent, not by what was read.
    #[test]
    fn a_group_closes_by_the_size_of_what_is_sent() {
        let now = Instant::now();
        let mut queue = Queue::new(100, Duration::from_secs(5));
        for receipt in 0..3 {
            let value = Some(Bytes::from(vec![0; MOST_BYTES / 2]));
            let parameters = vec![Parameter { key: ParameterKey::Body, value }];
            queue.push(Pending::new(Delivery { parameters, ..delivery(receipt, MOST_BYTES) }, now));
        }
        assert_eq!(queue.due_in(now), Some(Duration::ZERO));
        assert_eq!(groups(&mut queue, Breadth::new(100)), [vec![0, 1], vec![2]]);
    }

    #[test]
    fn a_group_waits_until_it_is_full_or_old() {
        let now = Instant::now();
        let mut queue = Queue::new(2, Duration::from_secs(5));
        assert_eq!(queue.due_in(now), None);
        queue.push(pending(0, 1, now));
        assert_eq!(queue.due_in(now + Duration::from_secs(2)), Some(Duration::from_secs(3)));
        queue.push(pending(1, 1, now));
        assert_eq!(queue.due_in(now), Some(Duration::ZERO));
    }

    #[test]
    fn what_blocks_goes_alone_and_not_before_its_time() {
        let now = Instant::now();
        let mut queue = Queue::new(10, Duration::ZERO);
        let error = Error::new(Code::Rejected, "send", "too long");
        let mut blocked = pending(1, 1, now);
        assert_eq!(blocked.fail(Failure::Own(&error), &rules(false), now, 1.0), None);
        for pending in [pending(0, 1, now), blocked, pending(2, 1, now)] {
            queue.push(pending);
        }
        let breadth = Breadth::new(10);
        assert_eq!(offsets(&queue.take(breadth)), [0]);
        assert_eq!(queue.due_in(now), Some(Duration::from_millis(200)));
        assert_eq!(queue.front().and_then(|front| front.record.trouble()).and_then(|trouble| trouble.blocked_offset), Some(1));
        assert_eq!(groups(&mut queue, breadth), [vec![1], vec![2]]);
    }

    #[test]
    fn the_breadth_falls_to_one_and_grows_back() {
        let mut breadth = Breadth::new(256);
        breadth.failed(256);
        let mut grown = vec![breadth.now];
        for _ in 0..9 {
            breadth.succeeded();
            grown.push(breadth.now);
        }
        assert_eq!(grown, [1, 2, 4, 8, 16, 32, 64, 128, 136, 144]);
        (0..20).for_each(|_| breadth.succeeded());
        assert_eq!(breadth.now, 256);
    }
}
