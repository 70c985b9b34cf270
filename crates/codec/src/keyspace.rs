//! The keys of the metadata store: every key that the product writes is made and taken apart here.
//!
//! `docs/keyspace.md` lists the same keys with their values and writers; a test compares the two. Keys are relative to the namespace that the
//! metastore adds. Values are not this module's business: see [`crate::definition::stored`] and `rocketbridge-assignment`.

pub mod part;

use crate::kind::Kind;

/// The prefix of everything that users define.
pub const DEFINITIONS: &str = "definitions/";
/// The prefix of what routers found out about sources.
pub const SOURCES: &str = "sources/";
/// The prefix of the events that operators let pass.
pub const SKIPS: &str = "skips/";
/// The prefix of what routers remember of partitions.
pub const PARTITIONS: &str = "partitions/";
/// The prefix of the requests that were carried out, kept so that a repeated request does nothing twice.
pub const REQUESTS: &str = "requests/";
/// Written with every change of a definition, so that a change is made only on the definitions that it was checked against.
pub const GENERATION: &str = "controller/generation";
/// The prefix of all members.
pub const MEMBERS: &str = "members/";
/// The key of the leading controller; its value is the leader's id.
pub const LEADER: &str = "leader";
/// The prefix of all plans.
pub const PLANS: &str = "plan/";
/// The prefix of all owner keys.
pub const OWNERS: &str = "owners/";

/// The prefix of all definitions of a kind.
pub fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "definitions/networks/",
        Kind::Connection => "definitions/connections/",
        Kind::Stream => "definitions/streams/",
        Kind::Route => "definitions/routes/",
    }
}

/// The key of a definition.
pub fn definition(kind: Kind, name: &str) -> String {
    below(folder(kind), name)
}

/// The kind of the definition under a key; `None` if the key is not that of a definition.
pub fn kind_of(key: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| key.starts_with(folder(*kind)))
}

/// The name of the definition under a key; `None` if the key is not that of a definition, or not one that [`definition`] makes.
pub fn name_of(key: &str) -> Option<String> {
    part::decode(key.strip_prefix(folder(kind_of(key)?))?)
}

/// The key of what routers found out about the source of a stream. `uid` identifies one creation of the stream.
pub fn source(uid: &str) -> String {
    below(SOURCES, uid)
}

/// The prefix of the events that operators let pass of one creation of a stream.
pub fn skips_of(uid: &str) -> String {
    format!("{}/", below(SKIPS, uid))
}

/// The prefix of the events that operators let pass of one partition; the rest of the key is the event's offset. `uid` identifies one creation of
/// the stream.
pub fn skips(uid: &str, partition: &str) -> String {
    format!("{}/", below(&skips_of(uid), partition))
}

/// The key of an event that an operator lets pass.
pub fn skip(uid: &str, partition: &str, offset: u64) -> String {
    format!("{}{offset}", skips(uid, partition))
}

/// The prefix of what routers remember of the partitions of a stream. `uid` identifies one creation of the stream.
pub fn partitions(uid: &str) -> String {
    format!("{PARTITIONS}{}/", part::encode(uid))
}

/// The key of what routers remember of one partition of a stream.
pub fn partition(uid: &str, partition: &str) -> String {
    format!("{}{}", partitions(uid), part::encode(partition))
}

/// The key of a request that was carried out.
pub fn request(id: &str) -> String {
    below(REQUESTS, id)
}

/// The key of a member.
pub fn member(id: &str) -> String {
    below(MEMBERS, id)
}

/// The key of a stream's plan.
pub fn plan(stream: &str) -> String {
    below(PLANS, stream)
}

/// The stream whose plan is under a key of [`plan`].
pub fn planned_stream(key: &str) -> Option<String> {
    key.strip_prefix(PLANS).and_then(part::decode)
}

/// The key of the owner of a unit of a stream. `unit` is the unit's text, two parts joined by `/`, already in the encoding of keys.
pub fn owner(stream: &str, unit: &str) -> String {
    format!("{OWNERS}{}/{unit}", part::encode(stream))
}

/// The stream and the unit's text of a key of [`owner`].
pub fn owned(key: &str) -> Option<(String, &str)> {
    let (stream, unit) = key.strip_prefix(OWNERS)?.split_once('/')?;
    Some((part::decode(stream)?, unit))
}

fn below(prefix: &str, name: &str) -> String {
    format!("{prefix}{}", part::encode(name))
}
