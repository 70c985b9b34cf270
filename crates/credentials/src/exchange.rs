//! One HTTP request, and its answer within limits.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use rocketbridge_model::resolved::HttpEndpoint;
use rocketbridge_network::Dialer;
use tokio::time::timeout;

use crate::error::{Code, Error, told};

/// How long a request may take, from the dial to the last byte of the answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Longest body of an answer, bytes.
pub(crate) const LONGEST: usize = 65_536;

/// What is asked.
pub(crate) struct Question<'a> {
    /// What it is for, on what, for people.
    pub(crate) attempt: &'a str,
    /// The server.
    pub(crate) endpoint: &'a HttpEndpoint,
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    /// Headers beside those that every request has.
    pub(crate) headers: &'a [(&'static str, &'a str)],
    /// The body, a form; empty for none.
    pub(crate) body: String,
}

/// What is answered, whatever its status.
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: u16,
    /// The server's time; ours where it says none, or the same.
    pub(crate) moment: Timestamp,
    /// The body.
    pub(crate) body: Bytes,
}

/// Asks. Redirects are not followed, and nothing is tried again.
pub(crate) async fn ask(dialer: &Dialer, question: Question<'_>) -> Result<Answer, Error> {
    let attempt = question.attempt.to_owned();
    match timeout(LIMIT, ask_in_time(dialer, question)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(Code::Unavailable, attempt, format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

async fn ask_in_time(dialer: &Dialer, question: Question<'_>) -> Result<Answer, Error> {
    let attempt = question.attempt;
    let failed = |reason: String| Error::new(Code::Unavailable, attempt, told(&reason, &[]));
    let stream = dialer.dial(&question.endpoint.address).await.map_err(|error| {
        let code = match error.fault.code() {
            rocketbridge_network::Code::Unavailable => Code::Unavailable,
            rocketbridge_network::Code::Forbidden | rocketbridge_network::Code::Misconfigured => Code::Denied,
        };
        Error::new(code, attempt, error.to_string())
    })?;
    let request = request(&question)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    let mut asking = pin!(async {
        let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
        let status = response.status().as_u16();
        let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
        let moment = moment(date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp()), Timestamp::now());
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| failed(format!("the answer broke off, or is longer than {LONGEST} bytes")))?.to_bytes();
        Ok(Answer { status, moment, body })
    });
    let mut connection = pin!(connection.fuse());
    // The connection does the reading and writing of the request, and nothing else; when it ends, what it has read is still to be taken.
    tokio::select! {
        biased;
        answer = &mut asking => return answer,
        _ = &mut connection => {}
    }
    asking.await
}

/// The server's time, of which it says the full second: our clock is finer, unless it is wrong.
fn moment(said: Option<Timestamp>, ours: Timestamp) -> Timestamp {
    match said {
        Some(said) if said.duration_since(ours).abs() > SignedDuration::from_secs(5) => said + SignedDuration::from_secs(1),
        _ => ours,
    }
}

fn request(question: &Question<'_>) -> Result<Request<Full<Bytes>>, Error> {
    let host = question.endpoint.to_string();
    let host = host.split_once("://").map_or(host.as_str(), |(_, host)| host);
    let mut builder = Request::builder().method(question.method.clone()).uri(&question.target).header(header::HOST, host);
    builder = builder.header(header::USER_AGENT, "rocketbridge").header(header::ACCEPT, "application/json");
    if !question.body.is_empty() {
        builder = builder.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    for (name, value) in question.headers {
        builder = builder.header(*name, *value);
    }
    let body = Full::new(Bytes::from(question.body.clone()));
    // Headers may hold tokens: the error must not quote them.
    builder.body(body).map_err(|_| Error::new(Code::Malformed, question.attempt, "the request cannot be written as HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a server that says no time, nearly ours, and another one. *Guarantees*: our clock counts, to the microsecond, unless it is wrong; then never less
    /// than the server's.
    #[test]
    fn our_clock_counts_unless_it_is_wrong() {
        let ours: Timestamp = "2026-11-28T02:00:00.75Z".parse().expect("a time");
        for (said, expected) in [
            (None, "2026-11-28T02:00:00.75Z"),
            (Some("2026-11-28T02:00:00Z"), "2026-11-28T02:00:00.75Z"),
            (Some("2026-11-28T02:10:00Z"), "2026-11-28T02:10:01Z"),
            (Some("2026-11-28T01:00:00Z"), "2026-11-28T01:00:01Z"),
        ] {
            let said = said.map(|said| said.parse().expect("a time"));
            assert_eq!(moment(said, ours), expected.parse().expect("a time"));
        }
    }
}
