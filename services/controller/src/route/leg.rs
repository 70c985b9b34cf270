//! The streams of a route that mirrors, as the ways that progress goes along.

use std::collections::BTreeMap;

use rocketbridge_model::record::{RouteRecord, StreamRecord};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::Direction;
use rocketbridge_model::validate::{Known, resolve};

use super::difference::direction_of;

/// One stream of a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    /// Name of the stream.
    pub stream: String,
    /// Which way it goes.
    pub direction: Direction,
    /// The instance and topic that it reads.
    pub source: (RocketMqConnection, String),
    /// The instance and topic that it writes.
    pub target: (RocketMqConnection, String),
    /// The group that it reads with.
    pub reader: String,
}

/// The streams of a route that mirror, sorted by name. One that cannot be resolved is left out: it does not run either.
pub fn legs(route: &RouteRecord, known: &Known, streams: &BTreeMap<String, StreamRecord>) -> Vec<Leg> {
    let leg = |(name, stream): (&String, &StreamRecord)| {
        let (direction, _) = direction_of(route, stream)?;
        let resolved = resolve(stream, known).ok().filter(|resolved| resolved.target.mirror)?;
        Some(Leg {
            stream: name.clone(),
            direction,
            source: (resolved.source.connection, resolved.source.topic),
            target: (resolved.target.connection, resolved.target.topic),
            reader: resolved.source.group,
        })
    };
    streams.iter().filter_map(leg).collect()
}

impl Leg {
    /// The stream the other way, among all of the route.
    pub fn reverse<'a>(&self, legs: &'a [Self]) -> Option<&'a Self> {
        legs.iter().find(|leg| leg.direction != self.direction && leg.source == self.target && leg.target == self.source)
    }
}
