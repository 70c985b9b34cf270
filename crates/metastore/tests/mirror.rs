//! The mirror on the embedded store, with watches that fail in every way a watch can.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_metastore::watch::Feed;
use rocketbridge_metastore::{
    Embedded, Entry, Error, LeaseGrant, LeaseId, Listing, Metastore, Mirror, Transacted, Transaction, Watch, WatchEvent,
};
use rocketbridge_runtime::{Cause, Shutdown, Tasks};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// A store whose watches are bad.
#[derive(Debug)]
struct Unreliable {
    store: Embedded,
    fault: Fault,
    watches: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// They never report anything.
    Deaf,
    /// They end at once.
    Ending,
}

struct Deaf;

impl Feed for Deaf {
    fn next(&mut self) -> BoxFuture<'_, Result<WatchEvent, Error>> {
        std::future::pending().boxed()
    }
}

impl Metastore for Unreliable {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        self.store.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        self.store.list(prefix)
    }

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, Error>> {
        self.store.transact(transaction)
    }

    fn watch<'a>(&'a self, prefix: &'a str, _: u64) -> BoxFuture<'a, Result<Watch, Error>> {
        self.watches.fetch_add(1, Ordering::SeqCst);
        let ended = Error::WatchEnded { prefix: prefix.to_owned(), place: "test".to_owned(), source: None };
        let answer = if self.fault == Fault::Deaf { Ok(Watch::new(Deaf)) } else { Err(ended) };
        async move { answer }.boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>> {
        self.store.grant_lease(ttl)
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>> {
        self.store.keep_alive(lease)
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        self.store.revoke_lease(lease)
    }
}

async fn write(store: &Embedded, transaction: Transaction) {
    assert!(store.transact(transaction).await.expect("write").succeeded);
}

async fn becomes(mirror: &mut Mirror, expected: &[&str]) {
    let wait = async {
        while mirror.take().keys().ne(expected) {
            mirror.changed().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{expected:?}, got {:?}", mirror.snapshot()));
}

async fn open(fault: Fault) -> (tempfile::TempDir, Arc<Unreliable>, Tasks) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(directory.path()).await.expect("open");
    let watches = AtomicU32::new(0);
    (directory, Arc::new(Unreliable { store, fault, watches }), Tasks::new(Shutdown::new()))
}

/// *Scenario*: a healthy store. *Guarantees*: the copy follows, also through the drain; handles see changes apart; an equal listing wakes no handle.
#[tokio::test]
async fn follows() {
    let (_directory, store, tasks) = open(Fault::Deaf).await;
    let store = store.store.clone();
    write(&store, Transaction::new().put("m/a", "1").put("n/a", "1")).await;
    let mut mirror = Mirror::start_with(Arc::new(store.clone()), "m/", &tasks, Duration::from_millis(5));
    assert_eq!(timeout(PATIENCE, mirror.ready()).await.expect("listed").keys().collect::<Vec<_>>(), ["m/a"]);
    let mut other = mirror.clone();
    becomes(&mut mirror, &["m/a"]).await;
    tasks.shutdown().drain(Cause::Requested("test".into()));
    write(&store, Transaction::new().put("m/b", "1").delete("m/a")).await;
    becomes(&mut mirror, &["m/b"]).await;
    becomes(&mut other, &["m/b"]).await;
    let confirmed = mirror.confirmed();
    assert!(timeout(Duration::from_millis(200), mirror.changed()).await.is_err(), "listings without a difference are quiet");
    assert!(mirror.confirmed() > confirmed, "listings confirm");
    drop((mirror, other));
    timeout(PATIENCE, tasks.join(PATIENCE)).await.expect("in time").expect("it ends with its last handle");
}

/// *Scenario*: a watch that reports nothing. *Guarantees*: the periodic listing brings every change: time is lost, correctness is not.
#[tokio::test]
async fn survives_deaf_watches() {
    let (_directory, store, tasks) = open(Fault::Deaf).await;
    let mut mirror = Mirror::start_with(Arc::clone(&store) as _, "m/", &tasks, Duration::from_millis(20));
    for number in 0..5 {
        write(&store.store, Transaction::new().delete_prefix("m/")).await;
        write(&store.store, Transaction::new().put(format!("m/{number}"), "")).await;
        becomes(&mut mirror, &[&format!("m/{number}")]).await;
    }
    assert_eq!(store.watches.load(Ordering::SeqCst), 1);
}

/// *Scenario*: watches that end at once. *Guarantees*: every end leads to a listing, after a backoff, so changes arrive.
#[tokio::test]
async fn survives_ending_watches() {
    let (_directory, store, tasks) = open(Fault::Ending).await;
    let mut mirror = Mirror::start(Arc::clone(&store) as _, "m/", &tasks);
    for number in 0..3 {
        write(&store.store, Transaction::new().delete_prefix("m/")).await;
        write(&store.store, Transaction::new().put(format!("m/{number}"), "")).await;
        becomes(&mut mirror, &[&format!("m/{number}")]).await;
    }
    assert!(store.watches.load(Ordering::SeqCst) >= 3);
}

/// *Scenario*: ten thousand handles follow one key each, and one of the keys is written, overwritten and deleted, partly by changes and partly by listings alone.
/// *Guarantees*: exactly the handle of that key wakes; it sees each level; a handle that comes later sees the present one.
#[tokio::test]
async fn a_change_of_one_key_wakes_only_who_follows_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for is_deaf in [false, true] {
        let store = Embedded::open(&directory.path().join(is_deaf.to_string())).await.expect("a store");
        let unreliable = Unreliable { store: store.clone(), fault: Fault::Deaf, watches: AtomicU32::new(0) };
        let used: Arc<dyn Metastore> = if is_deaf { Arc::new(unreliable) } else { Arc::new(store.clone()) };
        let tasks = Tasks::new(Shutdown::new());
        let mut mirror = Mirror::start_with(used, "keys/", &tasks, Duration::from_millis(50));
        mirror.ready().await;
        let mut all: Vec<_> = (0..10_000).map(|number| mirror.follow(&format!("keys/{number}"))).collect();
        for value in [Some("a"), Some("b"), None] {
            let transaction = Transaction::new();
            write(
                &store,
                match value {
                    Some(value) => transaction.put("keys/77", value),
                    None => transaction.delete("keys/77"),
                },
            )
            .await;
            timeout(PATIENCE, all[77].changed()).await.expect("it wakes");
            assert_eq!(all[77].entry().map(|entry| entry.value), value.map(Into::into));
            assert_eq!(mirror.follow("keys/77").entry(), all[77].entry());
        }
        let woken = all.iter_mut().filter_map(|single| single.changed().now_or_never()).count();
        assert_eq!(woken, 0);
        tasks.shutdown().abort(Cause::Requested("test".into()));
        store.close().await;
    }
}
