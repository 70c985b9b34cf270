//! The file of the embedded store: one table of entries, one of counters.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::entry::Entry;
use crate::error::Error;
use crate::watch::Change;

use super::state::State;
use super::storage;

/// Key → (create revision, mod revision, whether leased, value).
const ENTRIES: TableDefinition<&str, (u64, u64, bool, &[u8])> = TableDefinition::new("entries");

/// Counter → its value.
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");

/// The counter of the last revision.
const REVISION: &str = "revision";

/// The version of this layout.
const LAYOUT: &str = "layout";
const LAYOUT_VERSION: u64 = 1;

/// All values are in memory anyway.
const CACHE_BYTES: usize = 4 << 20;

/// The open file. It stays locked until this is dropped.
#[derive(Debug)]
pub(super) struct File {
    database: Database,
    place: String,
}

impl File {
    /// Opens or creates the file, deletes what was leased, and reads the rest. Blocks.
    pub(super) fn open(path: &Path) -> Result<(Self, State), Error> {
        let place = path.display().to_string();
        let failed = |error: redb::Error| storage("open", &place, error);
        if let Some(directory) = path.parent() {
            let mut folders = std::fs::DirBuilder::new();
            folders.recursive(true).mode(0o700).create(directory).map_err(|error| storage("create directory", &place, error))?;
        }
        // For this user alone, and never what a link leads to.
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path);
        let opened = opened.map_err(|error| storage("open", &place, error))?;
        let backend = FileBackend::new(opened).map_err(|error| failed(error.into()))?;
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(|error| failed(error.into()))?;
        let file = Self { database, place: place.clone() };
        let layout = file.prepare().map_err(failed)?;
        if layout != LAYOUT_VERSION {
            let reason = format!("it has layout {layout}, this program knows {LAYOUT_VERSION}");
            return Err(storage("open", &place, reason));
        }
        let (entries, leased, mut revision) = file.load().map_err(failed)?;
        if !leased.is_empty() {
            revision += 1;
            let ends: Vec<Change> = leased.into_iter().map(|key| Change::Delete { key, revision }).collect();
            file.commit(revision, ends.iter())?;
        }
        // Random, so that a lease of an earlier run is never taken for one of this run.
        let first_lease = (RandomState::new().build_hasher().finish() >> 2) | 1;
        let state = State::new(entries, revision, i64::try_from(first_lease).unwrap_or(1));
        Ok((file, state))
    }

    /// Makes changes durable: when it returns, they are on disk. Blocks.
    pub(super) fn commit<'a>(&self, revision: u64, changes: impl Iterator<Item = &'a Change>) -> Result<(), Error> {
        self.write(revision, changes).map_err(|error| storage("commit", &self.place, error))
    }

    /// Creates the tables if there are none, and returns the layout version.
    fn prepare(&self) -> Result<u64, redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        let layout = {
            let mut counters = transaction.open_table(COUNTERS)?;
            let layout = counters.get(LAYOUT)?.map(|value| value.value());
            if layout.is_none() {
                counters.insert(LAYOUT, LAYOUT_VERSION)?;
                counters.insert(REVISION, 0)?;
            }
            layout.unwrap_or(LAYOUT_VERSION)
        };
        transaction.commit()?;
        Ok(layout)
    }

    /// The entries without lease, the leased keys, and the revision.
    #[allow(clippy::type_complexity, reason = "three results of one pass, named in its only caller")]
    fn load(&self) -> Result<(BTreeMap<String, Entry>, Vec<String>, u64), redb::Error> {
        let transaction = self.database.begin_read()?;
        let revision = transaction.open_table(COUNTERS)?.get(REVISION)?.map_or(0, |value| value.value());
        let mut entries = BTreeMap::new();
        let mut leased_keys = Vec::new();
        for row in transaction.open_table(ENTRIES)?.iter()? {
            let (key, value) = row?;
            let (create_revision, mod_revision, leased, value) = value.value();
            let key = key.value().to_owned();
            if leased {
                leased_keys.push(key);
                continue;
            }
            let entry = Entry { key: key.clone(), value: Bytes::copy_from_slice(value), create_revision, mod_revision, lease: None };
            entries.insert(key, entry);
        }
        Ok((entries, leased_keys, revision))
    }

    fn write<'a>(&self, revision: u64, changes: impl Iterator<Item = &'a Change>) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            for change in changes {
                match change {
                    Change::Put(entry) => {
                        let value = (entry.create_revision, entry.mod_revision, entry.lease.is_some(), &*entry.value);
                        entries.insert(entry.key.as_str(), value)?;
                    }
                    Change::Delete { key, .. } => {
                        entries.remove(key.as_str())?;
                    }
                }
            }
            transaction.open_table(COUNTERS)?.insert(REVISION, revision)?;
        }
        transaction.commit()?;
        Ok(())
    }
}
