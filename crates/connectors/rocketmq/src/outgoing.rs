//! One message on its way to a target: what the event has, what parameters replace, and what RocketBridge adds.
//!
//! Guarantees: body and properties are the original's unless a parameter replaces them; what only the source's broker could say of the message
//! is left out; a delay that is over does not begin again, it is told in `RB_TIMED`. What RocketBridge adds never makes a message too long: it is
//! left out, or cut, where it does not fit.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_model::event::system_flag;
use rocketbridge_model::properties::{NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, pairs};
use rocketbridge_model::property::{self, Kind};
use rocketbridge_model::session::{Delivery, ParameterKey};
use rocketbridge_pattern::json::{Malformed, Reader};

use crate::born::Born;
use crate::decimal::decimal;
use crate::limit;
use crate::position::Position;
use crate::provenance::{self, Provenance};

/// A message about to be written; its properties are beside it.
pub(crate) struct Outgoing {
    pub(crate) body: Bytes,
    pub(crate) flag: i32,
    /// How the body is compressed.
    pub(crate) system_flag: i32,
    /// Whether it asks to be delivered later; never a routed message.
    pub(crate) timed: bool,
    /// Whether a broker does with it, alone, what it does not do with a message of a batch.
    pub(crate) singular: bool,
    /// Whether it has a sharding key.
    pub(crate) keyed: bool,
    /// When it was born: itself, or the message that was read first.
    pub(crate) born: Born,
    /// Names of RocketBridge's own properties that did not fit.
    pub(crate) left_out: Vec<&'static str>,
}

/// Where a message comes from, and what is added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Making<'a> {
    /// Its producer made it just now: nothing is added, and it is delayed as it asks.
    Produced,
    /// It was read from a topic. This is where the messages of its partition come from.
    Routed(&'a Provenance<'a>),
    /// It was read from a topic, and nothing is added that can be left out.
    Bare,
}

impl Making<'_> {
    /// Whether the event has been at the target before. A letter is never a loop: it goes where it was not.
    pub(crate) fn is_loop(&self, delivery: &Delivery) -> bool {
        match self {
            Self::Routed(provenance) => provenance.guard.is_some_and(|guard| guard.is_loop(&delivery.event.envelope.properties)),
            Self::Produced | Self::Bare => false,
        }
    }
}

/// What a broker heeds in a message that is sent alone only: light queues (`SendMessageProcessor`, `MultiDispatch`) and priorities.
const SINGULAR: [&str; 3] = [property::MULTI_DISPATCH, "__LITE_TOPIC", "_SYS_MSG_PRIORITY_"];

impl Outgoing {
    /// Puts a message together; its properties are written to `properties`. The reason of the error is for people.
    pub(crate) fn of(delivery: &Delivery, making: Making<'_>, properties: &mut Vec<u8>) -> Result<Self, String> {
        properties.clear();
        let envelope = &delivery.event.envelope;
        let mut message = Self {
            body: envelope.body.clone(),
            flag: envelope.flag,
            system_flag: envelope.system_flag & system_flag::ANY_COMPRESSION,
            timed: false,
            singular: false,
            keyed: false,
            born: Born::default(),
            left_out: Vec::new(),
        };
        let mut replaced = Replaced { reason: delivery.rejected.is_some(), ..Replaced::default() };
        for parameter in &delivery.parameters {
            match parameter.key {
                ParameterKey::Body => {
                    message.body = parameter.value.clone().unwrap_or_default();
                    message.system_flag = 0;
                }
                ParameterKey::Properties => replaced.user = Some(parameter.value.as_deref()),
                ParameterKey::Keys => replaced.keys = Some(parameter.value.as_deref()),
                ParameterKey::Tags => replaced.tags = Some(parameter.value.as_deref()),
                ParameterKey::ShardingKey => replaced.sharding_key = Some(parameter.value.as_deref()),
            }
        }
        let routed = !matches!(making, Making::Produced);
        // Where a guard says anew which way the message came.
        replaced.via = matches!(making, Making::Routed(Provenance { guard: Some(_), .. }));
        let copied = replaced.copy(envelope.properties.as_wire(), routed, properties);
        (message.timed, message.singular) = (copied.timed, copied.singular);
        if routed {
            message.born = Born::of(envelope, copied.born, matches!(making, Making::Bare));
        }
        replaced.write(properties)?;
        if let Making::Routed(provenance) = making {
            message.add_provenance(delivery, provenance, &copied, properties);
            if let Some(reason) = &delivery.rejected {
                message.add_reason(reason, properties);
            }
        }
        message.keyed = copied.keyed || matches!(replaced.sharding_key, Some(Some(_)));
        if properties.len() > limit::PROPERTIES {
            return Err(format!(
                "its properties are {} bytes long; RocketMQ stores {} at most, among them 26 or more that the broker adds",
                properties.len(),
                limit::PROPERTIES
            ));
        }
        if message.body.len() > limit::BODY {
            return Err(format!("its body is {} bytes long, and no event of more than {} can travel", message.body.len(), limit::BODY));
        }
        Ok(message)
    }

    /// The position first: without it a mirror cannot tell whether the target has the message.
    fn add_provenance(&mut self, delivery: &Delivery, provenance: &Provenance<'_>, copied: &Copied<'_>, properties: &mut Vec<u8>) {
        if let Some(queue) = provenance.mirrored {
            queue.write(Position::of(&delivery.event), |value| self.add(property::POSITION, value, properties));
        }
        if !copied.has_origin {
            provenance.of_event(&delivery.event, |value| self.add(property::ORIGIN, value, properties));
        }
        if let Some(guard) = provenance.guard {
            self.add(property::VIA, &[guard.extend(copied.via).as_bytes()], properties);
        }
        if !copied.has_timed && !copied.asked.is_empty() {
            self.add(property::TIMED, &[&copied.asked], properties);
        }
    }

    /// Adds why a dead letter is one, as far as it fits: a letter without its reason is better than none.
    fn add_reason(&mut self, reason: &str, properties: &mut Vec<u8>) {
        let room = room(properties).saturating_sub(property::REASON.len() + 2).min(provenance::REASON_BYTES);
        let reason = provenance::reason(reason, room);
        self.add(property::REASON, &[reason.as_bytes()], properties);
    }

    /// Adds when it was born, if the request that it travels in says another time.
    pub(crate) fn add_born(&mut self, request: Born, properties: &mut Vec<u8>) {
        if let Some(born) = self.born.unsaid_by(request) {
            self.add(property::BORN, &[decimal(born, &mut [0; 20])], properties);
        }
    }

    fn add(&mut self, name: &'static str, value: &[&[u8]], properties: &mut Vec<u8>) {
        let length = name.len() + 2 + value.iter().map(|part| part.len()).sum::<usize>();
        if length <= room(properties) && value.iter().any(|part| !part.is_empty()) {
            pair(properties, name.as_bytes(), value);
        } else {
            self.left_out.push(name);
        }
    }

    /// Whether it must not go into a batch, by itself and whatever the target.
    pub(crate) fn goes_alone(&self, properties: &[u8]) -> bool {
        self.timed || self.singular || !fits_a_batch(properties) || self.batched_length(properties) > limit::BATCH
    }

    /// Its length in a batch.
    pub(crate) fn batched_length(&self, properties: &[u8]) -> usize {
        4 * 5 + 2 + self.body.len() + properties.len()
    }
}

/// Whether a broker can add its own to these properties without comparing their length afterwards.
pub(crate) fn fits_a_batch(properties: &[u8]) -> bool {
    properties.len() + limit::BROKER_ADDS <= limit::PROPERTIES
}

/// The sharding key among properties.
pub(crate) fn sharding_key(properties: &[u8]) -> Option<&str> {
    let (_, value) = pairs(properties).filter(|(name, _)| *name == property::SHARDING_KEY.as_bytes()).last()?;
    std::str::from_utf8(value).ok()
}

/// What may be added without keeping the message out of a batch.
fn room(properties: &[u8]) -> usize {
    (limit::PROPERTIES - limit::BROKER_ADDS).saturating_sub(properties.len())
}

/// What parameters replace: `None` keeps the original's, `Some(None)` takes it away.
#[derive(Default)]
struct Replaced<'a> {
    user: Option<Option<&'a [u8]>>,
    keys: Option<Option<&'a [u8]>>,
    tags: Option<Option<&'a [u8]>>,
    sharding_key: Option<Option<&'a [u8]>>,
    /// Whether a new reason takes the place of the original's.
    reason: bool,
    /// Whether the way through streams is written anew.
    via: bool,
}

/// What was found among the original's properties.
#[derive(Default)]
struct Copied<'a> {
    has_origin: bool,
    /// The way through streams that the original came, if it is written anew.
    via: &'a [u8],
    has_timed: bool,
    /// How the original was delayed: `NAME=value`, separated by spaces.
    asked: Vec<u8>,
    timed: bool,
    singular: bool,
    keyed: bool,
    /// The value of the original's own `RB_BORN`.
    born: Option<&'a [u8]>,
}

impl Replaced<'_> {
    /// Copies the original's properties that stay.
    fn copy<'o>(&self, original: &'o [u8], routed: bool, properties: &mut Vec<u8>) -> Copied<'o> {
        let mut copied = Copied::default();
        for (name, value) in pairs(original) {
            let is = |known: &str| name == known.as_bytes();
            let stays = match property::kind(name) {
                Kind::Broker => false,
                Kind::User => self.user.is_none(),
                Kind::Timed if routed => {
                    copied.note(name, value);
                    false
                }
                Kind::Timed => {
                    copied.timed |= !is(property::DELAY) || !matches!(value, b"" | b"0");
                    true
                }
                // It is where the message stood at the source of the stream that brought it to this one.
                Kind::Bridge if is(property::POSITION) => !routed,
                Kind::Bridge if is(property::VIA) && self.via => {
                    copied.via = value;
                    false
                }
                Kind::Bridge => {
                    copied.has_origin |= is(property::ORIGIN);
                    copied.has_timed |= is(property::TIMED);
                    copied.born = if is(property::BORN) { Some(value) } else { copied.born };
                    !(is(property::REASON) && self.reason)
                }
                Kind::Message if is(property::KEYS) => self.keys.is_none(),
                Kind::Message if is(property::TAGS) => self.tags.is_none(),
                Kind::Message if is(property::SHARDING_KEY) => {
                    copied.keyed |= self.sharding_key.is_none();
                    self.sharding_key.is_none()
                }
                Kind::Message => {
                    copied.singular |= SINGULAR.iter().any(|known| is(known));
                    true
                }
            };
            if stays {
                pair(properties, name, &[value]);
            }
        }
        copied
    }

    fn write(&self, properties: &mut Vec<u8>) -> Result<(), String> {
        let named = [(property::KEYS, self.keys), (property::TAGS, self.tags), (property::SHARDING_KEY, self.sharding_key)];
        for (name, value) in named {
            if let Some(Some(value)) = value {
                checked_pair(properties, name, value)?;
            }
        }
        let Some(Some(user)) = self.user else { return Ok(()) };
        for (name, value) in user_properties(user)? {
            if property::kind(name.as_bytes()) != Kind::User {
                return Err(format!("its user properties name {name}, which is RocketMQ's or RocketBridge's own"));
            }
            checked_pair(properties, &name, value.as_bytes())?;
        }
        Ok(())
    }
}

impl Copied<'_> {
    fn note(&mut self, name: &[u8], value: &[u8]) {
        if !self.asked.is_empty() {
            self.asked.push(b' ');
        }
        self.asked.extend_from_slice(name);
        self.asked.push(b'=');
        self.asked.extend_from_slice(value);
    }
}

/// Name and value of a user property that a transform made.
type Made<'j> = (Cow<'j, str>, Cow<'j, str>);

/// The members of a JSON object: a string as its characters, anything else as the text that was written, so that a number keeps its digits. `null` is no
/// property; of equal names the last counts.
fn user_properties(json: &[u8]) -> Result<Vec<Made<'_>>, String> {
    let fault = |error: Malformed| format!("its user properties are not JSON: {error}");
    let text = std::str::from_utf8(json).map_err(|error| format!("its user properties are not JSON: {error}"))?;
    let mut reader = Reader::new(text);
    if reader.peek() != Some(b'{') {
        reader.skip(0).and_then(|()| reader.end()).map_err(fault)?;
        return Err("its user properties are not a JSON object".to_owned());
    }
    reader.open(0).map_err(fault)?;
    let mut members: Vec<Made<'_>> = Vec::new();
    let mut more = !reader.take(b'}');
    while more {
        let name = reader.string().map_err(fault)?.decode();
        reader.expect(b':', "expected a colon").map_err(fault)?;
        let value = if reader.peek() == Some(b'"') {
            Some(reader.string().map_err(fault)?.decode())
        } else {
            let start = reader.position();
            reader.skip(1).map_err(fault)?;
            Some(reader.since(start)).filter(|written| *written != "null").map(Cow::Borrowed)
        };
        members.retain(|(known, _)| *known != name);
        members.extend(value.map(|value| (name, value)));
        more = reader.next_member().map_err(fault)?;
    }
    reader.end().map_err(fault)?;
    Ok(members)
}

fn checked_pair(properties: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), String> {
    let separator = |byte: &u8| matches!(*byte, NAME_VALUE_SEPARATOR | PROPERTY_SEPARATOR);
    if name.is_empty() || name.as_bytes().iter().any(separator) || value.iter().any(separator) {
        return Err(format!("its property {name:?} has an empty name or holds U+0001 or U+0002, which separate RocketMQ properties"));
    }
    if std::str::from_utf8(value).is_err() {
        return Err(format!("its property {name:?} is not UTF-8"));
    }
    pair(properties, name.as_bytes(), &[value]);
    Ok(())
}

fn pair(properties: &mut Vec<u8>, name: &[u8], value: &[&[u8]]) {
    properties.extend_from_slice(name);
    properties.push(NAME_VALUE_SEPARATOR);
    for part in value {
        properties.extend_from_slice(part);
    }
    properties.push(PROPERTY_SEPARATOR);
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::session::Parameter;
    use rocketbridge_model::{Envelope, Event, Properties};

    use super::*;

    fn routed() -> Making<'static> {
        Making::Routed(&provenance::tests::FROM)
    }

    pub(crate) fn delivery(offset: u64, body: &[u8], pairs: &[(&str, &str)]) -> Delivery {
        let properties = Properties::from_pairs(pairs.iter().copied()).expect("no separators");
        let envelope = Envelope { body: body.to_vec().into(), properties, flag: 3, ..Envelope::default() };
        Delivery { receipt: offset, event: Event { offset, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
    }

    fn with(mut delivery: Delivery, key: ParameterKey, value: Option<&str>) -> Delivery {
        delivery.parameters.push(Parameter { key, value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())) });
        delivery
    }

    fn made(delivery: &Delivery, making: Making<'_>) -> (Outgoing, Vec<(String, String)>) {
        let mut properties = Vec::new();
        let message = Outgoing::of(delivery, making, &mut properties).expect("it can be carried");
        let properties = Properties::from_wire(properties.into());
        (message, properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn names(properties: &[(String, String)]) -> Vec<&str> {
        properties.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// *Scenario*: a message with every kind of property. *Guarantees*: its own are kept in order, the broker's go, the origin is added.
    #[test]
    fn properties_are_kept_and_the_origin_is_added() {
        let original =
            [("KEYS", "k"), ("CLUSTER", "c"), ("user", ""), ("UNIQ_KEY", "id"), ("TRAN_MSG", "true"), ("TAGS", "t"), ("WAIT", "false")];
        let (message, properties) = made(&delivery(12, b"\x00\xff", &original), routed());
        assert_eq!(message.body, &b"\x00\xff"[..]);
        assert_eq!(names(&properties), ["KEYS", "user", "UNIQ_KEY", "TAGS", "WAIT", "RB_ORIGIN"]);
        assert_eq!(properties.last(), Some(&("RB_ORIGIN".into(), "q/i/t/b/0/12".into())));
    }

    /// *Scenario*: a message that was routed before. *Guarantees*: the first origin and the first delay stay alone.
    #[test]
    fn the_first_provenance_stays() {
        let before = [("RB_ORIGIN", "first"), ("RB_TIMED", "DELAY=1"), ("DELAY", "2")];
        let (_, properties) = made(&delivery(12, b"", &before), routed());
        assert_eq!(properties, [("RB_ORIGIN".to_owned(), "first".to_owned()), ("RB_TIMED".to_owned(), "DELAY=1".to_owned())]);
    }

    /// *Scenario*: parameters for everything; a user property object with numbers, null and nested values. *Guarantees*: replaced; what is
    /// RocketMQ's own and not asked for stays.
    #[test]
    fn parameters_replace() {
        let mut changed = delivery(1, b"old", &[("KEYS", "k"), ("TAGS", "t"), ("user", "u"), ("UNIQ_KEY", "id")]);
        changed.event.envelope.system_flag = system_flag::COMPRESSED | 8;
        assert_eq!(made(&changed, routed()).0.system_flag, system_flag::COMPRESSED);
        changed = with(changed, ParameterKey::Body, Some("new"));
        changed = with(changed, ParameterKey::Keys, None);
        changed = with(changed, ParameterKey::Tags, Some("b"));
        changed = with(changed, ParameterKey::ShardingKey, Some("s"));
        changed = with(changed, ParameterKey::Properties, Some(r#"{"x":"y","n":1.50,"z":null,"o":{"a":[1]}}"#));
        let (message, properties) = made(&changed, routed());
        assert_eq!((message.body.as_ref(), message.system_flag, message.keyed), (&b"new"[..], 0, true));
        let expected = [("UNIQ_KEY", "id"), ("TAGS", "b"), ("__SHARDINGKEY", "s"), ("x", "y"), ("n", "1.50"), ("o", r#"{"a":[1]}"#)];
        let found: Vec<_> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).take(6).collect();
        assert_eq!(found, expected);
        assert!(made(&with(delivery(1, b"old", &[]), ParameterKey::Body, None), routed()).0.body.is_empty());
    }

    /// *Scenario*: user properties that a transform made, with numbers that no double holds, half a pair of surrogates, and a name twice. *Guarantees*: numbers
    /// keep their digits and their form; the last of equal names counts; what is no object is refused.
    #[test]
    fn numbers_in_user_properties_keep_their_digits() {
        let json =
            r#" {"a": 12345678901234567890123, "b": 37.807807921694092, "c": 1e3, "d": "1", "d": [1.0, {}], "e": "\ud83d", "f": true} "#;
        let (_, properties) = made(&with(delivery(1, b"", &[]), ParameterKey::Properties, Some(json)), routed());
        let found: Vec<_> = properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).take(6).collect();
        let expected = [
            ("a", "12345678901234567890123"),
            ("b", "37.807807921694092"),
            ("c", "1e3"),
            ("d", "[1.0, {}]"),
            ("e", "\u{fffd}"),
            ("f", "true"),
        ];
        assert_eq!(found, expected);
        for wrong in ["", "{", "[1]", "{}x", "{\"a\":01}", "5"] {
            assert!(user_properties(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    /// *Scenario*: messages that were delayed by level, by a timer of 5.x and by a time of the cloud product; a dead letter too.
    /// *Guarantees*: nothing delays the copy; it says how the original was delayed.
    #[test]
    fn a_delay_that_is_over_does_not_begin_again() {
        let cases: [(&[(&str, &str)], &str); 4] = [
            (&[("DELAY", "4"), ("REAL_TOPIC", "t"), ("REAL_QID", "0")], "DELAY=4"),
            (&[("TIMER_DELAY_SEC", "3600")], "TIMER_DELAY_SEC=3600"),
            (
                &[("TIMER_DELIVER_MS", "5"), ("TIMER_OUT_MS", "6"), ("TIMER_ENQUEUE_MS", "1"), ("TIMER_ROLL_TIMES", "2")],
                "TIMER_DELIVER_MS=5",
            ),
            (&[("__STARTDELIVERTIME", "9"), ("DELAY", "0")], "__STARTDELIVERTIME=9 DELAY=0"),
        ];
        for (original, told) in cases {
            let letter = Delivery { rejected: Some("why".into()), ..delivery(1, b"x", original) };
            for delivery in [delivery(1, b"x", original), letter] {
                let (message, properties) = made(&delivery, routed());
                assert!(!message.timed && !properties.iter().any(|(name, _)| property::kind(name.as_bytes()) == Kind::Timed));
                assert!(properties.contains(&("RB_TIMED".into(), told.into())), "{properties:?}");
            }
        }
    }

    /// *Scenario*: what a producer sends, delayed and with a delay of nothing. *Guarantees*: it is delayed as asked, and nothing is added.
    #[test]
    fn what_is_produced_is_delayed_as_asked() {
        let (message, properties) = made(&delivery(1, b"x", &[("DELAY", "3"), ("a", "b")]), Making::Produced);
        assert_eq!((message.timed, names(&properties).as_slice()), (true, &["DELAY", "a"][..]));
        assert!(!made(&delivery(1, b"x", &[("DELAY", "0")]), Making::Produced).0.timed);
        assert!(made(&delivery(1, b"x", &[("TIMER_DELAY_MS", "1000")]), Making::Produced).0.timed);
    }

    /// *Scenario*: a dead letter, one that was a dead letter before, and letters with little and no room. *Guarantees*: the reason is a
    /// property of its own, once, cut to what fits; without room the letter is made all the same, and what was left out is said.
    #[test]
    fn a_dead_letter_says_why() {
        let letter = |pairs: &[(&str, &str)]| {
            let reason = Some("cannot apply .id + 1".to_owned());
            made(&Delivery { rejected: reason, ..delivery(1, b"raw", pairs) }, routed())
        };
        let (message, properties) = letter(&[("a", "x"), ("RB_REASON", "an older one")]);
        assert_eq!((&message.body[..], names(&properties).as_slice()), (&b"raw"[..], &["a", "RB_ORIGIN", "RB_REASON"][..]));
        assert_eq!(properties.last(), Some(&("RB_REASON".into(), "cannot apply .id + 1".into())));
        let limit = limit::PROPERTIES - limit::BROKER_ADDS;
        let (message, properties) = letter(&[("a", &"x".repeat(limit - 45))]);
        assert_eq!((properties.last(), message.left_out.len()), (Some(&("RB_REASON".into(), "cannot ap".into())), 0));
        let (message, properties) = letter(&[("a", &"x".repeat(limit - 10))]);
        assert_eq!((names(&properties).as_slice(), message.left_out.as_slice()), (&["a"][..], &["RB_ORIGIN", "RB_REASON"][..]));
    }

    /// *Scenario*: a letter that must be as small as it can be, delayed once. *Guarantees*: nothing is added, and it is not delayed again.
    #[test]
    fn a_bare_message_is_only_what_was_read() {
        let letter = Delivery { rejected: Some("why".into()), ..delivery(1, b"raw", &[("a", "x"), ("DELAY", "3"), ("CLUSTER", "c")]) };
        let (message, properties) = made(&letter, Making::Bare);
        assert_eq!((message.timed, names(&properties).as_slice()), (false, &["a"][..]));
    }

    /// *Scenario*: parameters and messages that RocketMQ cannot carry. *Guarantees*: refused, with the limit and the length.
    #[test]
    fn what_cannot_be_carried_is_refused() {
        let long = "k".repeat(40_000);
        let refused = [
            with(delivery(1, b"", &[]), ParameterKey::Properties, Some("[1]")),
            with(delivery(2, b"", &[]), ParameterKey::Properties, Some(r#"{"KEYS":"x"}"#)),
            with(delivery(3, b"", &[]), ParameterKey::Properties, Some(r#"{"TIMER_DEQUEUE_MS":"x"}"#)),
            with(delivery(4, b"", &[]), ParameterKey::Tags, Some("a\u{1}b")),
            with(delivery(5, b"", &[]), ParameterKey::Keys, Some(&long)),
            delivery(6, &vec![0; limit::BODY + 1], &[]),
        ];
        let mut properties = Vec::new();
        let reasons = refused.iter().map(|delivery| Outgoing::of(delivery, routed(), &mut properties).err().expect("refused"));
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(
            reasons[4],
            "its properties are 40006 bytes long; RocketMQ stores 32767 at most, among them 26 or more that the broker adds"
        );
    }

    /// *Scenario*: light queues, properties near their limit, a long body, and none of these. *Guarantees*: the first three go alone.
    #[test]
    fn what_a_batch_would_lose_goes_alone() {
        let alone = |pairs: &[(&str, &str)], body: &[u8]| {
            let mut properties = Vec::new();
            let message = Outgoing::of(&delivery(1, body, pairs), routed(), &mut properties).expect("it can be carried");
            message.goes_alone(&properties)
        };
        assert!(!alone(&[("KEYS", "k"), ("__SHARDINGKEY", "s")], b"x"));
        assert!(alone(&[("INNER_MULTI_DISPATCH", "%LMQ%a")], b"x"));
        assert!(alone(&[("big", &"x".repeat(32_690))], b"x"));
        assert!(!alone(&[("big", &"x".repeat(31_700))], b"x"));
        assert!(alone(&[], &vec![0; limit::BATCH]));
        assert!(!alone(&[], &vec![0; limit::BATCH - 100]));
    }
}
