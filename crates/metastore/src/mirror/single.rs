//! One entry of a mirror, followed by itself.
//!
//! Ten thousand tasks that each wait for one key must not all wake whenever any key changes: then the work grows with the square of their
//! number. A change of a key wakes only those who follow this key.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::{Mirror, Snapshot};
use crate::entry::Entry;
use crate::watch::Change;

/// One entry of a mirror. Cheap to clone; each clone remembers separately what it has seen.
#[derive(Clone, Debug)]
pub struct Single {
    view: watch::Receiver<Option<Entry>>,
    /// Mirroring goes on as long as somebody follows.
    _mirror: Mirror,
}

impl Single {
    pub(super) fn new(view: watch::Receiver<Option<Entry>>, mirror: Mirror) -> Self {
        Self { view, _mirror: mirror }
    }

    /// The entry; `None` while there is none, and before the mirror's first listing.
    pub fn entry(&self) -> Option<Entry> {
        self.view.borrow().clone()
    }

    /// Waits until the entry differs from what this handle has seen. Cancel-safe. Waits for ever once mirroring has stopped.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

/// The entries that somebody follows. Cheap to clone; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Singles(Arc<Mutex<Followed>>);

#[derive(Debug, Default)]
pub(super) struct Followed {
    views: HashMap<String, watch::Sender<Option<Entry>>>,
}

impl Singles {
    /// Nobody else follows or changes an entry while the answer is held: what is done to the copy meanwhile is seen by every follower.
    pub(super) fn lock(&self) -> MutexGuard<'_, Followed> {
        self.0.lock()
    }
}

impl Followed {
    /// Follows an entry, which is now as the snapshot says.
    pub(super) fn follow(&mut self, key: &str, now: Option<&Entry>) -> watch::Receiver<Option<Entry>> {
        self.views.entry(key.to_owned()).or_insert_with(|| watch::Sender::new(now.cloned())).subscribe()
    }

    /// Tells those who follow the key of a change.
    pub(super) fn change(&mut self, change: &Change) {
        let Some(view) = self.views.get(change.key()) else { return };
        if view.receiver_count() == 0 {
            self.views.remove(change.key());
            return;
        }
        view.send_replace(match change {
            Change::Put(entry) => Some(entry.clone()),
            Change::Delete { .. } => None,
        });
    }

    /// Brings every entry that is followed up to the snapshot, and forgets those that nobody follows any more.
    pub(super) fn refresh(&mut self, snapshot: &Snapshot) {
        self.views.retain(|key, view| {
            let now = snapshot.get(key);
            view.send_if_modified(|entry| {
                let differs = entry.as_ref() != now;
                if differs {
                    *entry = now.cloned();
                }
                differs
            });
            view.receiver_count() > 0
        });
    }
}
