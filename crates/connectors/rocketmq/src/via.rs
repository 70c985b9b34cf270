//! Which topics a message has been in on its way through streams, so that a ring of streams ends.
//!
//! The property `RB_VIA` lists them, oldest first, separated by commas, behind `+N,` where the N oldest are left out. A topic stands there by marks,
//! joined by dots: of the instance and of the region with the topic (`-` where the definition names none), then of each name server with the topic.
//! Equal marks mean the same topic as [`Guard`] compares them: two clusters whose brokers, topics or even instances have equal names are
//! told apart by region or name server.
//!
//! Guarantees: an event does not come to a topic a second time through streams that guard; the property is bounded; a ring longer than the list
//! ends too, after [`HOPS`] topics.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use rocketbridge_model::resolved::{RocketMqConnection, RocketMqSource, RocketMqTarget};
use rocketbridge_model::{Properties, properties, property};

/// Name of the property.
pub const VIA_PROPERTY: &str = property::VIA;

/// Most topics that are listed one by one.
const LISTED: usize = 8;
/// Most topics on one message's way: beyond that it is taken for a loop.
const HOPS: usize = 64;
/// Most name servers by which a topic is known.
const SERVERS: usize = 3;
/// Longest marks of a topic: instance, region and name servers with dots between them.
const PLACE: usize = (2 + SERVERS) * 9 - 1;
/// Stands for what a definition does not say.
const UNSAID: &str = "-";

/// Finds what every list has: the name of its property and the end of the name.
static NAMED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"RB_VIA\x01"));

/// Looks for loops on the way from one topic to another.
#[derive(Debug)]
pub(crate) struct Guard {
    source: String,
    target: String,
    /// The list of a message that comes from a producer.
    first: String,
}

impl Guard {
    /// The guard of a stream.
    pub(crate) fn new(source: &RocketMqSource, target: &RocketMqTarget) -> Self {
        Self::between((&source.connection, &source.topic), (&target.connection, &target.topic))
    }

    /// The guard of a way between two topics.
    pub(crate) fn between(source: (&RocketMqConnection, &str), target: (&RocketMqConnection, &str)) -> Self {
        let (source, target) = (marks(source.0, source.1), marks(target.0, target.1));
        let first = format!("{source},{target}");
        Self { source, target, first }
    }

    /// Whether a message has been at the target before.
    pub(crate) fn is_loop(&self, properties: &Properties) -> bool {
        // Most messages have no list: one scan says so, where taking their properties apart costs more than all else that a send does with them.
        if NAMED.find(properties.as_wire()).is_none() {
            return false;
        }
        let value = properties::pairs(properties.as_wire()).filter(|(name, _)| *name == property::VIA.as_bytes()).last();
        let Some(list) = value.and_then(|(_, value)| std::str::from_utf8(value).ok()) else { return false };
        let (left_out, listed) = parse(list);
        listed.clone().any(|place| same(place, &self.target)) || left_out + listed.count() >= HOPS
    }

    /// The list of a message on its way to the target. The source stands there already if a stream brought the message to it.
    pub(crate) fn extend(&self, list: &[u8]) -> Cow<'_, str> {
        let Some(list) = std::str::from_utf8(list).ok().filter(|list| !list.is_empty()) else { return Cow::Borrowed(&self.first) };
        let (mut left_out, listed) = parse(list);
        let mut places: Vec<&str> = listed.collect();
        for place in [&self.source, &self.target] {
            if !places.iter().any(|known| same(known, place)) {
                places.push(place);
            }
        }
        let too_many = places.len().saturating_sub(LISTED);
        left_out += too_many;
        let rest = places[too_many..].join(",");
        Cow::Owned(if left_out > 0 { format!("+{left_out},{rest}") } else { rest })
    }
}

/// How many topics are left out, and those that are listed. What is no mark of a topic is passed over.
fn parse(list: &str) -> (usize, impl Iterator<Item = &str> + Clone) {
    let (left_out, rest) = match list.strip_prefix('+').map(|rest| rest.split_once(',').unwrap_or((rest, ""))) {
        Some((count, rest)) => (count.parse().map_or(HOPS, |count: usize| count.min(HOPS)), rest),
        None => (0, list),
    };
    (left_out, rest.split(',').filter(|place| !place.is_empty() && place.len() <= PLACE))
}

/// Whether two topics are one, by their marks. Where both name their instance it decides, with the region where both name that; otherwise a name
/// server in common does.
fn same(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    let mut next = || (left.next().unwrap_or(UNSAID), right.next().unwrap_or(UNSAID));
    let (instances, regions) = (next(), next());
    let said = |pair: (&str, &str)| pair.0 != UNSAID && pair.1 != UNSAID;
    if said(instances) && instances.0 != instances.1 {
        return false;
    }
    if said(instances) && said(regions) {
        return regions.0 == regions.1;
    }
    left.any(|server| right.clone().any(|other| server == other))
}

/// The marks of a topic.
fn marks(connection: &RocketMqConnection, topic: &str) -> String {
    let prefix = format!("{}%", connection.namespace);
    let wire = if connection.namespace.is_empty() || topic.starts_with(&prefix) { topic.to_owned() } else { prefix + topic };
    let mark = |kind: &str, value: &str| if value.is_empty() { UNSAID.to_owned() } else { digest(&[kind, value, &wire]) };
    let servers = connection.endpoints.iter().take(SERVERS).map(|server| mark("server", server.trim()));
    let named = [mark("instance", connection.instance.as_str()), mark("region", connection.region.as_str())];
    named.into_iter().chain(servers).collect::<Vec<_>>().join(".")
}

/// Eight characters of a text's FNV-1a hash: 48 bits, fixed for ever, so that versions understand each other.
fn digest(parts: &[&str]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folded = hash ^ (hash >> 48);
    (0..8).map(|index| char::from(ALPHABET[(folded >> (index * 6)) as usize & 63])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rocketbridge_model::testing;

    use super::*;

    fn connection(region: &str, instance: &str, servers: &[&str]) -> RocketMqConnection {
        RocketMqConnection {
            region: region.into(),
            instance: instance.into(),
            endpoints: servers.iter().map(|server| (*server).to_owned()).collect(),
            ..RocketMqConnection::default()
        }
    }

    fn guard(from: (&RocketMqConnection, &str), to: (&RocketMqConnection, &str)) -> Guard {
        let source = RocketMqSource { connection: from.0.clone(), ..testing::source(from.1) };
        let target = RocketMqTarget { connection: to.0.clone(), loop_guard: true, ..testing::target(to.1) };
        Guard::new(&source, &target)
    }

    fn message(via: &str) -> Properties {
        Properties::from_pairs((!via.is_empty()).then_some((VIA_PROPERTY, via))).expect("no separators")
    }

    /// How many deliveries a ring of places makes of one message at its first place, before every stream has had its say.
    fn deliveries(places: &[(RocketMqConnection, &str)]) -> usize {
        let ring = |index: usize| (&places[index % places.len()].0, places[index % places.len()].1);
        let (mut via, mut count) = (String::new(), 0);
        loop {
            let guard = guard(ring(count), ring(count + 1));
            if guard.is_loop(&message(&via)) {
                return count;
            }
            via = guard.extend(via.as_bytes()).into_owned();
            assert!(via.len() <= LISTED * (PLACE + 1) + 4, "{via}");
            count += 1;
            assert!(count < 1_000, "it never ends: {via}");
        }
    }

    /// *Scenario*: rings of two to seven clusters, and one of a hundred. *Guarantees*: each cluster gets the message once and the first never again;
    /// the long ring ends too.
    #[test]
    fn rings_of_any_length_end() {
        for length in 2..=7 {
            let servers: Vec<String> = (0..length).map(|index| format!("10.0.0.{index}:9876")).collect();
            let places: Vec<_> = servers.iter().map(|server| (connection("", "", &[server]), "t")).collect();
            assert_eq!(deliveries(&places), length - 1);
        }
        let servers: Vec<String> = (0..100).map(|index| format!("10.0.0.{index}:9876")).collect();
        let places: Vec<_> = servers.iter().map(|server| (connection("", "", &[server]), "t")).collect();
        assert_eq!(deliveries(&places), HOPS - 1);
    }

    /// *Scenario*: two streams that name the same two clusters in different ways: by other name servers, with and without an instance. *Guarantees*: the
    /// loop ends at once where a name server is shared, and after one round where nothing is.
    #[test]
    fn a_cluster_has_several_names() {
        let (a, b) = (connection("east", "a", &["a1:9876", "a2:9876"]), connection("", "", &["b1:9876"]));
        let there = guard((&a, "t"), (&b, "t"));
        let via = there.extend(b"").into_owned();
        let back = |name: RocketMqConnection| guard((&b, "t"), (&name, "t"));
        assert!(back(connection("", "", &["a2:9876"])).is_loop(&message(&via)));
        assert!(back(connection("", "a", &["a2:9876"])).is_loop(&message(&via)));
        let unknown = connection("", "", &["a3:9876"]);
        assert!(!back(unknown.clone()).is_loop(&message(&via)));
        let again = back(unknown).extend(via.as_bytes()).into_owned();
        assert!(there.is_loop(&message(&again)), "{again}");
    }

    /// *Scenario*: clusters of equal names, instances or addresses, and other topics of one cluster. *Guarantees*: they are told apart.
    #[test]
    fn clusters_of_equal_names_are_told_apart() {
        let via = |from: &RocketMqConnection| guard((from, "t"), (&connection("", "", &["b:1"]), "t")).extend(b"").into_owned();
        let looped = |from: &RocketMqConnection, to: &RocketMqConnection, topic: &str| {
            guard((&connection("", "", &["b:1"]), "t"), (to, topic)).is_loop(&message(&via(from)))
        };
        let plain = connection("", "", &["ns:1"]);
        assert!(looped(&plain, &plain, "t") && !looped(&plain, &plain, "u"));
        assert!(!looped(&plain, &connection("", "", &["ns:2"]), "t"));
        // The same instance name in two regions; the same addresses in two networks whose instances have names.
        assert!(!looped(&connection("east", "i", &["ns:1"]), &connection("west", "i", &["ns:1"]), "t"));
        assert!(!looped(&connection("", "i", &["ns:1"]), &connection("", "j", &["ns:1"]), "t"));
        assert!(looped(&connection("east", "i", &["ns:1"]), &connection("east", "i", &["ns:2"]), "t"));
        let spaced = RocketMqConnection { namespace: "n".into(), ..plain.clone() };
        assert!(!looped(&plain, &spaced, "t") && looped(&spaced, &spaced, "n%t"));
    }

    /// *Scenario*: the digests of some texts. *Guarantees*: they are what they always were: messages of older versions are on their way.
    #[test]
    fn marks_never_change() {
        assert_eq!(marks(&connection("east", "a", &["a1:9876"]), "t"), "Mrbv1zjd.gPqpvUys.SXcqFlg6");
        assert_eq!(marks(&connection("", "", &["10.0.0.1:9876"]), "orders"), "-.-.cX9Xe8i8");
    }

    proptest! {
        /// *Scenario*: any text as the list. *Guarantees*: no panic; what is made of it is bounded, and holds source and target.
        #[test]
        fn any_list_is_read(list in "\\PC{0,200}") {
            let (a, b) = (connection("", "", &["a:1"]), connection("", "", &["b:1"]));
            let guard = guard((&a, "t"), (&b, "t"));
            guard.is_loop(&message(&list));
            let made = guard.extend(list.as_bytes()).into_owned();
            prop_assert!(made.split(',').count() <= LISTED + 1);
            prop_assert!(guard.is_loop(&message(&made)));
        }
    }
}
