//! Records that cannot be read: left out of everything that looks at many, named once in the log, and in lists.
//!
//! One damaged record must never hold up the others. Whatever refers to it does not run, and says so.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rocketbridge_codec::definition::stored::{self, Stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::Entry;
use rocketbridge_proto::record::v1::UnreadableRecord;

/// Most records that a list names; it counts them all.
const NAMED: usize = 20;
/// Most records that are remembered as logged. When there are more, the log may name a record again.
const REMEMBERED: usize = 1_000;

/// The records that were logged, so that each is named once.
#[derive(Debug, Default)]
pub struct Logged(Mutex<BTreeSet<(String, u64)>>);

/// What a list has read.
#[derive(Debug)]
pub struct Listing<R> {
    /// Names and records, sorted by name.
    pub records: Vec<(String, R)>,
    /// What could not be read, sorted by key.
    pub unreadable: Vec<UnreadableRecord>,
}

impl Logged {
    /// Reads a record. One that cannot be read is logged once for each time that it is written.
    pub fn read<R: Stored>(&self, entry: &Entry) -> Result<R, stored::Error> {
        stored::decode(&entry.key, &entry.value).inspect_err(|error| self.note(&entry.key, entry.mod_revision, error))
    }

    /// Logs a record that cannot be read, unless it was logged as of this revision.
    pub fn note(&self, key: &str, revision: u64, error: &stored::Error) {
        let mut logged = self.0.lock();
        if logged.len() >= REMEMBERED {
            logged.clear();
        }
        if logged.insert((key.to_owned(), revision)) {
            tracing::error!(%error, unreadable = logged.len(), "a stored record cannot be read and is left out");
        }
    }
}

impl<R> Listing<R> {
    /// What an answer says of what could not be read: the first ones, and how many there are. Only the first page, whose token is empty, says so.
    pub fn unreadable(&mut self, page_token: &str) -> (Vec<UnreadableRecord>, i32) {
        if !page_token.is_empty() {
            return (Vec::new(), 0);
        }
        let count = i32::try_from(self.unreadable.len()).unwrap_or(i32::MAX);
        let mut named = std::mem::take(&mut self.unreadable);
        named.truncate(NAMED);
        (named, count)
    }
}

/// What an answer says of a record that cannot be read.
pub fn describe(key: &str, error: &stored::Error) -> UnreadableRecord {
    let by_key = || key.rsplit('/').next().unwrap_or_default().to_owned();
    UnreadableRecord { name: keyspace::name_of(key).unwrap_or_else(by_key), key: key.to_owned(), reason: error.to_string() }
}
