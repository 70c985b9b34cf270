//! The streams as they should run now.
//!
//! A mirror of `definitions/`. References to connections are followed here, so that a change of a connection shows as a
//! change of every stream that uses it. A definition that cannot be followed (its connection was removed by hand) is told as
//! the reason why the stream does not run.
//!
//! A session names a version of a stream, and the answering side [finds](Definitions::find) that version in its own copy: what a definition says
//! is never taken from a peer. Both sides see the same, because a version says up to which revision of the store its namer's copy reached, and
//! the answering side waits until its own copy reaches as far.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Entry as StoredEntry, Metastore, Mirror, Snapshot};
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::StreamVersion;
use rocketbridge_model::validate::{Known, resolve};
use rocketbridge_runtime::{TaskKind, Tasks};
use rocketbridge_transport::{Code, Error as SessionError};
use tokio::sync::watch;

/// All definitions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Definitions {
    mirror: Mirror,
    followed: Arc<Mutex<HashMap<String, Entry>>>,
    /// The connections and networks as they were last read: every stream is resolved against them.
    references: Arc<Mutex<(References, Arc<Known>)>>,
}

/// One stream as it should run. Only a change of its own definition, or of what that refers to, is a change of it.
#[derive(Clone, Debug)]
pub struct Followed {
    view: watch::Receiver<View>,
    /// What this handle has told.
    told: View,
}

/// `None` until the definitions are known.
type View = Option<Sight>;

/// A stream, or why it does not run, as one copy of the definitions shows it.
#[derive(Clone, Debug, PartialEq)]
struct Sight {
    stream: Result<Arc<Stream>, Error>,
    /// The newest revision of the store in what the stream was made from: its own record, all connections and all networks.
    as_of: u64,
}

impl Sight {
    /// Whether it shows the same stream as an earlier one did. What was made from an older revision than before comes from a store that was restored:
    /// versions that were named until then mean nothing in it.
    fn is_as(&self, earlier: &Self) -> bool {
        let is_same = match (&self.stream, &earlier.stream) {
            (Ok(now), Ok(then)) => Arc::ptr_eq(now, then) || now == then,
            (Err(now), Err(then)) => now == then,
            _ => false,
        };
        is_same && self.as_of >= earlier.as_of
    }
}

/// How many connections and networks there are, and when one was written last.
type References = (usize, u64);

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
    references: References,
}

impl Stamp {
    fn of(snapshot: &Snapshot, name: &str, references: References) -> Self {
        let stream = snapshot.get(&keyspace::definition(Kind::Stream, name)).map_or(0, |stored| stored.mod_revision);
        Self { stream, references }
    }

    fn as_of(self) -> u64 {
        self.stream.max(self.references.1)
    }
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
        let definitions = Self { mirror, followed: Arc::default(), references: Arc::default() };
        let mut keeper = definitions.clone();
        tasks.spawn("definitions of streams", TaskKind::Worker, async move {
            keeper.mirror.ready().await;
            loop {
                // Marked as seen first: a change in between is seen in the next round.
                keeper.mirror.take();
                keeper.refresh();
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
            let (stamp, view) = match self.mirror.confirmed() {
                Some(_) => {
                    let (stamp, sight) = self.look(name);
                    (stamp, Some(sight))
                }
                None => (Stamp::default(), None),
            };
            Entry { view: watch::Sender::new(view), stamp }
        });
        let view = entry.view.subscribe();
        let told = view.borrow().clone();
        Followed { view, told }
    }

    /// A stream as it should run now.
    pub fn stream(&self, name: &str) -> Result<Arc<Stream>, Error> {
        let known = self.followed.lock().get(name).and_then(|entry| entry.view.borrow().clone());
        known.unwrap_or_else(|| self.look(name).1).stream
    }

    /// The stream that a session is to be for, once this copy of the definitions reaches as far as the opener's, which may take so long.
    ///
    /// # Errors
    ///
    /// There is no such stream, uid or revision, or this copy does not reach as far in time.
    pub async fn find(&self, version: &StreamVersion, patience: Duration) -> Result<Arc<Stream>, SessionError> {
        let mut followed = self.follow(&version.name);
        let judged = tokio::time::timeout(patience, async {
            loop {
                if let Some(judged) = followed.judge(version) {
                    return judged;
                }
                if followed.view.changed().await.is_err() {
                    std::future::pending().await
                }
            }
        });
        let found = judged.await.unwrap_or_else(|_| {
            let text = format!(
                "definitions of revision {} are not known here yet, which the session for stream {} needs",
                version.as_of, version.name
            );
            Err(SessionError::new(Code::Unavailable, text))
        });
        drop(followed);
        // An opener may name streams that do not exist: nothing of them stays.
        let mut followed = self.followed.lock();
        if found.is_err() && followed.get(&version.name).is_some_and(|entry| entry.view.receiver_count() == 0) {
            followed.remove(&version.name);
        }
        found
    }

    /// Waits until the definitions are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.mirror.ready().await;
    }

    fn refresh(&self) {
        let mut followed = self.followed.lock();
        // Taken under the lock: what `follow` has shown must not be replaced by something older.
        let snapshot = self.mirror.snapshot();
        let references = references(&snapshot);
        followed.retain(|_, entry| entry.view.receiver_count() > 0);
        for (name, entry) in followed.iter_mut() {
            let stamp = Stamp::of(&snapshot, name, references);
            if entry.stamp == stamp && entry.view.borrow().is_some() {
                continue;
            }
            entry.stamp = stamp;
            let mut now = self.look_in(&snapshot, name, stamp);
            entry.view.send_modify(|view| {
                // The same stream stays the same value, so that followers compare pointers.
                if let Some(then) = view.as_ref().filter(|then| then.stream == now.stream) {
                    now.stream.clone_from(&then.stream);
                }
                *view = Some(now);
            });
        }
    }

    fn look(&self, name: &str) -> (Stamp, Sight) {
        let snapshot = self.mirror.snapshot();
        let stamp = Stamp::of(&snapshot, name, references(&snapshot));
        (stamp, self.look_in(&snapshot, name, stamp))
    }

    fn look_in(&self, snapshot: &Snapshot, name: &str, stamp: Stamp) -> Sight {
        let known = self.known(snapshot, stamp.references);
        Sight { stream: resolve_stream(snapshot, name, &known), as_of: stamp.as_of() }
    }

    /// Reads the connections and networks once for all streams that are resolved against them.
    fn known(&self, snapshot: &Snapshot, stamp: References) -> Arc<Known> {
        let mut read = self.references.lock();
        if read.0 != stamp {
            // A reference to a record that cannot be read is reported as a reference to nothing, by `resolve`.
            let known = stored::known(referable(snapshot).map(|entry| (entry.key.as_str(), &*entry.value)), |_, _| {});
            *read = (stamp, Arc::new(known));
        }
        read.1.clone()
    }
}

impl Followed {
    /// The stream as it should run now. It counts as seen by this handle.
    pub fn stream(&mut self) -> Result<Arc<Stream>, Error> {
        self.sight().stream
    }

    /// The stream as it should run now, and the revision of the store up to which that is known. It counts as seen by this handle.
    pub fn version(&mut self) -> Result<(Arc<Stream>, StreamVersion), Error> {
        let Sight { stream, as_of } = self.sight();
        let stream = stream?;
        let version = StreamVersion { name: stream.name.clone(), uid: stream.uid.clone(), revision: stream.revision, as_of };
        Ok((stream, version))
    }

    fn sight(&mut self) -> Sight {
        self.told = self.view.borrow_and_update().clone();
        self.told.clone().unwrap_or_else(|| Sight { stream: Err(Error::Unusable("definitions are not known yet".to_owned())), as_of: 0 })
    }

    /// Whether the version is the one that should run now; `None` while this copy may be older than the opener's.
    fn judge(&mut self, version: &StreamVersion) -> Option<Result<Arc<Stream>, SessionError>> {
        let Sight { stream, as_of } = self.view.borrow_and_update().clone()?;
        if as_of < version.as_of {
            return None;
        }
        let refused = |code, reason: String| Some(Err(SessionError::new(code, format!("stream {}: {reason}", version.name))));
        match stream {
            Err(error) => refused(Code::Refused, error.to_string()),
            Ok(stream) if stream.uid != version.uid => {
                refused(Code::Refused, format!("the one of uid {} is defined, not {}", stream.uid, version.uid))
            }
            // The opener will hear of the newer one, if it has not yet.
            Ok(stream) if stream.revision > version.revision => {
                refused(Code::Unavailable, format!("revision {} has replaced revision {}", stream.revision, version.revision))
            }
            Ok(stream) if stream.revision < version.revision => {
                refused(Code::Refused, format!("there is no revision {}, {} is the newest", version.revision, stream.revision))
            }
            Ok(stream) => Some(Ok(stream)),
        }
    }

    /// A stream that never changes.
    #[cfg(feature = "testing")]
    pub fn fixed(stream: Stream) -> Self {
        let view = watch::channel(Some(Sight { stream: Ok(Arc::new(stream)), as_of: 0 })).1;
        let told = view.borrow().clone();
        Self { view, told }
    }

    /// Waits until the stream differs from what this handle has told. Cancel-safe: what does not differ needs no memory.
    pub async fn changed(&mut self) {
        loop {
            if self.view.changed().await.is_err() {
                std::future::pending().await
            }
            let differs = match (&*self.view.borrow(), &self.told) {
                (Some(now), Some(told)) => !now.is_as(told),
                (now, told) => now.is_some() != told.is_some(),
            };
            if differs {
                return;
            }
        }
    }

    /// Waits until the definitions are known. Cancel-safe.
    pub async fn ready(&mut self) {
        if self.view.wait_for(Option::is_some).await.is_err() {
            std::future::pending().await
        }
    }
}

fn resolve_stream(snapshot: &Snapshot, name: &str, known: &Known) -> Result<Arc<Stream>, Error> {
    let key = keyspace::definition(Kind::Stream, name);
    let entry = snapshot.get(&key).ok_or_else(|| Error::Absent(name.to_owned()))?;
    let record: StreamRecord = stored::decode(&key, &entry.value).map_err(|error| Error::Unusable(error.to_string()))?;
    resolve(&record, known).map(Arc::new).map_err(|violations| {
        let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Error::Unusable(texts.join("; "))
    })
}

/// What a stream may refer to.
fn referable(snapshot: &Snapshot) -> impl Iterator<Item = &StoredEntry> {
    let folders = [Kind::Connection, Kind::Network].map(keyspace::folder);
    let below = |folder: &'static str| snapshot.range(folder.to_owned()..).take_while(move |(key, _)| key.starts_with(folder));
    folders.into_iter().flat_map(below).map(|(_, entry)| entry)
}

fn references(snapshot: &Snapshot) -> References {
    referable(snapshot).fold((0, 0), |(count, newest), entry| (count + 1, newest.max(entry.mod_revision)))
}

#[cfg(test)]
mod tests {
    use rocketbridge_metastore::{Embedded, Transaction};
    use rocketbridge_model::Revision;
    use rocketbridge_model::connection::ConnectionDefinition;
    use rocketbridge_model::record::Record;
    use rocketbridge_runtime::Shutdown;
    use serde_json::json;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A store with a connection and a stream that uses it, and two processes that follow it.
    struct World {
        store: Embedded,
        opener: Definitions,
        other: Definitions,
        _directory: tempfile::TempDir,
    }

    impl World {
        async fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let store = Embedded::open(directory.path()).await.expect("a store");
            connect(&store, "one:9876").await;
            define(&store, 1, "{}").await;
            let tasks = Tasks::new(Shutdown::new());
            let [opener, other] = [(); 2].map(|()| Definitions::start(Arc::new(store.clone()), &tasks));
            for mut copy in [opener.clone(), other.clone()] {
                copy.ready().await;
            }
            Self { store, opener, other, _directory: directory }
        }

        /// What the opener's sessions are for, once its copy shows this.
        async fn version(&self, wanted: impl Fn(&Stream) -> bool) -> StreamVersion {
            let mut followed = self.opener.follow("s");
            loop {
                if let Ok((stream, version)) = followed.version()
                    && wanted(&stream)
                {
                    return version;
                }
                tokio::time::timeout(SOON, followed.changed()).await.expect("it changes");
            }
        }
    }

    async fn connect(store: &Embedded, endpoint: &str) {
        let definition = ConnectionDefinition { name: "c".into(), endpoints: vec![endpoint.into()], ..Default::default() };
        let record = stored::encode(Record { definition, ..Record::default() });
        store.transact(Transaction::new().put(keyspace::definition(Kind::Connection, "c"), record)).await.expect("it is written");
    }

    async fn define(store: &Embedded, revision: u64, pattern: &str) {
        let definition = serde_json::from_value(json!({
            "name": "s", "filter_pattern": pattern,
            "source": {"source_rocketmq_parameters": {"connection": "c", "topic": "t"}},
            "sink": {"sink_rocketmq_parameters": {
                "connection": {"value": "c", "form": "CONSTANT"}, "topic": {"value": "copy", "form": "CONSTANT"}}},
        }));
        let definition = definition.expect("a stream");
        let record = StreamRecord { uid: "u".into(), revision: Revision(revision), definition, ..StreamRecord::default() };
        let key = keyspace::definition(Kind::Stream, "s");
        store.transact(Transaction::new().put(key, stored::encode(record))).await.expect("it is written");
    }

    fn reason(found: Result<Arc<Stream>, SessionError>) -> (Code, String) {
        let error = found.expect_err("a refusal");
        (error.code(), error.message)
    }

    /// *Scenario*: openers name a revision that does not exist yet, one that was replaced, another creation of the stream, a stream that does not exist,
    /// and a copy that is ahead of any store. *Guarantees*: each is refused with its reason, all but the last at once; nothing stays of them; and when
    /// the revision exists, a session for it sees what its definition says.
    #[tokio::test]
    async fn a_version_is_what_the_store_says() {
        let world = World::new().await;
        let version = world.version(|_| true).await;
        let stream = world.other.find(&version, SOON).await.expect("the present one");
        assert_eq!((stream.pattern.as_str(), stream.revision), ("{}", Revision(1)));

        let ahead = StreamVersion { revision: Revision(2), ..version.clone() };
        let (code, text) = reason(world.other.find(&ahead, SOON).await);
        assert_eq!((code, text.as_str()), (Code::Refused, "stream s: there is no revision 2, 1 is the newest"));
        let anew = StreamVersion { uid: "v".into(), ..version.clone() };
        assert_eq!(reason(world.other.find(&anew, SOON).await).0, Code::Refused);
        let absent = StreamVersion { name: "x".into(), as_of: 0, ..version.clone() };
        assert_eq!(reason(world.other.find(&absent, SOON).await).0, Code::Refused);
        let beyond = StreamVersion { name: "y".into(), as_of: u64::MAX, ..version.clone() };
        assert_eq!(reason(world.other.find(&beyond, Duration::from_millis(50)).await).0, Code::Unavailable);
        assert!(world.other.followed.lock().keys().all(|name| name == "s"), "{:?}", world.other.followed.lock().keys());

        define(&world.store, 2, r#"{"source": ["x"]}"#).await;
        let second = world.version(|stream| stream.revision == Revision(2)).await;
        let stream = world.other.find(&second, SOON).await.expect("the present one");
        assert_eq!(stream.pattern, r#"{"source": ["x"]}"#);
        let (code, text) = reason(world.other.find(&StreamVersion { as_of: 0, ..version }, SOON).await);
        assert_eq!((code, text.as_str()), (Code::Unavailable, "stream s: revision 2 has replaced revision 1"));
        world.store.close().await;
    }

    /// *Scenario*: a session is opened for a version whose connection was changed at the same moment, many times. *Guarantees*: the other side never
    /// works with the former connection, although the stream's revision is the same.
    #[tokio::test]
    async fn a_session_waits_for_the_connection_as_its_opener_knows_it() {
        let world = World::new().await;
        let _session = world.other.follow("s");
        for number in 0..100 {
            let endpoint = format!("host-{number}:9876");
            connect(&world.store, &endpoint).await;
            let version = world.version(|stream| stream.target.connection.endpoints == [endpoint.as_str()]).await;
            let stream = world.other.find(&version, SOON).await.expect("the same revision");
            assert_eq!(stream.target.connection.endpoints, [endpoint]);
        }
        world.store.close().await;
    }

    /// *Scenario*: a copy is listed from a store that was restored to an older revision, and the stream is the same in it. *Guarantees*: it counts as
    /// changed, so that sessions for versions that the store no longer knows are replaced; a later revision alone is no change.
    #[test]
    fn an_older_store_is_a_change() {
        let stream = Ok(Arc::new(rocketbridge_model::testing::stream()));
        let at = |as_of| Sight { stream: stream.clone(), as_of };
        assert!(at(7).is_as(&at(7)) && at(9).is_as(&at(7)));
        assert!(!at(5).is_as(&at(7)));
    }
}
