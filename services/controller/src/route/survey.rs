//! A route, its instances and its streams, looked at once.

use std::collections::BTreeMap;

use rocketbridge_model::record::{RouteRecord, StreamRecord};
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::route::{Direction, Ends, Wanted, expand, probe};
use rocketbridge_model::validate::{Known, resolve};
use rocketbridge_model::{RouteDefinition, Violation};

use super::difference::{difference, direction_of};
use crate::book::{Book, Change};
use crate::clusters::Clusters;

/// What a look at a route showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The instances of its ends; `None` if its definition cannot be followed.
    pub connections: Option<(RocketMqConnection, RocketMqConnection)>,
    /// The streams that it wants.
    pub wanted: Vec<Wanted>,
    /// What is to be done.
    pub changes: Vec<Change>,
    /// What cannot be done, each with the reason, for people.
    pub problems: Vec<String>,
    /// Whether the topics of every end that matters were listed.
    pub is_whole: bool,
}

/// Looks at a route. `streams` are at least those of routes, by name.
pub async fn survey(
    book: &Book,
    clusters: &dyn Clusters,
    route: &RouteRecord,
    known: &Known,
    streams: &BTreeMap<String, StreamRecord>,
) -> Survey {
    let (from, to) = match ends(route, known) {
        Ok(ends) => ends,
        Err(violations) => {
            let problems = violations.iter().map(ToString::to_string).collect();
            return Survey { problems, ..Survey::default() };
        }
    };
    let both_ways = route.goes_back();
    let other = async { if both_ways { Some(clusters.topics(&to).await) } else { None } };
    let (from_topics, to_topics) = tokio::join!(clusters.topics(&from), other);
    let mut survey = Survey { is_whole: from_topics.is_ok() && to_topics.as_ref().is_none_or(Result::is_ok), ..Survey::default() };
    let unlisted = |end: &str, reason: &String| format!("the topics of {end} cannot be listed: {reason}");
    survey.problems.extend(from_topics.as_ref().err().map(|reason| unlisted(&route.definition.from, reason)));
    let failed = to_topics.as_ref().and_then(|topics| topics.as_ref().err());
    survey.problems.extend(failed.map(|reason| unlisted(&route.definition.to, reason)));
    let existing: Vec<(Direction, String)> = streams.values().filter_map(|stream| direction_of(route, stream)).collect();
    let seen = Ends { from: from_topics.as_deref().ok(), to: to_topics.as_ref().and_then(|topics| topics.as_deref().ok()) };
    let expansion = expand(&RouteDefinition { both_ways, ..route.definition.clone() }, route.began(), seen, &existing);
    survey.problems.extend(expansion.problems);
    survey.wanted = expansion.streams;
    // A stream that would be refused is said, and keeps no other from being made.
    let problems = &mut survey.problems;
    survey.wanted.retain(|wanted| {
        let violations = book.check(&wanted.definition, known).err().unwrap_or_default();
        problems.extend(violations.iter().map(|violation| format!("topic {}: {violation}", wanted.source)));
        violations.is_empty() || streams.contains_key(&wanted.definition.name)
    });
    let difference = difference(route, &survey.wanted, streams);
    survey.problems.extend(difference.problems);
    survey.changes = difference.changes;
    survey.connections = Some((from, to));
    survey
}

/// The instances of a route's ends.
fn ends(route: &RouteRecord, known: &Known) -> Result<(RocketMqConnection, RocketMqConnection), Vec<Violation>> {
    let probe = StreamRecord { definition: probe(&route.definition), ..StreamRecord::default() };
    resolve(&probe, known).map(|stream| (stream.source.connection, stream.target.connection))
}
