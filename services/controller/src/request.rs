//! Requests that are done once, however often they are sent (AIP-155).
//!
//! A request with an identity leaves a note in the same transaction as its change: what was asked, as a fingerprint, and what was
//! answered, without secrets. The same request again answers the same; another one under the same identity is refused. The leader removes
//! notes after [`KEPT`].

use std::time::Duration;

use prost::Message;
use rocketbridge_codec::definition::secrets::Guarded;
use rocketbridge_codec::keyspace;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::resource::Resource;

/// How long a note is kept at least; AIP-155 asks for an hour.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Layout of a note.
const SCHEMA: u32 = 1;

/// A request that changes something.
#[derive(Clone, Debug, Default)]
pub struct Request {
    id: String,
    fingerprint: String,
    validate_only: bool,
}

/// What a done request leaves behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    schema: u32,
    fingerprint: String,
    /// When it was done, milliseconds since 1970.
    pub time: i64,
    answer: Option<Value>,
}

impl Request {
    /// A request. `id` is empty or a UUID; `message` is what was asked, the identity included.
    pub fn new(method: &str, id: &str, validate_only: bool, message: &impl Message) -> Result<Self, Error> {
        if !id.is_empty() && Uuid::try_parse(id).is_err() {
            let fix = "write one such as 6f1e3c2a-8f4b-4c53-9a53-0d7b0f6d3f55, a new one for each request";
            return Err(Error::refused("request_id", id, "a request's identity is a UUID", fix));
        }
        let mut hash = Sha256::new();
        hash.update(method);
        hash.update([0]);
        hash.update(message.encode_to_vec());
        Ok(Self { id: id.to_ascii_lowercase(), fingerprint: hex::encode(hash.finalize()), validate_only })
    }

    /// Its identity; empty for none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether nothing may be stored (AIP-163).
    pub fn validate_only(&self) -> bool {
        self.validate_only
    }

    /// Where its note stands; `None` if it leaves none.
    pub fn key(&self) -> Option<String> {
        (!self.id.is_empty() && !self.validate_only).then(|| keyspace::request(&self.id))
    }

    /// Its note.
    pub fn note<R: Resource>(&self, answer: Option<&R>, now: i64) -> Vec<u8> {
        let answer = answer.map(|record| {
            let mut record = record.clone();
            record.definition_mut().redact();
            serde_json::to_value(&record).expect("records are structs of text, numbers, lists and structs")
        });
        let note = Note { schema: SCHEMA, fingerprint: self.fingerprint.clone(), time: now, answer };
        serde_json::to_vec(&note).expect("a note is a struct of text, numbers and JSON")
    }

    /// What was answered before; the error if it was another request, or a note that cannot be read.
    pub fn answered<R: Resource>(&self, note: &[u8]) -> Result<Option<R>, Error> {
        let reused = || Error::RequestIdReused(self.id.clone());
        let note: Note = serde_json::from_slice(note).map_err(|_| reused())?;
        if note.schema != SCHEMA || note.fingerprint != self.fingerprint {
            return Err(reused());
        }
        note.answer.map(|answer| serde_json::from_value(answer).map_err(|_| reused())).transpose()
    }
}
