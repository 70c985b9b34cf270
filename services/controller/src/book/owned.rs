//! Changes of the streams that routes own. Nobody else changes them.
//!
//! Each change is made on the route that asked for it, as it was then: if the route has changed or is gone, the change is not made, and whoever reconciles
//! finds out anew what is wanted. So it does no harm if two controllers reconcile for a moment.

use std::collections::BTreeMap;

use futures::FutureExt;
use rocketbridge_codec::definition::Kind;
use rocketbridge_codec::keyspace;
use rocketbridge_metastore::{Compare, Entry, Transaction};
use rocketbridge_model::StreamDefinition;
use rocketbridge_model::record::{Desired, Owner, RouteRecord, StreamRecord};
use uuid::Uuid;

use super::{Book, Found, Step, fitting};
use crate::clock;
use crate::error::Error;
use crate::request::Request;
use crate::resource::Resource;

/// What the names of all streams of routes begin with (`rocketbridge_model::route::stream_name`; a test holds the two together).
const STREAMS: &str = "route.";

/// What a route wants to be done with one of its streams.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// To create it, running.
    Create(Box<StreamDefinition>),
    /// To make it as defined, and let it run or pause it.
    Set(Box<StreamDefinition>, Desired),
    /// To delete it.
    Delete(String),
}

impl Change {
    /// The stream's name.
    pub fn stream(&self) -> &str {
        match self {
            Self::Create(definition) | Self::Set(definition, _) => &definition.name,
            Self::Delete(name) => name,
        }
    }
}

impl Book {
    /// The streams that routes own, and others whose names begin alike, by name. It does not read the other streams, which may be very many.
    ///
    /// # Errors
    ///
    /// The metadata store fails.
    pub async fn streams_of_routes(&self) -> Result<BTreeMap<String, StreamRecord>, Error> {
        let listing = self.store.list(&keyspace::definition(Kind::Stream, STREAMS)).await?;
        let read = |entry: &Entry| {
            let record: StreamRecord = self.shelf.logged().read(entry).ok()?;
            Some((record.definition.name.clone(), record))
        };
        Ok(listing.entries.iter().filter_map(read).collect())
    }

    /// Makes a change for a route, unless the route is no longer as given.
    ///
    /// # Errors
    ///
    /// The stream is refused, or the metadata store fails.
    pub async fn change_owned(&self, route: &RouteRecord, change: &Change) -> Result<(), Error> {
        self.change(&Request::default(), || self.owned_step(route, change).boxed()).await.map(drop)
    }

    /// Deletes a stream whose route is gone.
    ///
    /// # Errors
    ///
    /// The metadata store fails.
    pub async fn delete_orphan(&self, stream: &str) -> Result<(), Error> {
        self.change(&Request::default(), || self.orphan_step(stream).boxed()).await.map(drop)
    }

    async fn owned_step(&self, route: &RouteRecord, change: &Change) -> Result<Step<StreamRecord>, Error> {
        let current = self.find::<RouteRecord>(&route.definition.name).await?;
        if current.is_none_or(|current| current.record != *route) {
            return Ok(Step::Answer(None));
        }
        let owner = Owner::of(route);
        let found = self.find::<StreamRecord>(change.stream()).await?;
        match (change, found) {
            (Change::Create(definition), None) => {
                self.examine(&**definition, &self.known().await?).await?;
                let made = StreamRecord::made((**definition).clone(), Uuid::new_v4().to_string(), "", clock::now());
                let record = StreamRecord { desired: Desired::Running, owner: Some(owner), ..made };
                let key = keyspace::definition(Kind::Stream, &definition.name);
                let transaction = Transaction::new().when(Compare::KeyAbsent(key.clone())).put(key, fitting(&record)?);
                Ok(Step::Commit { transaction, answer: Some(record) })
            }
            (Change::Set(definition, desired), Some(found)) if found.record.owner == Some(owner.clone()) => {
                self.examine(&**definition, &self.known().await?).await?;
                let Found { mut record, mod_revision } = found;
                let is_same = record.definition == **definition;
                if is_same && record.desired == *desired {
                    return Ok(Step::Answer(Some(record)));
                }
                let now = clock::now();
                if is_same {
                    record.change += 1;
                    record.update_time = now;
                } else {
                    record.amend((**definition).clone(), now);
                }
                record.desired = *desired;
                Self::replacement(record, mod_revision)
            }
            (Change::Delete(_), Some(found)) if found.record.owner == Some(owner) => Ok(Self::removal(&found)),
            _ => Ok(Step::Answer(None)),
        }
    }

    async fn orphan_step(&self, stream: &str) -> Result<Step<StreamRecord>, Error> {
        let Some(found) = self.find::<StreamRecord>(stream).await? else { return Ok(Step::Answer(None)) };
        let Some(owner) = found.record.owner.clone() else { return Ok(Step::Answer(None)) };
        let route = self.find::<RouteRecord>(&owner.name).await?;
        if route.is_some_and(|route| route.record.uid == owner.uid) {
            return Ok(Step::Answer(None));
        }
        Ok(Self::removal(&found))
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::route::{Direction, stream_name};

    use super::*;

    #[test]
    fn every_stream_of_a_route_is_found_by_its_name() {
        for direction in [Direction::Forward, Direction::Back] {
            assert!(stream_name("dr", direction, "orders").starts_with(STREAMS));
        }
    }
}
