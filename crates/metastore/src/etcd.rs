//! A metadata store on an etcd cluster (3.5 or newer).
//!
//! Guarantees beyond the trait: every call has a deadline for each attempt and one for all; calls that may be repeated are repeated on the
//! next endpoint; a change that was sent and not answered is never repeated, but reported as [`Error::OutcomeUnknown`]; watches notice silence.
//!
//! It has one connection per endpoint and chooses among them itself, because the balanced channel of the client keeps choosing a dead
//! endpoint, and so that errors can name the endpoint. Failures are classified by status codes and types, never by texts, which differ
//! between etcd versions. [`config::Config`] has the timers, [`endpoints`] the attempts, [`following`] the watch.

pub mod config;
mod endpoints;
mod following;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client as client;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::entry::{Entry, Fullness, LeaseGrant, LeaseId, Listing};
use crate::error::Error;
use crate::store::Metastore;
use crate::transaction::{Compare, Operation, Transacted, Transaction};
use crate::watch::Watch;

pub use config::{Config, Credentials, Tls};
use endpoints::{Endpoints, Repeat};
use following::Following;

/// How many entries are requested at once; halved when they are too large for one message.
const PAGE: i64 = 1000;

/// Quota of an etcd that does not say its own, before 3.6 (`--quota-backend-bytes`), bytes.
const USUAL_QUOTA: u64 = 2 << 30;
/// How often a listing may start over because its revision was compacted meanwhile.
const LISTING_ATTEMPTS: u32 = 8;

/// A store on an etcd cluster. Cheap to clone; every clone uses the same connections.
#[derive(Clone, Debug)]
pub struct Etcd {
    endpoints: Arc<Endpoints>,
    namespace: Arc<str>,
    keepers: Arc<Mutex<HashMap<LeaseId, Keeper>>>,
}

/// An open stream of renewals. Each renewal takes the stream out and puts it back only after the answer, so that an answer always belongs
/// to the latest request.
#[derive(Debug)]
struct Keeper {
    sender: client::LeaseKeeper,
    answers: client::LeaseKeepAliveStream,
}

impl Etcd {
    /// Connects, and reads once to check that the cluster answers: connecting alone would succeed on a dead endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`], or the failure of the first read.
    pub async fn connect(config: Config) -> Result<Self, Error> {
        let store = Self::new(config)?;
        store.get("probe").await?;
        Ok(store)
    }

    /// Returns a store that connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`].
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let namespace = if config.namespace.is_empty() { String::new() } else { format!("{}/", config.namespace) };
        Ok(Self { namespace: namespace.into(), endpoints: Arc::new(Endpoints::new(config)), keepers: Arc::default() })
    }

    /// Lets the cluster forget all changes before `revision`.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when this was done before, or the revision is in the future.
    pub async fn compact(&self, revision: u64) -> Result<(), Error> {
        let revision = to_server(revision);
        let attempt = move |client: client::Client| async move { client.kv_client().compact(revision, None).await.map(drop) }.boxed();
        self.endpoints.call("compact", Repeat::Safe, attempt).await.map(drop)
    }

    fn full(&self, key: &str) -> Vec<u8> {
        [self.namespace.as_bytes(), key.as_bytes()].concat()
    }

    /// Lists page by page at the revision of the first page. `None`: that revision was compacted, or a page was too large; `page` was halved.
    async fn try_list(&self, prefix: &str, page: &mut i64) -> Result<Option<Listing>, Error> {
        let end = prefix_end(&self.full(prefix));
        let mut start = self.full(prefix);
        let mut entries = Vec::new();
        let mut revision = 0;
        loop {
            let options = client::GetOptions::new().with_range(end.clone()).with_limit(*page).with_revision(revision);
            let from = start.clone();
            let attempt = move |client: client::Client| {
                let (from, options) = (from.clone(), options.clone());
                async move { endpoints::kv(&client).get(from, Some(options)).await }.boxed()
            };
            let mut answer = match self.endpoints.call("list", Repeat::Safe, attempt).await {
                Ok((_, answer)) => answer,
                Err(error) if endpoints::code(&error) == Some(tonic::Code::OutOfRange) && (revision != 0 || *page > 1) => {
                    *page = (*page / 2).max(1);
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            if revision == 0 {
                revision = answer.header().map_or(0, client::ResponseHeader::revision);
            }
            let more = answer.more();
            let rows = answer.take_kvs();
            if let Some(last) = rows.last() {
                start = [last.key(), &[0]].concat();
            }
            entries.extend(rows.into_iter().map(|row| entry(&self.namespace, row)));
            if !more {
                return Ok(Some(Listing { entries, revision: from_server(revision) }));
            }
        }
    }

    fn to_client(&self, transaction: &Transaction) -> client::Txn {
        let equal = client::CompareOp::Equal;
        let compare = |compare: &Compare| match compare {
            Compare::KeyAbsent(key) => client::Compare::create_revision(self.full(key), equal, 0),
            Compare::CreateRevision(key, revision) => client::Compare::create_revision(self.full(key), equal, to_server(*revision)),
            Compare::ModRevision(key, revision) => client::Compare::mod_revision(self.full(key), equal, to_server(*revision)),
        };
        let operation = |operation: &Operation| match operation {
            Operation::Put { key, value, lease } => {
                let options = client::PutOptions::new().with_lease(lease.map_or(0, |lease| lease.0));
                client::TxnOp::put(self.full(key), value.clone(), Some(options))
            }
            Operation::Delete(key) => client::TxnOp::delete(self.full(key), None),
            Operation::DeletePrefix(prefix) => {
                let start = self.full(prefix);
                let end = prefix_end(&start);
                client::TxnOp::delete(start, Some(client::DeleteOptions::new().with_range(end)))
            }
        };
        let compares: Vec<_> = transaction.compares.iter().map(compare).collect();
        let operations: Vec<_> = transaction.operations.iter().map(operation).collect();
        client::Txn::new().when(compares).and_then(operations)
    }

    async fn renew(&self, lease: LeaseId) -> Result<Duration, Error> {
        let keeper = self.keepers.lock().remove(&lease).map(|keeper| Arc::new(Mutex::new(Some(keeper))));
        let attempt = move |client: client::Client| {
            // The stream of the last renewal serves the first attempt; any further one opens its own, on another endpoint.
            let kept = keeper.as_ref().and_then(|keeper| keeper.lock().take());
            async move {
                let mut keeper = match kept {
                    Some(keeper) => keeper,
                    None => {
                        let (sender, answers) = client.lease_client().keep_alive(lease.0).await?;
                        Keeper { sender, answers }
                    }
                };
                // The client reports a broken stream with the same error as a lost lease, although the lease may be alive.
                let sent = keeper.sender.keep_alive().await;
                sent.map_err(|error| client::Error::WatchError(error.to_string()))?;
                let answer = keeper.answers.message().await?;
                Ok((keeper, answer.map(|answer| answer.ttl())))
            }
            .boxed()
        };
        let (place, (keeper, ttl)) = match self.endpoints.call("keep lease alive", Repeat::Safe, attempt).await {
            Ok(answer) => answer,
            Err(error) => return Err(endpoints::lease_error(error, lease)),
        };
        match ttl {
            // For a revoked lease the server answers without an error that no time is left. The end of the stream confirms nothing either.
            Some(seconds) if seconds > 0 => {
                self.keepers.lock().insert(lease, keeper);
                Ok(Duration::from_secs(seconds.unsigned_abs()))
            }
            Some(_) => Err(Error::LeaseLost { lease, place }),
            None => Err(Error::Unavailable {
                step: "keep lease alive",
                place,
                waited: Duration::ZERO,
                source: "the server ended the stream".into(),
            }),
        }
    }
}

impl Metastore for Etcd {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, Error>> {
        let full = self.full(key);
        async move {
            let attempt = move |client: client::Client| {
                let full = full.clone();
                async move { endpoints::kv(&client).get(full, None).await }.boxed()
            };
            let (_, mut answer) = self.endpoints.call("get", Repeat::Safe, attempt).await?;
            Ok(answer.take_kvs().into_iter().next().map(|row| entry(&self.namespace, row)))
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, Error>> {
        async move {
            let mut page = PAGE;
            for _ in 0..LISTING_ATTEMPTS + PAGE.ilog2() {
                if let Some(listing) = self.try_list(prefix, &mut page).await? {
                    return Ok(listing);
                }
            }
            Err(Error::Unavailable {
                step: "list",
                place: self.endpoints.names(),
                waited: Duration::ZERO,
                source: "the store was compacted during every attempt".into(),
            })
        }
        .boxed()
    }

    fn transact(&self, transaction: Transaction) -> BoxFuture<'_, Result<Transacted, Error>> {
        async move {
            transaction.validate()?;
            let lease = transaction.operations.iter().find_map(|operation| match operation {
                Operation::Put { lease, .. } => *lease,
                Operation::Delete(_) | Operation::DeletePrefix(_) => None,
            });
            let request = self.to_client(&transaction);
            let attempt = move |client: client::Client| {
                let request = request.clone();
                async move { endpoints::kv(&client).txn(request).await }.boxed()
            };
            let repeat = if transaction.operations.is_empty() { Repeat::Safe } else { Repeat::Unsafe };
            let (_, answer) = match self.endpoints.call("transact", repeat, attempt).await {
                Ok(answer) => answer,
                Err(error) => {
                    return Err(match lease {
                        Some(lease) => endpoints::lease_error(error, lease),
                        None => error,
                    });
                }
            };
            Ok(Transacted {
                succeeded: answer.succeeded(),
                revision: from_server(answer.header().map_or(0, client::ResponseHeader::revision)),
            })
        }
        .boxed()
    }

    fn watch<'a>(&'a self, prefix: &'a str, after_revision: u64) -> BoxFuture<'a, Result<Watch, Error>> {
        let full = self.full(prefix);
        async move {
            let attempt = move |client: client::Client| {
                let full = full.clone();
                let end = prefix_end(&full);
                let options = client::WatchOptions::new().with_range(end).with_start_revision(to_server(after_revision + 1));
                async move { endpoints::watch(&client).watch(full, Some(options)).await }.boxed()
            };
            let (place, stream) = self.endpoints.call("watch", Repeat::Safe, attempt).await?;
            let following = Following::new(place, Arc::clone(&self.namespace), prefix, self.endpoints.config(), stream);
            Ok(Watch::new(following))
        }
        .boxed()
    }

    fn grant_lease(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseGrant, Error>> {
        let seconds = i64::try_from(ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).unwrap_or(i64::MAX);
        async move {
            // A repeated grant may leave a lease that nobody uses; that lease ends by itself.
            let attempt = move |client: client::Client| async move { client.lease_client().grant(seconds, None).await }.boxed();
            let (_, answer) = self.endpoints.call("grant lease", Repeat::Safe, attempt).await?;
            Ok(LeaseGrant { id: LeaseId(answer.id()), ttl: Duration::from_secs(answer.ttl().unsigned_abs()) })
        }
        .boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<Duration, Error>> {
        self.renew(lease).boxed()
    }

    fn compact(&self, revision: u64) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            if !self.endpoints.config().compacts {
                return Ok(());
            }
            match Self::compact(self, revision).await {
                // Somebody else has done it: another user of this etcd, or etcd itself.
                Err(error) if endpoints::code(&error) == Some(tonic::Code::OutOfRange) => Ok(()),
                compacted => compacted,
            }
        }
        .boxed()
    }

    fn fullness(&self) -> BoxFuture<'_, Result<Option<Fullness>, Error>> {
        async move {
            let attempt = |client: client::Client| async move { client.maintenance_client().status().await }.boxed();
            let (_, status) = self.endpoints.call("ask for its size", Repeat::Safe, attempt).await?;
            let quota = match from_server(status.db_size_quota()) {
                0 => USUAL_QUOTA,
                quota => quota,
            };
            Ok(Some(Fullness { used: from_server(status.db_size()), quota }))
        }
        .boxed()
    }

    fn revoke_lease(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.keepers.lock().remove(&lease);
            let attempt = move |client: client::Client| async move { client.lease_client().revoke(lease.0).await.map(drop) }.boxed();
            match self.endpoints.call("revoke lease", Repeat::Safe, attempt).await {
                Err(error) if endpoints::code(&error) == Some(tonic::Code::NotFound) => Ok(()),
                answer => answer.map(drop),
            }
        }
        .boxed()
    }
}

/// Keys are written by this project only, and are text. Other bytes are replaced so that the key can still be shown.
fn local_key(namespace: &str, key: &[u8]) -> String {
    String::from_utf8_lossy(key.strip_prefix(namespace.as_bytes()).unwrap_or(key)).into_owned()
}

fn entry(namespace: &str, row: client::KeyValue) -> Entry {
    Entry {
        key: local_key(namespace, row.key()),
        create_revision: from_server(row.create_revision()),
        mod_revision: from_server(row.mod_revision()),
        lease: Some(row.lease()).filter(|lease| *lease != 0).map(LeaseId),
        value: Bytes::from(row.into_key_value().1),
    }
}

/// The end of the range of keys that begin with `prefix`; a zero byte, which means no end, if there is none.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

fn to_server(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn from_server(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: ordinary, extreme and empty prefixes. *Guarantees*: the range covers exactly the keys that begin with the prefix.
    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(&[b'a', 0xff, 0xff]), b"b");
        assert_eq!(prefix_end(b""), [0]);
        assert_eq!(prefix_end(&[0xff]), [0]);
    }
}
