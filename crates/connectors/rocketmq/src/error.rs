//! From what a peer or the network said to the connector's [`Error`].

use rocketbridge_connector::{Code, Error};
use rocketbridge_model::session::LARGEST_EVENT;
use rocketbridge_rocketmq_proto::v2;

use crate::remoting::code::response;
use crate::remoting::{Lost, Response};

/// The error of a request that a server refused with a response code of remoting, in the words of this connector: for clients beside it.
pub fn refused(attempt: impl Into<String>, address: &str, code: i32, remark: &str) -> Error {
    Failure::Refused { address: address.to_owned(), code, remark: remark.to_owned() }.during(attempt)
}

/// A failed exchange, before it is said what it was for.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The peer was not reached or did not answer.
    Lost {
        /// The peer.
        address: String,
        /// Why.
        reason: String,
    },
    /// The peer was not dialled, because a rule forbids it or a setting is wrong.
    Undialled {
        /// The peer.
        address: String,
        /// Why.
        reason: String,
    },
    /// The peer answered no.
    Refused {
        /// The peer.
        address: String,
        /// Response code: of remoting, or of gRPC, whose codes are 20000 and above.
        code: i32,
        /// The peer's words.
        remark: String,
    },
    /// There are no keys to sign with.
    Credentials(rocketbridge_credentials::Error),
    /// The endpoint speaks another protocol than the definition says.
    Mistaken {
        /// The endpoint.
        address: String,
        /// What it speaks, and what to write.
        reason: String,
    },
    /// The peer answered more than can be taken.
    TooLong {
        /// The peer.
        address: String,
        /// Its answer's length.
        bytes: usize,
    },
    /// The peer closes the connection on a request as long as this.
    Unread {
        /// The peer.
        address: String,
        /// The length of the request's body.
        bytes: usize,
    },
    /// The peer's answer makes no sense.
    Nonsense {
        /// The peer.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What a proxy answers for whatever it did not foresee, and for most of what a broker behind it refuses.
const INTERNAL: i32 = v2::Code::InternalServerError as i32;

/// Longest remark that is shown: brokers answer whole stack traces.
const REMARK: usize = 400;

impl Failure {
    pub(crate) fn lost(address: &str, lost: Lost) -> Self {
        Self::Lost { address: address.to_owned(), reason: lost.0 }
    }

    /// A dial that led to no connection.
    pub(crate) fn undialled(address: &str, code: rocketbridge_network::Code, reason: String) -> Self {
        let address = address.to_owned();
        match code {
            rocketbridge_network::Code::Unavailable => Self::Lost { address, reason },
            rocketbridge_network::Code::Forbidden | rocketbridge_network::Code::Misconfigured => Self::Undialled { address, reason },
        }
    }

    pub(crate) fn nonsense(address: &str, reason: impl Into<String>) -> Self {
        Self::Nonsense { address: address.to_owned(), reason: reason.into() }
    }

    /// The response, if its code is success.
    pub(crate) fn unless_success(address: &str, response: Response) -> Result<Response, Self> {
        if response.code == response::SUCCESS { Ok(response) } else { Err(Self::refused(address, &response)) }
    }

    pub(crate) fn refused(address: &str, response: &Response) -> Self {
        Self::Refused { address: address.to_owned(), code: response.code, remark: response.remark.clone() }
    }

    /// The kind of failure.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Lost { .. } => Code::Unavailable,
            // A person must change the definition.
            Self::Undialled { .. } | Self::Mistaken { .. } => Code::Denied,
            Self::Credentials(error) => match error.code() {
                rocketbridge_credentials::Code::Unavailable => Code::Unavailable,
                rocketbridge_credentials::Code::Denied => Code::Denied,
                rocketbridge_credentials::Code::Malformed => Code::Internal,
            },
            Self::Nonsense { .. } => Code::Internal,
            Self::TooLong { .. } | Self::Unread { .. } => Code::Rejected,
            Self::Refused { code, remark, .. } if *code >= v2::Code::Ok as i32 => grpc_refusal(*code, remark),
            Self::Refused { code, remark, .. } => refusal(*code, remark),
        }
    }

    /// Whether a peer refused the keys, or what they may do: it did not carry out what it was asked.
    pub(crate) fn refuses_keys(&self) -> bool {
        matches!(self, Self::Refused { .. }) && self.code() == Code::Denied
    }

    /// Whether a broker may have refused a batch for being one, or for one of its messages, so that others could be taken. A system error is
    /// among them: brokers answer it for whatever they did not foresee, and a batch that is only repeated would be refused for ever.
    pub(crate) fn may_be_of_the_batch(&self) -> bool {
        match self {
            Self::Refused { code, .. } => {
                self.code() == Code::Rejected
                    || matches!(*code, response::SYSTEM_ERROR | response::REQUEST_CODE_NOT_SUPPORTED | INTERNAL)
                        && self.code() != Code::Denied
            }
            Self::Lost { .. }
            | Self::Undialled { .. }
            | Self::Credentials(_)
            | Self::Mistaken { .. }
            | Self::Nonsense { .. }
            | Self::TooLong { .. }
            | Self::Unread { .. } => false,
        }
    }

    /// The error: what was attempted, and why it failed.
    pub(crate) fn during(self, attempt: impl Into<String>) -> Error {
        let code = self.code();
        let reason = match self {
            Self::Lost { address, reason }
            | Self::Undialled { address, reason }
            | Self::Mistaken { address, reason }
            | Self::Nonsense { address, reason } => {
                format!("{address}: {reason}")
            }
            Self::Credentials(error) => format!("no credentials: {error}"),
            Self::TooLong { address, bytes } => format!(
                "{address} answered {bytes} bytes, and events of at most {LARGEST_EVENT} bytes can be read; lower the broker's maxMessageSize, and let this one \
                 message pass (`rocketbridge skip stream NAME --partition P --offset N --reason TEXT`)"
            ),
            Self::Unread { address, bytes } => format!(
                "{address} closes the connection on a message of {bytes} bytes; raise its limit of a frame (com.rocketmq.remoting.frameMaxLength, a property of \
                 its Java, by default 16 MiB) and of a message (maxMessageSize, by default 4 MiB)"
            ),
            Self::Refused { address, code, remark } => format!("{address} answered {code}: {}", shorten(&remark)),
        };
        Error::new(code, attempt, reason)
    }
}

/// Words in the remarks of brokers of 4.9.7 and 5.3.3 that say more than their code: access control 1.0 answers "system error" and names its exception, and
/// an encoder that finds a message too long throws one.
fn remarked(remark: &str) -> Option<Code> {
    let says = |words: &[&str]| words.iter().any(|word| remark.contains(word));
    if says(&["AclException", "AuthenticationException", "AuthorizationException"]) {
        return Some(Code::Denied);
    }
    says(&["size exceeded"]).then_some(Code::Rejected)
}

/// What a status of a proxy means (`StatusCode.md` of apache/rocketmq-apis), by what the proxy of 5.3.3 answers. Most of what a broker behind it says
/// comes as an internal error, with the broker's words.
fn grpc_refusal(code: i32, remark: &str) -> Code {
    use v2::Code as Answered;
    if let Some(code) = remarked(remark) {
        return code;
    }
    match Answered::try_from(code).unwrap_or(Answered::Unspecified) {
        Answered::IllegalMessageTag
        | Answered::IllegalMessageKey
        | Answered::IllegalMessageGroup
        | Answered::IllegalMessagePropertyKey
        | Answered::IllegalMessageId
        | Answered::IllegalDeliveryTime
        | Answered::IllegalLiteTopic
        | Answered::MessagePropertyConflictWithType
        | Answered::MessageCorrupted
        | Answered::PayloadTooLarge
        | Answered::MessageBodyTooLarge
        | Answered::MessageBodyEmpty
        | Answered::MessagePropertiesTooLarge
        | Answered::RequestHeaderFieldsTooLarge
        // Of a handle: it counts no more.
        | Answered::InvalidReceiptHandle => Code::Rejected,
        // A topic whose brokers are all away for a moment.
        Answered::Forbidden if remark.contains("queue") => Code::Unavailable,
        Answered::Unauthorized | Answered::Forbidden | Answered::PaymentRequired => Code::Denied,
        Answered::NotFound
        | Answered::TopicNotFound
        | Answered::ConsumerGroupNotFound
        | Answered::IllegalTopic
        | Answered::IllegalConsumerGroup
        | Answered::IllegalFilterExpression => Code::NotFound,
        Answered::InternalServerError if remark.contains("message is illegal") => Code::Rejected,
        // What a proxy says of an acknowledgement or an extension that its broker does not know.
        Answered::InternalServerError if remark.contains("status is abnormal") => Code::Rejected,
        Answered::RequestTimeout
        | Answered::TooManyRequests
        | Answered::LiteTopicQuotaExceeded
        | Answered::LiteSubscriptionQuotaExceeded
        | Answered::PreconditionFailed
        | Answered::InternalError
        | Answered::InternalServerError
        | Answered::HaNotAvailable
        | Answered::ProxyTimeout
        | Answered::MasterPersistenceTimeout
        | Answered::SlavePersistenceTimeout
        // Its settings are not there yet, or no longer.
        | Answered::UnrecognizedClientType => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// What a response code of remoting means, by what brokers of 4.9.7 and 5.3.3 answer. An invalid parameter is a queue that the broker no longer has: the route is old, and the next one is right.
fn refusal(code: i32, remark: &str) -> Code {
    if let Some(code) = remarked(remark) {
        return code;
    }
    match code {
        response::NO_PERMISSION => Code::Denied,
        response::TOPIC_NOT_EXIST | response::SUBSCRIPTION_GROUP_NOT_EXIST | response::QUERY_NOT_FOUND => Code::NotFound,
        response::MESSAGE_ILLEGAL => Code::Rejected,
        response::PULL_OFFSET_MOVED => Code::OffsetOutOfRange,
        response::SYSTEM_ERROR
        | response::SYSTEM_BUSY
        | response::SERVICE_NOT_AVAILABLE
        | response::FLUSH_DISK_TIMEOUT
        | response::FLUSH_SLAVE_TIMEOUT
        | response::INVALID_PARAMETER
        | response::FLOW_CONTROL
        | response::NOT_LEADER_FOR_QUEUE
        | response::GO_AWAY => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// A remark's first line without what only a reader of Java's code wants: `CODE: 17  DESC: `, names of exceptions, the place of the throw.
fn plain(remark: &str) -> &str {
    let mut line = remark.lines().next().unwrap_or_default().trim();
    loop {
        let coded =
            line.strip_prefix("CODE: ").and_then(|rest| rest.split_once("DESC: ")).filter(|(code, _)| code.trim().parse::<i32>().is_ok());
        let rest = match (coded, line.split_once(": ")) {
            (Some((_, rest)), _) => rest,
            (None, Some((name, rest))) if is_exception(name) => rest,
            _ => break,
        };
        line = rest.trim();
    }
    if let Some((words, place)) = line.rsplit_once(", ")
        && place.ends_with(')')
        && place.contains(".java:")
        && !place.contains(' ')
    {
        line = words;
    }
    // The exception is all that is said.
    match line.trim_end_matches(':') {
        name if is_exception(name) => name.rsplit('.').next().unwrap_or(name),
        _ => line,
    }
}

/// Whether it is the full name of a Java exception.
fn is_exception(name: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "_$".contains(letter));
    name.contains('.') && name.split('.').all(is_name) && (name.ends_with("Exception") || name.ends_with("Error"))
}

/// The first line of a remark, in plain words, cut.
fn shorten(remark: &str) -> String {
    let line = plain(remark);
    if line.is_empty() {
        return "no reason given".to_owned();
    }
    if line.chars().count() <= REMARK { line.to_owned() } else { line.chars().take(REMARK).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32, remark: &str) -> Error {
        Failure::Refused { address: "127.0.0.1:10911".into(), code, remark: remark.into() }.during("send to topic orders")
    }

    /// *Scenario*: refusals as brokers of 4.9 and 5.x word them. *Guarantees*: their kinds, and an error that shows the first line.
    #[test]
    fn refusals_keep_their_reason() {
        let error = refused(1, "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=ak\njava.lang…");
        assert_eq!(error.code(), Code::Denied);
        assert_eq!(error.to_string(), "send to topic orders: 127.0.0.1:10911 answered 1: Check signature failed for accessKey=ak");
        assert_eq!(refused(1, "java.lang.RuntimeException: message body size exceeded, org.apache…").code(), Code::Rejected);
        assert_eq!(refused(16, "check signature failed").code(), Code::Denied);
        assert_eq!(refused(17, "topic not exist").code(), Code::NotFound);
        assert_eq!(refused(13, "the message is illegal").code(), Code::Rejected);
        for transient in [1, 2, 10, 12, 14, 29, 215, 501, 1500] {
            assert_eq!(refused(transient, "[TIMEOUT_CLEAN_QUEUE]broker busy").code(), Code::Unavailable, "{transient}");
        }
        assert_eq!(refused(999, "").code(), Code::Internal);
    }

    /// *Scenario*: statuses as proxies of 5.3.3 answer them. *Guarantees*: their kinds.
    #[test]
    fn statuses_of_proxies_have_their_kinds() {
        for (code, remark, expected) in [
            (40402, "No topic route info in name server for the topic: t", Code::NotFound),
            (40100, "check signature failed", Code::Denied),
            (40300, "no writable queue", Code::Unavailable),
            (40300, "no permission", Code::Denied),
            (40014, "TopicMessageType not match, expectedMessageType: FIFO", Code::Rejected),
            (41302, "message body cannot be empty", Code::Rejected),
            (40013, "receipt handle is expired", Code::Rejected),
            (50001, "ack failed: status is abnormal", Code::Rejected),
            (50001, "the message is illegal, maybe msg body or properties length not matched", Code::Rejected),
            (50001, "org.apache.rocketmq.acl.common.AclException: no", Code::Denied),
            (50001, "service not available now", Code::Unavailable),
            (40015, "cannot find client settings for this client", Code::Unavailable),
            (50400, "timeout", Code::Unavailable),
            (50100, "", Code::Internal),
            (99999, "", Code::Internal),
        ] {
            assert_eq!(refused(code, remark).code(), expected, "{code} {remark}");
        }
        assert!(Failure::Refused { address: "p".into(), code: 50001, remark: "x".into() }.may_be_of_the_batch());
    }

    /// *Scenario*: refusals of a batch. *Guarantees*: its messages are tried alone if that can help, and not where it cannot.
    #[test]
    fn a_refused_batch_falls_apart_where_that_can_help() {
        let apart = |code: i32, remark: &str| {
            Failure::Refused { address: "127.0.0.1:10911".into(), code, remark: remark.into() }.may_be_of_the_batch()
        };
        assert!(
            apart(13, "batch request does not support retry group")
                && apart(1, "java.lang.NullPointerException")
                && apart(3, "not supported")
        );
        assert!(apart(1, "java.lang.RuntimeException: message body size exceeded"));
        assert!(
            !apart(2, "broker busy")
                && !apart(14, "disk full")
                && !apart(16, "no")
                && !apart(1, "AclException: no")
                && !apart(17, "no topic")
        );
        assert!(!Failure::Lost { address: "a".into(), reason: "closed".into() }.may_be_of_the_batch());
    }

    /// *Scenario*: remarks as brokers of 4.9, 5.3 and proxies send them. *Guarantees*: people read what happened, not where in Java it was thrown.
    #[test]
    fn remarks_are_told_without_java() {
        for (remark, words) in [
            (
                "CODE: 17  DESC: topic[orders] not exist, apply first please!\nSee https://rocketmq.apache.org",
                "topic[orders] not exist, apply first please!",
            ),
            (
                "java.lang.RuntimeException: message body size exceeded, org.apache.rocketmq.store.CommitLog.lambda$put$0(CommitLog.java:123)",
                "message body size exceeded",
            ),
            (
                "org.apache.rocketmq.client.exception.MQBrokerException: CODE: 13  DESC: the message is illegal, maybe msg body or properties length not matched",
                "the message is illegal, maybe msg body or properties length not matched",
            ),
            ("java.lang.NullPointerException, org.apache.rocketmq.A.b(A.java:1)", "NullPointerException"),
            ("org.apache.rocketmq.acl.common.AclException: ", "AclException"),
            ("", "no reason given"),
            ("No topic route info in name server for the topic: orders", "No topic route info in name server for the topic: orders"),
            ("CODE: x DESC: y", "CODE: x DESC: y"),
        ] {
            assert_eq!(shorten(remark), words, "{remark}");
        }
    }
}
