//! Routes.

use std::collections::HashSet;

use super::findings::Findings;
use super::{Checks, References, name};
use crate::resolved::{Protocol, RocketMqConnection};
use crate::route::{RouteDefinition, probe};

/// Longest name of a route: the names of its streams begin with it.
const NAME: usize = 63;
/// Most names and patterns of topics, and most topics with a name of their own.
const ENTRIES: usize = 1_000;
/// Shortest and longest time between two translations, milliseconds.
const INTERVAL: std::ops::RangeInclusive<u32> = 100..=60_000;

/// Notes every violation of a route.
pub(super) fn check(route: &RouteDefinition, references: &dyn References, checks: &dyn Checks, findings: &mut Findings) {
    check_name(&route.name, findings);
    check_topics(&route.topics, findings);
    check_rename(route, findings);
    super::choice::one_of("mode", &route.mode, &["MIRROR", "RULE"], findings);
    check_start(&route.start, findings);
    check_groups(route, findings);
    check_ends(route, references, checks, findings);
}

fn check_name(text: &str, findings: &mut Findings) {
    let before = findings.count();
    name::resource("name", text, findings);
    if findings.count() > before {
        return;
    }
    if text.contains('.') {
        let rule = "a route's name consists of the letters a-z and A-Z, digits, - and _";
        findings.add("name", text, rule, format!("write {:?}", text.replace('.', "-")));
    }
    if text.len() > NAME {
        findings.add("name", text, format!("at most {NAME} characters are allowed"), format!("remove {} characters", text.len() - NAME));
    }
}

fn check_topics(topics: &[String], findings: &mut Findings) {
    if !topics.iter().any(|topic| !topic.starts_with('!')) {
        let fix = "write names of topics or patterns, such as orders-*, or * for all";
        findings.add("topics", &topics.join(", "), "at least one topic is needed", fix);
    }
    check_entries("topics", topics, check_topic, findings);
}

/// How an entry is checked: the field, the entry, and what is left of it without its wildcards.
type Check = fn(&str, &str, &str, &mut Findings);

/// Names, patterns and exclusions, each of which is checked by `check`.
fn check_entries(list: &str, entries: &[String], check: Check, findings: &mut Findings) {
    if !findings.are_few(list, entries.len(), ENTRIES) {
        return;
    }
    for (index, entry) in entries.iter().enumerate() {
        let plain: String = entry.strip_prefix('!').unwrap_or(entry).replace(['*', '?'], "");
        let field = format!("{list}[{index}]");
        if plain.contains('!') {
            findings.add(field, entry, "! stands only at the beginning, and excludes what follows", "write one entry for each");
        } else if entry.trim_start_matches('!').is_empty() {
            findings.add(field, entry, "a name or a pattern is needed", "write one, or remove the entry");
        } else {
            check(&field, entry, &plain, findings);
        }
    }
}

fn check_topic(field: &str, entry: &str, plain: &str, findings: &mut Findings) {
    if name::is_light(entry) {
        let rule = "name servers do not list light queues, so a route cannot look for them";
        findings.add(field, entry, rule, "make a stream for each, with its whole name as the topic");
    } else if plain == entry {
        name::source_topic(field, entry, findings);
    } else if !plain.is_empty() {
        name::topic(field, plain, findings);
    }
}

fn check_group(field: &str, _entry: &str, plain: &str, findings: &mut Findings) {
    if !plain.is_empty() {
        name::group(field, plain, findings);
    }
}

/// Progress is translated by the positions that a mirror writes into messages.
fn check_groups(route: &RouteDefinition, findings: &mut Findings) {
    if let Some(interval) = route.translation_interval_ms {
        let shown = interval.to_string();
        if route.groups.is_empty() {
            let fix = "write the groups, or leave translation_interval_ms out";
            findings.add("translation_interval_ms", &shown, "it has an effect only together with groups", fix);
        } else if !INTERVAL.contains(&interval) {
            let rule = format!("{} to {} milliseconds are allowed", INTERVAL.start(), INTERVAL.end());
            findings.add("translation_interval_ms", &shown, rule, "write such a number, or leave the field out for 1000");
        }
    }
    if route.groups.is_empty() {
        return;
    }
    if route.mode == "RULE" {
        let rule = "progress of groups is translated by the positions that a mirror writes; a route of mode RULE writes none";
        findings.add("groups", &route.groups.join(", "), rule, "leave groups out, or write mode MIRROR");
    }
    if route.groups.iter().all(|group| group.starts_with('!')) {
        let fix = "write names of groups or patterns, such as billing-*, or * for all";
        findings.add("groups", &route.groups.join(", "), "what only excludes selects no group", fix);
    }
    check_entries("groups", &route.groups, check_group, findings);
}

fn check_rename(route: &RouteDefinition, findings: &mut Findings) {
    let Some(rename) = &route.rename else { return };
    for (field, text) in [("rename.prefix", &rename.prefix), ("rename.suffix", &rename.suffix)] {
        if !text.is_empty() {
            name::topic(field, text, findings);
        }
    }
    if !findings.are_few("rename.topics", rename.topics.len(), ENTRIES) {
        return;
    }
    let (mut names, mut renamed) = (HashSet::new(), HashSet::new());
    for (index, pair) in rename.topics.iter().enumerate() {
        name::topic(&format!("rename.topics[{index}].from"), &pair.from, findings);
        name::target_topic(&format!("rename.topics[{index}].to"), &pair.to, findings);
        if !names.insert(pair.from.as_str()) {
            findings.add(format!("rename.topics[{index}].from"), &pair.from, "each topic has one other name", "remove one of the two");
        }
        if !renamed.insert(pair.to.as_str()) {
            findings.add(format!("rename.topics[{index}].to"), &pair.to, "two topics cannot become one", "write another name");
        }
    }
}

fn check_start(start: &str, findings: &mut Findings) {
    if !matches!(start, "" | "earliest" | "latest") && start.parse::<i64>().is_err() {
        let rule = "earliest, latest or a time in milliseconds since 1970 is allowed";
        let fix = match super::nearest(start, ["earliest", "latest"]) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "write one of them, or leave the field out".to_owned(),
        };
        findings.add("start", start, rule, fix);
    }
}

/// The ends are checked as those of one of the route's streams: what is wrong with it is wrong with the end.
fn check_ends(route: &RouteDefinition, references: &dyn References, checks: &dyn Checks, findings: &mut Findings) {
    let fix = "write the name of a connection, or HOST:PORT of a name server";
    let ends = [("from", &route.from), ("to", &route.to)];
    for (field, end) in ends.iter().filter(|(_, end)| end.is_empty()) {
        findings.add(*field, end, "a route has two ends", fix);
    }
    if ends.iter().any(|(_, end)| end.is_empty()) {
        return;
    }
    let mut stream = probe(route);
    // What is said against them is said above.
    stream.name = "probe".to_owned();
    stream.run_options.mode = "RULE".to_owned();
    let source = stream.source.source_rocketmq_parameters.as_mut();
    if let Some(source) = source.filter(|source| source.offset == "CONSUME_FROM_TIMESTAMP" && source.timestamp.is_none()) {
        source.offset = String::new();
    }
    let mut found = Findings::default();
    let parts = super::assemble(&stream, "", references, checks, &mut found);
    super::source::doubt_timestamp(&stream, &mut found);
    if let Some((source, target, _)) = parts {
        refuse_grpc("from", &route.from, &source.connection, findings);
        refuse_grpc("to", &route.to, &target.connection, findings);
    }
    for violation in found.into_violations() {
        let field = violation.field.as_str();
        if field.ends_with(".timestamp") {
            findings.add("start", &route.start, violation.rule, violation.fix);
        } else if field == "sink.sink_rocketmq_parameters.topic" {
            findings.add("to", &route.to, "from and to are the same instance", "choose another instance; a stream copies within one");
        } else if field.starts_with("source.") {
            findings.add("from", &route.from, violation.rule, violation.fix);
        } else {
            findings.add("to", &route.to, violation.rule, violation.fix);
        }
    }
}

/// Topics are listed over remoting, whatever the streams of the route speak.
fn refuse_grpc(field: &str, end: &str, connection: &RocketMqConnection, findings: &mut Findings) {
    if connection.protocol == Protocol::Grpc {
        let rule = "controllers list the topics of a route's instances over remoting, and this one is reached by gRPC";
        let fix = "write a connection with protocol Remoting and the name servers of the instance, or make a stream for each topic";
        findings.add(field, end, rule, fix);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Known, route as validate};
    use super::*;
    use crate::PatternDialect;
    use crate::connection::ConnectionDefinition;
    use crate::route::{RenameDefinition, TopicName};
    use crate::stream::TargetParameter;
    use crate::validate::Fault;

    struct Anything;

    impl Checks for Anything {
        fn pattern(&self, _text: &str, _dialect: PatternDialect) -> Result<(), Fault> {
            Ok(())
        }

        fn transform(&self, _parameter: &TargetParameter) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn sound() -> RouteDefinition {
        let topics = vec!["orders-*".to_owned(), "!orders-test".to_owned(), "%RETRY%g".to_owned()];
        RouteDefinition { name: "dr".into(), from: "east".into(), to: "127.0.0.1:9877".into(), topics, ..Default::default() }
    }

    fn known() -> Known {
        let connection = |name: &str, port: u16| ConnectionDefinition {
            name: name.into(),
            endpoints: vec![format!("127.0.0.1:{port}")],
            ..Default::default()
        };
        Known { connections: vec![connection("east", 9876), connection("east-too", 9876)], networks: Vec::new() }
    }

    fn said(route: &RouteDefinition) -> Vec<String> {
        let violations = validate(route, &known(), &Anything).err().unwrap_or_default();
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_route_is_taken() {
        assert_eq!(said(&sound()), [] as [String; 0]);
        let start = |start: &str| RouteDefinition { start: start.into(), mode: "RULE".into(), both_ways: true, ..sound() };
        for start in ["latest", "earliest", "1700000000000"].map(start) {
            assert_eq!(said(&start), [] as [String; 0]);
        }
    }

    /// *Scenario*: a route in which everything is wrong. *Guarantees*: each field is named, with the rule and what to write.
    #[test]
    fn every_violation_of_a_route_is_said_at_once() {
        let name = |from: &str, to: &str| TopicName { from: from.into(), to: to.into() };
        let rename =
            RenameDefinition { prefix: "dr.".into(), suffix: String::new(), topics: vec![name("a", "c"), name("b", "c"), name("a", "")] };
        let route = RouteDefinition {
            name: "d.r".into(),
            from: "eest".into(),
            to: "127.0.0.1".into(),
            topics: vec!["a b*".into(), "!".into(), "a!b".into()],
            rename: Some(rename),
            mode: "mirror".into(),
            start: "lastest".into(),
            ..Default::default()
        };
        let said = said(&route);
        let fields: Vec<&str> = said.iter().filter_map(|line| line.split(':').next()).collect();
        let expected = [
            "name",
            "topics[0]",
            "topics[1]",
            "topics[2]",
            "rename.prefix",
            "rename.topics[1].to",
            "rename.topics[2].to",
            "rename.topics[2].from",
            "mode",
            "start",
            "from",
            "to",
        ];
        assert_eq!(fields, expected, "{said:#?}");
        assert!(said[8].ends_with("did you mean MIRROR?") && said[9].ends_with("did you mean latest?"), "{said:#?}");
        assert!(said[10].ends_with("did you mean east?"), "{said:#?}");
    }

    /// *Scenario*: either end is a connection to proxies, in both modes. *Guarantees*: the end is named, with the reason and the way out.
    #[test]
    fn instances_that_are_reached_by_grpc_are_refused() {
        let mut known = known();
        let proxies = ConnectionDefinition {
            name: "proxies".into(),
            protocol: "Grpc".into(),
            endpoints: vec!["127.0.0.1:8081".into()],
            ..Default::default()
        };
        known.connections.push(proxies);
        for mode in ["MIRROR", "RULE"] {
            for (field, from, to) in [("from", "proxies", "east"), ("to", "east", "proxies")] {
                let route = RouteDefinition { from: from.into(), to: to.into(), mode: mode.into(), ..sound() };
                let said = validate(&route, &known, &Anything).expect_err("refused");
                let [one] = &said[..] else { panic!("{said:?}") };
                assert!(one.field == field && one.rule.contains("over remoting") && one.fix.contains("protocol Remoting"), "{one}");
            }
        }
    }

    /// *Scenario*: RocketMQ's own topics: by name and by pattern, incomplete, in small letters, with messages that are not due, and light queues. *Guarantees*: what
    /// can be read is taken on purpose; the rest is refused with what to write.
    #[test]
    fn rocketmqs_own_topics_are_named_right_or_refused() {
        let topics =
            ["%DLQ%g", "%DLQ%*", "%RETRY%?", "!%LMQ%x", "!%DLQ%g2", "%DLQ%", "%retry%g", "RMQ_SYS_TRANS_HALF_TOPIC", "%LMQ%x", "%LMQ%*"];
        let route = RouteDefinition { topics: topics.map(str::to_owned).into(), ..sound() };
        let expected = [
            "topics[5]: found \"%DLQ%\"; %DLQ% is followed by a name, such as %DLQ%GID_orders; write the whole name of the topic",
            "topics[6]: found \"%retry%g\"; RocketMQ writes %RETRY% in capitals; write %RETRY%g",
            "topics[7]: found \"RMQ_SYS_TRANS_HALF_TOPIC\"; RocketMQ keeps messages in this topic until they are committed, or until their delay is over; name the \
             topic that they were sent to; once they are due they are in it",
            "topics[8]: found \"%LMQ%x\"; name servers do not list light queues, so a route cannot look for them; make a stream for each, with its whole name as the topic",
            "topics[9]: found \"%LMQ%*\"; name servers do not list light queues, so a route cannot look for them; make a stream for each, with its whole name as the topic",
        ];
        assert_eq!(said(&route), expected);
    }

    /// *Scenario*: groups by name, pattern and exclusion; groups of a route that does not mirror; only exclusions; intervals out of bounds, and without groups.
    /// *Guarantees*: the sound ones are taken; each of the others is refused at its field, with the rule.
    #[test]
    fn groups_need_a_mirror() {
        let groups = |groups: &[&str], interval| RouteDefinition {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            translation_interval_ms: interval,
            ..sound()
        };
        for interval in [None, Some(100), Some(60_000)] {
            assert_eq!(said(&groups(&["billing-*", "!billing-test", "%stock"], interval)), [] as [String; 0]);
        }
        let rule = RouteDefinition { mode: "RULE".into(), ..groups(&["billing"], None) };
        for (route, expected) in [
            (rule, "groups: found \"billing\"; progress of groups is translated by the positions that a mirror writes"),
            (groups(&["!billing"], None), "groups: found \"!billing\"; what only excludes selects no group"),
            (groups(&["a", "b c*"], None), "groups[1]: "),
            (groups(&["a"], Some(99)), "translation_interval_ms: found \"99\"; 100 to 60000 milliseconds are allowed"),
            (groups(&[], Some(1_000)), "translation_interval_ms: found \"1000\"; it has an effect only together with groups"),
        ] {
            let said = said(&route);
            assert!(matches!(said.as_slice(), [one] if one.starts_with(expected)), "{expected}: {said:?}");
        }
    }

    /// *Scenario*: a route whose ends are one instance, told in different ways; ends that are left out; a time in seconds. *Guarantees*: each is refused at its field.
    #[test]
    fn ends_are_two_instances() {
        for to in ["east", "east-too", "127.0.0.1:9876"] {
            let said = said(&RouteDefinition { to: to.into(), ..sound() });
            assert!(matches!(said.as_slice(), [one] if one.starts_with("to:") && one.contains("same instance")), "{to}: {said:?}");
        }
        let said_of = |route: RouteDefinition| said(&route).join("\n");
        assert!(said_of(RouteDefinition { from: String::new(), ..sound() }).starts_with("from:"));
        assert!(said_of(RouteDefinition { start: "1700000000".into(), ..sound() }).starts_with("start:"));
        assert!(said_of(RouteDefinition { topics: vec!["!a".into()], ..sound() }).starts_with("topics:"));
    }
}
