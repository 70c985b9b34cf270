//! The spawner: every task has a name, and a kind that fixes what its error, its panic and its cancellation mean.
//!
//! Guarantees: no task is forgotten (`join` names those that still run), no error or panic is silent (each is logged once, here), and the
//! abort drops every task. It does not limit how many tasks run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::report::Chain;
use crate::shutdown::{Cause, Shutdown};

/// What a task may fail with: any error, `anyhow::Error` and plain text included.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What the end of a task means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// The process is useless without it. An error, a panic, or a return before the drain begins drains the process, with that as the cause.
    /// The task ends by itself after the drain began; it is dropped at the abort.
    Critical,
    /// A finite piece of work that a drain waits for. Error and panic are logged. It is dropped at the abort.
    Worker,
    /// A loop that may be dropped at any time. Error and panic are logged. It is dropped when the drain begins.
    Background,
}

/// Some tasks did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("tasks still running after {deadline:?}: {}", names.join(", "))]
pub struct Unfinished {
    /// How long `join` waited.
    pub deadline: Duration,
    /// The names of the tasks.
    pub names: Vec<String>,
}

/// Spawns tasks and waits for them. Cheap to clone; clones share the set of tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    shutdown: Shutdown,
    tracker: TaskTracker,
    running: Arc<Mutex<Running>>,
}

/// A handle on one task, to cancel it alone or wait for its end. Dropping the handle does neither.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    cancel: CancellationToken,
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    names: BTreeMap<u64, Cow<'static, str>>,
}

impl Tasks {
    /// A spawner whose tasks stop with `shutdown`.
    pub fn new(shutdown: Shutdown) -> Self {
        let tracker = TaskTracker::new();
        tracker.close();
        Self { shutdown, tracker, running: Arc::default() }
    }

    /// The token that stops these tasks.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// A spawner for a part of the process: stopped with this one or alone. Its tasks are joined apart.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::new(self.shutdown.child())
    }

    /// Starts a task. The name tells people what it does, on what.
    pub fn spawn<F, E>(&self, name: impl Into<Cow<'static, str>>, kind: TaskKind, future: F) -> TaskHandle
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let name = name.into();
        let handle = TaskHandle { cancel: CancellationToken::new(), ended: CancellationToken::new() };
        let entry = self.enter(name.clone(), handle.ended.clone());
        let shutdown = self.shutdown.clone();
        let cancel = handle.cancel.clone();
        self.tracker.spawn(async move {
            let _entry = entry;
            let stop = if kind == TaskKind::Background { shutdown.drain_token() } else { shutdown.abort_token() };
            let outcome = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = cancel.cancelled() => return,
                outcome = AssertUnwindSafe(future).catch_unwind() => outcome,
            };
            let reason = match outcome {
                Ok(Ok(())) if kind == TaskKind::Critical && !shutdown.is_draining() => "it ended although nothing asked it to".to_owned(),
                Ok(Ok(())) => return,
                Ok(Err(error)) => Chain(&*error.into()).to_string(),
                Err(panic) => format!("panic: {}", panic_text(&*panic)),
            };
            if kind == TaskKind::Critical {
                tracing::error!(task = %name, error = %reason, "a critical task failed; the process stops");
                shutdown.drain(Cause::TaskFailed { task: name, reason });
            } else {
                tracing::warn!(task = %name, error = %reason, "task failed");
            }
        });
        handle
    }

    /// Starts a loop that is run again, after a backoff, whenever it fails, panics or returns. It is dropped when the drain begins.
    ///
    /// A run that lasts longer than the longest backoff counts as a success and resets it.
    pub fn spawn_restartable<M, F, E>(&self, name: impl Into<Cow<'static, str>>, backoff: Backoff, make: M) -> TaskHandle
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        let name = name.into();
        self.spawn(name.clone(), TaskKind::Background, repeat(name, backoff, make))
    }

    /// The names of the tasks that run, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.running.lock().names.values().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// Waits until no task runs. It stops nothing: drain or abort first.
    ///
    /// # Errors
    ///
    /// The tasks that still run after `deadline`; they continue.
    pub async fn join(&self, deadline: Duration) -> Result<(), Unfinished> {
        tokio::time::timeout(deadline, self.tracker.wait()).await.map_err(|_| Unfinished { deadline, names: self.names() })
    }

    fn enter(&self, name: Cow<'static, str>, ended: CancellationToken) -> Entry {
        let mut running = self.running.lock();
        let number = running.next;
        running.next += 1;
        running.names.insert(number, name);
        Entry { number, running: Arc::clone(&self.running), ended }
    }
}

impl TaskHandle {
    /// Drops the task at its next await point, whatever its kind.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Returns when the task has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether the task ended.
    pub fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}

/// The presence of a task in the list of running ones, for as long as its future lives.
struct Entry {
    number: u64,
    running: Arc<Mutex<Running>>,
    ended: CancellationToken,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.lock().names.remove(&self.number);
        self.ended.cancel();
    }
}

async fn repeat<M, F, E>(task: Cow<'static, str>, mut backoff: Backoff, mut make: M) -> Result<(), Infallible>
where
    M: FnMut() -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<Failure>,
{
    loop {
        let began = Instant::now();
        let reason = match AssertUnwindSafe(make()).catch_unwind().await {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => Chain(&*error.into()).to_string(),
            Err(panic) => format!("panic: {}", panic_text(&*panic)),
        };
        if began.elapsed() > backoff.cap() {
            backoff.reset();
        }
        let delay = backoff.next_delay();
        tracing::warn!(%task, error = %reason, ?delay, "the task ended and is run again");
        tokio::time::sleep(delay).await;
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn tasks() -> Tasks {
        Tasks::new(Shutdown::new())
    }

    async fn failure_of(future: impl Future<Output = Result<(), String>> + Send + 'static) -> Option<Cause> {
        let tasks = tasks();
        tasks.spawn("heart", TaskKind::Critical, future);
        tokio::time::timeout(SOON, tasks.shutdown().draining()).await.expect("the failure drains the process");
        tasks.shutdown().cause()
    }

    /// *Scenario*: a critical task errs, panics, or just ends. *Guarantees*: each drains the process and is named as the cause.
    #[tokio::test]
    async fn the_end_of_a_critical_task_drains_the_process() {
        let cause = |reason: &str| Some(Cause::TaskFailed { task: "heart".into(), reason: reason.into() });
        assert_eq!(failure_of(async { Err("broken".into()) }).await, cause("broken"));
        assert_eq!(failure_of(async { panic!("bad {}", 1) }).await, cause("panic: bad 1"));
        assert_eq!(failure_of(async { Ok(()) }).await, cause("it ended although nothing asked it to"));
    }

    /// *Scenario*: workers and background tasks fail and panic. *Guarantees*: the process keeps running.
    #[tokio::test]
    async fn other_failures_leave_the_process_alone() {
        let tasks = tasks();
        tasks.spawn("errs", TaskKind::Worker, async { Err("broken") });
        tasks.spawn("panics", TaskKind::Background, async { if true { panic!("bad") } else { Ok::<(), Infallible>(()) } });
        tasks.join(SOON).await.expect("both end");
        assert!(!tasks.shutdown().is_draining());
    }

    /// *Scenario*: one task of each kind that never ends; drain, then abort. *Guarantees*: the drain drops only background tasks, the rest
    /// is named by `join`, and the abort drops all.
    #[tokio::test]
    async fn drain_and_abort_mean_what_the_kind_says() {
        let tasks = tasks();
        for (name, kind) in [("c", TaskKind::Critical), ("w", TaskKind::Worker), ("b", TaskKind::Background)] {
            tasks.spawn(name, kind, pending::<Result<(), Infallible>>());
        }
        assert_eq!(tasks.names(), ["b", "c", "w"]);
        tasks.shutdown().drain(Cause::Requested("test".into()));
        let unfinished = tasks.join(Duration::from_millis(50)).await.expect_err("two kinds outlive the drain");
        assert_eq!(unfinished.names, ["c", "w"]);
        tasks.shutdown().abort(Cause::Requested("test".into()));
        tasks.join(SOON).await.expect("nothing outlives the abort");
    }

    /// *Scenario*: one of two tasks is cancelled by its handle. *Guarantees*: only that one ends, and waiting for its end ends.
    #[tokio::test]
    async fn a_handle_cancels_one_task() {
        let tasks = tasks();
        let first = tasks.spawn("first", TaskKind::Critical, pending::<Result<(), Infallible>>());
        let second = tasks.spawn("second", TaskKind::Worker, pending::<Result<(), Infallible>>());
        first.cancel();
        tokio::time::timeout(SOON, first.ended()).await.expect("it was cancelled");
        assert!(first.is_ended() && !second.is_ended() && !tasks.shutdown().is_draining());
    }

    /// *Scenario*: a restartable task errs, panics and ends. *Guarantees*: it is run again each time, until the drain.
    #[tokio::test(start_paused = true)]
    async fn a_restartable_task_is_run_again() {
        let tasks = tasks();
        let runs = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&runs);
        let (reached, mut wait) = tokio::sync::mpsc::channel(1);
        let backoff = Backoff::seeded(Duration::from_millis(10), Duration::from_secs(1), 1);
        tasks.spawn_restartable("loop", backoff, move || {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            let reached = reached.clone();
            async move {
                match run {
                    0 => Err("broken"),
                    1 => panic!("bad"),
                    2 => Ok(()),
                    _ => {
                        reached.send(()).await.ok();
                        pending().await
                    }
                }
            }
        });
        wait.recv().await;
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        tasks.shutdown().drain(Cause::Requested("test".into()));
        tasks.join(SOON).await.expect("the drain ends it");
    }
}
