//! What is to be done so that a route has the streams that it wants.

use std::collections::BTreeMap;

use rocketbridge_model::StreamDefinition;
use rocketbridge_model::record::{Desired, Owner, RouteRecord, StreamRecord};
use rocketbridge_model::route::{Direction, Wanted, stream_name};

use crate::book::Change;

/// What is to be done, and what cannot be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// What is to be done, by the names of the streams.
    pub changes: Vec<Change>,
    /// What cannot be done, each with the reason, for people.
    pub problems: Vec<String>,
}

/// Compares what a route wants with the streams there are, of whatever owner, by name.
pub fn difference(route: &RouteRecord, wanted: &[Wanted], streams: &BTreeMap<String, StreamRecord>) -> Difference {
    let mut difference = Difference::default();
    let owner = Some(Owner::of(route));
    for stream in wanted {
        let name = &stream.definition.name;
        let desired = route.desired_of(stream.direction);
        match streams.get(name) {
            Some(existing) if existing.owner == owner => {
                let definition = kept_start(existing, &stream.definition);
                if definition != existing.definition || existing.desired != desired {
                    difference.changes.push(Change::Set(Box::new(definition), desired));
                }
            }
            Some(_) => difference.problems.push(format!(
                "topic {}: there is a stream {name} that is not of this route; delete it, or exclude the topic",
                stream.source
            )),
            // A paused route gets the streams of new topics when it is started.
            None if desired == Desired::Running => difference.changes.push(Change::Create(Box::new(stream.definition.clone()))),
            None => {}
        }
    }
    let is_wanted = |name: &str| wanted.iter().any(|stream| stream.definition.name == name);
    let unwanted = streams.iter().filter(|(name, stream)| stream.owner == owner && !is_wanted(name));
    difference.changes.extend(unwanted.map(|(name, _)| Change::Delete(name.clone())));
    difference
}

/// Which way a stream of a route goes, and the topic that it reads; `None` for a stream of anything else.
pub fn direction_of(route: &RouteRecord, stream: &StreamRecord) -> Option<(Direction, String)> {
    if stream.owner.as_ref() != Some(&Owner::of(route)) {
        return None;
    }
    let topic = stream.definition.source.source_rocketmq_parameters.as_ref()?.topic.clone();
    let goes = |direction| stream_name(&route.definition.name, direction, &topic) == stream.definition.name;
    let direction = [Direction::Forward, Direction::Back].into_iter().find(|direction| goes(*direction))?;
    Some((direction, topic))
}

/// The definition that is wanted, with the start position that its stream was made with: it has begun.
fn kept_start(existing: &StreamRecord, wanted: &StreamDefinition) -> StreamDefinition {
    let mut definition = wanted.clone();
    let source = definition.source.source_rocketmq_parameters.as_mut();
    if let (Some(source), Some(began)) = (source, &existing.definition.source.source_rocketmq_parameters) {
        source.offset.clone_from(&began.offset);
        source.timestamp = began.timestamp;
    }
    definition
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::RouteDefinition;
    use rocketbridge_model::record::Active;
    use rocketbridge_model::route::{Began, Ends, Topic, expand};

    use super::*;

    fn route(desired: Desired) -> RouteRecord {
        let definition = RouteDefinition {
            name: "dr".into(),
            from: "east".into(),
            to: "west".into(),
            topics: vec!["orders-*".into()],
            ..Default::default()
        };
        RouteRecord { uid: "u".into(), desired, definition, ..Default::default() }
    }

    fn wanted(route: &RouteRecord, topics: &[&str]) -> Vec<Wanted> {
        let topics: Vec<Topic> = topics.iter().map(|name| Topic { name: (*name).to_owned(), internal: false }).collect();
        expand(&route.definition, Began::default(), Ends { from: Some(&topics), to: None }, &[]).streams
    }

    fn stored(route: &RouteRecord, wanted: &[Wanted]) -> BTreeMap<String, StreamRecord> {
        let record = |wanted: &Wanted| StreamRecord {
            desired: Desired::Running,
            owner: Some(Owner::of(route)),
            definition: wanted.definition.clone(),
            ..Default::default()
        };
        wanted.iter().map(|wanted| (wanted.definition.name.clone(), record(wanted))).collect()
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let show = |change: &Change| match change {
            Change::Create(definition) => format!("create {}", definition.name),
            Change::Set(definition, desired) => format!("set {} {desired:?}", definition.name),
            Change::Delete(name) => format!("delete {name}"),
        };
        changes.iter().map(show).collect()
    }

    /// *Scenario*: a new topic, a topic that is no longer selected, one that stays; the route runs, is paused, and is as it should be. *Guarantees*: each
    /// stream is created, deleted, paused or left alone; where a stream began is never changed.
    #[test]
    fn the_streams_become_those_that_are_wanted() {
        let running = route(Desired::Running);
        let streams = stored(&running, &wanted(&running, &["orders-1", "orders-2"]));
        let now = wanted(&running, &["orders-2", "orders-3"]);
        let changes = difference(&running, &now, &streams).changes;
        assert_eq!(shown(&changes), ["create route.dr.orders-3", "delete route.dr.orders-1"]);
        let paused = route(Desired::Paused);
        let changes = difference(&paused, &now, &streams).changes;
        assert_eq!(shown(&changes), ["set route.dr.orders-2 Paused", "delete route.dr.orders-1"]);

        let mut later = running.clone();
        (later.definition.start, later.complete, later.started) = ("latest".into(), true, 100_000);
        let topics = [Topic { name: "orders-1".into(), internal: false }, Topic { name: "orders-2".into(), internal: false }];
        let again = expand(&later.definition, later.began(), Ends { from: Some(&topics), to: None }, &[]).streams;
        assert_eq!(difference(&later, &again, &streams), Difference::default());
        let mut moved = running.clone();
        moved.definition.to = "north".into();
        let changes = difference(&moved, &wanted(&moved, &["orders-1", "orders-2"]), &streams).changes;
        assert_eq!(shown(&changes), ["set route.dr.orders-1 Running", "set route.dr.orders-2 Running"]);
    }

    /// *Scenario*: a route that has failed over, and is back. *Guarantees*: streams forward are paused and none is made meanwhile; those back run; then forward runs again.
    #[test]
    fn streams_forward_are_paused_while_the_other_end_is_in_use() {
        let mut route = route(Desired::Running);
        route.definition.both_ways = true;
        let topics =
            |names: &[&str]| -> Vec<Topic> { names.iter().map(|name| Topic { name: (*name).to_owned(), internal: false }).collect() };
        let (one, two) = (topics(&["orders-1"]), topics(&["orders-1", "orders-2"]));
        let wanted = |from: &[Topic]| expand(&route.definition, Began::default(), Ends { from: Some(from), to: Some(&one) }, &[]).streams;
        let mut streams = stored(&route, &wanted(&one));
        let failed_over = RouteRecord { active: Active::To, ..route.clone() };
        assert_eq!(shown(&difference(&failed_over, &wanted(&two), &streams).changes), ["set route.dr.orders-1 Paused"]);
        streams.get_mut("route.dr.orders-1").expect("stored").desired = Desired::Paused;
        assert_eq!(difference(&failed_over, &wanted(&two), &streams), Difference::default());
        assert_eq!(
            shown(&difference(&route, &wanted(&two), &streams).changes),
            ["set route.dr.orders-1 Running", "create route.dr.orders-2"]
        );
        let paused = RouteRecord { desired: Desired::Paused, ..failed_over };
        assert_eq!(shown(&difference(&paused, &wanted(&one), &streams).changes), ["set route.dr.back.orders-1 Paused"]);
    }

    /// *Scenario*: a stream of the wanted name is somebody's own, or that of a former route of the same name. *Guarantees*: it is left alone, and said.
    #[test]
    fn what_is_not_the_routes_is_left_alone() {
        let route = route(Desired::Running);
        let wanted = wanted(&route, &["orders-1"]);
        let mut streams = stored(&route, &wanted);
        for owner in [None, Some(Owner { name: "dr".into(), uid: "former".into() })] {
            streams.values_mut().for_each(|stream| stream.owner.clone_from(&owner));
            let difference = difference(&route, &wanted, &streams);
            assert_eq!(difference.changes, []);
            assert!(matches!(difference.problems.as_slice(), [one] if one.contains("route.dr.orders-1")), "{difference:?}");
        }
    }

    #[test]
    fn a_stream_says_which_way_it_goes() {
        let mut route = route(Desired::Running);
        route.definition.both_ways = true;
        let topics = [Topic { name: "orders-1".into(), internal: false }];
        let both = expand(&route.definition, Began::default(), Ends { from: Some(&topics), to: Some(&topics) }, &[]).streams;
        let streams = stored(&route, &both);
        let ways: Vec<_> = streams.values().filter_map(|stream| direction_of(&route, stream)).collect();
        assert_eq!(ways, [(Direction::Back, "orders-1".to_owned()), (Direction::Forward, "orders-1".to_owned())]);
        assert_eq!(direction_of(&route, &StreamRecord::default()), None);
    }
}
