//! What stands between the library and a server.
//!
//! Requests are signed. Answers of 4.x get the fields that the library cannot do without; addresses of brokers become those of relays; the code and words
//! of a refusal are kept, because the library's errors leave the words out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rocketmq_client_rust::AclClientRPCHook;
use rocketmq_error::SharedError;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_transport::api::RPCHook;

use crate::relay::{Relays, Role};

/// Request codes (`RequestCode` of Apache RocketMQ).
const GET_ALL_TOPIC_CONFIG: i32 = 21;
const GET_ROUTE: i32 = 105;
const GET_CLUSTER: i32 = 106;
const GET_ALL_GROUPS: i32 = 201;
const GET_CONSUME_STATS: i32 = 208;

/// Fields that the library wants and 4.x does not write, and the field each goes before.
const ACTING_MASTER: Missing = Missing { field: "\"enableActingMaster\"", value: "false", before: "\"brokerAddrs\":" };
const ATTRIBUTES: Missing = Missing { field: "\"attributes\"", value: "{}", before: "\"order\":" };
const FORBIDDEN: Missing = Missing { field: "\"forbiddenTable\"", value: "{}", before: "\"subscriptionGroupTable\":" };
const STATE_VERSION: Missing = Missing { field: "\"stateVersion\"", value: "0", before: "\"counter\":" };
const PULL_OFFSET: Missing = Missing { field: "\"pullOffset\"", value: "0", before: "\"lastTimestamp\":" };
/// Begins the addresses of a broker, by number.
const ADDRESSES: &str = "\"brokerAddrs\":{";

struct Missing {
    field: &'static str,
    value: &'static str,
    before: &'static str,
}

/// A server's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `ResponseCode` of Apache RocketMQ.
    pub(crate) code: i32,
    /// Its words; may be empty.
    pub(crate) remark: String,
}

/// The hook of one administration.
pub(crate) struct Hook {
    signer: Option<AclClientRPCHook>,
    relays: Arc<Relays>,
    /// The last no. There is one request at a time, so it is that request's.
    refusal: Mutex<Option<Refusal>>,
    /// Whether an answer was one of 4.x.
    is_old: AtomicBool,
}

impl Hook {
    pub(crate) fn new(signer: Option<AclClientRPCHook>, relays: Arc<Relays>) -> Self {
        Self { signer, relays, refusal: Mutex::default(), is_old: AtomicBool::new(false) }
    }

    /// Whether an answer was one of 4.x.
    pub(crate) fn is_old(&self) -> bool {
        self.is_old.load(Ordering::Relaxed)
    }

    /// The no that came since it was last taken.
    pub(crate) fn take_refusal(&self) -> Option<Refusal> {
        self.refusal.lock().take()
    }
}

impl RPCHook for Hook {
    fn do_before_request(&self, server: SocketAddr, request: &mut RemotingCommand) -> Result<(), SharedError> {
        self.signer.as_ref().map_or(Ok(()), |signer| signer.do_before_request(server, request))
    }

    fn do_after_response(&self, _: SocketAddr, request: &RemotingCommand, response: &mut RemotingCommand) -> Result<(), SharedError> {
        if response.code() != 0 {
            let remark = response.remark().map(|remark| remark.to_string()).unwrap_or_default();
            *self.refusal.lock() = Some(Refusal { code: response.code(), remark });
            return Ok(());
        }
        let Some(text) = response.body().and_then(|body| std::str::from_utf8(body).ok()) else { return Ok(()) };
        let readable = match request.code() {
            // A relay that cannot be opened leaves no address that could be dialled.
            GET_ROUTE | GET_CLUSTER => {
                readdressed(&ACTING_MASTER.add(text), |address| self.relays.to(Role::Asked, address).unwrap_or_default())
            }
            GET_ALL_TOPIC_CONFIG => ATTRIBUTES.add(&STATE_VERSION.add(text)),
            GET_ALL_GROUPS if !text.contains(FORBIDDEN.field) => {
                self.is_old.store(true, Ordering::Relaxed);
                FORBIDDEN.add(&STATE_VERSION.add(text))
            }
            GET_CONSUME_STATS => PULL_OFFSET.add(text),
            _ => return Ok(()),
        };
        response.set_body_mut_ref(readable);
        Ok(())
    }
}

impl Missing {
    /// The answer of 4.x as 5.x would write it.
    fn add(&self, text: &str) -> String {
        let Self { field, value, before } = self;
        if text.contains(field) { text.to_owned() } else { text.replace(before, &format!("{field}:{value},{before}")) }
    }
}

/// A route, or a list of clusters, with other addresses of brokers. Keys of addresses may stand in quotes (5.x) or not (4.x).
fn readdressed(text: &str, relay: impl Fn(&str) -> String) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(ADDRESSES) {
        let (before, addresses) = rest.split_at(start + ADDRESSES.len());
        written.push_str(before);
        let (mut addresses, after) = addresses.split_at(addresses.find('}').unwrap_or(addresses.len()));
        while let Some((key, value)) = addresses.split_once(":\"") {
            let (address, following) = value.split_once('"').unwrap_or((value, ""));
            written.push_str(key);
            written.push_str(":\"");
            written.push_str(&relay(address));
            written.push('"');
            addresses = following;
        }
        written.push_str(addresses);
        rest = after;
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a route as 4.9 writes it, and one as 5.3 does. *Guarantees*: what 4.x leaves out is there; every address of a broker is a relay's, nothing
    /// else is changed.
    #[test]
    fn routes_lead_to_relays() {
        let relay = |address: &str| format!("relay-{}", address.rsplit(':').next().unwrap_or_default());
        let old =
            r#"{"brokerDatas":[{"brokerAddrs":{0:"10.0.0.1:1",1:"10.0.0.2:2"},"brokerName":"a"},{"brokerAddrs":{},"brokerName":"b"}]}"#;
        assert_eq!(
            readdressed(&ACTING_MASTER.add(old), relay),
            r#"{"brokerDatas":[{"enableActingMaster":false,"brokerAddrs":{0:"relay-1",1:"relay-2"},"brokerName":"a"},{"enableActingMaster":false,"brokerAddrs":{},"brokerName":"b"}]}"#
        );
        let new = r#"{"brokerDatas":[{"brokerAddrs":{"0":"[::1]:7"},"enableActingMaster":false}],"queueDatas":[{"brokerName":"x:\"y"}]}"#;
        assert_eq!(readdressed(&ACTING_MASTER.add(new), relay), new.replace("[::1]:7", "relay-7"));
        assert_eq!(readdressed(r#"{"brokerAddrs":{"0":"a:1"#, relay), r#"{"brokerAddrs":{"0":"relay-1""#);
        assert_eq!(readdressed("", relay), "");
    }

    /// *Scenario*: progress and tables as 4.9 writes them. *Guarantees*: what the library needs is there; what is whole stays as it is.
    #[test]
    fn answers_of_4_get_what_is_missing() {
        let old = r#"{"offsetTable":{{"queueId":0}:{"brokerOffset":1,"lastTimestamp":0}}}"#;
        let readable = PULL_OFFSET.add(old);
        assert!(readable.contains(r#""pullOffset":0,"lastTimestamp":0"#), "{readable}");
        assert_eq!(PULL_OFFSET.add(&readable), readable);
        let topics = ATTRIBUTES
            .add(&STATE_VERSION.add(r#"{"dataVersion":{"counter":1},"topicConfigTable":{"t":{"order":false},"u":{"order":true}}}"#));
        assert_eq!(
            topics,
            r#"{"dataVersion":{"stateVersion":0,"counter":1},"topicConfigTable":{"t":{"attributes":{},"order":false},"u":{"attributes":{},"order":true}}}"#
        );
        assert!(FORBIDDEN.add(r#"{"subscriptionGroupTable":{}}"#).starts_with(r#"{"forbiddenTable":{},"#));
    }
}
