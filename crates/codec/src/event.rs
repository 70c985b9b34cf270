//! Events and origins. Bodies and properties move; they are never copied.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use rocketbridge_model::{Attributes, Envelope, Event, Origin, Place, Properties};
use rocketbridge_proto::event::v1 as proto;

use crate::error::Error;

/// To the wire.
pub fn encode(event: Event) -> proto::Event {
    let Envelope {
        body,
        properties,
        flag,
        system_flag,
        born_timestamp,
        store_timestamp,
        born_host,
        store_host,
        commit_log_offset,
        reconsume_times,
        place,
    } = event.envelope;
    proto::Event {
        offset: event.offset,
        envelope: Some(proto::RocketMqEnvelope {
            body,
            properties: properties.into_wire(),
            flag,
            system_flag,
            born_timestamp,
            store_timestamp,
            born_host: encode_host(born_host),
            store_host: encode_host(store_host),
            commit_log_offset,
            reconsume_times,
            place: place.map(|place| proto::Place { broker: place.broker.to_string(), queue: place.queue, offset: place.offset }),
        }),
        attributes: event.attributes.map(|attributes| encode_attributes(*attributes)),
    }
}

/// From the wire.
pub fn decode(event: proto::Event) -> Result<Event, Error> {
    let envelope = event.envelope.ok_or_else(|| Error::absent("Event", "envelope"))?;
    Ok(Event {
        offset: event.offset,
        envelope: Envelope {
            body: envelope.body,
            properties: Properties::from_wire(envelope.properties),
            flag: envelope.flag,
            system_flag: envelope.system_flag,
            born_timestamp: envelope.born_timestamp,
            store_timestamp: envelope.store_timestamp,
            born_host: decode_host(&envelope.born_host).map_err(|problem| Error::new("RocketMqEnvelope", "born_host", problem))?,
            store_host: decode_host(&envelope.store_host).map_err(|problem| Error::new("RocketMqEnvelope", "store_host", problem))?,
            commit_log_offset: envelope.commit_log_offset,
            reconsume_times: envelope.reconsume_times,
            place: envelope.place.map(|place| Arc::new(Place { broker: place.broker.into(), queue: place.queue, offset: place.offset })),
        },
        attributes: event.attributes.map(|attributes| Box::new(decode_attributes(attributes))),
    })
}

/// An origin to the wire.
pub fn encode_origin(origin: &Origin) -> proto::Origin {
    proto::Origin {
        region: origin.region.to_string(),
        account: origin.account.clone(),
        instance: origin.instance.to_string(),
        topic: origin.topic.clone(),
        partition: origin.partition.to_string(),
        broker: origin.broker.clone(),
        queue: origin.queue,
        name_server: origin.name_server.clone(),
        brokers: origin.brokers.clone(),
        queues: origin.queues,
    }
}

/// An origin from the wire.
pub fn decode_origin(origin: proto::Origin) -> Origin {
    Origin {
        region: origin.region.into(),
        account: origin.account,
        instance: origin.instance.into(),
        topic: origin.topic,
        partition: origin.partition.into(),
        broker: origin.broker,
        queue: origin.queue,
        name_server: origin.name_server,
        brokers: origin.brokers,
        queues: origin.queues,
    }
}

fn encode_attributes(attributes: Attributes) -> proto::CloudEventAttributes {
    proto::CloudEventAttributes {
        id: attributes.id,
        source: attributes.source,
        r#type: attributes.r#type,
        subject: attributes.subject,
        time: attributes.time,
        data_content_type: attributes.data_content_type,
        data_schema: attributes.data_schema,
        extensions: attributes.extensions.into_iter().collect(),
    }
}

fn decode_attributes(attributes: proto::CloudEventAttributes) -> Attributes {
    let mut extensions: Vec<_> = attributes.extensions.into_iter().collect();
    extensions.sort();
    Attributes {
        id: attributes.id,
        source: attributes.source,
        r#type: attributes.r#type,
        subject: attributes.subject,
        time: attributes.time,
        data_content_type: attributes.data_content_type,
        data_schema: attributes.data_schema,
        extensions,
    }
}

fn encode_host(host: Option<SocketAddr>) -> Bytes {
    let Some(host) = host else { return Bytes::new() };
    let mut wire = [0; 18];
    let length = match host.ip() {
        IpAddr::V4(address) => {
            wire[..4].copy_from_slice(&address.octets());
            4
        }
        IpAddr::V6(address) => {
            wire[..16].copy_from_slice(&address.octets());
            16
        }
    };
    wire[length..length + 2].copy_from_slice(&host.port().to_be_bytes());
    Bytes::copy_from_slice(&wire[..length + 2])
}

fn decode_host(wire: &[u8]) -> Result<Option<SocketAddr>, String> {
    let Some((address, port)) = wire.split_last_chunk::<2>() else {
        return if wire.is_empty() { Ok(None) } else { Err("1 byte; 0, 6 or 18 are allowed".into()) };
    };
    let address = if let Ok(octets) = <[u8; 4]>::try_from(address) {
        IpAddr::from(octets)
    } else if let Ok(octets) = <[u8; 16]>::try_from(address) {
        IpAddr::from(octets)
    } else {
        return Err(format!("{} bytes; 0, 6 or 18 are allowed", wire.len()));
    };
    Ok(Some(SocketAddr::new(address, u16::from_be_bytes(*port))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            offset: 7,
            envelope: Envelope {
                body: Bytes::from_static(&[0, 255, 1, 2]),
                properties: Properties::from_pairs([("KEYS", "k"), ("x", "")]).expect("no separators"),
                flag: -3,
                system_flag: 9,
                born_timestamp: -1,
                store_timestamp: i64::MAX,
                born_host: "[::1]:65535".parse().ok(),
                store_host: "127.0.0.1:1".parse().ok(),
                commit_log_offset: u64::MAX,
                reconsume_times: 4,
                place: Some(Arc::new(Place { broker: "a".into(), queue: 3, offset: 1 << 40 })),
            },
            attributes: Some(Box::new(Attributes {
                id: "i".into(),
                extensions: vec![("a".into(), "1".into()), ("b".into(), "2".into())],
                ..Attributes::default()
            })),
        }
    }

    #[test]
    fn an_event_comes_back_whole() {
        assert_eq!(decode(encode(event())), Ok(event()));
        let bare = Event { attributes: None, envelope: Envelope::default(), offset: 0 };
        assert_eq!(decode(encode(bare.clone())), Ok(bare));
    }

    #[test]
    fn a_body_is_moved_not_copied() {
        let body = Bytes::from(vec![7; 1024]);
        let event = Event { offset: 0, envelope: Envelope { body: body.clone(), ..Envelope::default() }, attributes: None };
        let back = decode(encode(event)).expect("valid");
        assert_eq!(back.envelope.body.as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_host_of_another_length_is_refused() {
        let mut wire = encode(event());
        wire.envelope.as_mut().expect("set").born_host = Bytes::from_static(&[1, 2, 3]);
        assert_eq!(decode(wire).expect_err("3 bytes").field, "born_host");
    }
}
