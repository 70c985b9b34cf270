//! Messages of the API as documents: fields under their proto names in the order of their numbers, enums by name, 64-bit integers as
//! numbers, timestamps as RFC 3339.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

static DESCRIPTORS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(rocketbridge_proto::FILE_DESCRIPTOR_SET)
        .expect("the descriptors are those that the generated types were made from")
});

/// Without the fields that hold nothing: what a person would write.
pub fn brief(message: &str, encoded: &[u8]) -> Value {
    convert(message, encoded, true)
}

/// With the fields that hold nothing: what a program can rely on.
pub fn full(message: &str, encoded: &[u8]) -> Value {
    convert(message, encoded, false)
}

fn convert(message: &str, encoded: &[u8], skip_default_fields: bool) -> Value {
    let descriptor = DESCRIPTORS.get_message_by_name(message).expect("callers name messages of proto/");
    let message = DynamicMessage::decode(descriptor, encoded).expect("a generated type encodes what its descriptor says");
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false).skip_default_fields(skip_default_fields);
    message.serialize_with_options(serde_json::value::Serializer, &options).expect("a document has text keys only")
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use rocketbridge_proto::stream::v1::{State, Stream, StreamStatus};

    use super::*;

    #[test]
    fn names_are_those_of_the_protocol() {
        let stream = Stream {
            name: "orders".into(),
            filter_pattern: "{}".into(),
            state: State::StartingFailed.into(),
            revision: 3,
            ..Default::default()
        };
        let document = brief("rocketbridge.stream.v1.Stream", &stream.encode_to_vec());
        assert_eq!(document.to_string(), r#"{"name":"orders","filter_pattern":"{}","revision":3,"state":"STATE_STARTING_FAILED"}"#);
    }

    #[test]
    fn a_full_document_shows_zeros() {
        let status = StreamStatus { name: "orders".into(), ..Default::default() };
        let document = full("rocketbridge.stream.v1.StreamStatus", &status.encode_to_vec());
        assert_eq!(document["diff_offset"], 0);
        assert_eq!(document["state"], "STATE_UNSPECIFIED");
    }
}
