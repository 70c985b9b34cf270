//! Stopping in two levels: *drain* (take nothing new, finish the rest) and *abort* (drop everything now).
//!
//! Guarantees: abort implies drain; a drain that started ends, because [`Shutdown::on_signals`] aborts it at its deadline; the first
//! cause is kept. Drain and abort of a child never reach its parent, those of a parent reach every child.
//! It does not decide the order in which parts drain: the `app` of each service does.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a process stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A signal was received.
    Signal(&'static str),
    /// The program stops itself, for the named reason.
    Requested(Cow<'static, str>),
    /// A critical task failed.
    TaskFailed {
        /// The task's name.
        task: Cow<'static, str>,
        /// The task's error.
        reason: String,
    },
    /// The drain did not end in time.
    DeadlinePassed(Duration),
}

impl Cause {
    /// Whether the process should end with a failure status.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::TaskFailed { .. } | Self::DeadlinePassed(_))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(formatter, "received {name}"),
            Self::Requested(reason) => formatter.write_str(reason),
            Self::TaskFailed { task, reason } => write!(formatter, "task {task} failed: {reason}"),
            Self::DeadlinePassed(deadline) => {
                write!(formatter, "drain took longer than {deadline:?}")
            }
        }
    }
}

/// A token that stops a process, or a part of it. Cheap to clone; every clone is the same token.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    abort: CancellationToken,
    drain_cause: Arc<OnceLock<Cause>>,
    drain_began: Arc<OnceLock<Instant>>,
    abort_cause: Arc<OnceLock<Cause>>,
    parent: Option<Arc<Shutdown>>,
}

impl Shutdown {
    /// A token that only its owners fire.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token of a process: the first SIGTERM or SIGINT drains it, a second one ends the process at once with status 128 + signal, from
    /// within the signal handler, so that not even a stuck runtime delays it. A drain, whatever began it, is aborted after `deadline`.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When a signal handler cannot be installed.
    pub fn on_signals(deadline: Duration) -> io::Result<Self> {
        let shutdown = Self::new();
        let seen = Arc::new(AtomicBool::new(false));
        for number in [SIGTERM, SIGINT] {
            // The order matters: the first signal must find the flag unset and set it.
            signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&seen))?;
            signal_hook::flag::register(number, Arc::clone(&seen))?;
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = shutdown.clone();
        // This is not spawned through `Tasks`, because it must outlive all of them.
        tokio::spawn(async move {
            tokio::select! {
                () = token.draining() => {}
                _ = terminate.recv() => token.drain(Cause::Signal("SIGTERM")),
                _ = interrupt.recv() => token.drain(Cause::Signal("SIGINT")),
            }
            tokio::time::sleep(deadline).await;
            token.abort(Cause::DeadlinePassed(deadline));
        });
        Ok(shutdown)
    }

    /// A token that stops together with this one, and can also be stopped alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            draining: self.draining.child_token(),
            abort: self.abort.child_token(),
            drain_cause: Arc::default(),
            drain_began: Arc::default(),
            abort_cause: Arc::default(),
            parent: Some(Arc::new(self.clone())),
        }
    }

    /// Begins the drain. Only the first cause is kept.
    pub fn drain(&self, cause: Cause) {
        // Cause and time are set before the token fires, so that everybody who wakes can read them.
        let _ = self.drain_cause.set(cause);
        let _ = self.drain_began.set(Instant::now());
        self.draining.cancel();
    }

    /// Stops everything now. The drain begins too, for code that only watches the drain.
    pub fn abort(&self, cause: Cause) {
        let _ = self.abort_cause.set(cause.clone());
        self.drain(cause);
        self.abort.cancel();
    }

    /// Returns when the drain begins. Cancel-safe.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Returns at the abort. Cancel-safe.
    pub async fn aborted(&self) {
        self.abort.cancelled().await;
    }

    /// Whether the drain began.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// When the drain began, this one's own or its parent's, whichever was earlier; `None` while nothing stops.
    pub fn draining_since(&self) -> Option<Instant> {
        let above = self.parent.as_ref().and_then(|parent| parent.draining_since());
        self.drain_began.get().copied().into_iter().chain(above).min()
    }

    /// Whether everything must stop now.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    /// The token of the drain, for code that takes one.
    pub fn drain_token(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// The token of the abort, for code that takes one.
    pub fn abort_token(&self) -> CancellationToken {
        self.abort.clone()
    }

    /// Why it stops: the cause of the abort if there was one, else that of the drain; `None` while nothing stops.
    pub fn cause(&self) -> Option<Cause> {
        let own = self.abort_cause.get().or_else(|| self.drain_cause.get()).cloned();
        own.or_else(|| self.parent.as_ref().and_then(|parent| parent.cause()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(reason: &'static str) -> Cause {
        Cause::Requested(reason.into())
    }

    /// *Scenario*: a child and its parent stop, in both orders. *Guarantees*: stopping flows down, never up, and causes can be read below.
    #[tokio::test]
    async fn stopping_flows_down() {
        let parent = Shutdown::new();
        let first = parent.child();
        let second = first.child();
        first.drain(requested("child"));
        second.draining().await;
        assert!(!parent.is_draining() && !second.is_aborted());
        parent.abort(requested("parent"));
        second.aborted().await;
        assert_eq!(first.cause(), Some(requested("child")));
        assert_eq!(parent.child().cause(), Some(requested("parent")));
        assert!(parent.child().is_aborted());
    }

    /// *Scenario*: a child drains, a second later its parent, and a second later both again. *Guarantees*: each says when its drain began; a drain from above that was
    /// earlier counts.
    #[tokio::test(start_paused = true)]
    async fn a_drain_has_one_beginning() {
        let (parent, begin) = (Shutdown::new(), Instant::now());
        let (early, late) = (parent.child(), parent.child());
        assert_eq!(early.draining_since(), None);
        early.drain(requested("child"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        parent.drain(requested("parent"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        [&parent, &early, &late].into_iter().for_each(|shutdown| shutdown.drain(requested("again")));
        assert_eq!(early.draining_since(), Some(begin));
        assert_eq!(parent.draining_since(), Some(begin + Duration::from_secs(1)));
        assert_eq!(late.draining_since(), parent.draining_since());
    }

    /// *Scenario*: abort without drain; drain twice. *Guarantees*: abort implies drain; the first cause of a drain stays, that of an abort wins.
    #[tokio::test]
    async fn abort_implies_drain_and_first_cause_stays() {
        let shutdown = Shutdown::new();
        shutdown.drain(requested("first"));
        shutdown.drain(requested("second"));
        assert_eq!(shutdown.cause(), Some(requested("first")));
        shutdown.abort(Cause::DeadlinePassed(Duration::from_secs(1)));
        assert!(shutdown.cause().is_some_and(|cause| cause.is_failure()));

        let aborted = Shutdown::new();
        aborted.abort(requested("at once"));
        assert!(aborted.is_draining() && aborted.is_aborted());
    }
}
