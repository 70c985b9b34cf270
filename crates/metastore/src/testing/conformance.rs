//! What every metadata store must do. Each property is one function, on keys of its own, so that all can run at once on one store.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::time::timeout;

use crate::entry::{Entry, LeaseId};
use crate::error::{Code, Error};
use crate::store::Metastore;
use crate::transaction::{Compare, MAX_BYTES, MAX_OPERATIONS, Transaction};
use crate::watch::{Change, Watch, WatchEvent};

/// A store under test.
#[derive(Clone)]
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Metastore>,
    /// Makes the store forget all changes before a revision.
    pub compact: Arc<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The shortest lease that every store grants as asked.
const TTL: Duration = Duration::from_secs(2);

/// Runs the suite.
///
/// # Panics
///
/// When the store lacks a property; the backtrace names the function.
pub async fn run(fixture: Fixture) {
    let store = || Arc::clone(&fixture.store);
    // This runs first, because its many writes may push the changes that other watches need out of the history.
    lists_any_number(store()).await;
    tokio::join!(
        reads_what_was_written(store()),
        lists_by_prefix_in_order(store()),
        guards_hold(store()),
        revisions_count_changes(store()),
        transactions_are_atomic(store()),
        one_of_many_creates(store()),
        limits_are_enforced(store()),
        keys_need_a_live_lease(store()),
        revoked_leases_are_lost(store()),
        leases_expire_unless_renewed(store()),
        watches_tell_everything_in_order(store()),
        watches_begin_in_the_past(store()),
        watches_keep_to_their_prefix(store()),
        dropped_waits_lose_nothing(store()),
    );
    // This runs last, because it deletes the history of all.
    compacted_watches_ask_for_a_resync(fixture.clone()).await;
}

/// *Scenario*: put, overwrite, delete, create again. *Guarantees*: value and revisions are as documented.
pub async fn reads_what_was_written(store: Arc<dyn Metastore>) {
    assert_eq!(store.get("read/a").await.expect("get"), None);
    let first = put(&store, "read/a", "1").await;
    let entry = must_get(&store, "read/a").await;
    assert_eq!((&entry.value[..], entry.create_revision, entry.mod_revision, entry.lease), (&b"1"[..], first, first, None));
    let second = put(&store, "read/a", "2").await;
    let entry = must_get(&store, "read/a").await;
    assert_eq!((&entry.value[..], entry.create_revision, entry.mod_revision), (&b"2"[..], first, second));
    must(&store, Transaction::new().delete("read/a")).await;
    assert_eq!(store.get("read/a").await.expect("get"), None);
    let third = put(&store, "read/a", "").await;
    let entry = must_get(&store, "read/a").await;
    assert_eq!((&entry.value[..], entry.create_revision), (&b""[..], third));
    assert!(first < second && second < third);
}

/// *Scenario*: keys inside and around a prefix. *Guarantees*: exactly those inside, sorted; deleting the prefix deletes exactly those.
pub async fn lists_by_prefix_in_order(store: Arc<dyn Metastore>) {
    for key in ["list/b/2", "list/b/1", "list/b/10", "list/b", "list/b0", "list/a/1", "list/c/1"] {
        put(&store, key, key).await;
    }
    assert_eq!(keys(&store, "list/b/").await, ["list/b/1", "list/b/10", "list/b/2"]);
    assert_eq!(keys(&store, "list/nothing/").await, [""; 0]);
    must(&store, Transaction::new().delete_prefix("list/b/")).await;
    assert_eq!(keys(&store, "list/").await, ["list/a/1", "list/b", "list/b0", "list/c/1"]);
}

/// *Scenario*: more entries than a page, more bytes than a message. *Guarantees*: the listing is complete, at one revision.
pub async fn lists_any_number(store: Arc<dyn Metastore>) {
    for batch in 0..10 {
        let all = (0..MAX_OPERATIONS).fold(Transaction::new(), |all, number| all.put(format!("many/{batch:02}/{number:03}"), vec![7; 100]));
        must(&store, all).await;
    }
    let large = 40;
    for number in 0..large {
        must(&store, Transaction::new().put(format!("many/large/{number:02}"), vec![7; MAX_BYTES - 100])).await;
    }
    let listing = store.list("many/").await.expect("list");
    assert_eq!(listing.entries.len(), 10 * MAX_OPERATIONS + large);
    assert!(listing.entries.is_sorted_by(|one, next| one.key < next.key));
    assert!(listing.entries.iter().all(|entry| entry.mod_revision <= listing.revision));
    must(&store, Transaction::new().delete_prefix("many/")).await;
}

/// *Scenario*: each comparison, where it holds and where not. *Guarantees*: nothing is done unless all hold.
pub async fn guards_hold(store: Arc<dyn Metastore>) {
    let created = put(&store, "guard/a", "1").await;
    let modified = put(&store, "guard/a", "2").await;
    let absent = || Compare::KeyAbsent("guard/b".into());
    let cases = [
        (absent(), true),
        (Compare::KeyAbsent("guard/a".into()), false),
        (Compare::CreateRevision("guard/a".into(), created), true),
        (Compare::CreateRevision("guard/a".into(), modified), false),
        (Compare::CreateRevision("guard/b".into(), created), false),
        (Compare::ModRevision("guard/a".into(), modified), true),
        (Compare::ModRevision("guard/a".into(), created), false),
        (Compare::ModRevision("guard/b".into(), modified), false),
    ];
    for (number, (compare, holds)) in cases.into_iter().enumerate() {
        let key = format!("guard/done/{number}");
        let transaction = Transaction::new().when(absent()).when(compare.clone()).put(&key, "");
        let outcome = store.transact(transaction).await.expect("transact");
        assert_eq!(outcome.succeeded, holds, "{compare:?}");
        assert_eq!(store.get(&key).await.expect("get").is_some(), holds, "{compare:?}");
    }
}

/// *Scenario*: transactions that change nothing, and one that does. *Guarantees*: only changes make revisions, and outcomes name them.
pub async fn revisions_count_changes(store: Arc<dyn Metastore>) {
    let first = put(&store, "revision/a", "1").await;
    let check = Transaction::new().when(Compare::ModRevision("revision/a".into(), first));
    let checked = store.transact(check.clone()).await.expect("transact");
    assert!(checked.succeeded && checked.revision >= first);
    let nothing = store.transact(Transaction::new().delete("revision/none")).await.expect("transact");
    assert!(nothing.succeeded && nothing.revision >= first);
    let outcome = store.transact(check.put("revision/a", "2").put("revision/b", "2")).await.expect("transact");
    assert!(outcome.succeeded);
    for key in ["revision/a", "revision/b"] {
        assert_eq!(must_get(&store, key).await.mod_revision, outcome.revision);
    }
}

/// *Scenario*: a watch on a transaction of every operation. *Guarantees*: it arrives whole, at one revision.
pub async fn transactions_are_atomic(store: Arc<dyn Metastore>) {
    put(&store, "atomic/old", "").await;
    put(&store, "atomic/range/1", "").await;
    let start = put(&store, "atomic/range/2", "").await;
    let mut watch = store.watch("atomic/", start).await.expect("watch");
    let all = Transaction::new().put("atomic/new", "").delete("atomic/old").delete_prefix("atomic/range/");
    let revision = must(&store, all).await;
    let (at, changes) = next_changes(&mut watch).await;
    assert_eq!(at, revision);
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(changes.iter().all(|change| change.revision() == revision));
}

/// *Scenario*: many callers create the same key at once. *Guarantees*: one succeeds, and its revision is the key's.
pub async fn one_of_many_creates(store: Arc<dyn Metastore>) {
    let create = |number: u32| {
        let transaction = Transaction::new().when(Compare::KeyAbsent("race/a".into())).put("race/a", number.to_string());
        let store = Arc::clone(&store);
        async move { store.transact(transaction).await.expect("transact") }
    };
    let outcomes = futures::future::join_all((0..16).map(create)).await;
    let winners: Vec<_> = outcomes.iter().filter(|outcome| outcome.succeeded).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(must_get(&store, "race/a").await.create_revision, winners[0].revision);
}

/// *Scenario*: the largest transactions, and larger ones. *Guarantees*: the first pass, the others are refused by name and do nothing.
pub async fn limits_are_enforced(store: Arc<dyn Metastore>) {
    let puts = |count| (0..count).fold(Transaction::new(), |all, number| all.put(format!("limit/{number}"), ""));
    must(&store, puts(MAX_OPERATIONS)).await;
    must(&store, Transaction::new().put("limit/l", vec![0; MAX_BYTES - 7])).await;
    let many = store.transact(puts(MAX_OPERATIONS + 1)).await;
    assert!(matches!(many, Err(Error::TooManyOperations { limit: MAX_OPERATIONS, .. })), "{many:?}");
    let large = store.transact(Transaction::new().put("limit/large", vec![0; MAX_BYTES])).await;
    assert!(matches!(large, Err(Error::TooLarge { limit: MAX_BYTES, .. })), "{large:?}");
    let twice = store.transact(Transaction::new().put("limit/t", "1").put("limit/t", "2")).await;
    assert!(matches!(twice, Err(Error::DuplicateKey { .. })), "{twice:?}");
    must(&store, Transaction::new().delete_prefix("limit/")).await;
}

/// *Scenario*: a put under a lease that does not exist. *Guarantees*: the lease is reported lost and nothing is written.
pub async fn keys_need_a_live_lease(store: Arc<dyn Metastore>) {
    let nobody = LeaseId(0x7777);
    let transaction = Transaction::new().put("unleased/a", "").put_leased("unleased/b", "", nobody);
    lost(store.transact(transaction).await.map(drop), nobody);
    assert_eq!(keys(&store, "unleased/").await, [""; 0]);
    lost(store.keep_alive(nobody).await.map(drop), nobody);
}

/// *Scenario*: a lease that is being renewed is revoked, twice. *Guarantees*: its keys go, renewal reports the loss, the second revocation is no error.
pub async fn revoked_leases_are_lost(store: Arc<dyn Metastore>) {
    let lease = store.grant_lease(PATIENCE * 3).await.expect("grant").id;
    let start = must(&store, Transaction::new().put_leased("revoked/a", "", lease).put("revoked/b", "")).await;
    assert_eq!(must_get(&store, "revoked/a").await.lease, Some(lease));
    let left = store.keep_alive(lease).await.expect("keep alive");
    assert!(left > PATIENCE, "{left:?}");
    store.revoke_lease(lease).await.expect("revoke");
    lost(store.keep_alive(lease).await.map(drop), lease);
    store.revoke_lease(lease).await.expect("revoke again");
    assert_eq!(keys(&store, "revoked/").await, ["revoked/b"]);
    let mut watch = store.watch("revoked/", start).await.expect("watch");
    let (_, changes) = next_changes(&mut watch).await;
    assert!(matches!(&changes[..], [Change::Delete { key, .. }] if key == "revoked/a"), "{changes:?}");
}

/// *Scenario*: two leases, one renewed; one key taken off its lease. *Guarantees*: only the keys of the other lease expire, and not early.
pub async fn leases_expire_unless_renewed(store: Arc<dyn Metastore>) {
    let began = Instant::now();
    let dying = store.grant_lease(TTL).await.expect("grant").id;
    let living = store.grant_lease(TTL).await.expect("grant").id;
    let keys = Transaction::new().put_leased("expiry/dying", "", dying).put_leased("expiry/living", "", living);
    must(&store, keys.put_leased("expiry/kept", "", dying)).await;
    must(&store, Transaction::new().put("expiry/kept", "")).await;
    let gone = eventually(|| async {
        store.keep_alive(living).await.expect("keep alive");
        store.get("expiry/dying").await.expect("get").is_none()
    });
    gone.await;
    assert!(began.elapsed() >= TTL, "{:?}", began.elapsed());
    lost(store.keep_alive(dying).await.map(drop), dying);
    must_get(&store, "expiry/living").await;
    must_get(&store, "expiry/kept").await;
    store.revoke_lease(living).await.expect("revoke");
}

/// *Scenario*: puts and deletes while watching. *Guarantees*: each is reported once, in order, with the values and revisions that were written.
pub async fn watches_tell_everything_in_order(store: Arc<dyn Metastore>) {
    let start = put(&store, "watch/start", "").await;
    let mut watch = store.watch("watch/", start).await.expect("watch");
    let mut expected = Vec::new();
    for number in 0..50 {
        expected.push((put(&store, "watch/a", &number.to_string()).await, Some(number.to_string())));
        if number % 10 == 9 {
            expected.push((must(&store, Transaction::new().delete("watch/a")).await, None));
        }
    }
    assert_eq!(values(&mut watch, expected.len()).await, expected);
}

/// *Scenario*: a watch after a listing, begun late. *Guarantees*: the changes in between are reported.
pub async fn watches_begin_in_the_past(store: Arc<dyn Metastore>) {
    put(&store, "past/a", "0").await;
    let listing = store.list("past/").await.expect("list");
    let first = put(&store, "past/a", "1").await;
    let second = put(&store, "past/a", "2").await;
    let mut watch = store.watch("past/", listing.revision).await.expect("watch");
    let third = put(&store, "past/a", "3").await;
    let told: Vec<u64> = values(&mut watch, 3).await.into_iter().map(|(revision, _)| revision).collect();
    assert_eq!(told, [first, second, third]);
}

/// *Scenario*: changes around the watched prefix. *Guarantees*: they are not reported.
pub async fn watches_keep_to_their_prefix(store: Arc<dyn Metastore>) {
    let start = put(&store, "inside/start", "").await;
    let mut watch = store.watch("inside/a/", start).await.expect("watch");
    for key in ["inside/a", "inside/a0", "inside/b/1", "inside/"] {
        put(&store, key, "").await;
    }
    let mixed = must(&store, Transaction::new().put("inside/a/1", "x").put("inside/c", "")).await;
    assert_eq!(values(&mut watch, 1).await, [(mixed, Some("x".to_owned()))]);
}

/// *Scenario*: waits for the next event are dropped again and again. *Guarantees*: no event is lost.
pub async fn dropped_waits_lose_nothing(store: Arc<dyn Metastore>) {
    let start = put(&store, "dropped/start", "").await;
    let mut watch = store.watch("dropped/", start).await.expect("watch");
    let mut expected = Vec::new();
    let mut told = Vec::new();
    for number in 0..20 {
        let wait = timeout(Duration::from_micros(100 * number), watch.next()).await;
        if let Ok(event) = wait
            && let WatchEvent::Changes { changes, .. } = event.expect("watch")
        {
            told.extend(changes.iter().map(Change::revision));
        }
        expected.push(put(&store, "dropped/a", "").await);
    }
    let rest = expected.len() - told.len();
    told.extend(values(&mut watch, rest).await.into_iter().map(|(revision, _)| revision));
    assert_eq!(told, expected);
}

/// *Scenario*: a watch that needs changes which are no longer kept. *Guarantees*: the watch fails with resync in finite time, and a new
/// listing and watch work.
pub async fn compacted_watches_ask_for_a_resync(fixture: Fixture) {
    let store = fixture.store;
    let first = put(&store, "compacted/a", "1").await;
    put(&store, "compacted/a", "2").await;
    let last = put(&store, "compacted/a", "3").await;
    (fixture.compact)(last).await;
    let error = timeout(PATIENCE, async {
        let mut watch = store.watch("compacted/", first).await?;
        loop {
            watch.next().await?;
        }
    });
    let error: Result<(), Error> = error.await.expect("a compacted watch must not be silent");
    assert_eq!(error.map_err(|error| error.code()), Err(Code::Resync));
    let listing = store.list("compacted/").await.expect("list");
    let mut watch = store.watch("compacted/", listing.revision).await.expect("watch");
    let next = put(&store, "compacted/a", "4").await;
    assert_eq!(values(&mut watch, 1).await, [(next, Some("4".to_owned()))]);
}

async fn must(store: &Arc<dyn Metastore>, transaction: Transaction) -> u64 {
    let outcome = store.transact(transaction).await.expect("transact");
    assert!(outcome.succeeded);
    outcome.revision
}

async fn put(store: &Arc<dyn Metastore>, key: &str, value: &str) -> u64 {
    must(store, Transaction::new().put(key, value.to_owned())).await
}

async fn must_get(store: &Arc<dyn Metastore>, key: &str) -> Entry {
    store.get(key).await.expect("get").expect("the key exists")
}

async fn keys(store: &Arc<dyn Metastore>, prefix: &str) -> Vec<String> {
    store.list(prefix).await.expect("list").entries.into_iter().map(|entry| entry.key).collect()
}

fn lost(result: Result<(), Error>, expected: LeaseId) {
    assert!(matches!(&result, Err(Error::LeaseLost { lease, .. }) if *lease == expected), "{result:?}");
}

async fn next_changes(watch: &mut Watch) -> (u64, Vec<Change>) {
    let next = async {
        loop {
            if let WatchEvent::Changes { revision, changes } = watch.next().await.expect("watch") {
                return (revision, changes);
            }
        }
    };
    timeout(PATIENCE, next).await.expect("the watch reports the change")
}

/// Revision and value (none: deleted) of the next changes.
async fn values(watch: &mut Watch, count: usize) -> Vec<(u64, Option<String>)> {
    let mut values = Vec::new();
    while values.len() < count {
        values.extend(next_changes(watch).await.1.into_iter().map(|change| match change {
            Change::Put(entry) => (entry.mod_revision, Some(String::from_utf8_lossy(&entry.value).into_owned())),
            Change::Delete { revision, .. } => (revision, None),
        }));
    }
    values
}

async fn eventually<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the condition comes true");
}
