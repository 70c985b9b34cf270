//! The streams as they should run now.
//!
//! A mirror of `definitions/`. References to connections are followed here, so that a change of a connection shows as a
//! change of every stream that uses it. A definition that cannot be followed (its connection was removed by hand) is told as
//! the reason why the stream does not run.

use std::sync::Arc;

use rocketbridge_codec::definition::{Kind, stored};
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Metastore, Mirror};
use rocketbridge_model::record::StreamRecord;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::validate::resolve;
use rocketbridge_runtime::Tasks;

/// All definitions. Cheap to clone; each clone has its own mark of what it has seen.
#[derive(Clone, Debug)]
pub struct Definitions(Mirror);

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
        Self(Mirror::start(store, keyspace::DEFINITIONS, tasks))
    }

    /// A stream as it should run now.
    pub fn stream(&self, name: &str) -> Result<Arc<Stream>, Error> {
        let snapshot = self.0.snapshot();
        let key = keyspace::definition(Kind::Stream, name);
        let entry = snapshot.get(&key).ok_or_else(|| Error::Absent(name.to_owned()))?;
        let record: StreamRecord = stored::decode(&key, &entry.value).map_err(|error| Error::Unusable(error.to_string()))?;
        // A reference to a record that cannot be read is reported as a reference to nothing, by `resolve`.
        let known = stored::known(snapshot.values().map(|entry| (entry.key.as_str(), &*entry.value)), |_, _| {});
        resolve(&record, &known).map(Arc::new).map_err(|violations| {
            let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Error::Unusable(texts.join("; "))
        })
    }

    /// Waits until definitions differ from what this handle has seen. Cancel-safe.
    pub async fn changed(&mut self) {
        self.0.changed().await;
    }

    /// Waits until the definitions are known. Cancel-safe.
    pub async fn ready(&mut self) {
        self.0.ready().await;
    }
}
