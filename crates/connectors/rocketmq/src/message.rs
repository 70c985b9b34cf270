//! Messages as brokers store them and send them: from the body of a pull response to [`Event`]s.
//!
//! The layout is that of `MessageDecoder` of Apache RocketMQ. Body and properties of an event are slices of the response: nothing is
//! copied, and a body that its producer compressed stays so. The memory of a response is let go with the last of its events.
//!
//! A batch that its broker stored as one message (a topic with `queue.type=BatchCQ`) is taken apart, as Java's client does it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, Bytes};
use rocketbridge_compression as compression;
use rocketbridge_model::event::system_flag;
use rocketbridge_model::{Envelope, Event, Properties, property};

use crate::limit;

/// The stored form, and the one for topics of more than 127 bytes.
const MAGIC: u32 = 0xDAA3_20A7;
const MAGIC_LONG_TOPIC: u32 = 0xDAA3_20AB;
/// What both must be set for a message to be a batch that its consumer takes apart.
const INNER_BATCH: i32 = system_flag::INNER_BATCH | system_flag::NEED_UNWRAP;
/// Longest topic in each form: its length is a signed number of one byte, or of two (`MessageVersion` of Apache RocketMQ).
const TOPIC: usize = i8::MAX as usize;
const LONG_TOPIC: usize = i16::MAX as usize;
/// Bytes of a message without addresses, body, topic and properties.
const FIXED: usize = 4 * 6 + 8 * 5 + 4 * 2;

/// A response that does not hold whole messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads all messages of a response. Those whose tag is not wanted are left out: brokers compare hashes of tags, which collide.
/// `offset_delta` is what the broker says must be added to queue offsets (topics that moved between brokers); else 0. Of a batch that was
/// stored as one message, what is before the offset `from` is left out: a pull from its middle brings all of it.
pub(crate) fn read(mut body: Bytes, offset_delta: i64, from: u64, wanted: &[String], events: &mut Vec<Event>) -> Result<(), Malformed> {
    let mut push = |event: Event| {
        if wanted.is_empty() || event.envelope.properties.get(property::TAGS).is_some_and(|tag| wanted.iter().any(|wanted| wanted == tag)) {
            events.push(event);
        }
    };
    while !body.is_empty() {
        if body.len() < 4 {
            return Err(Malformed("a message without a length"));
        }
        let length = u32::from_be_bytes([body[0], body[1], body[2], body[3]]) as usize;
        if length < FIXED || length > body.len() {
            return Err(Malformed("a message longer than its response"));
        }
        let event = read_one(body.split_to(length), offset_delta)?;
        if event.envelope.system_flag & INNER_BATCH != INNER_BATCH {
            push(event);
            continue;
        }
        match unfold(&event) {
            Ok(inner) => inner.into_iter().filter(|event| event.offset >= from).for_each(&mut push),
            Err(error) => {
                tracing::warn!(
                    offset = event.offset,
                    error,
                    "a batch that was stored as one message is routed as it is, as it cannot be read"
                );
                push(event);
            }
        }
    }
    Ok(())
}

/// The messages of a batch that was stored as one: `MessageDecoder.decodeMessage` of Apache RocketMQ. What a batch has in common (hosts,
/// times, place) is each message's; body, flag and properties are its own.
fn unfold(batch: &Event) -> Result<Vec<Event>, String> {
    let mut body = compression::plain(&batch.envelope).map_err(|error| error.to_string())?.into_owned();
    let mut events = Vec::new();
    while !body.is_empty() {
        let (event, length) = unfold_one(batch, &body, events.len() as u64).map_err(|malformed| malformed.0.to_owned())?;
        events.push(event);
        body.advance(length);
    }
    if events.is_empty() { Err("it holds no message".to_owned()) } else { Ok(events) }
}

/// The message at the start of a batch's body, and how long it is there.
fn unfold_one(batch: &Event, body: &Bytes, index: u64) -> Result<(Event, usize), Malformed> {
    let mut message = body.clone();
    need(&message, 4 * 5)?;
    let length = message.get_u32() as usize;
    message.advance(4 + 4); // Magic number, checksum.
    let flag = message.get_i32();
    let body_length = message.get_u32() as usize;
    let inner = part(&mut message, body_length)?;
    need(&message, 2)?;
    let properties_length = usize::from(message.get_u16());
    let properties = part(&mut message, properties_length)?;
    if length != body.len() - message.len() {
        return Err(Malformed("a message of a batch whose length is not that of its parts"));
    }
    let envelope = Envelope {
        body: inner,
        properties: Properties::from_wire(properties),
        flag,
        system_flag: batch.envelope.system_flag & !(INNER_BATCH | system_flag::ANY_COMPRESSION),
        ..batch.envelope.clone()
    };
    Ok((Event { offset: batch.offset + index, envelope, attributes: None }, length))
}

fn read_one(mut message: Bytes, offset_delta: i64) -> Result<Event, Malformed> {
    message.advance(4);
    let magic = message.get_u32();
    if magic != MAGIC && magic != MAGIC_LONG_TOPIC {
        return Err(Malformed("a message of an unknown form"));
    }
    message.advance(4 + 4); // Checksum of the body, queue id.
    let flag = message.get_i32();
    let queue_offset = message.get_i64();
    let commit_log_offset = message.get_u64();
    let system_flag = message.get_i32();
    let born_timestamp = message.get_i64();
    let born_host = host(&mut message, system_flag & system_flag::BORN_HOST_V6 != 0)?;
    need(&message, 8)?;
    let store_timestamp = message.get_i64();
    let store_host = host(&mut message, system_flag & system_flag::STORE_HOST_V6 != 0)?;
    need(&message, 4 + 8 + 4)?;
    let reconsume_times = message.get_u32();
    message.advance(8); // Offset of the prepared half of a transaction.
    let body_length = message.get_u32() as usize;
    let body = part(&mut message, body_length)?;
    let topic_length = if magic == MAGIC {
        need(&message, 1)?;
        usize::from(message.get_u8())
    } else {
        need(&message, 2)?;
        usize::from(message.get_u16())
    };
    need(&message, topic_length + 2)?;
    message.advance(topic_length);
    let properties_length = usize::from(message.get_u16());
    let properties = part(&mut message, properties_length)?;
    if topic_length > if magic == MAGIC { TOPIC } else { LONG_TOPIC } {
        return Err(Malformed("a topic longer than RocketMQ allows"));
    }
    if properties_length > limit::PROPERTIES {
        return Err(Malformed("properties longer than RocketMQ stores"));
    }
    let offset = queue_offset.checked_add(offset_delta).and_then(|offset| u64::try_from(offset).ok());
    let offset = offset.ok_or(Malformed("a queue offset out of range"))?;
    let envelope = Envelope {
        body,
        properties: Properties::from_wire(properties),
        flag,
        system_flag,
        born_timestamp,
        store_timestamp,
        born_host,
        store_host,
        commit_log_offset,
        reconsume_times,
        place: None,
    };
    Ok(Event { offset, envelope, attributes: None })
}

fn host(message: &mut Bytes, version_6: bool) -> Result<Option<SocketAddr>, Malformed> {
    let address: IpAddr = if version_6 {
        need(message, 20)?;
        Ipv6Addr::from(message.get_u128()).into()
    } else {
        need(message, 8)?;
        Ipv4Addr::from(message.get_u32()).into()
    };
    Ok(u16::try_from(message.get_u32()).ok().map(|port| SocketAddr::new(address, port)))
}

fn part(message: &mut Bytes, length: usize) -> Result<Bytes, Malformed> {
    need(message, length)?;
    Ok(message.split_to(length))
}

fn need(message: &Bytes, length: usize) -> Result<(), Malformed> {
    if message.len() < length { Err(Malformed("a message shorter than its parts")) } else { Ok(()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::{BufMut, BytesMut};

    use super::*;

    /// A message as a broker would send it.
    pub(crate) fn stored(offset: i64, body: &[u8], properties: &str, system_flag: i32) -> Bytes {
        let mut message = BytesMut::new();
        message.put_u32(0);
        message.put_u32(MAGIC);
        message.put_u32(0);
        message.put_u32(3);
        message.put_i32(9);
        message.put_i64(offset);
        message.put_u64(4096);
        message.put_i32(system_flag);
        message.put_i64(1000);
        if system_flag & system_flag::BORN_HOST_V6 != 0 {
            message.put_u128(1);
        } else {
            message.put_slice(&[127, 0, 0, 1]);
        }
        message.put_u32(5555);
        message.put_i64(2000);
        message.put_slice(&[10, 0, 0, 1]);
        message.put_u32(10911);
        message.put_u32(2);
        message.put_i64(0);
        message.put_u32(u32::try_from(body.len()).expect("short"));
        message.put_slice(body);
        message.put_u8(6);
        message.put_slice(b"orders");
        message.put_u16(u16::try_from(properties.len()).expect("short"));
        message.put_slice(properties.as_bytes());
        let length = u32::try_from(message.len()).expect("short");
        message[..4].copy_from_slice(&length.to_be_bytes());
        message.freeze()
    }

    fn response(messages: &[Bytes]) -> Bytes {
        messages.concat().into()
    }

    /// *Scenario*: a response of two messages, one from an IPv6 producer. *Guarantees*: every field, nothing copied.
    #[test]
    fn messages_are_read_whole() {
        let body: Vec<u8> = (0..=255).collect();
        let messages = [stored(5, &body, "KEYS\u{1}k\u{2}a\u{1}b\u{2}", 0), stored(6, b"", "", system_flag::BORN_HOST_V6)];
        let response = response(&messages);
        let mut events = Vec::new();
        read(response.clone(), 0, 0, &[], &mut events).expect("whole messages");
        assert_eq!(events.iter().map(|event| event.offset).collect::<Vec<_>>(), [5, 6]);
        let envelope = &events[0].envelope;
        assert_eq!(envelope.body, body);
        assert!(response.as_ptr_range().contains(&envelope.body.as_ptr()));
        assert_eq!(envelope.properties.get("a"), Some("b"));
        assert_eq!((envelope.flag, envelope.born_timestamp, envelope.store_timestamp), (9, 1000, 2000));
        assert_eq!(envelope.born_host, "127.0.0.1:5555".parse().ok());
        assert_eq!(envelope.store_host, "10.0.0.1:10911".parse().ok());
        assert_eq!((envelope.commit_log_offset, envelope.reconsume_times), (4096, 2));
        assert_eq!(events[1].envelope.born_host, "[::1]:5555".parse().ok());
        assert!(events[1].envelope.body.is_empty() && events[1].envelope.properties.is_empty());
    }

    /// *Scenario*: messages of wanted, unwanted and no tags. *Guarantees*: only wanted ones; a tag is compared whole.
    #[test]
    fn tags_are_compared_here_too() {
        let messages = ["TAGS\u{1}a\u{2}", "TAGS\u{1}ab\u{2}", "x\u{1}a\u{2}", "TAGS\u{1}b\u{2}"];
        let messages: Vec<_> = (0..).zip(messages).map(|(offset, properties)| stored(offset, b"", properties, 0)).collect();
        let mut events = Vec::new();
        read(response(&messages), 0, 0, &["a".into(), "b".into()], &mut events).expect("whole messages");
        assert_eq!(events.iter().map(|event| event.offset).collect::<Vec<_>>(), [0, 3]);
    }

    /// *Scenario*: every truncation of a message, and lengths that lie. *Guarantees*: an error, never a panic.
    #[test]
    fn nonsense_is_an_error() {
        let message = stored(1, b"body", "a\u{1}b\u{2}", 0);
        for length in 1..message.len() {
            assert!(read(message.slice(..length), 0, 0, &[], &mut Vec::new()).is_err(), "{length}");
        }
        for position in 0..message.len() {
            let mut wrong = message.to_vec();
            wrong[position] = 0xFF;
            read(wrong.into(), 0, 0, &[], &mut Vec::new()).ok();
        }
    }

    /// *Scenario*: messages whose lengths and offsets are beyond what RocketMQ can store, alone and where a broker moves offsets. *Guarantees*: each is refused and says
    /// what is wrong; the largest of each is taken; nothing overflows.
    #[test]
    fn lengths_and_offsets_beyond_those_of_rocketmq_are_refused() {
        let whole = stored(1, b"body", "a\u{1}b\u{2}", 0);
        let topic = whole.len() - 2 - 4 - 6 - 1;
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = whole.to_vec();
            change(&mut message);
            let length = u32::try_from(message.len()).expect("short");
            message[..4].copy_from_slice(&length.to_be_bytes());
            Bytes::from(message)
        };
        let refused = |message: Bytes, delta: i64| read(message, delta, 0, &[], &mut Vec::new()).expect_err("it is refused").0;
        let named = |length: usize| {
            with(&|message: &mut Vec<u8>| {
                message[topic] = u8::try_from(length).expect("short");
                message.splice(topic + 1..topic + 7, vec![b't'; length]);
            })
        };
        read(named(127), 0, 0, &[], &mut Vec::new()).expect("the longest topic");
        assert_eq!(refused(named(128), 0), "a topic longer than RocketMQ allows");
        let long = |length: usize| {
            with(&|message: &mut Vec<u8>| {
                message[4..8].copy_from_slice(&MAGIC_LONG_TOPIC.to_be_bytes());
                let written = u16::try_from(length).expect("short").to_be_bytes();
                message.splice(topic..topic + 7, written.into_iter().chain(vec![b't'; length]));
            })
        };
        read(long(32_767), 0, 0, &[], &mut Vec::new()).expect("the longest topic");
        assert_eq!(refused(long(32_768), 0), "a topic longer than RocketMQ allows");
        let properties = |length: usize| {
            with(&|message: &mut Vec<u8>| {
                let start = message.len() - 6;
                let written = u16::try_from(length).expect("short").to_be_bytes();
                message.splice(start.., written.into_iter().chain(vec![b'p'; length]));
            })
        };
        read(properties(32_767), 0, 0, &[], &mut Vec::new()).expect("the longest properties");
        assert_eq!(refused(properties(32_768), 0), "properties longer than RocketMQ stores");
        for (offset, delta) in [(-1, 0), (i64::MAX, 1), (i64::MIN, -1), (5, -6)] {
            assert_eq!(refused(stored(offset, b"", "", 0), delta), "a queue offset out of range");
        }
        for (body, length) in [(0_usize, u32::MAX), (4, i32::MAX as u32), (4, 1 << 31)] {
            let mut message = stored(1, &vec![0; body], "", 0).to_vec();
            let place = message.len() - 2 - 6 - 1 - body - 4;
            message[place..place + 4].copy_from_slice(&length.to_be_bytes());
            assert_eq!(refused(message.into(), 0), "a message shorter than its parts");
        }
    }

    /// *Scenario*: a compressed body. *Guarantees*: it stays as it was stored, with its flag, without a copy.
    #[test]
    fn a_compressed_body_stays_as_it_was_stored() {
        let mut events = Vec::new();
        let response = stored(1, b"zlib or not", "", system_flag::COMPRESSED);
        read(response.clone(), 0, 0, &[], &mut events).expect("a whole message");
        assert_eq!((events[0].envelope.body.as_ref(), events[0].envelope.system_flag), (&b"zlib or not"[..], system_flag::COMPRESSED));
        assert!(response.as_ptr_range().contains(&events[0].envelope.body.as_ptr()));
    }

    /// A batch in the form in which `MessageDecoder.encodeMessages` of Java makes it.
    fn batch(messages: &[(&[u8], &str)]) -> Vec<u8> {
        let mut batch = BytesMut::new();
        for (body, properties) in messages {
            batch.put_u32(u32::try_from(22 + body.len() + properties.len()).expect("short"));
            batch.put_slice(&[0; 8]);
            batch.put_i32(7);
            batch.put_u32(u32::try_from(body.len()).expect("short"));
            batch.put_slice(body);
            batch.put_u16(u16::try_from(properties.len()).expect("short"));
            batch.put_slice(properties.as_bytes());
        }
        batch.to_vec()
    }

    /// *Scenario*: three bodies that their broker stored as one message, plain and compressed, pulled from the start and from their middle, among
    /// other messages, with and without wanted tags. *Guarantees*: each body is an event with an offset of its own; what is before the asked
    /// offset is left out.
    #[test]
    fn a_batch_stored_as_one_message_is_taken_apart() {
        use std::io::Write;
        let inner: [(&[u8], &str); 3] = [(b"one", "TAGS\u{1}a\u{2}UNIQ_KEY\u{1}1\u{2}"), (b"", ""), (b"three", "TAGS\u{1}b\u{2}")];
        let batch = batch(&inner);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&batch).expect("to memory");
        let zlib = zlib.finish().expect("to memory");
        for (body, flag) in [(&batch, INNER_BATCH), (&zlib, INNER_BATCH | system_flag::COMPRESSED)] {
            let messages = [
                stored(4, b"before", "", 0),
                stored(5, body, "INNER_NUM\u{1}3\u{2}INNER_BASE\u{1}5\u{2}", flag),
                stored(8, b"behind", "", 0),
            ];
            let read = |from: u64, wanted: &[String]| {
                let mut events = Vec::new();
                read(response(&messages), 0, from, wanted, &mut events).expect("whole messages");
                events
            };
            let events = read(4, &[]);
            assert_eq!(events.iter().map(|event| event.offset).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
            assert_eq!(
                events.iter().map(|event| &event.envelope.body[..]).collect::<Vec<_>>(),
                [&b"before"[..], b"one", b"", b"three", b"behind"]
            );
            let envelope = &events[1].envelope;
            assert_eq!(
                (envelope.flag, envelope.system_flag, envelope.store_timestamp, envelope.properties.get("UNIQ_KEY")),
                (7, 0, 2000, Some("1"))
            );
            assert_eq!(read(6, &[]).iter().map(|event| event.offset).collect::<Vec<_>>(), [4, 6, 7, 8]);
            assert_eq!(read(4, &["b".into()]).iter().map(|event| event.offset).collect::<Vec<_>>(), [7]);
        }
    }

    /// *Scenario*: every truncation of such a batch, and lengths in it that lie. *Guarantees*: it is routed as it is, never a panic.
    #[test]
    fn a_batch_that_cannot_be_read_stays_whole() {
        let batch = batch(&[(b"one", "a\u{1}b\u{2}"), (b"two", "")]);
        for position in 0..batch.len() {
            let mut wrong = batch.clone();
            wrong[position] = 0xFF;
            for body in [&batch[..position], &wrong] {
                read(stored(5, body, "", INNER_BATCH), 0, 0, &[], &mut Vec::new()).expect("a whole message");
            }
        }
        let mut events = Vec::new();
        read(stored(5, &batch[..30], "", INNER_BATCH), 0, 0, &[], &mut events).expect("a whole message");
        assert_eq!((events.len(), events[0].envelope.body.as_ref()), (1, &batch[..30]));
    }
}
