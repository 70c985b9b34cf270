//! The names among a message's properties that are not its user's: one list for the whole workspace.
//!
//! The names are those of `MessageConst` of Apache RocketMQ (Java 4.9 to 5.x, and the Rust crates), and RocketBridge's own.
//! `names_are_complete` in the RocketMQ connector compares the list with theirs.

/// Keys of a message, separated by spaces.
pub const KEYS: &str = "KEYS";
/// Its tag.
pub const TAGS: &str = "TAGS";
/// Its sharding key.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// The id that its producer gave it.
pub const UNIQUE_KEY: &str = "UNIQ_KEY";
/// Its delay level.
pub const DELAY: &str = "DELAY";
/// Whether the broker waits for its durability before it answers.
pub const WAIT: &str = "WAIT";
/// Light queues that a broker puts it into as well.
pub const MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// Where a routed message first came from.
pub const ORIGIN: &str = "RB_ORIGIN";
/// When the original of a routed message was born, where the copy says another time.
pub const BORN: &str = "RB_BORN";
/// Where a mirrored message stood at the source of the mirror.
pub const POSITION: &str = "RB_POSITION";
/// Which topics a message has been in on its way through streams.
pub const VIA: &str = "RB_VIA";
/// Why a dead letter is one.
pub const REASON: &str = "RB_REASON";
/// How the original of a routed message was delayed.
pub const TIMED: &str = "RB_TIMED";

/// What a property is to whoever routes the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The user's: it travels with the message and means nothing to brokers.
    User,
    /// RocketMQ's, and part of the message: it travels with it, also when user properties are replaced.
    Message,
    /// RocketMQ's: it asks a broker to deliver later. What can be read is no longer due, so it must not reach the next broker.
    Timed,
    /// RocketMQ's: what a broker or a consumer noted for itself. It is not true of a copy, and some of these make the next broker hide
    /// the copy (a prepared transaction) or refuse it (a checksum, the count of an inner batch).
    Broker,
    /// RocketBridge's own: it travels with the message, also when user properties are replaced.
    Bridge,
}

/// Names that start with this are brokers' marks of the moment.
const TRANSIENT: &[u8] = b"__RMQ.TRANSIENT.";

/// The kind of a property.
pub fn kind(name: &[u8]) -> Kind {
    // Names that users choose mostly start with another small letter.
    let first = name.first().copied().unwrap_or_default();
    if !(first.is_ascii_uppercase() || matches!(first, b'_' | b'1' | b't')) {
        return Kind::User;
    }
    let length = name.len().min(LONGEST + 1);
    let candidates = &BY_LENGTH[STARTS[length]..STARTS[length + 1]];
    match candidates.iter().map(|index| &NAMES[*index]).find(|(known, _)| known.as_bytes() == name) {
        Some((_, kind)) => *kind,
        None if name.starts_with(TRANSIENT) => Kind::Broker,
        None => Kind::User,
    }
}

/// The longest of the names.
const LONGEST: usize = {
    let (mut longest, mut index) = (0, 0);
    while index < NAMES.len() {
        if NAMES[index].0.len() > longest {
            longest = NAMES[index].0.len();
        }
        index += 1;
    }
    longest
};

/// Where the names of each length begin in [`BY_LENGTH`]: a property is compared with those of its own length only.
const STARTS: [usize; LONGEST + 3] = {
    let mut starts = [0; LONGEST + 3];
    let mut index = 0;
    while index < NAMES.len() {
        let mut longer = NAMES[index].0.len() + 1;
        while longer < starts.len() {
            starts[longer] += 1;
            longer += 1;
        }
        index += 1;
    }
    starts
};

/// Indices of [`NAMES`], the shorter names first.
const BY_LENGTH: [usize; NAMES.len()] = {
    let mut sorted = [0; NAMES.len()];
    let mut next = STARTS;
    let mut index = 0;
    while index < NAMES.len() {
        let length = NAMES[index].0.len();
        sorted[next[length]] = index;
        next[length] += 1;
        index += 1;
    }
    sorted
};

/// Whether RocketMQ keeps this name for itself: events show such properties under `systemProperties`.
pub fn is_system(name: &str) -> bool {
    matches!(kind(name.as_bytes()), Kind::Message | Kind::Timed | Kind::Broker)
}

/// Every name that is not a user's, sorted by its bytes.
pub const NAMES: [(&str, Kind); 83] = [
    ("1ST_POP_TIME", Kind::Broker),
    ("ARRIVE_TIME", Kind::Message),
    ("BORN_TIMESTAMP", Kind::Message),
    ("BUYER_ID", Kind::Message),
    ("CHECK_IMMUNITY_TIME_IN_SECONDS", Kind::Message),
    ("CLUSTER", Kind::Broker),
    ("CONSUME_START_TIME", Kind::Broker),
    ("CORRECTION_FLAG", Kind::Message),
    ("CORRELATION_ID", Kind::Message),
    ("DELAY", Kind::Timed),
    ("DLQ_ORIGIN_MESSAGE_ID", Kind::Message),
    ("DLQ_ORIGIN_TOPIC", Kind::Message),
    ("DUP_INFO", Kind::Message),
    ("EXTEND_UNIQ_INFO", Kind::Message),
    ("E_T", Kind::Broker),
    ("INNER_BASE", Kind::Broker),
    ("INNER_MULTI_DISPATCH", Kind::Message),
    ("INNER_MULTI_QUEUE_OFFSET", Kind::Broker),
    ("INNER_NUM", Kind::Broker),
    ("INSTANCE_ID", Kind::Message),
    ("KEYS", Kind::Message),
    ("MAX_OFFSET", Kind::Broker),
    ("MAX_RECONSUME_TIMES", Kind::Message),
    ("MIN_OFFSET", Kind::Broker),
    ("MQ2_FLAG", Kind::Message),
    ("MSG_REGION", Kind::Broker),
    ("MSG_TYPE", Kind::Message),
    ("ORIGIN_GROUP", Kind::Message),
    ("ORIGIN_MESSAGE_ID", Kind::Message),
    ("PGROUP", Kind::Message),
    ("POP_CK", Kind::Broker),
    ("POP_CK_OFFSET", Kind::Broker),
    ("PROPERTY_FORWARD_QUEUE_ID", Kind::Broker),
    ("PUSH_REPLY_TIME", Kind::Message),
    ("RB_BORN", Kind::Bridge),
    ("RB_ORIGIN", Kind::Bridge),
    ("RB_POSITION", Kind::Bridge),
    ("RB_REASON", Kind::Bridge),
    ("RB_TIMED", Kind::Bridge),
    ("RB_VIA", Kind::Bridge),
    ("REAL_QID", Kind::Broker),
    ("REAL_TOPIC", Kind::Broker),
    ("RECONSUME_TIME", Kind::Message),
    ("REDIRECT", Kind::Broker),
    ("REPLY_TO_CLIENT", Kind::Message),
    ("RETRY_TOPIC", Kind::Message),
    ("TAGS", Kind::Message),
    ("TIMER_DELAY_LEVEL", Kind::Timed),
    ("TIMER_DELAY_MS", Kind::Timed),
    ("TIMER_DELAY_SEC", Kind::Timed),
    ("TIMER_DELIVERY_TOKEN", Kind::Broker),
    ("TIMER_DELIVER_MS", Kind::Timed),
    ("TIMER_DEL_UNIQKEY", Kind::Broker),
    ("TIMER_DEQUEUE_MS", Kind::Broker),
    ("TIMER_ENQUEUE_MS", Kind::Broker),
    ("TIMER_FORMAT_VERSION", Kind::Broker),
    ("TIMER_GENERATION", Kind::Broker),
    ("TIMER_ID", Kind::Broker),
    ("TIMER_LANE", Kind::Broker),
    ("TIMER_ORIGINAL_DELIVER_MS", Kind::Broker),
    ("TIMER_OUT_MS", Kind::Broker),
    ("TIMER_OWNER_EPOCH", Kind::Broker),
    ("TIMER_POLICY_FINGERPRINT", Kind::Broker),
    ("TIMER_ROLL_LABEL", Kind::Broker),
    ("TIMER_ROLL_TIMES", Kind::Broker),
    ("TRACE_CONTEXT", Kind::Message),
    ("TRACE_ON", Kind::Broker),
    ("TRANSACTION_CHECK_TIMES", Kind::Broker),
    ("TRANSFER_FLAG", Kind::Message),
    ("TRANS_OFFSET", Kind::Broker),
    ("TRAN_MSG", Kind::Broker),
    ("TRAN_PREPARED_QUEUE_OFFSET", Kind::Broker),
    ("TTL", Kind::Message),
    ("UNIQ_KEY", Kind::Message),
    ("WAIT", Kind::Message),
    ("_SYS_MSG_PRIORITY_", Kind::Message),
    ("__BORNHOST", Kind::Message),
    ("__CRC32#", Kind::Broker),
    ("__LITE_TOPIC", Kind::Message),
    ("__SHARDINGKEY", Kind::Message),
    ("__STARTDELIVERTIME", Kind::Timed),
    ("__transactionId__", Kind::Message),
    ("traceparent", Kind::Bridge),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: every name, names beside them, and users' names. *Guarantees*: the list is sorted, each name has its kind and is found as a
    /// whole only.
    #[test]
    fn names_have_their_kinds() {
        assert!(NAMES.is_sorted_by(|(one, _), (next, _)| one.as_bytes() < next.as_bytes()));
        assert!(NAMES.iter().all(|(name, expected)| kind(name.as_bytes()) == *expected));
        for users in ["", "keys", "Keys", "KEY", "x", "_", "TIMER", "traceparents", "__RMQ.TRANSIENT", "TRANSACTION_PREPARED_QUEUE_OFFSET"]
        {
            assert_eq!(kind(users.as_bytes()), Kind::User, "{users}");
        }
        assert_eq!(kind(b"__RMQ.TRANSIENT.TOPIC_SYS_FLAG"), Kind::Broker);
        assert_eq!(kind(b"\xff"), Kind::User);
        assert!(is_system("DELAY") && is_system("KEYS") && is_system("CLUSTER") && !is_system("RB_ORIGIN") && !is_system("traceparent"));
    }
}
