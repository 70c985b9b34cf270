//! What is held of a source that hands out messages, and what is due to be done about it: extend, acknowledge, give back.
//!
//! [`Custody`] is pure: it takes the clock as an argument and does no call itself. It keeps these promises:
//!
//! - A message is in one call at a time, so that no call uses a handle that another one has replaced.
//! - A message is extended when half of its invisible time is over, and again and again until that is over, whether it is open or waits to be
//!   acknowledged. If its invisible time ends all the same, or the source refuses its handle, it is *lost*: it is forgotten here, the source hands it out again,
//!   and an outcome of this delivery changes nothing.
//! - Only a message with an outcome is acknowledged; of an ordered source, only one before which nothing without an outcome is held.
//! - Only a message without an outcome is given back.

use std::collections::{BTreeMap, BTreeSet};

use rocketbridge_connector::{Code, Error, Handle, Terms};
use tokio::time::Instant;

/// Calls of one kind that may be under way for one partition.
const CALLS: usize = 4;
/// Part of the invisible time after which a call is tried again that failed.
const AGAIN: u32 = 16;
/// Part of the invisible time by which messages are extended early, to travel with others.
const TOGETHER: u32 = 8;

/// The messages that one partition holds.
#[derive(Debug)]
pub(crate) struct Custody {
    terms: Terms,
    held: BTreeMap<u64, Held>,
    /// Messages in no call, by when something is due for them.
    due: BTreeSet<(Instant, u64)>,
    /// Messages with an outcome, in no call, that may be acknowledged now.
    ready: BTreeSet<u64>,
    /// Of an ordered source: messages before this have an outcome, or are not held.
    ended: u64,
    calls: Calls,
    mode: Mode,
}

/// How many calls are under way.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    acknowledge: usize,
    extend: usize,
    release: usize,
}

/// Whether messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Keeping,
    /// What has no outcome is given back.
    Releasing,
}

/// One message.
#[derive(Debug)]
struct Held {
    handle: Handle,
    /// When its invisible time is over.
    until: Instant,
    /// When it must be extended: half of that time is over.
    half: Instant,
    /// When something is due for it next, if it is in no call: its key in `due`.
    next: Instant,
    has_ended: bool,
    is_called: bool,
}

/// What is to be done with some messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// The messages' numbers.
    pub(crate) numbers: Vec<u64>,
    /// Their handles, in the same order.
    pub(crate) handles: Vec<Handle>,
}

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Acknowledge,
    Extend,
    Release,
}

/// What became of one message of a call.
pub(crate) type Answer = Result<Option<Handle>, Error>;

/// What a call that was answered, or the time, has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Messages that are lost: they come again.
    pub(crate) lost: usize,
}

impl Custody {
    /// Holds nothing.
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            held: BTreeMap::new(),
            due: BTreeSet::new(),
            ready: BTreeSet::new(),
            ended: 0,
            calls: Calls::default(),
            mode: Mode::Keeping,
        }
    }

    /// Messages that are held, with and without an outcome.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes a message that arrived now. Numbers grow.
    pub(crate) fn take(&mut self, number: u64, handle: Handle, now: Instant) {
        let (until, half) = (now + self.terms.invisible, now + self.terms.invisible / 2);
        self.held.insert(number, Held { handle, until, half, next: half, has_ended: false, is_called: false });
        self.due.insert((half, number));
    }

    /// A message has an outcome that acknowledges it. One that is not held changes nothing.
    pub(crate) fn end(&mut self, number: u64) {
        let Some(held) = self.held.get_mut(&number) else { return };
        held.has_ended = true;
        if !self.terms.is_ordered {
            if !held.is_called {
                self.ready.insert(number);
            }
            return;
        }
        self.pass();
    }

    /// Of an ordered source: what stands behind nothing without an outcome becomes ready.
    fn pass(&mut self) {
        for (number, held) in self.held.range(self.ended..) {
            if !held.has_ended {
                self.ended = *number;
                return;
            }
            if !held.is_called {
                self.ready.insert(*number);
            }
            self.ended = number + 1;
        }
    }

    /// Whether a message may be acknowledged.
    fn may_acknowledge(&self, number: u64, held: &Held) -> bool {
        held.has_ended && (!self.terms.is_ordered || number < self.ended)
    }

    /// From now on messages without an outcome are given back, as soon as they are in no other call.
    pub(crate) fn release(&mut self) {
        self.mode = Mode::Releasing;
    }

    /// Whether nothing is left to be acknowledged, nor to be given back.
    pub(crate) fn is_settled(&self) -> bool {
        let is_open = |held: &Held| self.mode == Mode::Releasing && !held.has_ended;
        self.ready.is_empty() && self.calls.acknowledge == 0 && self.calls.release == 0 && !self.held.values().any(is_open)
    }

    /// The next call to make, if one is due. Its answer is owed to [`Custody::answered`].
    pub(crate) fn next_call(&mut self, now: Instant) -> Option<Call> {
        let most = self.terms.handles.max(1) as usize;
        self.try_again(now);
        if self.calls.acknowledge < CALLS && !self.ready.is_empty() {
            let numbers: Vec<u64> = self.ready.iter().take(most).copied().collect();
            self.calls.acknowledge += 1;
            return Some(self.call(Kind::Acknowledge, numbers));
        }
        if self.mode == Mode::Releasing {
            let idle = self.held.iter().filter(|(_, held)| !held.is_called && !held.has_ended);
            let numbers: Vec<u64> = idle.map(|(number, _)| *number).take(most).collect();
            if self.calls.release >= CALLS || numbers.is_empty() {
                return None;
            }
            self.calls.release += 1;
            return Some(self.call(Kind::Release, numbers));
        }
        if self.calls.extend < CALLS && self.due.first().is_some_and(|(next, _)| *next <= now) {
            let soon = now + self.terms.invisible / TOGETHER;
            let soon_due = self.due.iter().take_while(|(next, _)| *next <= soon);
            let numbers: Vec<u64> = soon_due.map(|(_, number)| *number).take(most).collect();
            self.calls.extend += 1;
            return Some(self.call(Kind::Extend, numbers));
        }
        None
    }

    /// What could not be acknowledged becomes ready again, unless it must be extended first.
    fn try_again(&mut self, now: Instant) {
        let over = self.due.iter().take_while(|(next, _)| *next <= now).filter(|(next, number)| {
            let held = &self.held[number];
            *next < held.half && self.may_acknowledge(*number, held)
        });
        for (next, number) in over.copied().collect::<Vec<_>>() {
            let Some(held) = self.held.get_mut(&number) else { continue };
            held.next = held.half;
            self.due.remove(&(next, number));
            self.due.insert((held.half, number));
            self.ready.insert(number);
        }
    }

    fn call(&mut self, kind: Kind, numbers: Vec<u64>) -> Call {
        let mut handles = Vec::with_capacity(numbers.len());
        for number in &numbers {
            let held = self.held.get_mut(number).expect("what is due or ready is held");
            held.is_called = true;
            handles.push(held.handle.clone());
            self.due.remove(&(held.next, *number));
            self.ready.remove(number);
        }
        Call { kind, numbers, handles }
    }

    /// When something is due next, besides what is due now and waits for a call that is under way.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(next, _)| *next)
    }

    /// A call was answered: one answer per message of it, in order. What has no answer, because the call took too long, failed.
    pub(crate) fn answered(&mut self, kind: Kind, answers: impl IntoIterator<Item = (u64, Answer)>, now: Instant) -> Change {
        match kind {
            Kind::Acknowledge => self.calls.acknowledge -= 1,
            Kind::Extend => self.calls.extend -= 1,
            Kind::Release => self.calls.release -= 1,
        }
        let mut change = Change::default();
        for (number, answer) in answers {
            let Some(held) = self.held.get_mut(&number) else { continue };
            held.is_called = false;
            match (kind, answer) {
                // Given back or not: after this one try it is the source's.
                (Kind::Acknowledge, Ok(_)) | (Kind::Release, _) => drop(self.held.remove(&number)),
                (Kind::Extend, Ok(handle)) => {
                    held.handle = handle.unwrap_or_else(|| held.handle.clone());
                    held.until = now + self.terms.invisible;
                    held.half = now + self.terms.invisible / 2;
                    held.next = held.half;
                    self.due.insert((held.next, number));
                    if self.held.get(&number).is_some_and(|held| self.may_acknowledge(number, held)) {
                        self.ready.insert(number);
                    }
                }
                (_, Err(error)) if error.code() == Code::Rejected => {
                    self.held.remove(&number);
                    change.lost += 1;
                }
                (_, Err(_)) => {
                    held.next = (now + self.terms.invisible / AGAIN).min(held.until);
                    self.due.insert((held.next, number));
                }
            }
        }
        // A message that went away may have been what others stood behind.
        if self.terms.is_ordered {
            self.pass();
        }
        change.lost += self.expire(now);
        change
    }

    /// Forgets messages whose invisible time is over. Answers how many.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        // Whatever is in no call is due at the end of its invisible time at the latest.
        let due = self.due.iter().take_while(|(next, _)| *next <= now).map(|(_, number)| *number);
        let over: Vec<u64> = due.filter(|number| self.held[number].until <= now).collect();
        for number in &over {
            if let Some(held) = self.held.remove(number) {
                self.due.remove(&(held.next, *number));
                self.ready.remove(number);
            }
        }
        if self.terms.is_ordered && !over.is_empty() {
            self.pass();
        }
        over.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const INVISIBLE: Duration = Duration::from_secs(32);

    fn terms(is_ordered: bool) -> Terms {
        Terms { partitions: 1, invisible: INVISIBLE, batch: 8, handles: 5, window: 64, is_ordered }
    }

    fn handle(number: u64, generation: u32) -> Handle {
        Handle { message: number.to_string().into(), token: generation.to_string().into() }
    }

    fn error(code: Code) -> Error {
        Error::new(code, "call", "because")
    }

    /// A custody, what is true of its messages, and calls that wait for their answers.
    struct Trial {
        custody: Custody,
        now: Instant,
        begin: Instant,
        next: u64,
        /// Messages with an outcome, of those that the source has not heard of it.
        ended: BTreeSet<u64>,
        acknowledged: BTreeSet<u64>,
        calls: Vec<Call>,
        extended: usize,
        lost: usize,
    }

    impl Trial {
        fn new(is_ordered: bool) -> Self {
            let now = Instant::now();
            let custody = Custody::new(terms(is_ordered));
            let (ended, acknowledged) = (BTreeSet::new(), BTreeSet::new());
            Self { custody, now, begin: now, next: 0, ended, acknowledged, calls: Vec::new(), extended: 0, lost: 0 }
        }

        fn take(&mut self, count: u64) {
            for number in self.next..self.next + count {
                self.custody.take(number, handle(number, 0), self.now);
            }
            self.next += count;
        }

        fn end(&mut self, number: u64) {
            self.custody.end(number);
            self.ended.insert(number);
        }

        /// Makes the calls that are due, and holds them against what is promised.
        fn make_calls(&mut self) -> Result<(), TestCaseError> {
            self.lost += self.custody.expire(self.now);
            while let Some(call) = self.custody.next_call(self.now) {
                prop_assert!(!call.numbers.is_empty() && call.numbers.len() <= 5 && call.numbers.len() == call.handles.len());
                for number in &call.numbers {
                    prop_assert!(!self.calls.iter().any(|other| other.numbers.contains(number)), "{number} is in two calls");
                    let has_ended = self.ended.contains(number);
                    match call.kind {
                        Kind::Acknowledge => prop_assert!(has_ended, "{number} has no outcome"),
                        Kind::Release => prop_assert!(!has_ended, "{number} has an outcome"),
                        Kind::Extend => {}
                    }
                    if call.kind == Kind::Acknowledge && self.custody.terms.is_ordered {
                        let before = self.custody.held.range(..number).find(|(before, _)| !self.ended.contains(before));
                        prop_assert!(before.is_none(), "{number} is acknowledged before {before:?} has an outcome");
                    }
                }
                let of_kind = self.calls.iter().filter(|other| other.kind == call.kind).count();
                prop_assert!(of_kind < CALLS, "{of_kind} calls of a kind are under way");
                self.calls.push(call);
            }
            Ok(())
        }

        /// Answers a call, each of its messages in the same way.
        fn answer(&mut self, pick: usize, code: Option<Code>) {
            if self.calls.is_empty() {
                return;
            }
            let Call { kind, numbers, handles } = self.calls.remove(pick % self.calls.len());
            let generation = |handle: &Handle| handle.token.parse::<u32>().expect("a number");
            let answers: Vec<(u64, Answer)> = numbers
                .iter()
                .zip(&handles)
                .map(|(number, old)| match code {
                    Some(code) => (*number, Err(error(code))),
                    None if kind == Kind::Extend => (*number, Ok(Some(handle(*number, generation(old) + 1)))),
                    None => (*number, Ok(None)),
                })
                .collect();
            match (kind, code) {
                (Kind::Acknowledge, None) => {
                    self.acknowledged.extend(numbers.iter().filter(|number| self.custody.held.contains_key(number)))
                }
                (Kind::Extend, None) => self.extended += numbers.len(),
                _ => {}
            }
            self.lost += self.custody.answered(kind, answers, self.now).lost;
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64),
        End(usize),
        Pass(Duration),
        Answer(usize, Option<Code>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let code = prop_oneof![6 => Just(None), 2 => Just(Some(Code::Unavailable)), 1 => Just(Some(Code::Rejected))];
        prop_oneof![
            2 => (1u64..9).prop_map(Step::Take),
            4 => any::<usize>().prop_map(Step::End),
            2 => (0u64..12_000).prop_map(|time| Step::Pass(Duration::from_millis(time))),
            4 => (any::<usize>(), code).prop_map(|(pick, code)| Step::Answer(pick, code)),
        ]
    }

    proptest! {
        /// *Scenario*: messages arrive and end in any order, time passes, and calls are answered late, with failures and refusals. *Guarantees*: only what has an outcome is
        /// acknowledged, of an ordered source only behind what has one; a message is in one call at a time; every message is acknowledged once, or lost, or still
        /// held; and when the source answers again, everything that ended goes.
        #[test]
        fn only_what_has_ended_is_acknowledged_and_nothing_is_forgotten(
            steps in prop::collection::vec(step(), 1..200), is_ordered in any::<bool>(),
        ) {
            let mut trial = Trial::new(is_ordered);
            for step in steps {
                match step {
                    Step::Take(count) => trial.take(count),
                    Step::End(pick) if trial.next > 0 => trial.end(pick as u64 % trial.next),
                    Step::End(_) => {}
                    Step::Pass(time) => trial.now += time,
                    Step::Answer(pick, code) => trial.answer(pick, code),
                }
                trial.make_calls()?;
                prop_assert_eq!(trial.custody.len() + trial.acknowledged.len() + trial.lost, trial.next as usize);
            }
            (0..trial.next).for_each(|number| trial.end(number));
            for _ in 0..400 {
                trial.make_calls()?;
                trial.answer(0, None);
                if trial.calls.is_empty() {
                    trial.now += INVISIBLE / AGAIN;
                }
            }
            prop_assert_eq!(trial.custody.len(), 0);
            prop_assert!(trial.custody.is_settled());
        }

        /// *Scenario*: messages are under way for hours, as behind a dead target, and each answer takes up to a tenth of the invisible time. *Guarantees*: none is lost;
        /// each is extended about twice in its invisible time, not more often than three times.
        #[test]
        fn what_is_under_way_for_hours_is_extended_and_never_lost(
            arrivals in prop::collection::vec((1u64..9, 0u64..4_000), 1..8), delay in 0u64..3_200, is_ordered in any::<bool>(),
        ) {
            let mut trial = Trial::new(is_ordered);
            for (count, wait) in arrivals {
                trial.take(count);
                trial.now += Duration::from_millis(wait);
                trial.make_calls()?;
                while !trial.calls.is_empty() {
                    trial.answer(0, None);
                }
            }
            let hours = INVISIBLE * 200;
            while trial.now < trial.begin + hours {
                trial.now = trial.custody.next_due().expect("something is held").max(trial.now);
                trial.make_calls()?;
                trial.now += Duration::from_millis(delay);
                while !trial.calls.is_empty() {
                    trial.answer(0, None);
                }
            }
            prop_assert_eq!((trial.lost, trial.custody.len()), (0, trial.next as usize));
            let each = trial.extended as f64 / trial.next as f64;
            prop_assert!((300.0..700.0).contains(&each), "each was extended {} times in 200 invisible times", each);
        }
    }

    /// *Scenario*: the source cannot be reached for longer than the invisible time, while messages are open, ended, or in a call. *Guarantees*: attempts are made now and then;
    /// all are lost then, none before; what ends later changes nothing.
    #[test]
    fn what_cannot_be_extended_in_time_is_lost_and_its_outcome_ignored() {
        let mut trial = Trial::new(false);
        trial.take(3);
        trial.end(1);
        let mut attempts = 0;
        while trial.now < trial.begin + INVISIBLE {
            trial.make_calls().expect("as promised");
            attempts += trial.calls.len();
            while !trial.calls.is_empty() {
                trial.answer(0, Some(Code::Unavailable));
            }
            assert_eq!(trial.lost, 0, "after {:?}", trial.now - trial.begin);
            trial.now += Duration::from_millis(500);
        }
        assert!((15..40).contains(&attempts), "{attempts} attempts");
        trial.make_calls().expect("as promised");
        assert_eq!((trial.lost, trial.custody.len()), (3, 0));
        trial.end(0);
        trial.make_calls().expect("as promised");
        assert!(trial.calls.is_empty() && trial.custody.is_settled());
    }

    /// *Scenario*: of six messages two have ended, one of them behind an open one; then all is given back, as in a drain. *Guarantees*: what ended is acknowledged, what did not is
    /// given back, in an ordered source too; a refusal settles it as well.
    #[test]
    fn a_drain_acknowledges_what_ended_and_gives_back_the_rest() {
        for is_ordered in [false, true] {
            let mut trial = Trial::new(is_ordered);
            trial.take(6);
            trial.end(0);
            trial.end(3);
            trial.custody.release();
            let mut kinds = Vec::new();
            trial.make_calls().expect("as promised");
            while let Some(call) = trial.calls.first() {
                kinds.push((call.kind, call.numbers.clone()));
                let code = (call.kind == Kind::Release).then_some(Code::Unavailable);
                trial.answer(0, code);
                trial.make_calls().expect("as promised");
            }
            let open = (Kind::Release, vec![1, 2, 4, 5]);
            if is_ordered {
                assert_eq!(kinds, [(Kind::Acknowledge, vec![0]), open, (Kind::Acknowledge, vec![3])]);
            } else {
                assert_eq!(kinds, [(Kind::Acknowledge, vec![0, 3]), open]);
            }
            assert!(trial.custody.is_settled() && trial.custody.len() == 0);
        }
    }
}
