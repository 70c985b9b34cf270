//! What went wrong with an embedded cluster.

use std::path::PathBuf;
use std::sync::Arc;

/// The step that failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be made.
    #[error("cannot make the data directory {}", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Another live process, or another cluster of this one, uses the data directory.
    #[error("the data directory {} is in use by another process", path.display())]
    DataDirectoryInUse {
        /// The directory.
        path: PathBuf,
    },
    /// Another program listens on the wanted port.
    #[error("port {port} of 127.0.0.1, which the embedded {part} needs, is taken by another program")]
    PortTaken {
        /// Which part wanted it.
        part: &'static str,
        /// The port.
        port: u16,
    },
    /// No loopback port can be had.
    #[error("no port on 127.0.0.1 for the {part}")]
    Port {
        /// Which part wanted it.
        part: &'static str,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The broker's settings were refused by the library.
    #[error("the settings of the embedded broker were refused: {reason}")]
    Settings {
        /// Why.
        reason: String,
    },
    /// The name server did not come up.
    #[error("the embedded name server did not start: {reason}")]
    NameServer {
        /// Why.
        reason: String,
    },
    /// The broker did not come up.
    #[error("the embedded broker did not start: {reason}")]
    Broker {
        /// Why.
        reason: String,
    },
    /// A topic could not be made.
    #[error("cannot create topic {topic} on the embedded broker: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
}
