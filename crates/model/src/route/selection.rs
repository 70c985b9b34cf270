//! Which topics and groups a route takes, and how topics are called at the other end.

use super::RouteDefinition;

/// Groups that Apache RocketMQ keeps for itself (`MixAll` of 5.3.3).
const SYSTEM_GROUPS: [&str; 11] = [
    "DEFAULT_CONSUMER",
    "TOOLS_CONSUMER",
    "SCHEDULE_CONSUMER",
    "FILTERSRV_CONSUMER",
    "__MONITOR_CONSUMER",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
    "CID_SYS_RMQ_TRANS",
];
/// What other groups of RocketMQ's own begin with.
const SYSTEM_PREFIX: &str = "CID_RMQ_SYS_";
/// What the groups of streams begin with that do not name one.
pub(crate) const STREAM_PREFIX: &str = "GID_rocketbridge_";

/// A topic of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// Its name, as users of the instance call it.
    pub name: String,
    /// Whether RocketMQ made it for its own use, such as `%RETRY%group`.
    pub internal: bool,
}

/// The names and patterns of a route's topics.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a>(&'a [String]);

/// The names and patterns of a route's groups.
#[derive(Clone, Copy, Debug)]
pub struct GroupSelection<'a>(&'a [String]);

/// How a route calls the topics of one end at the other.
#[derive(Clone, Copy, Debug)]
pub struct Renaming<'a>(&'a RouteDefinition);

impl<'a> Selection<'a> {
    /// The topics of a route.
    pub fn of(route: &'a RouteDefinition) -> Self {
        Self(&route.topics)
    }

    /// Whether a topic is taken: something names it and nothing excludes it. RocketMQ's own topics are taken only on purpose: by their whole name, or by a
    /// pattern that begins with `%`.
    pub fn takes(&self, topic: &Topic) -> bool {
        takes(self.0, &topic.name, |pattern| !topic.internal || !has_wildcard(pattern) || pattern.starts_with('%'))
    }

    /// The topics that are named without a wildcard and not excluded: they should exist.
    pub fn named(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let all = self.0;
        let excluded = move |topic: &str| all.iter().filter_map(|pattern| pattern.strip_prefix('!')).any(|pattern| matches(pattern, topic));
        all.iter().map(String::as_str).filter(|name| !name.starts_with('!') && !has_wildcard(name)).filter(move |name| !excluded(name))
    }
}

impl<'a> GroupSelection<'a> {
    /// The groups of a route.
    pub fn of(route: &'a RouteDefinition) -> Self {
        Self(&route.groups)
    }

    /// Whether the progress of a group is translated: something names it and nothing excludes it. The own groups of RocketMQ and RocketBridge are taken only on
    /// purpose: by their whole name.
    pub fn takes(&self, group: &str) -> bool {
        let is_own = is_own_group(group);
        takes(self.0, group, |pattern| !is_own || !has_wildcard(pattern))
    }
}

/// Whether a group is one of RocketMQ's own, or one that a stream reads with.
pub fn is_own_group(group: &str) -> bool {
    SYSTEM_GROUPS.contains(&group) || group.starts_with(SYSTEM_PREFIX) || group.starts_with(STREAM_PREFIX)
}

/// Whether an entry that may take the name does, and none that begins with `!` excludes it.
fn takes(entries: &[String], name: &str, may: impl Fn(&str) -> bool) -> bool {
    let is_wanted = entries.iter().any(|entry| !entry.starts_with('!') && may(entry) && matches(entry, name));
    is_wanted && !entries.iter().filter_map(|entry| entry.strip_prefix('!')).any(|pattern| matches(pattern, name))
}

impl<'a> Renaming<'a> {
    /// The names of a route.
    pub fn of(route: &'a RouteDefinition) -> Self {
        Self(route)
    }

    /// What a topic of `from` is called at `to`.
    pub fn forward(&self, topic: &str) -> String {
        let Some(rename) = &self.0.rename else { return topic.to_owned() };
        match rename.topics.iter().find(|name| name.from == topic) {
            Some(name) => name.to.clone(),
            None => format!("{}{topic}{}", rename.prefix, rename.suffix),
        }
    }

    /// What a topic of `to` is called at `from`; `None` if no topic of `from` is called so.
    pub fn back(&self, topic: &str) -> Option<String> {
        let Some(rename) = &self.0.rename else { return Some(topic.to_owned()) };
        if let Some(name) = rename.topics.iter().find(|name| name.to == topic) {
            return Some(name.from.clone());
        }
        let plain = topic.strip_prefix(rename.prefix.as_str())?.strip_suffix(rename.suffix.as_str())?;
        let is_own = rename.topics.iter().any(|name| name.from == plain);
        (!plain.is_empty() && !is_own).then(|| plain.to_owned())
    }
}

/// Whether a name is a pattern: `*` stands for any characters, also none, `?` for one.
fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// Whether a pattern takes a whole name. It goes back only to the last `*`, so the time is at most the product of both lengths.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{RenameDefinition, TopicName};

    fn route(topics: &[&str]) -> RouteDefinition {
        RouteDefinition { topics: topics.iter().map(|topic| (*topic).to_owned()).collect(), ..Default::default() }
    }

    #[test]
    fn patterns_take_whole_names() {
        for (pattern, name, expected) in [
            ("orders", "orders", true),
            ("orders", "orders-1", false),
            ("orders-*", "orders-", true),
            ("orders-*", "orders", false),
            ("*", "anything", true),
            ("*-eu-*", "orders-eu-1", true),
            ("*-eu-*", "orders-us-eu", false),
            ("a*b*c", "a-b-b-c", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a", "aaab", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// *Scenario*: patterns with an exclusion, and RocketMQ's own topics among an instance's. *Guarantees*: an exclusion wins wherever it stands; a
    /// pattern takes none of RocketMQ's own topics by accident, a whole name or a pattern with `%` takes them on purpose.
    #[test]
    fn topics_are_taken_on_purpose_only() {
        let takes = |patterns: &[&str], name: &str, internal: bool| {
            let route = route(patterns);
            Selection::of(&route).takes(&Topic { name: name.to_owned(), internal })
        };
        assert!(takes(&["!orders-test", "orders-*"], "orders-1", false));
        assert!(!takes(&["orders-*", "!orders-test"], "orders-test", false));
        assert!(!takes(&["!orders-test"], "orders-1", false), "nothing is wanted");
        assert!(!takes(&["*"], "%RETRY%g", true));
        assert!(takes(&["*", "%RETRY%g"], "%RETRY%g", true));
        assert!(takes(&["%DLQ%*"], "%DLQ%g", true));
        let route = route(&["orders", "bills-*", "audit", "!audit"]);
        assert_eq!(Selection::of(&route).named().collect::<Vec<_>>(), ["orders"]);
    }

    /// *Scenario*: patterns, an exclusion and whole names, for users' groups, RocketMQ's own and those of streams. *Guarantees*: a pattern takes users' groups only; a
    /// whole name takes any; an exclusion wins.
    #[test]
    fn groups_are_taken_on_purpose_only() {
        let takes = |patterns: &[&str], name: &str| {
            let groups = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            GroupSelection::of(&RouteDefinition { groups, ..Default::default() }).takes(name)
        };
        assert!(takes(&["billing", "stock-*"], "billing") && takes(&["stock-*"], "stock-1") && !takes(&["stock-*"], "billing"));
        assert!(!takes(&["*", "!stock-*"], "stock-1") && takes(&["*", "!stock-*"], "billing") && !takes(&[], "billing"));
        for own in ["TOOLS_CONSUMER", "CID_RMQ_SYS_TRANS", "GID_rocketbridge_route.dr.orders_01234567"] {
            assert!(!takes(&["*", "?*", "CID_*", "GID_*"], own) && takes(&[own], own), "{own}");
        }
    }

    /// *Scenario*: a prefix, a suffix and a topic with a name of its own. *Guarantees*: each name leads back to the topic that it came from, and to no
    /// other.
    #[test]
    fn names_lead_back() {
        let name = |from: &str, to: &str| TopicName { from: from.into(), to: to.into() };
        let rename = RenameDefinition { prefix: "dr-".into(), suffix: "-b".into(), topics: vec![name("bills", "rechnungen")] };
        let route = RouteDefinition { rename: Some(rename), ..Default::default() };
        let renaming = Renaming::of(&route);
        for topic in ["orders", "dr-orders-b", "bills"] {
            assert_eq!(renaming.back(&renaming.forward(topic)).as_deref(), Some(topic));
        }
        assert_eq!(renaming.forward("orders"), "dr-orders-b");
        assert_eq!(renaming.back("orders"), None);
        assert_eq!(renaming.back("dr--b"), None, "no topic has an empty name");
        assert_eq!(renaming.back("dr-bills-b"), None, "bills is called otherwise");
        let plain = RouteDefinition::default();
        assert_eq!(Renaming::of(&plain).back("orders").as_deref(), Some("orders"));
    }
}
