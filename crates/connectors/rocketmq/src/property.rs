//! What the connector must know of property names (`MessageConst` of Apache RocketMQ).

/// Keys of a message, separated by spaces.
pub(crate) const KEYS: &str = "KEYS";
/// Its tag.
pub(crate) const TAGS: &str = "TAGS";
/// Its sharding key.
pub(crate) const SHARDING_KEY: &str = "__SHARDINGKEY";
/// The id that its producer gave it.
pub(crate) const UNIQUE_KEY: &str = "UNIQ_KEY";
/// Its delay level.
pub(crate) const DELAY: &str = "DELAY";
/// Whether the broker waits for its durability before it answers.
pub(crate) const WAIT: &str = "WAIT";
/// Set when a timed message has waited: it is not timed any more.
pub(crate) const TIMER_OUT: &str = "TIMER_OUT_MS";

/// What a property means for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything that travels with the message and means nothing to the broker it is sent to.
    User,
    /// Part of the message, but of RocketMQ's own making: kept when user properties are replaced.
    System,
    /// Asks the broker to deliver later.
    Timed,
    /// Tells what the source's broker or a consumer did with it: not true of the message that is sent, and some make the target's
    /// broker hide it (a prepared transaction) or refuse it (a checksum).
    Broker,
}

/// The kind of a property.
pub(crate) fn kind(name: &[u8]) -> Kind {
    match name {
        b"CLUSTER"
        | b"MSG_REGION"
        | b"TRACE_ON"
        | b"TRAN_MSG"
        | b"REAL_TOPIC"
        | b"REAL_QID"
        | b"MIN_OFFSET"
        | b"MAX_OFFSET"
        | b"CONSUME_START_TIME"
        | b"INNER_NUM"
        | b"INNER_BASE"
        | b"INNER_MULTI_QUEUE_OFFSET"
        | b"POP_CK"
        | b"1ST_POP_TIME"
        | b"__CRC32#" => Kind::Broker,
        b"DELAY" | b"TIMER_DELIVER_MS" | b"TIMER_DELAY_MS" | b"TIMER_DELAY_SEC" => Kind::Timed,
        b"KEYS"
        | b"TAGS"
        | b"__SHARDINGKEY"
        | b"UNIQ_KEY"
        | b"WAIT"
        | b"TIMER_OUT_MS"
        | b"TIMER_ENQUEUE_MS"
        | b"TIMER_ROLL_TIMES"
        | b"TIMER_DEL_UNIQKEY"
        | b"PGROUP"
        | b"BUYER_ID"
        | b"RETRY_TOPIC"
        | b"ORIGIN_MESSAGE_ID"
        | b"RECONSUME_TIME"
        | b"MAX_RECONSUME_TIMES"
        | b"TRANSACTION_PREPARED_QUEUE_OFFSET"
        | b"__transactionId__"
        | b"CHECK_IMMUNITY_TIME_IN_SECONDS"
        | b"INSTANCE_ID"
        | b"CORRELATION_ID"
        | b"REPLY_TO_CLIENT"
        | b"TTL"
        | b"ARRIVE_TIME"
        | b"PUSH_REPLY_TIME"
        | b"MSG_TYPE"
        | b"EXTEND_UNIQ_INFO"
        | b"DUP_INFO"
        | b"INNER_MULTI_DISPATCH"
        | b"traceparent"
        | b"__STARTDELIVERTIME"
        | b"RB_ORIGIN"
        | b"RB_REASON" => Kind::System,
        _ => Kind::User,
    }
}
