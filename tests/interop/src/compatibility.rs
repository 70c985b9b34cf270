//! What the library needs to work with RocketMQ 4.x.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use rocketmq_error::SharedError;
use rocketmq_protocol::protocol::remoting_command::RemotingCommand;
use rocketmq_transport::api::RPCHook;

/// Request codes (`RequestCode` of Apache RocketMQ).
const GET_ROUTE: i32 = 105;
const GET_CLUSTER: i32 = 106;
const GET_CONSUME_STATS: i32 = 208;
const LITE_PULL: i32 = 361;
const PULL: i32 = 11;

/// A field that the library wants and 4.x does not write, and the field it goes before.
const ACTING_MASTER: Missing = Missing { field: "\"enableActingMaster\"", value: "false", before: "\"brokerAddrs\":" };
const PULL_OFFSET: Missing = Missing { field: "\"pullOffset\"", value: "0", before: "\"lastTimestamp\":" };

struct Missing {
    field: &'static str,
    value: &'static str,
    before: &'static str,
}

/// Hook for every client of one name server. The library cannot read routes and progress as 4.x writes them, so the fields that it misses
/// are added. Brokers of 4.x do not know lite pulls, so after such a route they are asked with plain ones.
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
        let missing = match request.code() {
            GET_ROUTE | GET_CLUSTER => ACTING_MASTER,
            GET_CONSUME_STATS => PULL_OFFSET,
            _ => return Ok(()),
        };
        let repaired = response.body().and_then(|body| missing.add(body));
        if let Some(body) = repaired {
            self.is_old.store(true, Ordering::Relaxed);
            response.set_body_mut_ref(body);
        }
        Ok(())
    }
}

impl Missing {
    /// The answer of 4.x as 5.x would write it; `None` if nothing is missing.
    fn add(&self, body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?;
        let Self { field, value, before } = self;
        let is_old = text.contains(before) && !text.contains(field);
        is_old.then(|| text.replace(before, &format!("{field}:{value},{before}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_4_get_what_is_missing_and_others_stay() {
        let old = br#"{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:1"},"brokerName":"a"},{"brokerAddrs":{0:"127.0.0.1:2"}}]}"#;
        let repaired = ACTING_MASTER.add(old).expect("it is an old one");
        assert_eq!(repaired.matches(r#"{"enableActingMaster":false,"brokerAddrs":{"#).count(), 2, "{repaired}");
        assert_eq!(ACTING_MASTER.add(repaired.as_bytes()), None);
        assert_eq!(ACTING_MASTER.add(b"{}"), None);
        assert_eq!(ACTING_MASTER.add(b"\xff"), None);
    }
}
