//! A server for tests, on loopback: an STS and the metadata service of an instance, as Alibaba Cloud documents them.
//!
//! It checks every signature by an implementation of its own, refuses what it would be refused by the cloud (old timestamps, nonces that were used,
//! unknown roles and tokens), and remembers what it issued, so that a broker beside it knows which keys count at a moment.

mod http;
mod verify;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_model::resolved::HttpEndpoint;
use tokio::net::TcpListener;
use tokio::time::Instant;

use http::{Reply, Request};
use verify::{field, is_signed, parameters};

/// The role that it issues keys for.
pub const ROLE: &str = "acs:ram::1234567890:role/bridge";
/// The identity provider whose tokens it takes.
pub const PROVIDER: &str = "acs:ram::1234567890:oidc-provider/ack";
/// Who may assume the role.
pub const ACCESS_KEY: &str = "LTAI-main";
/// The secret of that access key.
pub const SECRET_KEY: &str = "main+secret/key=";
/// Name of the instance's role.
pub const INSTANCE_ROLE: &str = "bridge-on-ecs";

/// Keys that it issued.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Security token.
    pub security_token: String,
    /// When they end.
    pub end: Instant,
}

/// The server. It ends with the test's runtime.
#[derive(Clone)]
pub struct Issuer(Arc<State>);

/// Called with keys before they are answered.
type Register = Box<dyn Fn(&Grant) + Send>;

struct State {
    address: String,
    inner: Mutex<Inner>,
}

struct Inner {
    life: Duration,
    /// How far its clock is ahead of the machine's.
    ahead: Duration,
    /// The OIDC token that it takes.
    token: String,
    /// What it answers instead: status and body.
    failure: Option<(u16, String)>,
    grants: Vec<Grant>,
    nonces: HashSet<String>,
    metadata_tokens: HashSet<String>,
    requests: Vec<String>,
    register: Option<Register>,
}

impl Issuer {
    /// Starts one whose keys live this long.
    pub async fn start(life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no free port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("not bound: {error}")).to_string();
        let inner = Inner {
            life,
            ahead: Duration::ZERO,
            token: "oidc-token".to_owned(),
            failure: None,
            grants: Vec::new(),
            nonces: HashSet::new(),
            metadata_tokens: HashSet::new(),
            requests: Vec::new(),
            register: None,
        };
        let issuer = Self(Arc::new(State { address, inner: Mutex::new(inner) }));
        let serving = issuer.clone();
        tokio::spawn(http::serve(listener, move |request| serving.answer(&request)));
        issuer
    }

    /// Where it listens.
    pub fn endpoint(&self) -> HttpEndpoint {
        HttpEndpoint { address: self.0.address.clone(), is_tls: false }
    }

    /// Answers everything with this from now on; `None`: as it should.
    pub fn fail(&self, failure: Option<(u16, &str)>) {
        self.0.inner.lock().failure = failure.map(|(status, body)| (status, body.to_owned()));
    }

    /// Calls this with all keys before it answers them: brokers must know them.
    pub fn register(&self, register: impl Fn(&Grant) + Send + 'static) {
        self.0.inner.lock().register = Some(Box::new(register));
    }

    /// Takes another OIDC token from now on.
    pub fn take_token(&self, token: &str) {
        self.0.inner.lock().token = token.to_owned();
    }

    /// Puts its clock ahead of the machine's.
    pub fn put_ahead(&self, ahead: Duration) {
        self.0.inner.lock().ahead = ahead;
    }

    /// What it issued, the newest last.
    pub fn grants(&self) -> Vec<Grant> {
        self.0.inner.lock().grants.clone()
    }

    /// The keys of an access key, if they have not ended.
    pub fn alive(&self, access_key: &str) -> Option<Grant> {
        let inner = self.0.inner.lock();
        inner.grants.iter().rev().find(|grant| grant.access_key == access_key && grant.end > Instant::now()).cloned()
    }

    /// What it was asked: actions of the STS, paths of the metadata service.
    pub fn requests(&self) -> Vec<String> {
        self.0.inner.lock().requests.clone()
    }

    fn answer(&self, request: &Request) -> Reply {
        let mut inner = self.0.inner.lock();
        let now = jiff::Timestamp::now() + inner.ahead;
        let mut reply = inner.answer(request, now);
        reply.date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok();
        reply
    }
}

impl Inner {
    fn answer(&mut self, request: &Request, now: jiff::Timestamp) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        if path != "/" {
            self.requests.push(format!("{} {path}", request.method));
        }
        if let Some((status, body)) = &self.failure {
            if path == "/" {
                self.requests.push("refused".to_owned());
            }
            return Reply::new(*status, body.clone());
        }
        match (request.method.as_str(), path.as_str()) {
            ("POST", "/") => self.sts(request, now),
            ("PUT", "/latest/api/token") if request.header("x-aliyun-ecs-metadata-token-ttl-seconds").is_some() => {
                let token = format!("metadata-token-{}", self.metadata_tokens.len());
                self.metadata_tokens.insert(token.clone());
                Reply::new(200, token)
            }
            ("GET", path) if path.starts_with("/latest/meta-data/ram/security-credentials/") => {
                let is_known = request.header("x-aliyun-ecs-metadata-token").is_some_and(|token| self.metadata_tokens.contains(token));
                match path.rsplit('/').next() {
                    _ if !is_known => Reply::new(403, "the hardened mode wants a token".to_owned()),
                    Some("") => Reply::new(200, format!("{INSTANCE_ROLE}\n")),
                    Some(INSTANCE_ROLE) => Reply::new(200, self.grant(now, r#""Code":"Success","#)),
                    _ => Reply::new(404, "no such role".to_owned()),
                }
            }
            _ => Reply::new(404, String::new()),
        }
    }

    fn sts(&mut self, request: &Request, now: jiff::Timestamp) -> Reply {
        let all = parameters(request);
        let action = field(&all, "Action").to_owned();
        self.requests.push(action.clone());
        let refuse = |code: &str, message: &str| Reply::new(400, format!(r#"{{"RequestId":"1","Code":"{code}","Message":"{message}"}}"#));
        let asked: Option<jiff::Timestamp> = field(&all, "Timestamp").parse().ok();
        let is_fresh = asked.is_some_and(|asked| asked.duration_since(now).abs() <= jiff::SignedDuration::from_mins(15));
        if field(&all, "Version") != "2015-04-01" || field(&all, "Format") != "JSON" || !is_fresh {
            return refuse("InvalidTimeStamp.Expired", "version, format or time");
        }
        if !self.nonces.insert(field(&all, "SignatureNonce").to_owned()) {
            return refuse("SignatureNonceUsed", "used before");
        }
        if field(&all, "RoleArn") != ROLE || !(900..=43_200).contains(&field(&all, "DurationSeconds").parse().unwrap_or(0)) {
            return refuse("EntityNotExist.Role", "no such role");
        }
        match action.as_str() {
            "AssumeRole" if field(&all, "AccessKeyId") != ACCESS_KEY => refuse("InvalidAccessKeyId.NotFound", "unknown key"),
            "AssumeRole" if !is_signed(request, &all, SECRET_KEY) => refuse("SignatureDoesNotMatch", "wrong signature"),
            "AssumeRole" => Reply::new(200, self.assumed(now)),
            // A hostile server repeats the token; nothing of it may be shown.
            "AssumeRoleWithOIDC" if field(&all, "OIDCProviderArn") != PROVIDER || field(&all, "OIDCToken") != self.token => {
                refuse("AuthenticationFail.OIDCToken.Invalid", &format!("bad token {}", field(&all, "OIDCToken")))
            }
            "AssumeRoleWithOIDC" => Reply::new(200, self.assumed(now)),
            _ => refuse("InvalidAction.NotFound", "no such action"),
        }
    }

    fn assumed(&mut self, now: jiff::Timestamp) -> String {
        let role = r#""AssumedRoleUser":{"Arn":"acs:ram::1234567890:role/bridge/s","AssumedRoleId":"3:s"}"#;
        format!(r#"{{"RequestId":"1",{role},"Credentials":{}}}"#, self.grant(now, ""))
    }

    /// Issues keys.
    fn grant(&mut self, now: jiff::Timestamp, before: &str) -> String {
        let number = self.grants.len();
        let grant = Grant {
            access_key: format!("STS.{number:08}"),
            secret_key: format!("issued-secret-{number}"),
            security_token: format!("issued-token-{number}"),
            end: Instant::now() + self.life,
        };
        let expiration = now + self.life;
        let text = format!(
            r#"{{{before}"AccessKeyId":"{}","AccessKeySecret":"{}","SecurityToken":"{}","Expiration":"{expiration}"}}"#,
            grant.access_key, grant.secret_key, grant.security_token
        );
        if let Some(register) = &self.register {
            register(&grant);
        }
        self.grants.push(grant);
        text
    }
}
