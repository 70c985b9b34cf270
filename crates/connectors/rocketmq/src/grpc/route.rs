//! The brokers of a topic, where they are reached, and the types of message that the topic takes.

use rocketbridge_rocketmq_proto::v2::{Endpoints, MessageQueue, MessageType, Permission};

/// The brokers of a topic, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) brokers: Vec<Broker>,
    pub(crate) types: Types,
}

/// A broker of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) name: String,
    /// Proxies that lead to it, `host:port`, at least one.
    pub(crate) endpoints: Vec<String>,
    pub(crate) readable: usize,
    pub(crate) writable: usize,
}

/// Types of message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types(u32);

impl Types {
    /// Whether the topic says which types it takes.
    pub(crate) fn is_said(self) -> bool {
        self.0 & !1 != 0
    }

    /// Whether messages of a type are taken. A topic that says nothing may take any: it is the proxy's to refuse.
    pub(crate) fn take(self, kind: MessageType) -> bool {
        !self.is_said() || self.0 & (1 << kind as i32) != 0
    }

    /// Whether the topic takes this type and no other.
    pub(crate) fn only(self, kind: MessageType) -> bool {
        self.0 & !1 == 1 << kind as i32
    }

    fn add(&mut self, kind: i32) {
        self.0 |= 1_u32.checked_shl(u32::try_from(kind).unwrap_or_default()).unwrap_or_default();
    }

    /// The types, for people.
    pub(crate) fn words(self) -> String {
        let known = [
            MessageType::Normal,
            MessageType::Fifo,
            MessageType::Delay,
            MessageType::Transaction,
            MessageType::Lite,
            MessageType::Priority,
        ];
        let words: Vec<_> = known.iter().filter(|kind| self.0 & (1 << **kind as i32) != 0).map(|kind| kind.as_str_name()).collect();
        words.join(", ")
    }
}

impl FromIterator<MessageType> for Types {
    fn from_iter<I: IntoIterator<Item = MessageType>>(kinds: I) -> Self {
        let mut types = Self::default();
        kinds.into_iter().for_each(|kind| types.add(kind as i32));
        types
    }
}

impl Route {
    /// Reads the queues of an answer. Of a broker the member with the lowest id counts: 0 is the master. A broker that says no endpoint is reached where the
    /// route was asked for.
    pub(crate) fn read(queues: &[MessageQueue], asked: &str) -> Self {
        let mut members: Vec<(i32, Broker)> = Vec::new();
        let mut types = Types::default();
        for queue in queues {
            queue.accept_message_types.iter().for_each(|kind| types.add(*kind));
            let Some(broker) = &queue.broker else { continue };
            let at = match members.iter().position(|(_, known)| known.name == broker.name) {
                Some(at) if members[at].0 < broker.id => continue,
                Some(at) if members[at].0 == broker.id => at,
                found => {
                    let endpoints = broker.endpoints.as_ref().map(addresses).filter(|endpoints| !endpoints.is_empty());
                    let endpoints = endpoints.unwrap_or_else(|| vec![asked.to_owned()]);
                    let member = (broker.id, Broker { name: broker.name.clone(), endpoints, readable: 0, writable: 0 });
                    match found {
                        Some(at) => {
                            members[at] = member;
                            at
                        }
                        None => {
                            members.push(member);
                            members.len() - 1
                        }
                    }
                }
            };
            let permission = queue.permission();
            members[at].1.readable += usize::from(matches!(permission, Permission::Read | Permission::ReadWrite));
            members[at].1.writable += usize::from(matches!(permission, Permission::Write | Permission::ReadWrite));
        }
        let mut brokers: Vec<_> = members.into_iter().map(|(_, broker)| broker).collect();
        brokers.sort_by(|one, other| one.name.cmp(&other.name));
        Self { brokers, types }
    }

    /// The brokers that can be read from.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter(|broker| broker.readable > 0)
    }

    /// The brokers that can be written to.
    pub(crate) fn writable(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter(|broker| broker.writable > 0)
    }

    /// The proxies that lead to a broker; to any, if there is none of this name.
    pub(crate) fn proxies(&self, broker: Option<&str>) -> &[String] {
        let named = self.brokers.iter().find(|known| Some(known.name.as_str()) == broker);
        named.or(self.brokers.first()).map_or(&[], |broker| &broker.endpoints)
    }
}

fn addresses(endpoints: &Endpoints) -> Vec<String> {
    let address = |host: &str, port: i32| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    endpoints.addresses.iter().map(|found| address(found.host.trim_matches(['[', ']']), found.port)).collect()
}

#[cfg(test)]
mod tests {
    use rocketbridge_rocketmq_proto::v2::{self, Address};

    use super::*;

    fn queue(broker: &str, id: i32, port: i32, permission: Permission, kinds: &[MessageType]) -> MessageQueue {
        let endpoints = Endpoints { scheme: 1, addresses: vec![Address { host: "127.0.0.1".into(), port }] };
        MessageQueue {
            permission: permission.into(),
            broker: Some(v2::Broker { name: broker.into(), id, endpoints: (port > 0).then_some(endpoints) }),
            accept_message_types: kinds.iter().map(|kind| *kind as i32).collect(),
            ..MessageQueue::default()
        }
    }

    /// *Scenario*: two brokers, one of them with a replica that is told first, one without an address. *Guarantees*: masters, sorted, with their counts; the
    /// address that was asked stands in.
    #[test]
    fn a_route_is_its_masters() {
        let queues = [
            queue("b", 1, 7, Permission::Read, &[MessageType::Normal]),
            queue("b", 0, 8, Permission::ReadWrite, &[MessageType::Normal]),
            queue("b", 0, 8, Permission::Write, &[]),
            queue("b", 1, 7, Permission::Read, &[]),
            queue("a", 0, 0, Permission::Read, &[]),
        ];
        let route = Route::read(&queues, "asked:1");
        let broker = |name: &str, endpoint: &str, readable, writable| Broker {
            name: name.into(),
            endpoints: vec![endpoint.into()],
            readable,
            writable,
        };
        assert_eq!(route.brokers, [broker("a", "asked:1", 1, 0), broker("b", "127.0.0.1:8", 1, 2)]);
        assert_eq!((route.readable().count(), route.writable().count()), (2, 1));
        assert_eq!((route.proxies(Some("b")), route.proxies(Some("c"))), (&["127.0.0.1:8".to_owned()][..], &["asked:1".to_owned()][..]));
        assert!(route.types.only(MessageType::Normal) && !route.types.take(MessageType::Fifo));
    }

    /// *Scenario*: topics of several types, of none, and of one that this version does not know. *Guarantees*: what is said is kept to; nothing said is anything.
    #[test]
    fn a_topic_takes_what_it_says() {
        let mixed = Types::from_iter([MessageType::Normal, MessageType::Fifo]);
        assert!(mixed.take(MessageType::Fifo) && !mixed.take(MessageType::Delay) && !mixed.only(MessageType::Fifo));
        assert_eq!(mixed.words(), "NORMAL, FIFO");
        for unsaid in [Types::default(), Types::from_iter([MessageType::Unspecified])] {
            assert!(unsaid.take(MessageType::Delay) && !unsaid.only(MessageType::Delay));
        }
        let mut unknown = Types::default();
        unknown.add(31);
        assert!(!unknown.take(MessageType::Normal));
        unknown.add(99);
        unknown.add(-1);
    }

    #[test]
    fn addresses_of_version_6_get_their_brackets() {
        let address = |host: &str| Address { host: host.into(), port: 1 };
        let endpoints = Endpoints { scheme: 2, addresses: vec![address("::1"), address("[::2]"), address("a.b")] };
        assert_eq!(addresses(&endpoints), ["[::1]:1", "[::2]:1", "a.b:1"]);
    }
}
