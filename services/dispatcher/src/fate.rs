//! What becomes of a delivery whose attempt failed. Pure: clock and chance are arguments.
//!
//! The answer concerns one delivery and depends on nothing but its own history, the error of its own attempt and the stream's settings:
//!
//! - A stream that tolerates no errors passes nothing over. What the target refuses for good blocks those behind it; everything else is
//!   tried again for ever, with waits short enough that deliveries flow again within seconds of a repair.
//! - A stream that tolerates errors gives up what the target refuses for good, and what has used up its patience: the retries of its
//!   strategy, or, while the target cannot be reached, the time that those retries would take. What is given up goes to the dead-letter
//!   target; where there is none it is discarded.
//! - Patience is used up only by attempts of the delivery's own. A group that fails as a whole says nothing about any one of its deliveries.
//! - A letter, once it is with the dead-letter target, never goes back. If it is refused for good it is made to fit step by step; what does
//!   not fit in its last form blocks.

use std::time::Duration;

use rocketbridge_connector::{Code, Error, Remedy};
use rocketbridge_model::resolved::{RetrySettings, RetryStrategy, RunSettings};

/// Longest wait for something that passes by itself.
pub(crate) const OUTAGE_WAIT: Duration = Duration::from_secs(2);
/// Longest wait for something that a person must mend.
pub(crate) const REPAIR_WAIT: Duration = Duration::from_secs(5);

/// Ceilings of the first waits.
const FIRST_OUTAGE_WAIT: Duration = Duration::from_millis(100);
const FIRST_REPAIR_WAIT: Duration = Duration::from_millis(200);

/// What the stream asks for.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    tolerate: bool,
    retry: RetrySettings,
    has_dead_letter: bool,
}

/// Where a delivery is going.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To the target.
    #[default]
    Target,
    /// To the dead-letter target, because the target gave this reason; in this form.
    DeadLetter { reason: String, form: Form },
}

/// The forms of a letter, from the fullest to the barest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// The event as it was read, with the whole reason.
    #[default]
    Whole,
    /// With a shortened reason.
    ShortReason,
    /// Without a reason.
    NoReason,
    /// Without anything that the bridge adds.
    Bare,
}

/// One failed attempt, and the history of its delivery in this stage, the attempt included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) failure: Failure<'a>,
    /// Failed attempts of the delivery's own.
    pub(crate) attempts: u32,
    /// Since the delivery first failed, alone or in a group.
    pub(crate) waited: Duration,
    /// Since the source stored the event.
    pub(crate) age: Duration,
    /// From 0 to 1.
    pub(crate) chance: f64,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure<'a> {
    /// A transform cannot be applied to the event: there is nothing that the target could be given.
    Untransformable,
    /// The attempt was the delivery's own: it was alone with the target, or the error holds for each delivery by itself.
    Own(&'a Error),
    /// The group failed as a whole; which of its deliveries is to blame, if any, is not known.
    Shared(&'a Error),
}

/// What becomes of the delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is tried again after this wait; those behind it wait too.
    Hold(Duration),
    /// It was refused for good and nothing passes it over. It is tried again, alone, after this wait; `None`: trying again cannot help.
    Block(Option<Duration>),
    /// It is given up at the target and goes to the dead-letter target.
    DeadLetter,
    /// The dead-letter target is given this form of it.
    Refit(Form),
    /// It is given up, and there is no dead-letter target.
    Discard,
}

impl Rules {
    /// Of a stream.
    pub(crate) fn new(run: &RunSettings) -> Self {
        Self { tolerate: run.tolerate_errors, retry: run.retry.clone(), has_dead_letter: run.dead_letter.is_some() }
    }

    /// What becomes of a delivery after a failed attempt.
    pub(crate) fn decide(&self, attempt: &Attempt<'_>) -> Fate {
        match attempt.stage {
            Stage::Target => self.at_target(attempt),
            Stage::DeadLetter { form, .. } => Self::at_dead_letter(attempt, *form),
        }
    }

    fn at_target(&self, attempt: &Attempt<'_>) -> Fate {
        let (error, own) = match attempt.failure {
            Failure::Untransformable if self.tolerate => return self.given_up(),
            Failure::Untransformable => return Fate::Block(None),
            Failure::Own(error) => (error, true),
            Failure::Shared(error) => (error, false),
        };
        if error.retry() == Remedy::Nothing {
            return if self.tolerate { self.given_up() } else { Fate::Block(Some(wait(error, attempt))) };
        }
        if !self.tolerate || !own {
            return Fate::Hold(wait(error, attempt));
        }
        let too_old = self.retry.maximum_age.is_some_and(|maximum| attempt.age >= maximum);
        if too_old || self.is_patience_over(error, attempt) {
            return self.given_up();
        }
        match error.code() {
            Code::Unavailable => Fate::Hold(wait(error, attempt)),
            _ => Fate::Hold(distance(self.retry.strategy, attempt.attempts.saturating_sub(1), attempt.chance)),
        }
    }

    fn is_patience_over(&self, error: &Error, attempt: &Attempt<'_>) -> bool {
        match error.code() {
            // An unreachable target is asked more often than the strategy says, and for as long.
            Code::Unavailable => attempt.waited >= self.patience(),
            _ => attempt.attempts > self.retry.attempts,
        }
    }

    /// All waits of the strategy together.
    fn patience(&self) -> Duration {
        (0..self.retry.attempts).map(|attempt| distance(self.retry.strategy, attempt, 0.5)).sum()
    }

    fn given_up(&self) -> Fate {
        if self.has_dead_letter { Fate::DeadLetter } else { Fate::Discard }
    }

    /// A letter is never given up.
    fn at_dead_letter(attempt: &Attempt<'_>, form: Form) -> Fate {
        match attempt.failure {
            // Nothing is transformed for a letter, so this cannot fail.
            Failure::Untransformable => Fate::Hold(Duration::ZERO),
            Failure::Own(error) | Failure::Shared(error) if error.retry() != Remedy::Nothing => Fate::Hold(wait(error, attempt)),
            Failure::Own(error) | Failure::Shared(error) => match form.barer() {
                Some(form) => Fate::Refit(form),
                None => Fate::Block(Some(wait(error, attempt))),
            },
        }
    }
}

impl Form {
    /// The next barer form.
    fn barer(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::ShortReason),
            Self::ShortReason => Some(Self::NoReason),
            Self::NoReason => Some(Self::Bare),
            Self::Bare => None,
        }
    }
}

/// The strategy's wait before retry `attempt`, counted from 0.
fn distance(strategy: RetryStrategy, attempt: u32, chance: f64) -> Duration {
    match strategy {
        RetryStrategy::Backoff => Duration::from_secs_f64(10.0 + 10.0 * chance),
        RetryStrategy::ExponentialDecay => Duration::from_secs(1 << attempt.min(9)),
    }
}

/// A wait whose ceiling doubles with each attempt. Never less than half the ceiling, so that nothing spins.
fn wait(error: &Error, attempt: &Attempt<'_>) -> Duration {
    let (first, longest) = match error.retry() {
        Remedy::Time => (FIRST_OUTAGE_WAIT, OUTAGE_WAIT),
        Remedy::Repair | Remedy::Nothing => (FIRST_REPAIR_WAIT, REPAIR_WAIT),
    };
    let factor = 1_u32.checked_shl(attempt.attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    let ceiling = first.checked_mul(factor).map_or(longest, |wait| wait.min(longest));
    ceiling / 2 + ceiling.mul_f64(attempt.chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(tolerate: bool, has_dead_letter: bool, strategy: RetryStrategy, attempts: u32) -> Rules {
        Rules { tolerate, has_dead_letter, retry: RetrySettings { strategy, attempts, maximum_age: None } }
    }

    fn error(code: Code) -> Error {
        Error::new(code, "send", "no")
    }

    fn attempt<'a>(stage: &'a Stage, failure: Failure<'a>, attempts: u32, waited: u64) -> Attempt<'a> {
        Attempt { stage, failure, attempts, waited: Duration::from_secs(waited), age: Duration::ZERO, chance: 0.5 }
    }

    fn codes() -> impl Strategy<Value = Code> {
        prop::sample::select(vec![Code::Unavailable, Code::NotFound, Code::Denied, Code::Rejected, Code::Internal])
    }

    fn stages() -> impl Strategy<Value = Stage> {
        let form = prop::sample::select(vec![Form::Whole, Form::ShortReason, Form::NoReason, Form::Bare]);
        prop_oneof![Just(Stage::Target), form.prop_map(|form| Stage::DeadLetter { reason: "no".into(), form })]
    }

    fn any_rules() -> impl Strategy<Value = Rules> {
        let strategies = prop::sample::select(vec![RetryStrategy::Backoff, RetryStrategy::ExponentialDecay]);
        let ages = prop::option::of((0_u64..100).prop_map(Duration::from_secs));
        (any::<bool>(), any::<bool>(), strategies, 0_u32..200, ages).prop_map(|(tolerate, has_dead_letter, strategy, attempts, age)| {
            let mut rules = rules(tolerate, has_dead_letter, strategy, attempts);
            rules.retry.maximum_age = age;
            rules
        })
    }

    proptest! {
        /// *Scenario*: any failure at any moment. *Guarantees*: where no errors are tolerated nothing is passed over, and no wait is longer
        /// than five seconds or shorter than 50 ms.
        #[test]
        fn nothing_is_passed_over_where_no_errors_are_tolerated(
            rules in any_rules(), code in codes(), own in any::<bool>(), attempts in 0_u32..1_000, waited in 0_u64..1_000_000, chance in 0.0..1.0,
        ) {
            let (rules, error) = (Rules { tolerate: false, ..rules }, error(code));
            let failure = if own { Failure::Own(&error) } else { Failure::Shared(&error) };
            let wait = match rules.decide(&Attempt { chance, age: Duration::MAX, ..attempt(&Stage::Target, failure, attempts, waited) }) {
                Fate::Hold(wait) if code != Code::Rejected => wait,
                Fate::Block(Some(wait)) if code == Code::Rejected => wait,
                fate => return Err(TestCaseError::fail(format!("{fate:?}"))),
            };
            prop_assert!(wait <= REPAIR_WAIT && wait >= Duration::from_millis(50), "{wait:?}");
        }

        /// *Scenario*: a group fails as a whole, at any moment, for a reason that may pass. *Guarantees*: no delivery is given up for it.
        #[test]
        fn a_neighbours_failure_condemns_nobody(
            rules in any_rules(), stage in stages(), code in codes(), attempts in 0_u32..1_000, waited in 0_u64..1_000_000,
        ) {
            prop_assume!(code != Code::Rejected);
            let error = error(code);
            let fate = rules.decide(&Attempt { age: Duration::MAX, ..attempt(&stage, Failure::Shared(&error), attempts, waited) });
            prop_assert!(matches!(fate, Fate::Hold(wait) if wait <= REPAIR_WAIT), "{fate:?}");
        }

        /// *Scenario*: any failure of a letter. *Guarantees*: it is never discarded and never goes back; it gets barer step by step.
        #[test]
        fn a_letter_is_never_lost(
            rules in any_rules(), form in prop::sample::select(vec![Form::Whole, Form::ShortReason, Form::NoReason, Form::Bare]),
            code in codes(), own in any::<bool>(), attempts in 0_u32..1_000, waited in 0_u64..1_000_000,
        ) {
            let (stage, error) = (Stage::DeadLetter { reason: "no".into(), form }, error(code));
            let failure = if own { Failure::Own(&error) } else { Failure::Shared(&error) };
            match rules.decide(&Attempt { age: Duration::MAX, ..attempt(&stage, failure, attempts, waited) }) {
                Fate::Refit(barer) => prop_assert!(code == Code::Rejected && barer > form),
                Fate::Block(Some(wait)) => prop_assert!(code == Code::Rejected && form == Form::Bare && wait <= REPAIR_WAIT),
                Fate::Hold(wait) => prop_assert!(code != Code::Rejected && wait >= Duration::from_millis(50)),
                fate => return Err(TestCaseError::fail(format!("{fate:?}"))),
            }
        }

        /// *Scenario*: a refusal for good, or an untransformable event, where errors are tolerated. *Guarantees*: given up at once, to the
        /// dead-letter target where there is one.
        #[test]
        fn what_can_never_be_delivered_is_given_up_at_once_where_errors_are_tolerated(rules in any_rules(), transformed in any::<bool>()) {
            let (rules, error) = (Rules { tolerate: true, ..rules }, error(Code::Rejected));
            let failure = if transformed { Failure::Own(&error) } else { Failure::Untransformable };
            let expected = if rules.has_dead_letter { Fate::DeadLetter } else { Fate::Discard };
            prop_assert_eq!(rules.decide(&attempt(&Stage::Target, failure, 1, 0)), expected);
        }
    }

    #[test]
    fn an_event_that_cannot_be_transformed_blocks_where_no_errors_are_tolerated() {
        let rules = rules(false, true, RetryStrategy::Backoff, 3);
        assert_eq!(rules.decide(&attempt(&Stage::Target, Failure::Untransformable, 1, 0)), Fate::Block(None));
    }

    #[test]
    fn the_exponential_strategy_waits_as_documented() {
        let rules = rules(true, false, RetryStrategy::ExponentialDecay, 176);
        let error = error(Code::NotFound);
        let mut waits = Vec::new();
        while let Fate::Hold(wait) = rules.decide(&attempt(&Stage::Target, Failure::Own(&error), waits.len() as u32 + 1, 0)) {
            waits.push(wait.as_secs());
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!((waits.len(), waits.iter().sum::<u64>()), (176, 86_015));
    }

    #[test]
    fn an_outage_is_waited_for_as_long_as_the_strategy_would_but_asked_often() {
        let rules = rules(true, true, RetryStrategy::Backoff, 3);
        let error = error(Code::Unavailable);
        let after = |attempts, waited| rules.decide(&attempt(&Stage::Target, Failure::Own(&error), attempts, waited));
        assert!(matches!(after(1, 0), Fate::Hold(wait) if wait <= FIRST_OUTAGE_WAIT));
        assert!(matches!(after(40, 44), Fate::Hold(wait) if wait <= OUTAGE_WAIT));
        assert_eq!(after(41, 45), Fate::DeadLetter);
    }

    #[test]
    fn an_event_older_than_the_maximum_gets_one_attempt_of_its_own() {
        let mut rules = rules(true, false, RetryStrategy::Backoff, 3);
        rules.retry.maximum_age = Some(Duration::from_secs(60));
        let error = error(Code::Internal);
        let fate = |failure, age| rules.decide(&Attempt { age: Duration::from_secs(age), ..attempt(&Stage::Target, failure, 1, 0) });
        assert!(matches!(fate(Failure::Own(&error), 59), Fate::Hold(_)));
        assert!(matches!(fate(Failure::Shared(&error), 60), Fate::Hold(_)));
        assert_eq!(fate(Failure::Own(&error), 60), Fate::Discard);
    }
}
