//! What was read of the store and resolved, kept by revision: a record is decoded and resolved once for each time that it, or what it refers to, is written.
//!
//! It decides nothing: whoever asks brings the entries of the store, and gets what they mean.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rocketbridge_codec::definition::stored;
use rocketbridge_metastore::Entry;
use rocketbridge_model::Violation;
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::validate::{Known, resolve};

use crate::unreadable::Logged;

/// Keeps what was read. Cheap to share.
#[derive(Debug, Default)]
pub struct Shelf {
    logged: Logged,
    kept: Mutex<Kept>,
}

/// What streams may refer to, as of some revisions.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// The connections and networks.
    pub known: Arc<Known>,
    /// Differs whenever any of them differs.
    version: u64,
}

/// A stream that was resolved, or why it cannot be.
pub type Resolved = Arc<Result<Stream, Vec<Violation>>>;

#[derive(Debug, Default)]
struct Kept {
    stamps: Vec<(String, u64)>,
    references: References,
    streams: HashMap<String, KeptStream>,
}

#[derive(Debug)]
struct KeptStream {
    revision: u64,
    record: Option<Arc<StreamRecord>>,
    /// With the version of the references.
    resolved: Option<(u64, Resolved)>,
}

impl Shelf {
    /// What was logged as unreadable.
    pub fn logged(&self) -> &Logged {
        &self.logged
    }

    /// The connections and networks among entries. One that cannot be read is left out and logged.
    pub fn references<'a>(&self, entries: impl Iterator<Item = &'a Entry> + Clone) -> References {
        let mut kept = self.kept.lock();
        let is_same = kept.stamps.iter().map(|(key, revision)| (key.as_str(), *revision));
        if is_same.eq(entries.clone().map(|entry| (entry.key.as_str(), entry.mod_revision))) {
            return kept.references.clone();
        }
        let mut unreadable = Vec::new();
        let pairs = entries.clone().map(|entry| (entry.key.as_str(), &*entry.value));
        let known = stored::known(pairs, |key, error| unreadable.push((key, error)));
        for (key, error) in unreadable {
            let revision = entries.clone().find(|entry| entry.key == key).map_or(0, |entry| entry.mod_revision);
            self.logged.note(key, revision, &error);
        }
        kept.stamps = entries.map(|entry| (entry.key.clone(), entry.mod_revision)).collect();
        kept.references = References { known: Arc::new(known), version: kept.references.version + 1 };
        kept.references.clone()
    }

    /// A stream; `None` if it cannot be read, which is logged.
    pub fn stream(&self, entry: &Entry) -> Option<Arc<StreamRecord>> {
        let mut kept = self.kept.lock();
        kept.stream(entry, &self.logged).record.clone()
    }

    /// A stream, followed to what it refers to; `None` if it cannot be read, which is logged.
    pub fn resolved(&self, entry: &Entry, references: &References) -> Option<(Arc<StreamRecord>, Resolved)> {
        let mut kept = self.kept.lock();
        let stream = kept.stream(entry, &self.logged);
        let record = Arc::clone(stream.record.as_ref()?);
        let resolved = match &stream.resolved {
            Some((version, resolved)) if *version == references.version => Arc::clone(resolved),
            _ => {
                let resolved = Arc::new(resolve(&record, &*references.known));
                stream.resolved = Some((references.version, Arc::clone(&resolved)));
                resolved
            }
        };
        Some((record, resolved))
    }

    /// Forgets the streams that are not among these entries.
    pub fn retain<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        let keys: std::collections::HashSet<&str> = entries.map(|entry| entry.key.as_str()).collect();
        self.kept.lock().streams.retain(|key, _| keys.contains(key.as_str()));
    }
}

impl Kept {
    fn stream(&mut self, entry: &Entry, logged: &Logged) -> &mut KeptStream {
        let read = || KeptStream { revision: entry.mod_revision, record: logged.read(entry).ok().map(Arc::new), resolved: None };
        let kept = self.streams.entry(entry.key.clone()).or_insert_with(read);
        if kept.revision != entry.mod_revision {
            *kept = read();
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry(key: &str, revision: u64, value: &str) -> Entry {
        Entry { key: key.into(), value: Bytes::from(value.to_owned()), create_revision: 1, mod_revision: revision, lease: None }
    }

    fn stream(revision: u64) -> Entry {
        let text = r#"{"schema":1,"uid":"u","definition":{"name":"s","filter_pattern":"{}",
            "source":{"source_rocketmq_parameters":{"connection":"c","topic":"orders"}},
            "sink":{"sink_rocketmq_parameters":{"instance_endpoint":{"value":"b:1"},"topic":{"value":"copy"}}}}}"#;
        entry("definitions/streams/s", revision, text)
    }

    fn connection(revision: u64, endpoint: &str) -> Entry {
        let text = format!(r#"{{"schema":1,"definition":{{"name":"c","endpoints":["{endpoint}"]}}}}"#);
        entry("definitions/connections/c", revision, &text)
    }

    /// *Scenario*: a stream is looked at again; then it is written; then its connection. *Guarantees*: it is resolved anew exactly when one of them was written, and
    /// as it is then.
    #[test]
    fn a_stream_is_resolved_once_for_each_change() {
        let shelf = Shelf::default();
        let look = |stream: &Entry, connection: &Entry| {
            let references = shelf.references(std::iter::once(connection));
            shelf.resolved(stream, &references).expect("readable").1
        };
        let first = look(&stream(1), &connection(1, "a:1"));
        let endpoint = |resolved: &Resolved| resolved.as_ref().as_ref().expect("resolves").source.connection.endpoints[0].clone();
        assert_eq!(endpoint(&first), "a:1");
        assert!(Arc::ptr_eq(&first, &look(&stream(1), &connection(1, "not looked at"))));
        assert!(!Arc::ptr_eq(&first, &look(&stream(2), &connection(1, "a:1"))));
        assert_eq!(endpoint(&look(&stream(2), &connection(3, "z:1"))), "z:1");
        shelf.retain(std::iter::empty());
        assert!(shelf.kept.lock().streams.is_empty());
    }
}
