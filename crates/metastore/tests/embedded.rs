//! The embedded store: the conformance suite, and what only a file has: it survives, it is locked, its leases end with the process.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rocketbridge_metastore::testing::conformance::{self, Fixture};
use rocketbridge_metastore::{Code, Compare, Embedded, Metastore, Transaction};

/// *Scenario*: the conformance suite. *Guarantees*: every property of the trait.
#[tokio::test]
async fn conforms() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(directory.path()).await.expect("open");
    let compacted = store.clone();
    let compact = Arc::new(move |revision| {
        compacted.compact(revision);
        async {}.boxed()
    });
    conformance::run(Fixture { store: Arc::new(store), compact }).await;
}

/// *Scenario*: writes, a close, an open. *Guarantees*: entries and revisions survive; leased keys do not; the past cannot be watched.
#[tokio::test]
async fn what_is_not_leased_survives() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(&directory.path().join("new")).await.expect("open");
    let lease = store.grant_lease(Duration::from_secs(60)).await.expect("grant").id;
    let first = store.transact(Transaction::new().put("a", "1").put_leased("b", "1", lease)).await.expect("write");
    let second = store.transact(Transaction::new().put("a", "2")).await.expect("write");
    let before = store.get("a").await.expect("get");
    store.close().await;
    assert_eq!(store.get("a").await.expect_err("closed").code(), Code::Storage);

    let store = Embedded::open(&directory.path().join("new")).await.expect("open again");
    let listing = store.list("").await.expect("list");
    assert_eq!(listing.entries, before.into_iter().collect::<Vec<_>>());
    assert_eq!(listing.entries[0].create_revision, first.revision);
    assert_eq!(listing.revision, second.revision + 1, "the deletion of leased keys is a change");
    assert_eq!(store.keep_alive(lease).await.expect_err("an old lease").code(), Code::LeaseLost);
    let mut watch = store.watch("", first.revision).await.expect("watch");
    assert_eq!(watch.next().await.expect_err("the past is gone").code(), Code::Resync);
}

/// *Scenario*: a second open of a directory in use. *Guarantees*: it is refused, and the first one keeps working.
#[tokio::test]
async fn one_owner_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(directory.path()).await.expect("open");
    let second = Embedded::open(directory.path()).await.expect_err("it is in use");
    assert_eq!(second.code(), Code::Storage);
    assert!(second.to_string().contains("metastore.redb"), "{second}");
    store.transact(Transaction::new().put("a", "1")).await.expect("write");
}

/// *Scenario*: a watch is waiting when the store closes. *Guarantees*: the wait ends with an error.
#[tokio::test]
async fn closing_ends_watches() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Embedded::open(directory.path()).await.expect("open");
    let mut watch = store.watch("", 0).await.expect("watch");
    let (event, ()) = tokio::join!(watch.next(), store.close());
    assert_eq!(event.expect_err("closed").code(), Code::Storage);
}

/// *Scenario*: a thousand transactions at once, some of which want the same key, or a key that another one deletes by its prefix. *Guarantees*: each happens once,
/// at a revision of its own, as if they had come one after another; exactly one creates a key that all want; a reopened store has the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_come_together_happen_as_if_one_by_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Embedded::open(directory.path()).await.expect("a store");
    let many = (0..1_000u32).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let transaction = match number % 10 {
                0 => Transaction::new().when(Compare::KeyAbsent("wanted".into())).put("wanted", number.to_string()),
                1 => Transaction::new().put(format!("gone/{number}"), "x").put(format!("kept/{number}"), "x"),
                2 => Transaction::new().delete_prefix("gone/"),
                _ => Transaction::new().put(format!("kept/{number}"), "x"),
            };
            (number, store.transact(transaction).await.expect("it is done"))
        })
    });
    let mut revisions = std::collections::BTreeSet::new();
    let mut created = 0;
    for task in many.collect::<Vec<_>>() {
        let (number, transacted) = task.await.expect("no panic");
        created += u32::from(number % 10 == 0 && transacted.succeeded);
        if number % 10 > 2 {
            assert!(transacted.succeeded && revisions.insert(transacted.revision), "revision {} twice", transacted.revision);
        }
    }
    assert_eq!(created, 1);
    store.transact(Transaction::new().delete_prefix("gone/")).await.expect("it is done");
    let before = store.list("").await.expect("lists").entries;
    assert_eq!(before.len(), 1 + 800);
    store.close().await;
    let store = Embedded::open(directory.path()).await.expect("a store");
    assert_eq!(store.list("").await.expect("lists").entries, before);
    store.close().await;
}

/// *Scenario*: a store is made in a folder that is not there; then a link stands in place of its file. *Guarantees*: folder and file are for their user alone; the link is not followed,
/// and what it leads to stays as it is.
#[tokio::test]
async fn the_file_is_private_and_no_link() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("metadata");
    let store = Embedded::open(&folder).await.expect("made");
    store.close().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let file = std::fs::read_dir(&folder).expect("a folder").next().expect("a file").expect("read").path();
    assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
    let other = place.path().join("other");
    std::fs::write(&other, "").expect("a file");
    std::fs::remove_file(&file).expect("removed");
    std::os::unix::fs::symlink(&other, &file).expect("a link");
    Embedded::open(&folder).await.expect_err("a link");
    assert_eq!(std::fs::read(&other).expect("there"), b"");
}
