//! The values of this crate's keys: JSON, readable across versions.

use rocketbridge_metastore::Entry;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// Reads a value. A value that another version wrote and this version cannot read counts as absent.
pub(crate) fn decode<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    let decoded = serde_json::from_slice(&entry.value);
    decoded.inspect_err(|error| tracing::debug!(key = %entry.key, %error, "a value that cannot be read is ignored")).ok()
}

/// Writes a value. `what` names it in the error.
pub(crate) fn encode(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|source| Error::Encode { what, source })
}
