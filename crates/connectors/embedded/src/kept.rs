//! Which port the name server takes. That of the last start is kept in the data directory, so that what names the address goes on working.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// Which port the name server takes. A port that is taken by another program is an error, unless any port will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameServerPort {
    /// Any free one, a new one at each start.
    #[default]
    Any,
    /// This one.
    Fixed(u16),
    /// That of the last start on the data directory.
    Kept {
        /// The port of the first start; 0 for any free one.
        first: u16,
    },
}

impl From<u16> for NameServerPort {
    /// A port, or any free one for 0.
    fn from(port: u16) -> Self {
        if port == 0 { Self::Any } else { Self::Fixed(port) }
    }
}

impl NameServerPort {
    /// The port to take now; 0 for any free one.
    pub(crate) fn wanted(self, data_dir: &Path) -> u16 {
        match self {
            Self::Any => 0,
            Self::Fixed(port) => port,
            // A file that was damaged by hand is as good as none.
            Self::Kept { first } => std::fs::read_to_string(path(data_dir)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(first),
        }
    }

    /// Keeps the port that was taken.
    pub(crate) fn keep(self, data_dir: &Path, port: u16) -> Result<(), Error> {
        if self == Self::Any {
            return Ok(());
        }
        std::fs::write(path(data_dir), format!("{port}\n"))
            .map_err(|source| Error::DataDirectory { path: data_dir.to_owned(), source: source.into() })
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("name-server-port")
}
