//! Records as they are stored: JSON with the number of its layout.
//!
//! A reader takes every layout up to its own and brings it up to date. It refuses a newer one rather than lose what it does not know:
//! the process that meets it was not yet upgraded.

use rocketbridge_model::partition::PartitionRecord;
use rocketbridge_model::record::{OLDEST_SCHEMA, Record, RouteRecord, SCHEMA, SkipRecord, SourceRecord, StreamRecord};
use rocketbridge_model::validate::Known;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use crate::keyspace;

/// A record that is stored under a key of its own.
pub trait Stored: Serialize + DeserializeOwned {
    /// Stamps the oldest layout that can represent the record.
    fn stamp(&mut self);
}

impl Stored for StreamRecord {
    fn stamp(&mut self) {
        self.schema = self.layout();
    }
}

impl Stored for SourceRecord {
    fn stamp(&mut self) {
        self.schema = OLDEST_SCHEMA;
    }
}

impl Stored for PartitionRecord {
    fn stamp(&mut self) {
        self.schema = OLDEST_SCHEMA;
    }
}

impl Stored for RouteRecord {
    fn stamp(&mut self) {
        self.schema = OLDEST_SCHEMA;
    }
}

impl Stored for SkipRecord {
    fn stamp(&mut self) {
        self.schema = OLDEST_SCHEMA;
    }
}

impl<D: Serialize + DeserializeOwned + Default> Stored for Record<D> {
    fn stamp(&mut self) {
        self.schema = OLDEST_SCHEMA;
    }
}

/// Why a stored record cannot be read. Each names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A newer version wrote it.
    #[error("cannot read {key}: its layout is {found}, this version reads up to {supported}; upgrade this process")]
    Newer {
        /// The key.
        key: String,
        /// Layout of the record.
        found: u64,
        /// Newest layout that this version reads.
        supported: u32,
    },
    /// It is not a record.
    #[error("cannot read {key}: {reason}")]
    Malformed {
        /// The key.
        key: String,
        /// What is wrong, without values.
        reason: String,
    },
    /// The definition has another name than its key says, so it would be two definitions: by its key and by its name.
    #[error("cannot read {key}: it is the key of another definition than the one that stands there; delete it")]
    Misplaced {
        /// The key.
        key: String,
    },
}

/// A record in the oldest layout that can represent it.
pub fn encode<R: Stored>(mut record: R) -> Vec<u8> {
    record.stamp();
    serde_json::to_vec(&record).expect("records are structs of text, numbers, lists and structs")
}

/// A record of any layout up to this version's. Under the key of a definition only the definition of that name is read; any other key is only for the error.
pub fn decode<R: Stored>(key: &str, bytes: &[u8]) -> Result<R, Error> {
    let malformed = |reason: String| Error::Malformed { key: key.to_owned(), reason };
    let unread = |error: serde_json::Error| malformed(if error.is_data() { shape(&error) } else { place(&error) });
    let head: Head = serde_json::from_slice(bytes).map_err(unread)?;
    match head.schema.as_u64() {
        Some(newer) if newer > SCHEMA.into() => {
            return Err(Error::Newer { key: key.to_owned(), found: newer, supported: SCHEMA });
        }
        Some(layout) if layout >= OLDEST_SCHEMA.into() => {}
        _ => return Err(malformed("it does not say its layout (schema)".to_owned())),
    }
    if keyspace::kind_of(key).is_some() {
        let Some(name) = head.definition.name.as_str() else {
            return Err(malformed("it does not say its name (definition.name)".to_owned()));
        };
        if keyspace::name_of(key).as_deref() != Some(name) {
            return Err(Error::Misplaced { key: key.to_owned() });
        }
    }
    let mut record: R = serde_json::from_slice(bytes).map_err(unread)?;
    record.stamp();
    Ok(record)
}

/// What is looked at before a record is read as one of its kind.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    schema: Value,
    #[serde(default)]
    definition: Named,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: Value,
}

/// The connections and networks among stored entries, which other definitions may refer to. Entries of other kinds are ignored; one that
/// cannot be read is left out and reported to `unreadable` with its key.
pub fn known<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>, mut unreadable: impl FnMut(&'a str, Error)) -> Known {
    let mut known = Known::default();
    for (key, value) in entries {
        let read = match keyspace::kind_of(key) {
            Some(Kind::Connection) => decode::<Record<_>>(key, value).map(|record| known.connections.push(record.definition)),
            Some(Kind::Network) => decode::<Record<_>>(key, value).map(|record| known.networks.push(record.definition)),
            Some(Kind::Stream | Kind::Route) | None => Ok(()),
        };
        if let Err(error) = read {
            unreadable(key, error);
        }
    }
    known
}

/// A parser's message may quote what it met, which may be a secret.
fn place(error: &serde_json::Error) -> String {
    format!("it is not JSON at line {}, column {}", error.line(), error.column())
}

/// What a record has wrong as a record, without the values that serde's messages quote in backticks and quotes.
fn shape(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(['"', '`']) {
        Some((before, _)) if text.starts_with("invalid") => format!("it is not a record of this kind: {} …", before.trim_end()),
        _ => format!("it is not a record of this kind: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::connection::ConnectionDefinition;
    use rocketbridge_model::record::Desired;
    use rocketbridge_model::{Revision, Secret};

    use super::*;

    /// As the first version wrote it. Never edit it: clusters hold such records.
    const LAYOUT_1: &str = include_str!("layout-1.golden.json");
    /// As the first version with dialects wrote it. Never edit it either.
    const LAYOUT_2: &str = include_str!("layout-2.golden.json");
    /// As the first version with modes wrote it. Never edit it either.
    const LAYOUT_3: &str = include_str!("layout-3.golden.json");

    #[test]
    fn what_the_first_version_wrote_is_read() {
        let record: StreamRecord = decode("definitions/streams/orders", LAYOUT_1.as_bytes()).expect("layout 1");
        assert_eq!((record.schema, record.revision, record.change), (1, Revision(3), 5));
        assert_eq!((record.desired, record.etag().as_str()), (Desired::Running, "\"0b54a8a9-5\""));
        assert_eq!((record.create_time, record.update_time), (1_700_000_000_000, 1_700_000_100_000));
        let source = record.definition.source.source_rocketmq_parameters.as_ref().expect("given");
        assert_eq!((source.topic.as_str(), source.timestamp, source.instance_password.expose()), ("orders", Some(5), "env:PW"));
        let sink = record.definition.sink.sink_rocketmq_parameters.as_ref().expect("given");
        assert_eq!(sink.body.as_ref().map(|body| body.form.as_str()), Some("JSONPATH"));
        assert_eq!(record.definition.run_options.maximum_tasks, Some(2));
        let again: Value = serde_json::from_slice(&encode(record)).expect("JSON");
        assert_eq!(again, serde_json::from_str::<Value>(LAYOUT_1).expect("JSON"), "it is written as it was");
    }

    /// *Scenario*: a record with the dialect of its pattern, as it was first written, and one without. *Guarantees*: the first is layout 2, which older
    /// processes refuse rather than evaluate by the wrong rules; the second stays in layout 1, which they read.
    #[test]
    fn a_dialect_is_stored_in_layout_2_and_nothing_else_is() {
        let record: StreamRecord = decode("definitions/streams/orders", LAYOUT_2.as_bytes()).expect("layout 2");
        assert_eq!((record.schema, record.definition.filter_pattern_dialect.as_str()), (2, "alibaba"));
        let again: Value = serde_json::from_slice(&encode(record.clone())).expect("JSON");
        assert_eq!(again, serde_json::from_str::<Value>(LAYOUT_2).expect("JSON"), "it is written as it was");
        let mut record = record;
        record.definition.filter_pattern_dialect.clear();
        assert_eq!(serde_json::from_slice::<Value>(&encode(record)).expect("JSON")["schema"], 1);
    }

    /// *Scenario*: a mirror, and a stream whose loop guard is off, as they were first written. *Guarantees*: both are layout 3, which older processes refuse
    /// rather than spread over all queues, or stop.
    #[test]
    fn a_mode_and_a_loop_guard_are_stored_in_layout_3() {
        let record: StreamRecord = decode("definitions/streams/orders", LAYOUT_3.as_bytes()).expect("layout 3");
        assert_eq!((record.schema, record.definition.run_options.mode.as_str()), (3, "MIRROR"));
        let again: Value = serde_json::from_slice(&encode(record.clone())).expect("JSON");
        assert_eq!(again, serde_json::from_str::<Value>(LAYOUT_3).expect("JSON"), "it is written as it was");
        let mut record = record;
        record.definition.run_options.mode.clear();
        record.definition.run_options.loop_guard = "OFF".into();
        assert_eq!(serde_json::from_slice::<Value>(&encode(record)).expect("JSON")["schema"], 3);
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let error = decode::<StreamRecord>("definitions/streams/s", br#"{"schema":4,"new":true}"#).expect_err("newer");
        assert_eq!(
            error.to_string(),
            "cannot read definitions/streams/s: its layout is 4, this version reads up to 3; upgrade this process"
        );
    }

    #[test]
    fn what_is_no_record_is_refused_without_showing_it() {
        for (text, expected) in [
            ("pass;word", "cannot read k: it is not JSON at line 1, column 1"),
            ("{}", "cannot read k: it does not say its layout (schema)"),
            (r#"{"schema":0}"#, "cannot read k: it does not say its layout (schema)"),
        ] {
            assert_eq!(decode::<StreamRecord>("k", text.as_bytes()).expect_err(text).to_string(), expected);
        }
    }

    /// *Scenario*: a connection, a network, a stream and a network of a newer version. *Guarantees*: the readable connection and network are known,
    /// and the unreadable one is reported with its key.
    #[test]
    fn connections_and_networks_are_collected_and_unreadable_ones_are_reported() {
        let entries: [(&str, &[u8]); 4] = [
            ("definitions/connections/qingdao", br#"{"schema":1,"definition":{"name":"qingdao"}}"#),
            ("definitions/networks/new", br#"{"schema":99}"#),
            ("definitions/networks/vpc", br#"{"schema":1,"definition":{"name":"vpc"}}"#),
            ("definitions/streams/orders", b"not looked at"),
        ];
        let mut unreadable = Vec::new();
        let known = known(entries, |key, _| unreadable.push(key));
        assert_eq!((known.connections[0].name.as_str(), known.networks[0].name.as_str()), ("qingdao", "vpc"));
        assert_eq!((known.connections.len(), known.networks.len()), (1, 1));
        assert_eq!(unreadable, ["definitions/networks/new"]);
    }

    /// *Scenario*: a definition under the key of another, under a key that no name makes, and without a name. *Guarantees*: none is read, so that no
    /// definition is found by two names; the error shows nothing of the record.
    #[test]
    fn a_definition_is_read_only_under_its_own_key() {
        let record = br#"{"schema":1,"definition":{"name":"a","access_key":"hidden"}}"#;
        let said = |key: &str, record: &[u8]| decode::<Record<ConnectionDefinition>>(key, record).expect_err(key).to_string();
        assert!(decode::<Record<ConnectionDefinition>>("definitions/connections/a", record).is_ok());
        for key in ["definitions/connections/b", "definitions/connections/%61"] {
            assert!(said(key, record).starts_with(&format!("cannot read {key}: it is the key of another definition")));
        }
        let nameless = said("definitions/connections/a", br#"{"schema":1,"definition":{}}"#);
        assert_eq!(nameless, "cannot read definitions/connections/a: it does not say its name (definition.name)");
    }

    /// *Scenario*: values of a wrong type, where serde's message quotes the value. *Guarantees*: the error shows no value.
    #[test]
    fn what_is_no_record_of_its_kind_is_refused_without_its_values() {
        let error = decode::<Record<ConnectionDefinition>>("k", br#"{"schema":1,"definition":{"name":"a","tls":"pass;word"}}"#);
        let text = error.expect_err("no object").to_string();
        assert!(
            text.starts_with("cannot read k: it is not a record of this kind: invalid type: string") && !text.contains("pass"),
            "{text}"
        );
    }

    #[test]
    fn what_routers_write_of_sources_is_read() {
        let text = br#"{"schema":1,"uid":"u","source":"i||t","partitions":[{"id":"broker/0","broker":"broker","queue":0,"origin":123}]}"#;
        let record: SourceRecord = decode("sources/u", text).expect("layout 1");
        assert_eq!((record.partitions[0].id.as_str(), record.partitions[0].origin), ("broker/0", 123));
        assert_eq!(encode(record), text);
    }

    #[test]
    fn a_record_comes_back_whole() {
        let definition = ConnectionDefinition { name: "c".into(), secret_key: Secret::new("hidden"), ..Default::default() };
        let record =
            Record { schema: OLDEST_SCHEMA, uid: "u".into(), change: 2, create_time: 3, update_time: 4, definition, ..Default::default() };
        assert_eq!(decode::<Record<ConnectionDefinition>>("k", &encode(record.clone())).expect("reads"), record);
    }
}
