//! The streams that a route wants, from its definition and the topics of its two ends.

use std::collections::BTreeMap;

use super::{Direction, Renaming, RouteDefinition, Selection, Topic};
use crate::stream::{
    SinkDefinition, SinkRocketMqParameters, SourceDefinition, SourceRocketMqParameters, StreamDefinition, Tag, TargetParameter,
};

/// Label of a route's streams; its value is the route's name.
const LABEL: &str = "rocketbridge.route";
/// Longest name of a stream.
const LONGEST: usize = 127;
/// How far the clock of a broker may be behind a controller's for a later topic to be read whole, milliseconds.
const CLOCKS: i64 = 60_000;

/// How far a route has come: where the streams of its topics begin depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Began {
    /// When it was first started, milliseconds since 1970; 0 for never.
    pub started: i64,
    /// Whether every topic that there was at the first start has its stream.
    pub complete: bool,
}

/// The topics of a route's two ends, sorted. `None`: they could not be listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends<'a> {
    /// Those of `from`.
    pub from: Option<&'a [Topic]>,
    /// Those of `to`; looked at only for a route that goes both ways.
    pub to: Option<&'a [Topic]>,
}

/// A stream that a route wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Which way it goes.
    pub direction: Direction,
    /// The topic that it reads.
    pub source: String,
    /// The topic that it writes.
    pub target: String,
    /// Whether the topic that it reads is known to be gone.
    pub gone: bool,
    /// The stream.
    pub definition: StreamDefinition,
}

/// What a route wants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expansion {
    /// Its streams, sorted by direction and topic.
    pub streams: Vec<Wanted>,
    /// What it cannot do, each with the reason, for people.
    pub problems: Vec<String>,
}

/// The streams that a route wants. `existing` are the topics for which it has a stream already, by direction: such a stream is wanted for as long as its
/// topic is selected, also when the topic has gone or cannot be listed, because it may hold messages that were not yet delivered.
pub fn expand(definition: &RouteDefinition, began: Began, ends: Ends<'_>, existing: &[(Direction, String)]) -> Expansion {
    let mut expansion = Expansion::default();
    let route = Route { definition, began, existing };
    route.add(Direction::Forward, ends.from, &mut expansion);
    if definition.both_ways {
        route.add(Direction::Back, ends.to, &mut expansion);
    }
    if let Some(topics) = ends.from {
        let is_there = |name: &str| topics.iter().any(|topic| topic.name == name);
        let missing = Selection::of(definition).named().filter(|name| !is_there(name));
        expansion.problems.extend(missing.map(|name| format!("topic {name} is not at {}", definition.from)));
    }
    expansion
}

/// The stream by which a route's two ends are checked and resolved. It is never stored.
pub fn probe(route: &RouteDefinition) -> StreamDefinition {
    stream(route, Began::default(), Direction::Forward, "probe", "probe")
}

/// The name of the stream of a topic. A topic whose name does not fit is cut, and told from others by a number made of its whole name.
pub fn stream_name(route: &str, direction: Direction, topic: &str) -> String {
    let prefix = match direction {
        Direction::Forward => format!("route.{route}."),
        Direction::Back => format!("route.{route}.back."),
    };
    let is_plain = topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_plain && prefix.len() + topic.len() <= LONGEST {
        return prefix + topic;
    }
    let number = format!(".{:016x}", fingerprint(topic));
    let readable = topic.chars().map(|character| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' });
    let cut: String = readable.take(LONGEST.saturating_sub(prefix.len() + number.len())).collect();
    prefix + &cut + &number
}

/// A route that is expanded.
struct Route<'a> {
    definition: &'a RouteDefinition,
    began: Began,
    existing: &'a [(Direction, String)],
}

impl Route<'_> {
    fn add(&self, direction: Direction, topics: Option<&[Topic]>, expansion: &mut Expansion) {
        let mut wanted: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for topic in topics.unwrap_or_default() {
            if let Some(target) = self.target(direction, topic) {
                wanted.insert(topic.name.clone(), (target, false));
            }
        }
        for (_, name) in self.existing.iter().filter(|(way, _)| *way == direction) {
            // Whether RocketMQ made it was looked at when its stream was made.
            if let Some(target) = self.target(direction, &Topic { name: name.clone(), internal: false }) {
                wanted.entry(name.clone()).or_insert((target, topics.is_some()));
            }
        }
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        for (source, (target, gone)) in wanted {
            if let Some(other) = sources.get(&target) {
                let problem = format!("topics {other} and {source} would both be called {target}; {source} is left out: change rename");
                expansion.problems.push(problem);
                continue;
            }
            sources.insert(target.clone(), source.clone());
            let definition = stream(self.definition, self.began, direction, &source, &target);
            expansion.streams.push(Wanted { direction, source, target, gone, definition });
        }
    }

    /// What a topic is called at the other end; `None` if it is not taken. A topic of `to` is taken by the name that it has at `from`.
    fn target(&self, direction: Direction, topic: &Topic) -> Option<String> {
        let (selection, renaming) = (Selection::of(self.definition), Renaming::of(self.definition));
        match direction {
            Direction::Forward => selection.takes(topic).then(|| renaming.forward(&topic.name)),
            Direction::Back => renaming.back(&topic.name).filter(|name| selection.takes(&Topic { name: name.clone(), ..topic.clone() })),
        }
    }
}

fn stream(definition: &RouteDefinition, began: Began, direction: Direction, source: &str, target: &str) -> StreamDefinition {
    let (from, to) = match direction {
        Direction::Forward => (&definition.from, &definition.to),
        Direction::Back => (&definition.to, &definition.from),
    };
    let (offset, timestamp) = start(definition, began);
    let mut parameters = SourceRocketMqParameters { topic: source.to_owned(), offset, timestamp, ..Default::default() };
    if is_address(from) { &mut parameters.instance_endpoint } else { &mut parameters.connection }.clone_from(from);
    let place = Some(TargetParameter::constant(to.as_str()));
    let (connection, instance_endpoint) = if is_address(to) { (None, place) } else { (place, None) };
    let sink =
        SinkRocketMqParameters { connection, instance_endpoint, topic: Some(TargetParameter::constant(target)), ..Default::default() };
    let mut stream = StreamDefinition {
        name: stream_name(&definition.name, direction, source),
        description: format!("Made by route {}", definition.name),
        filter_pattern: "{}".to_owned(),
        tags: vec![Tag { key: LABEL.to_owned(), value: definition.name.clone() }],
        source: SourceDefinition { source_rocketmq_parameters: Some(parameters) },
        sink: SinkDefinition { sink_rocketmq_parameters: Some(sink) },
        ..Default::default()
    };
    stream.run_options.mode = if definition.mode.is_empty() { "MIRROR".to_owned() } else { definition.mode.clone() };
    stream
}

/// Where a stream that is made now begins. With `latest`, a topic that is found later is read from the moment of the route's first start, so that nothing
/// that was stored before it was found is left out.
fn start(definition: &RouteDefinition, began: Began) -> (String, Option<i64>) {
    match definition.start.as_str() {
        "" | "earliest" => ("CONSUME_FROM_FIRST_OFFSET".to_owned(), None),
        "latest" if began.complete => ("CONSUME_FROM_TIMESTAMP".to_owned(), Some(began.started.saturating_sub(CLOCKS))),
        "latest" => ("CONSUME_FROM_LAST_OFFSET".to_owned(), None),
        // Validation refuses what is no number; a stored route never comes to the default.
        time => ("CONSUME_FROM_TIMESTAMP".to_owned(), time.parse().ok()),
    }
}

/// Whether an end is given by its address: no name of a connection has a colon.
fn is_address(end: &str) -> bool {
    end.contains(':')
}

/// FNV-1a of 64 bits: the same on every machine and in every version, as the names of stored streams must be.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RenameDefinition;

    fn route(topics: &[&str]) -> RouteDefinition {
        RouteDefinition {
            name: "dr".into(),
            from: "east".into(),
            to: "127.0.0.1:9876".into(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn topics(names: &[&str]) -> Vec<Topic> {
        names.iter().map(|name| Topic { name: (*name).to_owned(), internal: name.starts_with('%') }).collect()
    }

    fn shown(expansion: &Expansion) -> Vec<String> {
        let line = |wanted: &Wanted| {
            let gone = if wanted.gone { " gone" } else { "" };
            format!("{} {}>{}{gone}", wanted.definition.name, wanted.source, wanted.target)
        };
        expansion.streams.iter().map(line).collect()
    }

    /// *Scenario*: a pattern, an exclusion and a name that is nowhere; renamed, and both ways. *Guarantees*: there is a stream for each topic and way; topics at
    /// the other end are taken by their names here; what is missing is said.
    #[test]
    fn a_route_wants_a_stream_for_each_topic_and_way() {
        let mut route = route(&["orders-*", "!orders-test", "bills"]);
        route.rename = Some(RenameDefinition { prefix: "dr-".into(), ..Default::default() });
        let from = topics(&["%RETRY%g", "audit", "orders-1", "orders-test"]);
        let to = topics(&["dr-orders-1", "dr-orders-2", "orders-3"]);
        let ends = Ends { from: Some(&from), to: Some(&to) };
        let forward = expand(&route, Began::default(), ends, &[]);
        assert_eq!(shown(&forward), ["route.dr.orders-1 orders-1>dr-orders-1"]);
        assert_eq!(forward.problems, ["topic bills is not at east"]);
        route.both_ways = true;
        let both = expand(&route, Began::default(), ends, &[]);
        let back = ["route.dr.back.dr-orders-1 dr-orders-1>orders-1", "route.dr.back.dr-orders-2 dr-orders-2>orders-2"];
        assert_eq!(shown(&both)[1..], back);
        let stream = &both.streams[1].definition;
        let source = stream.source.source_rocketmq_parameters.as_ref().expect("given");
        let sink = stream.sink.sink_rocketmq_parameters.as_ref().expect("given");
        assert_eq!((source.instance_endpoint.as_str(), source.connection.as_str()), ("127.0.0.1:9876", ""));
        assert_eq!(sink.connection, Some(TargetParameter::constant("east")));
        assert_eq!((stream.run_options.mode.as_str(), stream.tags[0].value.as_str()), ("MIRROR", "dr"));
    }

    /// *Scenario*: a topic with a stream is deleted; an end cannot be listed; a topic is no longer selected. *Guarantees*: the stream stays in the first two cases,
    /// and is said to be without its topic only where that is known; in the third it is not wanted any more.
    #[test]
    fn a_stream_stays_while_its_topic_is_selected() {
        let existing = [(Direction::Forward, "orders-1".to_owned())];
        let listed = topics(&["orders-2"]);
        let seen = Ends { from: Some(&listed), to: None };
        let names = |route: &RouteDefinition, ends| shown(&expand(route, Began::default(), ends, &existing));
        let bills = route(&["bills-*"]);
        let route = route(&["orders-*"]);
        assert_eq!(names(&route, seen), ["route.dr.orders-1 orders-1>orders-1 gone", "route.dr.orders-2 orders-2>orders-2"]);
        assert_eq!(names(&route, Ends::default()), ["route.dr.orders-1 orders-1>orders-1"]);
        assert_eq!(names(&bills, seen), [] as [&str; 0]);
    }

    /// *Scenario*: each start, at first and for topics that are found later. *Guarantees*: `latest` means the end of a queue at first, and the moment of the start
    /// later: no message of a later topic is left out.
    #[test]
    fn later_topics_begin_with_the_route() {
        let offset = |start: &str, complete: bool| {
            let route = RouteDefinition { start: start.to_owned(), ..route(&["*"]) };
            let began = Began { started: 1_700_000_000_000, complete };
            let source = stream(&route, began, Direction::Forward, "t", "t").source.source_rocketmq_parameters.expect("given");
            (source.offset, source.timestamp)
        };
        let expected = |offset: &str, timestamp| (offset.to_owned(), timestamp);
        for complete in [false, true] {
            assert_eq!(offset("", complete), expected("CONSUME_FROM_FIRST_OFFSET", None));
            assert_eq!(offset("earliest", complete), expected("CONSUME_FROM_FIRST_OFFSET", None));
            assert_eq!(offset("1600000000000", complete), expected("CONSUME_FROM_TIMESTAMP", Some(1_600_000_000_000)));
        }
        assert_eq!(offset("latest", false), expected("CONSUME_FROM_LAST_OFFSET", None));
        assert_eq!(offset("latest", true), expected("CONSUME_FROM_TIMESTAMP", Some(1_699_999_940_000)));
    }

    /// *Scenario*: two topics that a map gives one name. *Guarantees*: one is copied, the other is left out and said.
    #[test]
    fn two_topics_never_become_one() {
        let mut route = route(&["*"]);
        let name = |from: &str| crate::route::TopicName { from: from.into(), to: "c".into() };
        route.rename = Some(RenameDefinition { topics: vec![name("a"), name("b")], ..Default::default() });
        let from = topics(&["a", "b"]);
        let expansion = expand(&route, Began::default(), Ends { from: Some(&from), to: None }, &[]);
        assert_eq!(shown(&expansion), ["route.dr.a a>c"]);
        assert_eq!(expansion.problems, ["topics a and b would both be called c; b is left out: change rename"]);
    }

    /// *Scenario*: names that no stream can have, and names that are too long. *Guarantees*: each gets a name of its own that a stream can have.
    #[test]
    fn every_topic_has_a_stream_of_its_own() {
        let long = "t".repeat(127);
        let topics = ["%RETRY%g", "|RETRY|g", "_RETRY_g", &long, &long[1..]];
        let mut names: Vec<String> = topics.iter().map(|topic| stream_name("dr", Direction::Back, topic)).collect();
        assert!(
            names
                .iter()
                .all(|name| name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)))
        );
        names.sort();
        names.dedup();
        assert_eq!(names.len(), topics.len());
    }
}
