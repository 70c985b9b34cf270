//! Times of records as protobuf has them.

use prost_types::Timestamp;

/// Milliseconds since 1970.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    let nanos = i32::try_from(millis.rem_euclid(1_000)).expect("a remainder of a thousand fits") * 1_000_000;
    Timestamp { seconds: millis.div_euclid(1_000), nanos }
}
