//! A level-triggered copy of everything under a prefix.
//!
//! Guarantees: the copy converges to the store whatever happens to watches. It lists, watches from there, and lists again after any
//! error, after silence, and every [`RELIST`] even without a sign of trouble, so that a missed watch event costs time, never correctness. It
//! never goes back to an older revision of the same store. While the store cannot be reached the last copy stays; [`Mirror::confirmed`]
//! says how old it may be. It does not say what happened between two copies: consumers compare levels.
//! Who needs one entry only [follows](Mirror::follow) that entry.

mod single;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use rocketbridge_runtime::{Backoff, Chain, TaskKind, Tasks};

use crate::entry::{Entry, Listing};
use crate::error::Error;
use crate::store::Metastore;
use crate::watch::{Change, WatchEvent};

pub use single::Single;
use single::Singles;

/// How often everything is listed again.
pub const RELIST: Duration = Duration::from_secs(30);

const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(2);

/// The copy at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Everything under the prefix, by full key.
    pub entries: BTreeMap<String, Entry>,
    /// The revision up to which it contains all changes.
    pub revision: u64,
}

/// A handle on the copy. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Mirror {
    prefix: Arc<str>,
    view: watch::Receiver<View>,
    singles: Singles,
}

#[derive(Clone, Debug)]
struct View {
    /// `None` until the first listing.
    snapshot: Option<Arc<Snapshot>>,
    confirmed: Option<Instant>,
}

impl Mirror {
    /// Starts to mirror `prefix`. The task is a worker of `tasks`: it continues during a drain, and ends at the abort or with its last handle.
    pub fn start(store: Arc<dyn Metastore>, prefix: &str, tasks: &Tasks) -> Self {
        Self::start_with(store, prefix, tasks, RELIST)
    }

    /// As [`start`](Self::start), with another interval between full listings.
    pub fn start_with(store: Arc<dyn Metastore>, prefix: &str, tasks: &Tasks, relist: Duration) -> Self {
        let (sender, view) = watch::channel(View { snapshot: None, confirmed: None });
        let prefix: Arc<str> = prefix.into();
        let singles = Singles::default();
        let copier = Copier { store, prefix: Arc::clone(&prefix), relist, view: sender, singles: singles.clone() };
        tasks.spawn(format!("mirror of {prefix}"), TaskKind::Worker, async move {
            tokio::select! {
                () = copier.view.closed() => {}
                () = copier.run() => {}
            }
            Ok::<(), std::convert::Infallible>(())
        });
        Self { prefix, view, singles }
    }

    /// Follows one entry, by its full key: only its changes wake whoever waits.
    pub fn follow(&self, key: &str) -> Single {
        // Locked first, and by the copier too, so that no change falls between the snapshot and the first that is heard.
        let mut singles = self.singles.lock();
        let snapshot = self.snapshot();
        Single::new(singles.follow(key, snapshot.get(key)), self.clone())
    }

    /// The prefix that is mirrored.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The copy; empty, at revision 0, before the first listing.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.view.borrow().snapshot.clone().unwrap_or_default()
    }

    /// The copy, which then counts as seen by this handle.
    pub fn take(&mut self) -> Arc<Snapshot> {
        self.view.borrow_and_update().snapshot.clone().unwrap_or_default()
    }

    /// Waits until the copy differs from what this handle has seen. Cancel-safe. Waits for ever once mirroring has stopped.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits for the first listing and returns the copy. Cancel-safe. Waits for ever once mirroring has stopped.
    pub async fn ready(&mut self) -> Arc<Snapshot> {
        let listed = self.view.wait_for(|view| view.snapshot.is_some()).await.ok().and_then(|view| view.snapshot.clone());
        match listed {
            Some(snapshot) => snapshot,
            None => std::future::pending().await,
        }
    }

    /// When the store last confirmed that the copy is current; `None` before the first listing.
    pub fn confirmed(&self) -> Option<Instant> {
        self.view.borrow().confirmed
    }
}

impl Deref for Snapshot {
    type Target = BTreeMap<String, Entry>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

struct Copier {
    store: Arc<dyn Metastore>,
    prefix: Arc<str>,
    relist: Duration,
    view: watch::Sender<View>,
    singles: Singles,
}

impl Copier {
    async fn run(&self) {
        let mut backoff = Backoff::new(BACKOFF_BASE, BACKOFF_CAP);
        loop {
            let Err(error) = self.follow(&mut backoff).await;
            let delay = backoff.next_delay();
            tracing::warn!(prefix = %self.prefix, error = %Chain(&error), ?delay, "cannot follow changes, listing again");
            tokio::time::sleep(delay).await;
        }
    }

    async fn follow(&self, backoff: &mut Backoff) -> Result<std::convert::Infallible, Error> {
        let mut revision = self.list().await?;
        let mut watch = self.store.watch(&self.prefix, revision).await?;
        let mut relist = Instant::now() + self.relist;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(relist) => {
                    revision = self.list().await?.max(revision);
                    relist = Instant::now() + self.relist;
                }
                event = watch.next() => {
                    match event? {
                        // A listing already contains these changes; applying older events would undo newer ones.
                        WatchEvent::Changes { revision: at, .. } if at <= revision => self.confirm(),
                        WatchEvent::Changes { revision: at, changes } => {
                            let new = changes.into_iter().filter(|change| change.revision() > revision).collect();
                            self.apply(at, new);
                            revision = at;
                        }
                        WatchEvent::Progress => self.confirm(),
                    }
                    backoff.reset();
                }
            }
        }
    }

    async fn list(&self) -> Result<u64, Error> {
        let asked = Instant::now();
        let Listing { entries, revision } = self.store.list(&self.prefix).await?;
        let entries: BTreeMap<String, Entry> = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        let mut singles = self.singles.lock();
        self.view.send_if_modified(|view| {
            view.confirmed = Some(asked);
            let differs = view.snapshot.as_ref().is_none_or(|snapshot| snapshot.entries != entries);
            view.snapshot = Some(match view.snapshot.take() {
                Some(snapshot) if !differs => {
                    let mut snapshot = snapshot;
                    Arc::make_mut(&mut snapshot).revision = revision;
                    snapshot
                }
                _ => Arc::new(Snapshot { entries, revision }),
            });
            if let Some(snapshot) = &view.snapshot {
                singles.refresh(snapshot);
            }
            differs
        });
        Ok(revision)
    }

    fn apply(&self, revision: u64, changes: Vec<Change>) {
        let mut singles = self.singles.lock();
        changes.iter().for_each(|change| singles.change(change));
        self.view.send_modify(|view| {
            view.confirmed = Some(Instant::now());
            // This copies only if somebody still holds the previous snapshot.
            let snapshot = Arc::make_mut(view.snapshot.get_or_insert_default());
            snapshot.revision = revision;
            for change in changes {
                match change {
                    Change::Put(entry) => drop(snapshot.entries.insert(entry.key.clone(), entry)),
                    Change::Delete { key, .. } => drop(snapshot.entries.remove(&key)),
                }
            }
        });
    }

    fn confirm(&self) {
        self.view.send_if_modified(|view| {
            view.confirmed = Some(Instant::now());
            false
        });
    }
}
