//! The definitions: read, and changed one at a time.
//!
//! Every change is a transaction that compares the revision of the record and the generation of all definitions, so that what was
//! checked is what is stored: two changes never cross, and no reference can break between its check and its use. A change that was
//! overtaken is made anew from what is stored then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::definition::{Kind, Mask, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Code, Compare, Entry, Metastore, Operation, Transaction};
use rocketbridge_model::Violation;
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::limits::LONGEST_NAME;
use rocketbridge_model::partition::PartitionRecord;
use rocketbridge_model::record::{Desired, OLDEST_SCHEMA, Record, RouteRecord, SkipRecord, SourceRecord, StreamRecord};
use rocketbridge_model::validate::{self, Known, resolve};
use rocketbridge_program::Compiler;
use rocketbridge_runtime::Backoff;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::error::{Error, word};
use crate::examination::Examination;
use crate::pace::Pace;
use crate::request::Request;
use crate::resource::{Defines, Resource};
use crate::shelf::{References, Shelf};
use crate::unreadable::{Listing, describe};
use checks::{forget, replace};

mod built_in;
mod checks;
mod owned;
mod route;

pub use built_in::set_embedded;
pub use owned::Change;

/// How often a change that was overtaken is tried. Somebody else's change succeeds each time, so many wait only behind many.
const ATTEMPTS: u32 = 64;

/// The definitions of a metadata store.
#[derive(Clone, Debug)]
pub struct Book {
    store: Arc<dyn Metastore>,
    compiler: Arc<Compiler>,
    examination: Examination,
    shelf: Arc<Shelf>,
    pace: Arc<Pace>,
}

/// What an update asks for besides the definition.
#[derive(Clone, Debug)]
pub struct Update {
    /// The fields to change.
    pub mask: Mask,
    /// The etag that must be current; empty: any.
    pub etag: String,
    /// Make the definition if there is none.
    pub allow_missing: bool,
}

/// An event that may pass without being delivered.
#[derive(Clone, Debug)]
pub struct Passing {
    /// The partition of the stream's source.
    pub partition: String,
    /// The event's offset.
    pub offset: u64,
    /// Why.
    pub reason: String,
}

/// A record as it is stored.
struct Found<R> {
    record: R,
    mod_revision: u64,
}

/// One try of a change: done with this answer, or what to commit for it.
enum Step<R> {
    Answer(Option<R>),
    Commit { transaction: Transaction, answer: Option<R> },
}

impl Book {
    /// The definitions of this store. What they contain as text is checked by `compiler`.
    pub fn new(store: Arc<dyn Metastore>, compiler: Arc<Compiler>) -> Self {
        Self { store, compiler, examination: Examination::default(), shelf: Arc::default(), pace: Arc::default() }
    }

    /// One record.
    pub async fn get<R: Resource>(&self, name: &str) -> Result<R, Error> {
        check_name(name)?;
        let found = self.find::<R>(name).await?;
        found.map(|found| found.record).ok_or_else(|| not_found::<R>(name))
    }

    /// All records of a kind that can be read with their names, sorted.
    pub async fn list<R: Resource>(&self) -> Result<Vec<(String, R)>, Error> {
        Ok(self.listing().await?.records)
    }

    /// All records of a kind: those that can be read, and why the others cannot.
    pub async fn listing<R: Resource>(&self) -> Result<Listing<R>, Error> {
        let entries = self.store.list(keyspace::folder(R::Definition::KIND)).await?.entries;
        let mut listing = Listing { records: Vec::with_capacity(entries.len()), unreadable: Vec::new() };
        for entry in &entries {
            match self.shelf.logged().read::<R>(entry) {
                Ok(record) => listing.records.push((record.definition().name().to_owned(), record)),
                Err(error) => listing.unreadable.push(describe(&entry.key, &error)),
            }
        }
        listing.records.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(listing)
    }

    /// Makes a definition.
    pub async fn create<R: Resource>(&self, definition: R::Definition, request: &Request) -> Result<R, Error> {
        let created = self.change(request, || self.create_step::<R>(&definition, request).boxed());
        created.await?.ok_or_else(|| not_found::<R>(definition.name()))
    }

    /// Changes a definition, or makes it if that is allowed. An update that changes nothing leaves the etag as it is.
    pub async fn update<R: Resource>(&self, given: R::Definition, update: &Update, request: &Request) -> Result<R, Error> {
        check_name(given.name())?;
        validate::length(&given).map_err(Error::Refused)?;
        let updated = self.change(request, || self.update_step::<R>(&given, update, request).boxed());
        updated.await?.ok_or_else(|| not_found::<R>(given.name()))
    }

    /// Removes a definition. None is no error where that is allowed.
    pub async fn delete<R: Resource>(&self, name: &str, etag: &str, allow_missing: bool, request: &Request) -> Result<(), Error> {
        check_name(name)?;
        let deleted = self.change(request, || self.delete_step::<R>(name, etag, allow_missing).boxed());
        deleted.await.map(drop)
    }

    /// Sets whether a stream should run. One that already does so is left as it is.
    pub async fn set_desired(&self, name: &str, etag: &str, desired: Desired, request: &Request) -> Result<StreamRecord, Error> {
        check_name(name)?;
        let changed = self.change(request, || self.desire_step(name, etag, desired).boxed());
        changed.await?.ok_or_else(|| not_found::<StreamRecord>(name))
    }

    /// Marks an event of a running stream as one that may pass. `check` says whether the stream's present creation has it open.
    pub async fn skip<'a>(
        &'a self,
        name: &'a str,
        etag: &'a str,
        passing: &'a Passing,
        request: &'a Request,
        check: impl Fn(StreamRecord) -> BoxFuture<'a, Result<(), Error>> + Sync + 'a,
    ) -> Result<StreamRecord, Error> {
        check_name(name)?;
        let check = &check;
        let step = || {
            async move {
                let Some(found) = self.find::<StreamRecord>(name).await? else { return Err(not_found::<StreamRecord>(name)) };
                check_etag(name, etag, Some(&found.record))?;
                check(found.record.clone()).await?;
                let mark = SkipRecord {
                    schema: OLDEST_SCHEMA,
                    reason: passing.reason.clone(),
                    at: clock::now(),
                    request_id: request.id().to_owned(),
                };
                let key = keyspace::skip(&found.record.uid, &passing.partition, passing.offset);
                // The stream is the one that was checked: a mark never outlives its creation.
                let guard = Compare::ModRevision(keyspace::definition(Kind::Stream, name), found.mod_revision);
                let transaction = Transaction::new().when(guard).put(key, stored::encode(mark));
                Ok(Step::Commit { transaction, answer: Some(found.record) })
            }
            .boxed()
        };
        self.change(request, step).await?.ok_or_else(|| not_found::<StreamRecord>(name))
    }

    /// Checks a definition against all rules, without storing anything.
    ///
    /// # Errors
    ///
    /// Every violation there is.
    pub fn check<D: Defines>(&self, definition: &D, known: &Known) -> Result<(), Vec<Violation>> {
        definition.check(known, &self.compiler)
    }

    /// Checks a definition against all rules as [`check`](Self::check) does, away from the threads that serve.
    pub async fn checked<D: Defines>(&self, definition: &D, known: &Arc<Known>) -> Result<(), Error> {
        self.examine(definition, known).await
    }

    /// What definitions may refer to. A reference to a record that cannot be read is a reference to nothing.
    pub async fn known(&self) -> Result<Arc<Known>, Error> {
        Ok(self.references().await?.known)
    }

    async fn references(&self) -> Result<References, Error> {
        let mut entries = self.store.list(keyspace::folder(Kind::Connection)).await?.entries;
        entries.extend(self.store.list(keyspace::folder(Kind::Network)).await?.entries);
        Ok(self.shelf.references(entries.iter()))
    }

    /// What routers found of the sources of these streams, by the identity of the stream's creation.
    pub async fn sources(&self, streams: &[&StreamRecord]) -> Result<BTreeMap<String, SourceRecord>, Error> {
        let mut sources = BTreeMap::new();
        if let [stream] = streams {
            let key = keyspace::source(&stream.uid);
            let found = self.store.get(&key).await?.and_then(|entry| self.shelf.logged().read(&entry).ok());
            sources.extend(found.map(|record| (stream.uid.clone(), record)));
            return Ok(sources);
        }
        for entry in self.store.list(keyspace::SOURCES).await?.entries {
            let found = self.shelf.logged().read::<SourceRecord>(&entry).ok();
            sources.extend(found.map(|record| (record.uid.clone(), record)));
        }
        Ok(sources)
    }

    /// What routers remember of the partitions of a stream.
    pub async fn partitions(&self, stream: &StreamRecord) -> Result<Vec<PartitionRecord>, Error> {
        let listing = self.store.list(&keyspace::partitions(&stream.uid)).await?;
        Ok(listing.entries.iter().filter_map(|entry| self.shelf.logged().read(entry).ok()).collect())
    }

    /// Takes the gaps of a stream's partitions as known to its user, up to a moment (milliseconds since 1970). Answers how many there were.
    /// Routers that write meanwhile lose nothing: each record is compared with what was read.
    pub async fn acknowledge_gaps(&self, name: &str, moment: i64) -> Result<usize, Error> {
        let stream = self.get::<StreamRecord>(name).await?;
        let prefix = keyspace::partitions(&stream.uid);
        let mut acknowledged = 0;
        for _ in 0..ATTEMPTS {
            let mut is_overtaken = false;
            for entry in self.store.list(&prefix).await?.entries {
                let Ok(mut record) = self.shelf.logged().read::<PartitionRecord>(&entry) else { continue };
                let before = record.gaps.len();
                if !record.acknowledge(moment) {
                    continue;
                }
                let gone = before - record.gaps.len();
                let guard = Compare::ModRevision(entry.key.clone(), entry.mod_revision);
                if self.commit(Transaction::new().when(guard).put(entry.key, stored::encode(record))).await? {
                    acknowledged += gone;
                } else {
                    is_overtaken = true;
                }
            }
            if !is_overtaken {
                return Ok(acknowledged);
            }
        }
        Err(Error::Contended)
    }

    async fn create_step<R: Resource>(&self, definition: &R::Definition, request: &Request) -> Result<Step<R>, Error> {
        let name = definition.name();
        self.examine(definition, &self.known().await?).await?;
        if self.find::<R>(name).await?.is_some() {
            return Err(Error::AlreadyExists { kind: R::Definition::KIND, name: name.to_owned() });
        }
        self.check_progress(definition, "").await?;
        Self::creation(definition.clone(), request)
    }

    async fn update_step<R: Resource>(&self, given: &R::Definition, update: &Update, request: &Request) -> Result<Step<R>, Error> {
        let name = given.name();
        let Some(found) = self.find::<R>(name).await? else {
            if !update.allow_missing {
                return Err(not_found::<R>(name));
            }
            check_etag::<R>(name, &update.etag, None)?;
            self.examine(given, &self.known().await?).await?;
            self.check_progress(given, "").await?;
            return Self::creation(given.clone(), request);
        };
        check_etag(name, &update.etag, Some(&found.record))?;
        let mut definition = update.mask.apply(found.record.definition(), given);
        definition.restore(given, found.record.definition()).map_err(Error::Refused)?;
        if definition == *found.record.definition() {
            return Ok(Step::Answer(Some(found.record)));
        }
        refuse_built_in(&found.record)?;
        refuse_owned(&found.record)?;
        self.examine(&definition, &self.known().await?).await?;
        self.check_progress(&definition, found.record.uid()).await?;
        if matches!(R::Definition::KIND, Kind::Network | Kind::Connection) {
            self.check_dependents(replace(&definition)).await?;
        }
        let mut record = found.record;
        record.amend(definition, clock::now());
        Self::replacement(record, found.mod_revision)
    }

    async fn delete_step<R: Resource>(&self, name: &str, etag: &str, allow_missing: bool) -> Result<Step<R>, Error> {
        let found = match self.find::<R>(name).await {
            Ok(Some(found)) => found,
            Ok(None) => return self.delete_misplaced_step::<R>(name, allow_missing).await,
            Err(Error::Unreadable { .. }) => return self.delete_unread_step::<R>(keyspace::definition(R::Definition::KIND, name)).await,
            Err(error) => return Err(error),
        };
        check_etag::<R>(name, etag, Some(&found.record))?;
        refuse_built_in(&found.record)?;
        refuse_owned(&found.record)?;
        let kind = R::Definition::KIND;
        let users = self.users(kind, name).await?;
        if !users.is_empty() {
            return Err(Error::InUse { kind, name: name.to_owned(), users });
        }
        if matches!(kind, Kind::Network | Kind::Connection) {
            let name = name.to_owned();
            self.check_dependents(move |known| forget(known, kind, &name)).await?;
        }
        Ok(Self::removal(&found))
    }

    /// Removes a record that cannot be read. What refers to it does not run already, so nothing is asked about that; what routers wrote for a stream
    /// is swept later, as its identity is not known.
    async fn delete_unread_step<R: Resource>(&self, key: String) -> Result<Step<R>, Error> {
        let Some(entry) = self.store.get(&key).await? else { return Ok(Step::Answer(None)) };
        tracing::warn!(key, "a record is deleted without being read");
        let transaction = Transaction::new().when(Compare::ModRevision(key.clone(), entry.mod_revision)).delete(key);
        Ok(Step::Commit { transaction, answer: None })
    }

    /// Removes what stands under a key that no name makes, and that lists name as it is.
    async fn delete_misplaced_step<R: Resource>(&self, name: &str, allow_missing: bool) -> Result<Step<R>, Error> {
        let key = format!("{}{name}", keyspace::folder(R::Definition::KIND));
        if keyspace::name_of(&key).is_none() && self.store.get(&key).await?.is_some() {
            return self.delete_unread_step(key).await;
        }
        if allow_missing { Ok(Step::Answer(None)) } else { Err(not_found::<R>(name)) }
    }

    async fn desire_step(&self, name: &str, etag: &str, desired: Desired) -> Result<Step<StreamRecord>, Error> {
        let Some(found) = self.find::<StreamRecord>(name).await? else { return Err(not_found::<StreamRecord>(name)) };
        check_etag(name, etag, Some(&found.record))?;
        refuse_owned(&found.record)?;
        match (desired, found.record.desired) {
            (Desired::Paused, Desired::Ready) => return Err(Error::NeverStarted { kind: Kind::Stream, name: name.to_owned() }),
            (wanted, current) if wanted == current => return Ok(Step::Answer(Some(found.record))),
            (Desired::Running, _) => {
                let known = self.known().await?;
                resolve(&found.record, &*known).map_err(|violations| Error::CannotRun { name: name.to_owned(), violations })?;
            }
            _ => {}
        }
        let mut record = found.record;
        record.desired = desired;
        record.change += 1;
        record.update_time = clock::now();
        Self::replacement(record, found.mod_revision)
    }

    fn creation<R: Resource>(definition: R::Definition, request: &Request) -> Result<Step<R>, Error> {
        let key = keyspace::definition(R::Definition::KIND, definition.name());
        let record = R::made(definition, Uuid::new_v4().to_string(), request.id(), clock::now());
        let transaction = Transaction::new().when(Compare::KeyAbsent(key.clone())).put(key, fitting(&record)?);
        Ok(Step::Commit { transaction, answer: Some(record) })
    }

    fn replacement<R: Resource>(record: R, mod_revision: u64) -> Result<Step<R>, Error> {
        let key = keyspace::definition(R::Definition::KIND, record.definition().name());
        let transaction = Transaction::new().when(Compare::ModRevision(key.clone(), mod_revision)).put(key, fitting(&record)?);
        Ok(Step::Commit { transaction, answer: Some(record) })
    }

    fn removal<R: Resource>(found: &Found<R>) -> Step<R> {
        let key = keyspace::definition(R::Definition::KIND, found.record.definition().name());
        let mut transaction = Transaction::new().when(Compare::ModRevision(key.clone(), found.mod_revision)).delete(key);
        for companion in found.record.companions() {
            transaction = transaction.delete(companion);
        }
        for folder in found.record.companion_folders() {
            transaction = transaction.delete_prefix(folder);
        }
        Step::Commit { transaction, answer: None }
    }

    /// Tries a change until it is made on exactly what it was checked against.
    async fn change<'a, R: Resource>(
        &'a self,
        request: &'a Request,
        step: impl Fn() -> BoxFuture<'a, Result<Step<R>, Error>>,
    ) -> Result<Option<R>, Error> {
        let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(50));
        for _ in 0..ATTEMPTS {
            if let Some(key) = request.key()
                && let Some(note) = self.store.get(&key).await?
            {
                return request.answered(&note.value);
            }
            let generation = self.store.get(keyspace::GENERATION).await?;
            let (mut transaction, answer, changes) = match step().await? {
                Step::Answer(answer) => (Transaction::new(), answer, false),
                Step::Commit { transaction, answer } => (transaction, answer, true),
            };
            if request.validate_only() {
                return Ok(answer);
            }
            if changes {
                transaction = next_generation(transaction, generation.as_ref());
            }
            if let Some(key) = request.key() {
                let note = request.note(answer.as_ref(), clock::now());
                transaction = transaction.when(Compare::KeyAbsent(key.clone())).put(key, note);
            }
            if changes {
                self.slow_down(&transaction).await?;
            }
            if transaction.operations.is_empty() || self.commit(transaction).await? {
                return Ok(answer);
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
        Err(Error::Contended)
    }

    /// Waits until the store should take a change, if that is soon.
    async fn slow_down(&self, transaction: &Transaction) -> Result<(), Error> {
        let bytes = transaction.operations.iter().map(|operation| match operation {
            Operation::Put { key, value, .. } => key.len() + value.len(),
            Operation::Delete(key) | Operation::DeletePrefix(key) => key.len(),
        });
        let bytes = u64::try_from(bytes.sum::<usize>()).unwrap_or(u64::MAX);
        match self.pace.take(Instant::now(), bytes) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            None => Err(Error::TooFast),
        }
    }

    /// Whether the transaction was done. What may or may not have happened is looked up: each write is unlike any other.
    async fn commit(&self, transaction: Transaction) -> Result<bool, Error> {
        let written = transaction.operations.iter().find_map(|operation| match operation {
            Operation::Put { key, value, .. } => Some((key.clone(), value.clone())),
            _ => None,
        });
        match self.store.transact(transaction).await {
            Ok(outcome) => Ok(outcome.succeeded),
            Err(error) if error.code() == Code::OutcomeUnknown => {
                let Some((key, value)) = written else { return Err(error.into()) };
                let now = self.store.get(&key).await?;
                if now.is_some_and(|entry| entry.value == value) { Ok(true) } else { Err(error.into()) }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn find<R: Resource>(&self, name: &str) -> Result<Option<Found<R>>, Error> {
        let entry = self.store.get(&keyspace::definition(R::Definition::KIND, name)).await?;
        let Some(entry) = entry else { return Ok(None) };
        let unreadable = |source| Error::Unreadable { kind: R::Definition::KIND, name: name.to_owned(), source };
        Ok(Some(Found { record: self.shelf.logged().read(&entry).map_err(unreadable)?, mod_revision: entry.mod_revision }))
    }

    /// What names the definition, for people.
    async fn users(&self, kind: Kind, name: &str) -> Result<Vec<String>, Error> {
        let mut users = Vec::new();
        if kind == Kind::Network {
            let connections = self.list::<Record<ConnectionDefinition>>().await?;
            users.extend(
                connections
                    .into_iter()
                    .filter(|(_, record)| record.definition.refers_to(kind, name))
                    .map(|(user, _)| (Kind::Connection, user)),
            );
        }
        if kind == Kind::Connection {
            let streams = self.list::<StreamRecord>().await?;
            users.extend(
                streams.into_iter().filter(|(_, record)| record.definition.refers_to(kind, name)).map(|(user, _)| (Kind::Stream, user)),
            );
            let routes = self.list::<RouteRecord>().await?;
            users.extend(
                routes.into_iter().filter(|(_, record)| record.definition.refers_to(kind, name)).map(|(user, _)| (Kind::Route, user)),
            );
        }
        Ok(users.into_iter().map(|(kind, user)| format!("{} {user}", word(kind))).collect())
    }
}

/// A record as it is stored, unless it is larger than a record of its kind may be.
fn fitting<R: Resource>(record: &R) -> Result<Vec<u8>, Error> {
    let bytes = stored::encode(record.clone());
    let kind = R::Definition::KIND;
    let most = kind.largest();
    if bytes.len() <= most {
        return Ok(bytes);
    }
    let rule = format!("a {} has at most {most} bytes as it is stored", word(kind));
    let fix = format!("remove {} bytes of its texts and lists", bytes.len() - most);
    Err(Error::Refused(vec![Violation::described(word(kind), format!("{} bytes", bytes.len()), rule, fix)]))
}

fn next_generation(transaction: Transaction, current: Option<&Entry>) -> Transaction {
    let key = keyspace::GENERATION.to_owned();
    let compare = match current {
        Some(entry) => Compare::ModRevision(key.clone(), entry.mod_revision),
        None => Compare::KeyAbsent(key.clone()),
    };
    // A value of its own tells whether a write of unknown outcome happened, where the change itself only deletes.
    transaction.when(compare).put(key, Uuid::new_v4().to_string())
}

fn check_name(name: &str) -> Result<(), Error> {
    match name.chars().count() {
        0 => Err(Error::refused("name", "", "a name is needed", "write the definition's name")),
        1..=LONGEST_NAME => Ok(()),
        length => {
            let (found, rule) = (format!("{length} characters"), format!("a name has at most {LONGEST_NAME} characters"));
            Err(Error::Refused(vec![Violation::described("name", found, rule, "write the definition's name")]))
        }
    }
}

fn check_etag<R: Resource>(name: &str, given: &str, record: Option<&R>) -> Result<(), Error> {
    let current = record.map(R::current_etag).unwrap_or_default();
    if given.is_empty() || given == current {
        return Ok(());
    }
    Err(Error::EtagStale { kind: R::Definition::KIND, name: name.to_owned(), given: given.to_owned(), current })
}

fn refuse_built_in<R: Resource>(record: &R) -> Result<(), Error> {
    if record.is_built_in() {
        return Err(Error::BuiltIn { kind: R::Definition::KIND, name: record.definition().name().to_owned() });
    }
    Ok(())
}

fn refuse_owned<R: Resource>(record: &R) -> Result<(), Error> {
    match record.owner() {
        Some(owner) => Err(Error::Owned { name: record.definition().name().to_owned(), route: owner.name.clone() }),
        None => Ok(()),
    }
}

fn not_found<R: Resource>(name: &str) -> Error {
    Error::NotFound { kind: R::Definition::KIND, name: name.to_owned() }
}
