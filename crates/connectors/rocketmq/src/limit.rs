//! How long a message may be, and what brokers add to it. Read in the sources of Apache RocketMQ 4.9.7 and 5.3.3, and tried on both.

use rocketbridge_model::session::LARGEST_EVENT;

/// Longest properties that are stored: their length is a signed 16-bit number (`MessageExtEncoder`).
pub(crate) const PROPERTIES: usize = i16::MAX as usize;

/// What is kept free of the properties for those that a broker adds.
///
/// `AbstractSendMessageProcessor` adds `MSG_REGION` and `TRACE_ON` (40 bytes with the default region), `SendMessageProcessor` `CLUSTER` (9 bytes
/// and the cluster's name), `MessageExtEncoder` a checksum where it is switched on (20 bytes), and names of clusters and regions have at most
/// 255 bytes each in practice. To a message that is sent alone a broker adds them before it compares the length; to messages of a batch it adds
/// them afterwards: the length overflows, the broker answers that it stored the batch, and neither the message nor those behind it can be
/// read. The timer of 5.x adds about as much to a message that it stores a second time.
pub(crate) const BROKER_ADDS: usize = 1024;

/// A batch is closed when it would become longer, and a longer message goes alone: a broker compares a whole batch, headers included, with
/// the limit (`maxMessageSize`, by default 4 MiB) that it compares with the body only of a message that is sent alone.
pub(crate) const BATCH: usize = 1024 * 1024;

/// A batch is not made smaller than this, however often a broker refuses longer ones.
pub(crate) const SMALLEST_BATCH: usize = 16 * 1024;

/// Longest body that is sent by the connection that others share: a frame beyond 16 MiB (`com.rocketmq.remoting.frameMaxLength`) makes a broker
/// that was not set up for more close the connection without a word.
pub(crate) const SHARED: usize = 15 * 1024 * 1024;

/// Longest body that is tried: the longest event that can travel.
pub(crate) const BODY: usize = LARGEST_EVENT;

/// Most that a proxy of 5.x takes of user properties, keys and tag together, bytes (`maxUserPropertySize`), and how many properties
/// (`userPropertyMaxNum`), unless it is set up otherwise.
pub(crate) const USER_PROPERTIES: usize = 16 * 1024;
pub(crate) const USER_PROPERTY_COUNT: usize = 128;
