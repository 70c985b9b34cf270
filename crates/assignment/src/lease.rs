//! The one lease of a process: granted, renewed, lost, granted again.
//!
//! Guarantees: a [`Term`] ends when the store says that the lease is gone, or when its [`Authority`] runs out, whichever is first, and it
//! never comes back; the next lease is a new term, under which everything is claimed again with new epochs. The lease is kept during a
//! drain, because units that drain are still owned; [`Lease::revoke`] is the last step of a drain.
//!
//! A term that ran out is not revoked: until its last TTL is over, its keys keep other processes from claiming its units. That gives this
//! process the time to notice and stop.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_metastore::{Code, LeaseId, Metastore};
use rocketbridge_runtime::{Backoff, Chain, TaskHandle, TaskKind, Tasks};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, Moment};
use crate::error::Error;

/// The least TTL that etcd grants.
pub const MIN_TTL: Duration = Duration::from_secs(2);

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// A handle on the lease of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease {
    store: Arc<dyn Metastore>,
    term: watch::Receiver<Option<Term>>,
    stop: CancellationToken,
    task: TaskHandle,
}

/// One granted lease, until it is lost.
#[derive(Clone, Debug)]
pub struct Term {
    id: LeaseId,
    authority: Authority,
    lost: CancellationToken,
}

impl Lease {
    /// Starts to acquire and renew a lease. Its task is a worker of `tasks`: it ends with [`revoke`](Self::revoke), or at the abort.
    ///
    /// # Errors
    ///
    /// [`Error::ShortLease`].
    pub fn start(store: Arc<dyn Metastore>, ttl: Duration, tasks: &Tasks) -> Result<Self, Error> {
        if ttl < MIN_TTL {
            return Err(Error::ShortLease(ttl));
        }
        let (sender, term) = watch::channel(None);
        let stop = CancellationToken::new();
        let keeper = Keeper { store: Arc::clone(&store), ttl, term: sender, stop: stop.clone() };
        let task = tasks.spawn("lease", TaskKind::Worker, async move {
            keeper.run().await;
            Ok::<(), std::convert::Infallible>(())
        });
        Ok(Self { store, term, stop, task })
    }

    /// The current term; `None` between two terms.
    pub fn current(&self) -> Option<Term> {
        self.term.borrow().clone().filter(|term| term.authority.is_valid())
    }

    /// Waits for a valid term and returns it. Cancel-safe. Waits for ever once the lease was revoked.
    pub async fn term(&self) -> Term {
        let mut receiver = self.term.clone();
        let valid = |term: &Option<Term>| term.as_ref().is_some_and(|term| term.authority.is_valid());
        let term = receiver.wait_for(valid).await.ok().and_then(|term| term.clone());
        match term {
            Some(term) => term,
            None => std::future::pending().await,
        }
    }

    /// Gives the lease back: all keys under it are deleted, the term ends, and there will be no other. The last step of a drain.
    ///
    /// # Errors
    ///
    /// The store could not be reached; the lease then ends by itself after its TTL.
    pub async fn revoke(&self) -> Result<(), Error> {
        let term = self.term.borrow().clone();
        self.stop.cancel();
        self.task.ended().await;
        match term {
            Some(term) => self.store.revoke_lease(term.id).await.map_err(Error::store("revoke lease")),
            None => Ok(()),
        }
    }
}

impl Term {
    /// The lease to write keys under.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// Whether the term can be trusted. Check this before every effect on other systems.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns when the term is lost; then stop everything owned under it. Cancel-safe.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether it is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }
}

struct Keeper {
    store: Arc<dyn Metastore>,
    ttl: Duration,
    term: watch::Sender<Option<Term>>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let term = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                term = self.grant(&mut backoff) => term,
            };
            tracing::info!(lease = %term.id, "lease granted");
            self.term.send_replace(Some(term.clone()));
            let stopped = tokio::select! {
                biased;
                () = self.stop.cancelled() => true,
                () = self.renew(&term) => false,
            };
            // First the data path stops trusting the term, then everybody who waits is woken.
            term.authority.end();
            term.lost.cancel();
            self.term.send_replace(None);
            if stopped {
                return;
            }
        }
    }

    async fn grant(&self, backoff: &mut Backoff) -> Term {
        loop {
            let asked = Moment::now();
            match self.store.grant_lease(self.ttl).await {
                Ok(grant) => {
                    // Trust follows the configured TTL even if the store granted a longer one, because operators reason with the configured one.
                    let authority = Authority::new(self.ttl.min(grant.ttl), asked);
                    if authority.is_valid() {
                        backoff.reset();
                        return Term { id: grant.id, authority, lost: CancellationToken::new() };
                    }
                    tracing::warn!(lease = %grant.id, "the lease was granted too late to be used");
                }
                Err(error) => tracing::warn!(error = %Chain(&error), "cannot get a lease, retrying"),
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Renews the term until it is lost.
    async fn renew(&self, term: &Term) {
        let interval = self.ttl / 4;
        let mut backoff = Backoff::new(BACKOFF_BASE, interval / 4);
        let mut next = interval;
        loop {
            if !self.wait(term, next).await {
                tracing::error!(lease = %term.id, "no renewal was confirmed in time; stopping all owned units");
                return;
            }
            let asked = Moment::now();
            let deadline = interval.min(term.authority.expires().since(asked));
            let answer = timeout(deadline, self.store.keep_alive(term.id)).await;
            match answer {
                Ok(Ok(_)) => {
                    if !term.authority.renew(asked, Moment::now()) {
                        tracing::error!(lease = %term.id, "a renewal was confirmed too late; stopping all owned units");
                        return;
                    }
                    backoff.reset();
                    next = interval.saturating_sub(Moment::now().since(asked));
                }
                Ok(Err(error)) if error.code() == Code::LeaseLost => {
                    tracing::error!(lease = %term.id, error = %Chain(&error), "the lease is lost; stopping all owned units");
                    return;
                }
                Ok(Err(error)) => {
                    next = backoff.next_delay();
                    tracing::warn!(lease = %term.id, error = %Chain(&error), "cannot renew the lease, retrying");
                }
                Err(_) => {
                    next = Duration::ZERO;
                    tracing::warn!(lease = %term.id, ?deadline, "the renewal was not answered in time, retrying");
                }
            }
        }
    }

    /// Waits before the next renewal. Returns false if trust ended meanwhile.
    async fn wait(&self, term: &Term, delay: Duration) -> bool {
        let left = term.authority.expires().since(Moment::now());
        tokio::time::sleep(delay.min(left)).await;
        term.authority.is_valid()
    }
}
