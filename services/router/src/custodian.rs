//! Looks after what was received, in a task of its own: extends, acknowledges and gives back as [`Custody`] says.
//!
//! Calls to the source run side by side, some of each kind, so that one that hangs does not let messages become visible again. A call that
//! takes too long counts as failed. What comes of it is repeated at most, never lost: a message that is not acknowledged comes again.
//!
//! An acknowledgement needs no authority, unlike a commit: a handle stands for one message that was handed out to this partition, and whoever owns the
//! partition now has other handles.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use rocketbridge_connector::{Code, Error, Handle, Handles, Terms};
use rocketbridge_model::PartitionId;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::custody::{Answer, Call, Custody, Kind};
use crate::gauge::Gauge;
use crate::notices::Notices;
use crate::skips::PartitionSkips;

/// The longest that a call may take, whatever the invisible time.
const LONGEST_CALL: Duration = Duration::from_secs(10);

/// The custodian of one open partition. Messages that it holds when it is dropped come again after their invisible time.
pub(crate) struct Custodian {
    shared: Arc<Shared>,
    gauge: Gauge,
    _task: AbortOnDropHandle<()>,
}

/// What a custodian is made of.
pub(crate) struct Custodianship {
    /// For logs.
    pub(crate) stream: String,
    pub(crate) partition: PartitionId,
    pub(crate) handles: Arc<dyn Handles>,
    pub(crate) terms: Terms,
    pub(crate) gauge: Gauge,
    /// Their marks go once the events have ended.
    pub(crate) skips: PartitionSkips,
    /// The first message's number.
    pub(crate) number: u64,
}

/// What of a custodian others use: who receives, and who hears outcomes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Shared>);

struct Shared {
    custody: Mutex<Custody>,
    /// Every message before this has ended.
    ended: AtomicU64,
    /// Something may be due that was not before. One wake-up is kept.
    changed: Notify,
    /// Something was answered. For whoever waits for room, or for everything to be settled.
    answered: Notify,
}

impl Custodian {
    /// Starts to look after what will be received.
    pub(crate) fn start(custodianship: Custodianship) -> Self {
        let Custodianship { stream, partition, handles, terms, gauge, skips, number } = custodianship;
        let shared = Arc::new(Shared {
            custody: Mutex::new(Custody::new(terms)),
            ended: AtomicU64::new(number),
            changed: Notify::new(),
            answered: Notify::new(),
        });
        let worker =
            Worker { handles, terms, shared: shared.clone(), stream, partition, skips, forgotten: Some(0), notices: Notices::default() };
        // Not spawned through the process's tasks: it lives and dies with this handle, and a drain settles it first.
        let task = AbortOnDropHandle::new(tokio::spawn(worker.run()));
        Self { shared, gauge, _task: task }
    }

    /// For whoever receives.
    pub(crate) fn hands(&self) -> Hands {
        Hands(self.shared.clone())
    }

    /// These messages have an outcome, and so have all before `ended`.
    pub(crate) fn ended(&self, numbers: &[u64], ended: u64) {
        let before = self.shared.ended.swap(ended, Ordering::Relaxed);
        if numbers.is_empty() && ended == before {
            return;
        }
        self.gauge.committed(ended);
        let mut custody = self.shared.custody.lock();
        numbers.iter().for_each(|number| custody.end(*number));
        drop(custody);
        self.shared.changed.notify_one();
    }

    /// Returns when everything with an outcome was acknowledged, or that was tried.
    pub(crate) async fn flush(&self) {
        self.shared.settled().await;
    }

    /// Gives everything without an outcome back, and returns when that was tried, and everything with one was acknowledged, or that was tried.
    pub(crate) async fn release(&self) {
        self.shared.custody.lock().release();
        self.shared.changed.notify_one();
        self.shared.settled().await;
    }
}

impl Hands {
    /// Takes a message that has arrived. Its number is greater than those before.
    pub(crate) fn take(&self, number: u64, handle: Handle) {
        self.0.custody.lock().take(number, handle, Instant::now());
        self.0.changed.notify_one();
    }

    /// A message that nobody wants: it is acknowledged.
    pub(crate) fn pass_over(&self, number: u64) {
        self.0.custody.lock().end(number);
        self.0.changed.notify_one();
    }

    /// Waits until fewer messages than `window` are held; returns how many more may be. Cancel-safe.
    pub(crate) async fn room(&self, window: usize) -> usize {
        loop {
            // Made first: an answer between the look and the wait is not missed.
            let answered = self.0.answered.notified();
            let held = self.0.custody.lock().len();
            if held < window {
                return window - held;
            }
            answered.await;
        }
    }
}

impl Shared {
    async fn settled(&self) {
        loop {
            // Made first: an answer between the look and the wait is not missed.
            let answered = self.answered.notified();
            if self.custody.lock().is_settled() {
                return;
            }
            answered.await;
        }
    }
}

struct Worker {
    handles: Arc<dyn Handles>,
    terms: Terms,
    shared: Arc<Shared>,
    stream: String,
    partition: PartitionId,
    skips: PartitionSkips,
    /// Marks of skipped events before this are removed; `None` while that is under way.
    forgotten: Option<u64>,
    notices: Notices,
}

/// What was under way and has ended.
enum Done {
    /// A call was answered.
    Answered(Kind, Vec<(u64, Answer)>),
    /// Marks of skipped events before this are removed.
    Forgotten(u64),
}

type Calls = FuturesUnordered<BoxFuture<'static, Done>>;

impl Worker {
    async fn run(mut self) {
        // Bounded by the calls that custody lets run side by side, and one that removes marks.
        let mut calls = Calls::new();
        loop {
            let due = self.begin(&mut calls);
            // All arms only receive or sleep; what is due is looked for anew in each round.
            tokio::select! {
                biased;
                Some(done) = calls.next(), if !calls.is_empty() => match done {
                    Done::Answered(kind, answers) => self.answered(kind, answers),
                    Done::Forgotten(ended) => self.forgotten = Some(ended),
                },
                () = self.shared.changed.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    /// Begins what is due. Returns when to look again, if no answer comes before.
    fn begin(&mut self, calls: &mut Calls) -> Option<Instant> {
        let now = Instant::now();
        let mut custody = self.shared.custody.lock();
        let lost = custody.expire(now);
        while let Some(call) = custody.next_call(now) {
            calls.push(perform(self.handles.clone(), call, self.terms.invisible).boxed());
        }
        // What is due already waits for a call that is under way.
        let due = custody.next_due().filter(|due| *due > now);
        drop(custody);
        self.forget(calls);
        if lost > 0 {
            self.tell_lost(lost, "its invisible time is over");
            self.shared.answered.notify_waiters();
        }
        due
    }

    /// Begins to remove the marks of skipped events that have ended, if there are marks. Those of former owners are among them: their numbers were smaller.
    fn forget(&mut self, calls: &mut Calls) {
        let ended = self.shared.ended.load(Ordering::Relaxed);
        if self.skips.is_empty() || self.forgotten.is_none_or(|forgotten| forgotten >= ended) {
            return;
        }
        self.forgotten = None;
        let skips = self.skips.clone();
        calls.push(
            async move {
                skips.forget(ended).await;
                Done::Forgotten(ended)
            }
            .boxed(),
        );
    }

    fn answered(&mut self, kind: Kind, answers: Vec<(u64, Answer)>) {
        let failure = answers.iter().find_map(|(_, answer)| answer.as_ref().err()).cloned();
        let change = self.shared.custody.lock().answered(kind, answers, Instant::now());
        self.shared.answered.notify_waiters();
        let Some(error) = failure else { return };
        if change.lost > 0 {
            self.tell_lost(change.lost, &error.to_string());
        } else if error.code() != Code::Rejected {
            self.tell_failed(kind, &error);
        }
    }

    fn tell_lost(&mut self, lost: usize, reason: &str) {
        if let Some(untold) = self.notices.is_news("lost".to_owned(), Instant::now()) {
            tracing::warn!(
                stream = %self.stream, partition = %self.partition, messages = lost, reason, untold,
                "messages went back to the source before they were acknowledged: they will be repeated"
            );
        }
    }

    fn tell_failed(&mut self, kind: Kind, error: &Error) {
        let key = format!("{kind:?} {:?} {}", error.code, error.reason);
        if let Some(untold) = self.notices.is_news(key, Instant::now()) {
            tracing::warn!(
                stream = %self.stream, partition = %self.partition, call = ?kind, code = ?error.code(), %error, untold,
                "what was received cannot be looked after, tried again"
            );
        }
    }
}

/// Sleeps until then, or for ever.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Makes a call. What the source leaves without an answer has failed.
async fn perform(source: Arc<dyn Handles>, call: Call, invisible: Duration) -> Done {
    let Call { kind, numbers, handles } = call;
    let longest = LONGEST_CALL.min(invisible / 4);
    let asked = async {
        match kind {
            Kind::Acknowledge => nothing_new(source.acknowledge(&handles).await),
            Kind::Release => nothing_new(source.release(&handles).await),
            Kind::Extend => source.extend(&handles, invisible).await.into_iter().map(|answer| answer.map(Some)).collect(),
        }
    };
    let answers: Vec<Answer> = tokio::time::timeout(longest, asked).await.unwrap_or_default();
    let unanswered = || Error::new(Code::Unavailable, format!("{kind:?} {} messages", numbers.len()).to_lowercase(), "no answer in time");
    let missing = numbers.len().saturating_sub(answers.len());
    let answers = answers.into_iter().chain((0..missing).map(|_| Err(unanswered())));
    Done::Answered(kind, numbers.iter().copied().zip(answers).collect())
}

fn nothing_new(answers: Vec<Result<(), Error>>) -> Vec<Answer> {
    answers.into_iter().map(|answer| answer.map(|()| None)).collect()
}

#[cfg(test)]
mod tests;
