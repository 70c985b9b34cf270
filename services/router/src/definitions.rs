//! The streams as they should run now.
//!
//! A mirror of `definitions/`. References to connections are followed here, so that a change of a connection shows as a
//! change of every stream that uses it. A definition that cannot be followed (its connection was removed by hand) is told as
//! the reason why the stream does not run.

use std::sync::Arc;

use rocketbridge_codec::definition::stored;
use rocketbridge_metastore::{Metastore, Mirror, Snapshot, key};
use rocketbridge_model::connection::ConnectionDefinition;
use rocketbridge_model::network::NetworkDefinition;
use rocketbridge_model::record::{Record, StreamRecord};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::validate::{Known, resolve};
use rocketbridge_runtime::Tasks;

/// The prefix of all definitions.
pub const DEFINITIONS: &str = "definitions/";

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
        Self(Mirror::start(store, DEFINITIONS, tasks))
    }

    /// A stream as it should run now.
    pub fn stream(&self, name: &str) -> Result<Arc<Stream>, Error> {
        let snapshot = self.0.snapshot();
        let key = format!("{DEFINITIONS}streams/{}", key::encode(name));
        let entry = snapshot.get(&key).ok_or_else(|| Error::Absent(name.to_owned()))?;
        let record: StreamRecord = stored::decode(&key, &entry.value).map_err(|error| Error::Unusable(error.to_string()))?;
        resolve(&record, &known(&snapshot)).map(Arc::new).map_err(|violations| {
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

fn known(snapshot: &Snapshot) -> Known {
    let mut known = Known::default();
    for (key, entry) in snapshot.range(format!("{DEFINITIONS}connections/")..) {
        if !key.starts_with("definitions/connections/") {
            break;
        }
        if let Ok(record) = stored::decode::<Record<ConnectionDefinition>>(key, &entry.value) {
            known.connections.push(record.definition);
        }
    }
    for (key, entry) in snapshot.range(format!("{DEFINITIONS}networks/")..) {
        if !key.starts_with("definitions/networks/") {
            break;
        }
        if let Ok(record) = stored::decode::<Record<NetworkDefinition>>(key, &entry.value) {
            known.networks.push(record.definition);
        }
    }
    known
}
