//! What servers and files say: keys, or why there are none. Pure.

use std::time::Duration;

use jiff::Timestamp;
use rocketbridge_model::Secret;
use serde::Deserialize;

use crate::error::{Code, Error, told};

/// Keys as they were written, and how long they live.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    /// Access key.
    pub(crate) access_key: String,
    /// Its secret.
    pub(crate) secret_key: Secret,
    /// Security token; empty for none.
    pub(crate) security_token: Secret,
    /// How long they live from now on; `None` if nobody says. Zero if they have ended.
    pub(crate) life: Option<Duration>,
}

/// The answer of `AssumeRole` and `AssumeRoleWithOIDC`.
#[derive(Deserialize)]
struct StsAnswer {
    #[serde(rename = "Credentials")]
    credentials: Document,
}

/// Keys as STS, metadata service and files write them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    /// The metadata service's: `Success`, or not.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    security_token: String,
    #[serde(default)]
    expiration: String,
}

/// How an STS says no.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    code: String,
    #[serde(default)]
    message: String,
}

/// Keys of an STS. `now` is the time of the server where it says one, so that a clock of ours that is wrong does not shorten a life.
pub(crate) fn of_sts(attempt: &str, body: &[u8], now: Timestamp) -> Result<Issued, Error> {
    let answer: StsAnswer = read(attempt, body)?;
    answer.credentials.issued(attempt, now, true)
}

/// Keys of a metadata service.
pub(crate) fn of_metadata(attempt: &str, body: &[u8], now: Timestamp) -> Result<Issued, Error> {
    let document: Document = read(attempt, body)?;
    match document.code.as_deref() {
        Some("Success") | None => document.issued(attempt, now, true),
        Some(code) => Err(Error::new(Code::Denied, attempt, format!("the service has no keys: {}", told(code, &[])))),
    }
}

/// Keys of a file.
pub(crate) fn of_file(attempt: &str, text: &str, now: Timestamp) -> Result<Issued, Error> {
    read::<Document>(attempt, text.as_bytes())?.issued(attempt, now, false)
}

/// Why a server said no. `secrets` are what it was sent.
pub(crate) fn refusal(attempt: &str, status: u16, body: &[u8], secrets: &[&str]) -> Error {
    let reason = match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { code, message }) => told(&format!("{code}: {message}"), secrets),
        Err(_) => "no reason given".to_owned(),
    };
    // Throttling is told by a status of its own or by a code (`Throttling.User`).
    let is_passing = status >= 500 || status == 429 || status == 408 || reason.starts_with("Throttling");
    let code = if is_passing { Code::Unavailable } else { Code::Denied };
    Error::new(code, attempt, format!("answered {status} {reason}"))
}

/// A parser's message may quote what it met, which may be a secret; so only the place is told.
fn read<'a, D: Deserialize<'a>>(attempt: &str, body: &'a [u8]) -> Result<D, Error> {
    serde_json::from_slice(body).map_err(|error| {
        let reason = format!("this is no JSON with keys (line {}, column {})", error.line(), error.column());
        Error::new(Code::Malformed, attempt, reason)
    })
}

impl Document {
    /// `is_temporary`: a security token and an end are needed.
    fn issued(self, attempt: &str, now: Timestamp, is_temporary: bool) -> Result<Issued, Error> {
        let fields = [
            ("AccessKeyId", self.access_key_id.is_empty()),
            ("AccessKeySecret", self.access_key_secret.is_empty()),
            ("SecurityToken", is_temporary && self.security_token.is_empty()),
            ("Expiration", is_temporary && self.expiration.is_empty()),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, is_missing)| *is_missing) {
            return Err(Error::new(Code::Malformed, attempt, format!("{field} is missing")));
        }
        let life = if self.expiration.is_empty() {
            None
        } else {
            let end: Timestamp = self.expiration.parse().map_err(|_| {
                let reason = "Expiration is no time; it is written as 2026-11-28T03:00:00Z";
                Error::new(Code::Malformed, attempt, reason)
            })?;
            Some(Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO))
        };
        Ok(Issued {
            access_key: self.access_key_id,
            secret_key: Secret::new(self.access_key_secret),
            security_token: Secret::new(self.security_token),
            life,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-28T02:00:00Z".parse().expect("a time")
    }

    /// *Scenario*: answers as they are documented. *Guarantees*: keys, and a life from the server's own time on.
    #[test]
    fn documented_answers_are_read() {
        let sts = br#"{"RequestId":"6894B13B","AssumedRoleUser":{"Arn":"acs:ram::1:role/r/s","AssumedRoleId":"3:s"},
            "Credentials":{"AccessKeyId":"STS.x","AccessKeySecret":"sk","SecurityToken":"tk","Expiration":"2026-11-28T03:00:00Z"}}"#;
        let issued = of_sts("ask", sts, now()).expect("keys");
        assert_eq!((issued.access_key.as_str(), issued.secret_key.expose(), issued.security_token.expose()), ("STS.x", "sk", "tk"));
        assert_eq!(issued.life, Some(Duration::from_secs(3_600)));
        let metadata = br#"{"AccessKeyId":"STS.x","AccessKeySecret":"sk","Expiration":"2026-11-28T01:00:00Z","SecurityToken":"tk",
            "LastUpdated":"2026-11-28T00:00:00Z","Code":"Success"}"#;
        assert_eq!(of_metadata("ask", metadata, now()).expect("keys").life, Some(Duration::ZERO), "they have ended");
        let file = r#"{"AccessKeyId":"ak","AccessKeySecret":"sk"}"#;
        let issued = of_file("read", file, now()).expect("keys");
        assert_eq!((issued.security_token.expose(), issued.life), ("", None));
    }

    /// *Scenario*: answers without keys. *Guarantees*: each says what is wrong and of what kind it is; none shows what it was sent or what it holds.
    #[test]
    fn answers_without_keys_say_why() {
        let denied = refusal("ask", 403, br#"{"Code":"NoPermission","Message":"no hunter2","RequestId":"x"}"#, &["hunter2"]);
        assert_eq!((denied.to_string().as_str(), denied.code()), ("ask: answered 403 NoPermission: no ******", Code::Denied));
        let busy = refusal("ask", 400, br#"{"Code":"Throttling.User","Message":"slow down"}"#, &[]);
        assert_eq!(busy.code(), Code::Unavailable);
        assert_eq!(refusal("ask", 502, b"<html>", &[]).to_string(), "ask: answered 502 no reason given");
        for (answer, reason) in [
            (of_sts("ask", b"{\"Credentials\":{\"AccessKeyId\":\"hunter2", now()), "this is no JSON with keys (line 1, column 38)"),
            (of_sts("ask", br#"{"Credentials":{"AccessKeyId":"a"}}"#, now()), "AccessKeySecret is missing"),
            (of_metadata("ask", br#"{"Code":"Failed"}"#, now()), "the service has no keys: Failed"),
            (
                of_file("ask", r#"{"AccessKeyId":"a","AccessKeySecret":"hunter2","Expiration":"tomorrow"}"#, now()),
                "Expiration is no time; it is written as 2026-11-28T03:00:00Z",
            ),
        ] {
            assert_eq!(answer.expect_err("no keys").to_string(), format!("ask: {reason}"));
        }
    }
}
