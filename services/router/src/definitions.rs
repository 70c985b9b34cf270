//! The streams as they should run now.
//!
//! A mirror of `definitions/`. References to connections are followed here, so that a change of a connection shows as a
//! change of every stream that uses it. A definition that cannot be followed (its connection was removed by hand) is told as
//! the reason why the stream does not run.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Metastore, Mirror, Snapshot};
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::validate::resolve;
use rocketbridge_runtime::{TaskKind, Tasks};
use tokio::sync::watch;

/// All definitions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Definitions {
    mirror: Mirror,
    followed: Arc<Mutex<HashMap<String, Entry>>>,
}

/// One stream as it should run. Only a change of its own definition, or of what that refers to, is a change of it.
#[derive(Clone, Debug)]
pub struct Followed {
    view: watch::Receiver<View>,
}

/// `None` until the definitions are known.
type View = Option<Result<Arc<Stream>, Error>>;

/// A stream that somebody follows.
#[derive(Debug)]
struct Entry {
    view: watch::Sender<View>,
    /// What `view` was made from.
    stamp: Stamp,
}

/// Tells whether a stream may have changed without reading its definition: when it, and when any connection or network, was written last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    stream: u64,
    references: (usize, u64),
}

/// A stream does not run as defined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("the stream {0} is not defined")]
    Absent(String),
    /// It is stored, but cannot be used.
    #[error("the definition cannot be used: {0}")]
    Unusable(String),
}

impl Definitions {
    /// Starts to follow the definitions.
    pub fn start(store: Arc<dyn Metastore>, tasks: &Tasks) -> Self {
        let mirror = Mirror::start(store, keyspace::DEFINITIONS, tasks);
        let definitions = Self { mirror, followed: Arc::default() };
        let mut keeper = definitions.clone();
        tasks.spawn("definitions of streams", TaskKind::Worker, async move {
            keeper.mirror.ready().await;
            loop {
                // Marked as seen first: a change in between is seen in the next round.
                let snapshot = keeper.mirror.take();
                keeper.refresh(&snapshot);
                keeper.mirror.changed().await;
            }
            #[allow(unreachable_code)]
            Ok::<(), std::convert::Infallible>(())
        });
        definitions
    }

    /// Follows one stream.
    pub fn follow(&self, name: &str) -> Followed {
        let mut followed = self.followed.lock();
        let entry = followed.entry(name.to_owned()).or_insert_with(|| {
            // Before the first listing there is nothing to tell yet.
            let view = self.mirror.confirmed().map(|_| resolve_stream(&self.mirror.snapshot(), name));
            Entry { view: watch::Sender::new(view), stamp: Stamp::default() }
        });
        Followed { view: entry.view.subscribe() }
    }

    /// A stream as it should run now.
    pub fn stream(&self, name: &str) -> Result<Arc<Stream>, Error> {
        let known = self.followed.lock().get(name).and_then(|entry| entry.view.borrow().clone());
        known.unwrap_or_else(|| resolve_stream(&self.mirror.snapshot(), name))
    }

    /// Waits until the definitions are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.mirror.ready().await;
    }

    fn refresh(&self, snapshot: &Snapshot) {
        let references = references(snapshot);
        let mut followed = self.followed.lock();
        followed.retain(|_, entry| entry.view.receiver_count() > 0);
        for (name, entry) in followed.iter_mut() {
            let stream = snapshot.get(&keyspace::definition(Kind::Stream, name)).map_or(0, |stored| stored.mod_revision);
            let stamp = Stamp { stream, references };
            if entry.stamp == stamp {
                continue;
            }
            entry.stamp = stamp;
            let now = Some(resolve_stream(snapshot, name));
            entry.view.send_if_modified(|view| {
                let differs = *view != now;
                *view = now;
                differs
            });
        }
    }
}

impl Followed {
    /// The stream as it should run now. It counts as seen by this handle.
    pub fn stream(&mut self) -> Result<Arc<Stream>, Error> {
        let view = self.view.borrow_and_update().clone();
        view.unwrap_or_else(|| Err(Error::Unusable("definitions are not known yet".to_owned())))
    }

    /// A stream that never changes.
    #[cfg(test)]
    pub(crate) fn fixed(stream: Stream) -> Self {
        Self { view: watch::channel(Some(Ok(Arc::new(stream)))).1 }
    }

    /// Waits until the stream differs from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.view.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until the definitions are known. Cancel-safe.
    pub async fn ready(&mut self) {
        if self.view.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }
}

fn resolve_stream(snapshot: &Snapshot, name: &str) -> Result<Arc<Stream>, Error> {
    let key = keyspace::definition(Kind::Stream, name);
    let entry = snapshot.get(&key).ok_or_else(|| Error::Absent(name.to_owned()))?;
    let record: StreamRecord = stored::decode(&key, &entry.value).map_err(|error| Error::Unusable(error.to_string()))?;
    // A reference to a record that cannot be read is reported as a reference to nothing, by `resolve`.
    let known = stored::known(snapshot.values().map(|entry| (entry.key.as_str(), &*entry.value)), |_, _| {});
    resolve(&record, &known).map(Arc::new).map_err(|violations| {
        let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Error::Unusable(texts.join("; "))
    })
}

/// How many connections and networks there are, and when one was written last.
fn references(snapshot: &Snapshot) -> (usize, u64) {
    let folders = [Kind::Connection, Kind::Network].map(keyspace::folder);
    let below = |folder: &'static str| snapshot.range(folder.to_owned()..).take_while(move |(key, _)| key.starts_with(folder));
    let entries = folders.into_iter().flat_map(below);
    entries.fold((0, 0), |(count, newest), (_, entry)| (count + 1, newest.max(entry.mod_revision)))
}
