//! What the library needs to work with RocketMQ 4.x.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use rocketmq_error::SharedError;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_transport::api::RPCHook;

/// Request codes (`RequestCode` of Apache RocketMQ).
const GET_ROUTE: i32 = 105;
const GET_CLUSTER: i32 = 106;
const LITE_PULL: i32 = 361;
const PULL: i32 = 11;

const BROKER_ADDRESSES: &str = "\"brokerAddrs\":";
const ACTING_MASTER: &str = "\"enableActingMaster\"";

/// Hook for every client of one name server: a route without `enableActingMaster` is one of 4.x. The library cannot read it, so the
/// field is added; and brokers of 4.x do not know lite pulls, so they are asked with plain ones from then on.
#[derive(Debug, Default)]
pub(crate) struct Compatibility {
    is_old: AtomicBool,
}

impl RPCHook for Compatibility {
    fn do_before_request(&self, _: SocketAddr, request: &mut RemotingCommand) -> Result<(), SharedError> {
        if request.code() == LITE_PULL && self.is_old.load(Ordering::Relaxed) {
            request.set_code_ref(PULL);
        }
        Ok(())
    }

    fn do_after_response(&self, _: SocketAddr, request: &RemotingCommand, response: &mut RemotingCommand) -> Result<(), SharedError> {
        if ![GET_ROUTE, GET_CLUSTER].contains(&request.code()) {
            return Ok(());
        }
        let repaired = response.body().and_then(|body| repair(body));
        if let Some(body) = repaired {
            self.is_old.store(true, Ordering::Relaxed);
            response.set_body_mut_ref(body);
        }
        Ok(())
    }
}

/// The answer of a name server of 4.x as one of 5.x would write it; `None` if there is nothing to repair.
fn repair(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let is_old = text.contains(BROKER_ADDRESSES) && !text.contains(ACTING_MASTER);
    is_old.then(|| text.replace(BROKER_ADDRESSES, &format!("{ACTING_MASTER}:false,{BROKER_ADDRESSES}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_4_get_what_is_missing_and_others_stay() {
        let old = br#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:1"},"brokerName":"a"},{"brokerAddrs":{0:"127.0.0.1:2"}}]}"#;
        let repaired = repair(old).expect("it is an old one");
        assert_eq!(repaired.matches(r#"{"enableActingMaster":false,"brokerAddrs":{"#).count(), 2, "{repaired}");
        assert_eq!(repair(repaired.as_bytes()), None);
        assert_eq!(repair(b"{}"), None);
        assert_eq!(repair(b"\xff"), None);
    }
}
