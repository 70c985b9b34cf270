//! Codes, names, flags and frames of this client, held against `rocketmq-protocol`, which others wrote after Apache RocketMQ. Tests only.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketbridge_connector::PullLimits;
use rocketbridge_model::event::system_flag;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::{Properties, properties};
use rocketmq_model::common::constant::PermName;
use rocketmq_model::common::sys_flag::message_sys_flag::MessageSysFlag;
use rocketmq_model::common::sys_flag::pull_sys_flag::PullSysFlag;
use rocketmq_protocol::code::request_code::RequestCode;
use rocketmq_protocol::code::response_code::ResponseCode;
use rocketmq_protocol::common::message::message_decoder::{
    NAME_VALUE_SEPARATOR, PROPERTY_SEPARATOR, message_properties_to_string, string_to_message_properties,
};
use rocketmq_protocol::protocol::command_custom_header::CommandCustomHeader;
use rocketmq_protocol::protocol::header::create_topic_request_header::CreateTopicRequestHeader;
use rocketmq_protocol::protocol::header::message_operation_header::send_message_request_header_v2::SendMessageRequestHeaderV2;
use rocketmq_protocol::protocol::header::pull_message_request_header::PullMessageRequestHeader;
use rocketmq_protocol::protocol::header::query_consumer_offset_request_header::QueryConsumerOffsetRequestHeader;
use rocketmq_protocol::protocol::header::search_offset_request_header::SearchOffsetRequestHeader;
use rocketmq_protocol::protocol::header::unregister_client_request_header::UnregisterClientRequestHeader;
use rocketmq_protocol::protocol::header::update_consumer_offset_header::UpdateConsumerOffsetRequestHeader;
use rocketmq_protocol::protocol::heartbeat::heartbeat_data::HeartbeatData;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_protocol::protocol::{LanguageCode, SerializeType};

use crate::born::Born;
use crate::encode::Single;
use crate::names::Names;
use crate::presence::Subscription;
use crate::remoting::code::{request, response};
use crate::remoting::frame::{self, Incoming};
use crate::remoting::{Request, Response};
use crate::route::Queue;
use crate::target::Sender;
use crate::{Connectors, committer, offsets, presence, pull, route};

/// The constants of a module of `code.rs`, as they stand there.
fn constants(module: &str) -> Vec<&'static str> {
    let text = include_str!("remoting/code.rs");
    let start = text.find(&format!("mod {module} {{")).expect("the module");
    let body = &text[start..start + text[start..].find("\n}").expect("its end")];
    body.lines().filter_map(|line| line.trim().strip_prefix("pub(crate) const ")?.split(':').next()).collect()
}

/// Compares constants with the other side's, and wants each constant of a module compared.
macro_rules! compared {
    ($module:ident, $other:ident: $($ours:ident = $theirs:ident),* $(,)?) => {{
        $(assert_eq!($module::$ours, $other::$theirs.to_i32(), stringify!($ours));)*
        assert_eq!(constants(stringify!($module)), [$(stringify!($ours)),*], "a constant was not compared");
    }};
}

/// *Scenario*: every code that this client sends or understands. *Guarantees*: it is the other side's code of that meaning; none is left out.
#[test]
fn codes_are_those_of_others() {
    compared!(request, RequestCode:
        PULL_MESSAGE = PullMessage,
        QUERY_CONSUMER_OFFSET = QueryConsumerOffset,
        UPDATE_CONSUMER_OFFSET = UpdateConsumerOffset,
        UPDATE_AND_CREATE_TOPIC = UpdateAndCreateTopic,
        GET_ALL_TOPIC_CONFIG = GetAllTopicConfig,
        SEARCH_OFFSET_BY_TIMESTAMP = SearchOffsetByTimestamp,
        GET_MAX_OFFSET = GetMaxOffset,
        GET_MIN_OFFSET = GetMinOffset,
        HEART_BEAT = HeartBeat,
        UNREGISTER_CLIENT = UnregisterClient,
        GET_ALL_CONSUMER_OFFSET = GetAllConsumerOffset,
        UPDATE_AND_CREATE_ACL_CONFIG = UpdateAndCreateAclConfig,
        DELETE_ACL_CONFIG = DeleteAclConfig,
        GET_ROUTE_BY_TOPIC = GetRouteinfoByTopic,
        GET_BROKER_CLUSTER_INFO = GetBrokerClusterInfo,
        UPDATE_AND_CREATE_SUBSCRIPTION_GROUP = UpdateAndCreateSubscriptionGroup,
        GET_ALL_SUBSCRIPTION_GROUP_CONFIG = GetAllSubscriptionGroupConfig,
        GET_CONSUMER_CONNECTION_LIST = GetConsumerConnectionList,
        GET_ALL_TOPICS = GetAllTopicListFromNameserver,
        DELETE_TOPIC_IN_BROKER = DeleteTopicInBroker,
        DELETE_TOPIC_IN_NAME_SERVER = DeleteTopicInNamesrv,
        SEND_MESSAGE_V2 = SendMessageV2,
        SEND_BATCH_MESSAGE = SendBatchMessage,
        GET_TOPIC_CONFIG = GetTopicConfig,
    );
    compared!(response, ResponseCode:
        SUCCESS = Success,
        SYSTEM_ERROR = SystemError,
        SYSTEM_BUSY = SystemBusy,
        REQUEST_CODE_NOT_SUPPORTED = RequestCodeNotSupported,
        FLUSH_DISK_TIMEOUT = FlushDiskTimeout,
        SLAVE_NOT_AVAILABLE = SlaveNotAvailable,
        FLUSH_SLAVE_TIMEOUT = FlushSlaveTimeout,
        MESSAGE_ILLEGAL = MessageIllegal,
        SERVICE_NOT_AVAILABLE = ServiceNotAvailable,
        NO_PERMISSION = NoPermission,
        TOPIC_NOT_EXIST = TopicNotExist,
        PULL_NOT_FOUND = PullNotFound,
        PULL_RETRY_IMMEDIATELY = PullRetryImmediately,
        PULL_OFFSET_MOVED = PullOffsetMoved,
        QUERY_NOT_FOUND = QueryNotFound,
        SUBSCRIPTION_GROUP_NOT_EXIST = SubscriptionGroupNotExist,
        INVALID_PARAMETER = InvalidParameter,
        CONSUMER_NOT_ONLINE = ConsumerNotOnline,
        FLOW_CONTROL = FlowControl,
        NOT_LEADER_FOR_QUEUE = NotLeaderForQueue,
        GO_AWAY = GoAway,
    );
}

/// What the other side reads of a request of ours, through a frame.
fn theirs(request: &Request, opaque: i32) -> RemotingCommand {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&request.head(opaque));
    bytes.extend_from_slice(&request.body);
    let command = RemotingCommand::decode(&mut bytes).expect("a frame").expect("a whole frame");
    assert!(bytes.is_empty(), "one frame");
    command
}

/// The other side's header of a request of ours. Every field that we write must be one that the header knows, with its value.
macro_rules! understood {
    ($header:ty, $request:expr) => {{
        let request: &Request = $request;
        let header = theirs(request, 1).decode_command_custom_header::<$header>();
        let header = header.unwrap_or_else(|error| panic!("{:?}: {error}", request.fields));
        let known = header.to_map().expect("fields");
        for (name, value) in &request.fields {
            let read = known.get(*name).map(|value| value.as_str());
            assert_eq!(read, Some(&**value), "field {name} of request {}", request.code);
        }
        header
    }};
}

fn queue() -> Queue {
    Queue { broker: "broker-a".into(), id: 3 }
}

/// *Scenario*: every kind of request with fields that this client makes. *Guarantees*: the other side's headers know each field that we write, and read its value.
#[tokio::test]
async fn fields_are_those_of_others() {
    let names = Names { topic: "t".into(), group: "g".into(), expression: "a || b".into(), tags: Vec::new(), sql: None };
    let limits = PullLimits { events: 32, bytes: 4096, ahead: true };
    let pulled = pull::request(&names, pull::Evaluator::Broker, &queue(), 7, limits, Duration::from_secs(15));
    let header = understood!(PullMessageRequestHeader, &pulled);
    assert_eq!((header.queue_offset, header.max_msg_nums, header.suspend_timeout_millis), (7, 32, 15_000));
    let flags = u32::try_from(header.sys_flag).expect("few bits");
    assert!(
        PullSysFlag::has_suspend_flag(flags) && PullSysFlag::has_subscription_flag(flags) && !PullSysFlag::has_commit_offset_flag(flags)
    );
    let at_once = pull::request(&names, pull::Evaluator::Broker, &queue(), 7, limits, Duration::ZERO);
    let header = understood!(PullMessageRequestHeader, &at_once);
    assert!(!PullSysFlag::has_suspend_flag(u32::try_from(header.sys_flag).expect("few bits")));

    let committed = committer::naming(Request::new(request::UPDATE_CONSUMER_OFFSET), "t", "g", &queue()).number("commitOffset", 9);
    assert_eq!(understood!(UpdateConsumerOffsetRequestHeader, &committed).commit_offset, 9);
    let asked = committer::naming(Request::new(request::QUERY_CONSUMER_OFFSET), "t", "g", &queue()).field("setZeroIfNotFound", "false");
    assert_eq!(understood!(QueryConsumerOffsetRequestHeader, &asked).set_zero_if_not_found, Some(false));
    let searched =
        offsets::naming(Request::new(request::SEARCH_OFFSET_BY_TIMESTAMP).number("timestamp", 1_700_000_000_000_i64), "t", &queue());
    assert_eq!(understood!(SearchOffsetRequestHeader, &searched).timestamp, 1_700_000_000_000);
    let left = presence::unregister("client", "g");
    assert_eq!(understood!(UnregisterClientRequestHeader, &left).client_id.as_str(), "client");

    let connectors = Connectors::new();
    let connection = RocketMqConnection { endpoints: vec!["127.0.0.1:1".into()], namespace: "ns".into(), ..RocketMqConnection::default() };
    let topic = connectors.admin(&connection).set_up("t", 4, 8, 6);
    let header = understood!(CreateTopicRequestHeader, &topic);
    assert_eq!((header.topic.as_str(), header.read_queue_nums, header.write_queue_nums, header.perm), ("ns%t", 4, 8, 6));
    let single = Single {
        index: 0,
        body: Bytes::new(),
        properties: Bytes::from_static(b"a\x01b\x02"),
        flag: 5,
        system_flag: 0,
        born: Born::default(),
        is_binary: false,
    };
    let sent = Sender::new(connectors.client(&connection), "t").single(&queue(), &single);
    let header = understood!(SendMessageRequestHeaderV2, &sent);
    assert_eq!((header.b.as_str(), header.e, header.h, header.m), ("ns%t", 3, 5, Some(false)));
    assert_eq!(header.i.as_deref(), Some("a\u{1}b\u{2}"));
}

/// *Scenario*: a request of ours with fields that need escapes, and a body; our no to a request. *Guarantees*: the other side reads code, number, fields, body and flags.
#[test]
fn others_read_our_frames() {
    let request = Request::new(request::SEND_MESSAGE_V2).field("i", "k\u{1}\"v\"\u{2}").number("e", 3).body(&b"\0\xff body"[..]);
    let command = theirs(&request, 77);
    assert_eq!((command.code(), command.opaque(), command.is_response_type(), command.is_oneway_rpc()), (310, 77, false, false));
    let fields = command.ext_fields().expect("fields");
    let field = |name: &str| fields.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.as_str());
    assert_eq!((field("i"), field("e")), (Some("k\u{1}\"v\"\u{2}"), Some("3")));
    assert_eq!(command.body().map(|body| &body[..]), Some(&b"\0\xff body"[..]));
    assert_eq!(command.language(), LanguageCode::OTHER);
    let mut refusal = BytesMut::from(&frame::not_supported(5)[..]);
    let refusal = RemotingCommand::decode(&mut refusal).expect("a frame").expect("a whole frame");
    assert!(refusal.is_response_type());
    assert_eq!((refusal.code(), refusal.opaque()), (ResponseCode::RequestCodeNotSupported.to_i32(), 5));
}

/// A frame of the other side, without its length word, as our connection hands it on.
fn written(mut command: RemotingCommand, body: &'static [u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&command.encode_header_with_body_length(body.len()).expect("a header"));
    bytes.extend_from_slice(body);
    let length = bytes::Buf::get_u32(&mut bytes) as usize;
    assert_eq!(length, bytes.len(), "the length word counts what is behind it");
    bytes.freeze()
}

/// *Scenario*: responses, requests and notices of the other side, in both forms. *Guarantees*: we read a JSON response with code, words, fields and body; a request and
/// a notice are told apart; the binary form, which nobody answers JSON with, is passed over and breaks nothing.
#[test]
fn we_read_frames_of_others() {
    let answer = |form| {
        let mut command = RemotingCommand::create_response_command_with_code_remark(ResponseCode::PullOffsetMoved, "moved \"on\"");
        command.ensure_ext_fields_initialized();
        command.add_ext_field("minOffset", "5");
        command.set_opaque(9).set_serialize_type(form)
    };
    let Ok(Incoming::Response(9, Response { code, remark, fields, body, .. })) =
        frame::read(written(answer(SerializeType::JSON), b"\x01body"))
    else {
        panic!("a response")
    };
    assert_eq!((code, remark.as_str(), &body[..]), (response::PULL_OFFSET_MOVED, "moved \"on\"", &b"\x01body"[..]));
    assert_eq!(fields, HashMap::from([("minOffset".to_owned(), "5".to_owned())]));
    assert!(matches!(frame::read(written(answer(SerializeType::ROCKETMQ), b"")), Ok(Incoming::Notice)));

    let asks = || RemotingCommand::create_remoting_command(RequestCode::CheckTransactionState).set_opaque(4);
    let json = SerializeType::JSON;
    assert!(matches!(frame::read(written(asks().set_serialize_type(json), b"")), Ok(Incoming::Request(4))));
    assert!(matches!(frame::read(written(asks().mark_oneway_rpc().set_serialize_type(json), b"")), Ok(Incoming::Notice)));
}

/// *Scenario*: flags, permissions and separators. *Guarantees*: they are the other side's.
#[test]
fn bits_and_separators_are_those_of_others() {
    for (ours, theirs) in [
        (system_flag::COMPRESSED, MessageSysFlag::COMPRESSED_FLAG),
        (system_flag::BORN_HOST_V6, MessageSysFlag::BORNHOST_V6_FLAG),
        (system_flag::STORE_HOST_V6, MessageSysFlag::STOREHOSTADDRESS_V6_FLAG),
        (system_flag::NEED_UNWRAP, MessageSysFlag::NEED_UNWRAP_FLAG),
        (system_flag::INNER_BATCH, MessageSysFlag::INNER_BATCH_FLAG),
        (system_flag::COMPRESSION_KIND, MessageSysFlag::COMPRESSION_TYPE_COMPARATOR),
    ] {
        assert_eq!(ours, theirs);
    }
    assert_eq!((route::READ, route::WRITE), (PermName::PERM_READ, PermName::PERM_WRITE));
    assert_eq!(crate::settings::WRITE, PermName::PERM_WRITE);
    assert_eq!(char::from(properties::NAME_VALUE_SEPARATOR), NAME_VALUE_SEPARATOR);
    assert_eq!(char::from(properties::PROPERTY_SEPARATOR), PROPERTY_SEPARATOR);
    let pairs = [("KEYS", "a b"), ("empty", ""), ("größe", "1=2;3")];
    let ours = Properties::from_pairs(pairs).expect("no separators");
    let text = std::str::from_utf8(ours.as_wire()).expect("UTF-8");
    let read = string_to_message_properties(Some(&text.into()));
    let read: HashMap<&str, &str> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Like Java, the other side reads no property without a value; ours keeps it.
    assert_eq!(read, pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect());
    let written = message_properties_to_string(&pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
    let back: HashMap<Cow<'_, str>, Cow<'_, str>> = properties::pairs(written.as_bytes())
        .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(back, pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
}

/// *Scenario*: our heartbeat. *Guarantees*: the other side reads client, group and subscription of it.
#[test]
fn others_read_our_heartbeat() {
    let subscription = Subscription { broker: "broker-a".into(), topic: "t".into(), group: "g".into(), expression: "a || b".into() };
    let beat = presence::heartbeat("client", &[subscription]);
    let data: HeartbeatData = serde_json::from_slice(&beat.body).expect("a heartbeat");
    let consumer = data.consumer_data_set.iter().next().expect("one group");
    assert_eq!((data.client_id.as_str(), consumer.group_name.as_str()), ("client", "g"));
    let subscribed = consumer.subscription_data_set.iter().next().expect("one topic");
    assert_eq!((subscribed.topic.as_str(), subscribed.sub_string.as_str()), ("t", "a || b"));
}
