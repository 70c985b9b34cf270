//! A delivery in the dispatcher, and what it has been through there.
//!
//! The history belongs to the delivery and to the session: a delivery that comes again in another session, after a restart, a move of its shard or a
//! change of the definition, begins a new one.

use rocketbridge_connector::{Arrival, Error, Remedy};
use rocketbridge_model::Outcome;
use rocketbridge_model::session::{Delivery, Trouble};
use tokio::time::Instant;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fate::{Attempt, Failure, Fate, Form, Rules, Stage};

/// Most characters of a shortened reason.
const SHORT_REASON: usize = 120;

/// A delivery without an outcome.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) delivery: Delivery,
    pub(crate) record: Record,
}

/// What is known of a delivery besides the delivery itself.
#[derive(Debug)]
pub(crate) struct Record {
    /// Offset of its event.
    pub(crate) offset: u64,
    pub(crate) arrived: Instant,
    /// `None` until something fails: almost always.
    history: Option<Box<History>>,
}

#[derive(Debug)]
struct History {
    stage: Stage,
    /// Failed attempts of its own in this stage.
    attempts: u32,
    /// First failure in this stage, alone or in a group.
    first_failure: Instant,
    reason: String,
    remedy: Remedy,
    standing: Standing,
}

/// Whether a delivery may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may go.
    #[default]
    Due,
    /// It and those behind it wait until then.
    Holding(Instant),
    /// It was refused for good, and blocks those behind it. It goes alone, at this time; `None`: never.
    Blocked(Option<Instant>),
}

impl Pending {
    pub(crate) fn new(delivery: Delivery, now: Instant) -> Self {
        let record = Record { offset: delivery.event.offset, arrived: now, history: None };
        Self { delivery, record }
    }

    /// Takes note of a failed attempt and of what becomes of the delivery. Returns the outcome if that ends it. `chance` is from 0 to 1.
    pub(crate) fn fail(&mut self, failure: Failure<'_>, rules: &Rules, now: Instant, chance: f64) -> Option<Outcome> {
        let (reason, remedy) = match failure {
            Failure::Untransformable => (self.delivery.rejected.clone().unwrap_or_default(), Remedy::Nothing),
            Failure::Own(error) | Failure::Shared(error) => (error.to_string(), error.retry()),
        };
        let history = self.record.history.get_or_insert_with(|| {
            let standing = Standing::Due;
            Box::new(History { stage: Stage::Target, attempts: 0, first_failure: now, reason: String::new(), remedy, standing })
        });
        if !matches!(failure, Failure::Shared(_)) {
            history.attempts = history.attempts.saturating_add(1);
        }
        (history.reason, history.remedy) = (reason, remedy);
        let fate = rules.decide(&Attempt {
            stage: &history.stage,
            failure,
            attempts: history.attempts,
            waited: now.duration_since(history.first_failure),
            age: age(self.delivery.event.envelope.store_timestamp),
            chance,
        });
        history.standing = match fate {
            Fate::Hold(wait) => Standing::Holding(now + wait),
            Fate::Block(wait) => Standing::Blocked(wait.map(|wait| now + wait)),
            Fate::DeadLetter => {
                history.stage = Stage::DeadLetter { reason: history.reason.clone(), form: Form::default() };
                history.attempts = 0;
                history.first_failure = now;
                Standing::Due
            }
            Fate::Refit(barer) => {
                if let Stage::DeadLetter { form, .. } = &mut history.stage {
                    *form = barer;
                }
                Standing::Due
            }
            Fate::Discard => return Some(Outcome::Discarded(history.reason.clone())),
        };
        None
    }

    /// What the attempt sends, in bytes.
    pub(crate) fn outgoing(&self) -> usize {
        match self.record.stage() {
            Stage::Target => self.delivery.outgoing_size(),
            Stage::DeadLetter { .. } => self.delivery.event.size(),
        }
    }
}

impl Record {
    /// Where the delivery is going.
    pub(crate) fn stage(&self) -> &Stage {
        self.history.as_ref().map_or(&Stage::Target, |history| &history.stage)
    }

    /// Whether the delivery may go.
    pub(crate) fn standing(&self) -> Standing {
        self.history.as_ref().map(|history| history.standing).unwrap_or_default()
    }

    /// Whether the delivery has failed before.
    pub(crate) fn has_failed(&self) -> bool {
        self.history.is_some()
    }

    /// The outcome of a delivery that the stage's target has.
    pub(crate) fn success(&self, arrival: Arrival) -> Outcome {
        match (self.stage(), arrival) {
            (Stage::DeadLetter { .. }, _) => Outcome::DeadLettered,
            (Stage::Target, Arrival::Stored) => Outcome::Delivered,
            (Stage::Target, Arrival::Known) => Outcome::Deduplicated,
            (Stage::Target, Arrival::Unproven) => Outcome::Unproven,
            (Stage::Target, Arrival::Looped) => Outcome::Looped,
        }
    }

    /// Why the delivery, and everything behind it, waits; `None` if it does not.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let history = self.history.as_ref()?;
        let blocked_offset = match history.standing {
            Standing::Due => return None,
            Standing::Holding(_) => None,
            Standing::Blocked(_) => Some(self.offset),
        };
        let reason = match &history.stage {
            Stage::Target => history.reason.clone(),
            Stage::DeadLetter { reason, .. } => format!("dead letter: {} (given up at the target: {reason})", history.reason),
        };
        Some(Trouble { reason, permanent: history.remedy != Remedy::Time, blocked_offset, goes_on: false })
    }

    /// The letter for the dead-letter target: the event as it was read, with why it is there as far as its form allows.
    pub(crate) fn letter(&self, delivery: &Delivery) -> Delivery {
        let rejected = match self.stage() {
            Stage::DeadLetter { reason, form: Form::Whole } => Some(reason.clone()),
            Stage::DeadLetter { reason, form: Form::ShortReason } => Some(shortened(reason)),
            Stage::DeadLetter { form: Form::NoReason | Form::Bare, .. } | Stage::Target => None,
        };
        Delivery { receipt: delivery.receipt, event: delivery.event.clone(), parameters: Vec::new(), rejected }
    }
}

/// The failure that an error of a group of `size` means for one delivery of it.
pub(crate) fn failure(error: &Error, size: usize) -> Failure<'_> {
    match error.retry() {
        // It may be any one of the group over which the target stumbled.
        Remedy::Time if size > 1 => Failure::Shared(error),
        // A missing topic or a refused key holds for each; a refusal for good is answered for the one that it concerns.
        Remedy::Time | Remedy::Repair | Remedy::Nothing => Failure::Own(error),
    }
}

fn shortened(reason: &str) -> String {
    match reason.char_indices().nth(SHORT_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn age(stored: i64) -> Duration {
    let stored = UNIX_EPOCH + Duration::from_millis(u64::try_from(stored).unwrap_or(0));
    SystemTime::now().duration_since(stored).unwrap_or_default()
}
