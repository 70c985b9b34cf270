//! What is spoken at an endpoint: remoting or gRPC. It is asked when nobody said it, and when what was said turns out wrong.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use rocketbridge_network::Dialer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::remoting::Request;
use crate::remoting::code::request;

/// How long each question may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How HTTP/2 begins, and an empty frame of settings (RFC 9113, 3.4 and 6.5).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The type of a frame of settings, and where it stands.
const SETTINGS: u8 = 4;
const TYPE: usize = 3;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// Remoting, if not gRPC as well: name servers, brokers, and the remoting port of a proxy.
    Remoting,
    /// gRPC only: the port of a proxy.
    Grpc,
}

/// Endpoints that speak gRPC only, as far as this process has found out. Clones share what is known.
#[derive(Clone, Default)]
pub(crate) struct GrpcOnly(Arc<Mutex<HashSet<String>>>);

impl GrpcOnly {
    /// Notes one.
    pub(crate) fn add(&self, endpoint: &str) {
        self.0.lock().insert(endpoint.to_owned());
    }

    /// Whether one of these is known to speak gRPC only.
    pub(crate) fn has_any(&self, endpoints: &[String]) -> bool {
        let known = self.0.lock();
        !known.is_empty() && endpoints.iter().any(|endpoint| known.contains(endpoint.trim()))
    }
}

/// What is spoken at an address; `None` if neither can be heard there now.
pub(crate) async fn spoken(dialer: &Dialer, address: &str) -> Option<Spoken> {
    // Any request is answered by whoever speaks remoting, if only with a refusal. A route of no topic changes nothing.
    let question = Request::new(request::GET_ROUTE_BY_TOPIC).field("topic", "TBW102").head(1);
    if let Ok(Ok(answer)) = timeout(PATIENCE, ask(dialer, address, &question)).await
        && is_remoting(&answer)
    {
        return Some(Spoken::Remoting);
    }
    match timeout(PATIENCE, ask(&dialer.offering(&["h2"]), address, PREFACE)).await {
        Ok(Ok(answer)) if is_http2(&answer) => Some(Spoken::Grpc),
        _ => None,
    }
}

/// Sends and reads the first bytes that come back.
async fn ask(dialer: &Dialer, address: &str, question: &[u8]) -> io::Result<BytesMut> {
    let mut stream = dialer.dial(address).await.map_err(io::Error::other)?;
    stream.write_all(question).await?;
    let mut answer = BytesMut::with_capacity(64);
    while answer.len() < 9 {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Whether it begins as a frame of remoting: a length, then the form of a header (0 for JSON, 1 for RocketMQ's own) and the header's length, which is shorter.
fn is_remoting(answer: &[u8]) -> bool {
    let Some((length, rest)) = answer.split_first_chunk::<4>() else { return false };
    let Some((header, rest)) = rest.split_first_chunk::<4>() else { return false };
    let length = u32::from_be_bytes(*length);
    let header_length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    match header[0] {
        0 => header_length > 0 && header_length + 4 <= length && rest.first() == Some(&b'{'),
        1 => header_length > 0 && header_length + 4 <= length,
        _ => false,
    }
}

/// Whether it begins as HTTP/2 does: with a frame of settings.
fn is_http2(answer: &[u8]) -> bool {
    answer.len() >= 9 && answer[TYPE] == SETTINGS
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::resolved::RocketMqConnection;
    use rocketbridge_network::Egress;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers every connection with the same bytes, and then closes it.
    async fn answering(answers: &'static [&'static [u8]]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut buffer = [0; 256];
                let _ = stream.read(&mut buffer).await;
                let _ = stream.write_all(answer).await;
            }
        });
        address
    }

    const REMOTING: &[u8] = b"\0\0\0\x08\0\0\0\x04{  }";
    const HTTP2: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

    /// *Scenario*: a name server, a proxy that closes what is not HTTP/2, one that speaks both, something else, and nothing at all. *Guarantees*: what is
    /// spoken, remoting where both are.
    #[tokio::test]
    async fn an_endpoint_shows_what_it_speaks() {
        let dialer = Dialer::new(&RocketMqConnection::default(), Arc::new(Egress::default()));
        assert_eq!(spoken(&dialer, &answering(&[REMOTING]).await).await, Some(Spoken::Remoting));
        assert_eq!(spoken(&dialer, &answering(&[b"", HTTP2]).await).await, Some(Spoken::Grpc));
        assert_eq!(spoken(&dialer, &answering(&[HTTP2, HTTP2]).await).await, Some(Spoken::Grpc));
        assert_eq!(spoken(&dialer, &answering(&[b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.1 400 Bad Request\r\n"]).await).await, None);
        assert_eq!(spoken(&dialer, &answering(&[]).await).await, None);
    }
}
