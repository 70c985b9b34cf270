//! The client of the proxies of one instance: calls, and routes by topic.
//!
//! Guarantees: every call ends by its deadline; a proxy that is back is used by the next call; an old route serves on while no proxy answers. It repeats
//! nothing by itself but questions for routes, which go from proxy to proxy.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rocketbridge_connector::Code;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_network::{Dialer, Egress};
use rocketbridge_rocketmq_proto::v2::messaging_service_client::MessagingServiceClient;
use rocketbridge_rocketmq_proto::v2::{self, Code as Answered};
use rocketbridge_runtime::Tasks;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::answered::Answer;
use super::attempts::Attempts;
use super::channel::Channels;
use super::route::Route;
use crate::acl::Keys;
use crate::error::Failure;
use crate::probe::{self, Spoken};

/// The generated client.
pub(crate) type Stub = MessagingServiceClient<Channel>;

/// How long an ordinary answer may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How much longer than its deadline a call is waited for: the proxy answers by the deadline, and the answer travels.
const GRACE: Duration = Duration::from_secs(1);
/// How long a route is believed, and an old one serves on before it is asked for again when that failed.
const ROUTE_LIFE: Duration = Duration::from_secs(30);
const ROUTE_RETRY: Duration = Duration::from_secs(1);
/// Longest message that is taken, bytes: the limit of a proxy is 4 MiB unless it is set up otherwise.
const LONGEST: usize = 64 * 1024 * 1024;
/// How long it is believed that an endpoint speaks another protocol.
const PROBE_LIFE: Duration = Duration::from_secs(30);

/// A client.
pub(crate) struct Client {
    settings: RocketMqConnection,
    id: String,
    /// Number of the next client identity: each consumer and each producer is one towards proxies.
    next: AtomicU64,
    tasks: Tasks,
    dialer: Dialer,
    egress: Arc<Egress>,
    channels: Channels,
    keys: Keys,
    routes: Mutex<HashMap<String, Known>>,
    /// Index of the endpoint that answered last.
    endpoint: AtomicUsize,
    probes: Mutex<HashMap<String, (Instant, Option<Spoken>)>>,
}

/// What is known of the route of a topic.
struct Known {
    route: Arc<Route>,
    until: Instant,
}

impl Client {
    pub(crate) fn new(settings: RocketMqConnection, tasks: Tasks, egress: Arc<Egress>, keys: Keys) -> Arc<Self> {
        let dialer = Dialer::new(&settings, Arc::clone(&egress));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        Arc::new(Self {
            id: format!("rocketbridge@{}@{now:x}", std::process::id()),
            keys,
            settings,
            next: AtomicU64::new(0),
            tasks,
            channels: Channels::new(&dialer),
            dialer,
            egress,
            routes: Mutex::default(),
            endpoint: AtomicUsize::new(0),
            probes: Mutex::default(),
        })
    }

    /// The settings it was made from.
    pub(crate) fn settings(&self) -> &RocketMqConnection {
        &self.settings
    }

    /// What calls are signed with.
    pub(crate) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// What the process may dial.
    pub(crate) fn egress(&self) -> Arc<Egress> {
        Arc::clone(&self.egress)
    }

    /// What is spoken at an endpoint, now.
    pub(crate) async fn probe(&self, endpoint: &str) -> Option<Spoken> {
        probe::spoken(&self.dialer, endpoint).await
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// An identity of its own, for a consumer or a producer.
    pub(crate) fn new_identity(&self) -> String {
        format!("{}@{}", self.id, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A topic or group on the wire. The namespace is part of the name: open-source proxies look at the name only.
    pub(crate) fn resource(&self, name: &str) -> v2::Resource {
        let namespace = &self.settings.namespace;
        let name = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}%{name}") };
        v2::Resource { resource_namespace: String::new(), name }
    }

    /// The proxies as the definition has them, for messages to people.
    pub(crate) fn endpoints(&self) -> String {
        self.settings.endpoints.join(";")
    }

    /// Makes a call and waits for its answer, whatever its status says. A call that is refused for its keys was not carried out: it is made again if there are
    /// newer keys by then.
    pub(crate) async fn call<Q: Clone, A: Answer, R>(
        &self,
        address: &str,
        identity: &str,
        limit: Duration,
        message: Q,
        rpc: impl Fn(Stub, Request<Q>) -> R,
    ) -> Result<A, Failure>
    where
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let mut attempts = self.attempts().await?;
        loop {
            let mut request = attempts.request(identity, message.clone());
            request.set_timeout(limit);
            let answer = match timeout(limit + GRACE, rpc(self.stub(address)?, request)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(self.failed(address, &status).await),
                Err(_) => {
                    let reason = format!("no answer within {} s", (limit + GRACE).as_secs());
                    Err(Failure::Lost { address: address.to_owned(), reason })
                }
            };
            let refused = match &answer {
                Ok(answer) => answer.status().is_some_and(|status| is_denied(address, status)),
                Err(failure) => failure.refuses_keys(),
            };
            if !attempts.again(refused).await {
                return answer;
            }
        }
    }

    /// The attempts of an exchange that has no deadline or is no call.
    pub(crate) async fn attempts(&self) -> Result<Attempts<'_>, Failure> {
        Attempts::begin(&self.keys, &self.settings).await
    }

    /// What will stop calls before long, or does already, for people: the keys to sign them with cannot be renewed.
    pub(crate) fn concern(&self) -> Option<String> {
        self.keys.concern(&self.endpoints())
    }

    pub(crate) fn stub(&self, address: &str) -> Result<Stub, Failure> {
        let channel = self.channels.to(address).map_err(|reason| Failure::nonsense(address, reason))?;
        Ok(MessagingServiceClient::new(channel).max_decoding_message_size(LONGEST))
    }

    /// The failure of a call that has no answer, and what the endpoint speaks instead if that is why.
    pub(crate) async fn failed(&self, address: &str, status: &Status) -> Failure {
        let failure = unanswered(address, status);
        let Failure::Lost { address, reason } = failure else {
            if failure.code() == Code::Denied {
                self.keys.look();
            }
            return failure;
        };
        match self.spoken(&address).await {
            Some(Spoken::Remoting) => Failure::Mistaken {
                reason:
                    "it speaks remoting, so it is a name server or a broker and no proxy; write the proxy's HOST:PORT, or protocol Remoting"
                        .to_owned(),
                address,
            },
            // It takes connections, and is mute.
            None if !self.dialer.is_tls() && self.is_endpoint(&address) && self.dialer.dial(&address).await.is_ok() => Failure::Lost {
                reason: format!("{reason}; it takes connections and answers nothing: if it speaks TLS, write `tls` in the connection"),
                address,
            },
            _ => Failure::Lost { address, reason },
        }
    }

    /// Whether a user wrote the address.
    fn is_endpoint(&self, address: &str) -> bool {
        self.settings.endpoints.iter().any(|endpoint| endpoint == address)
    }

    /// What is spoken at an endpoint that a user wrote and that broke off; asked for once in a while.
    async fn spoken(&self, address: &str) -> Option<Spoken> {
        if !self.is_endpoint(address) {
            return None;
        }
        let known = self.probes.lock().get(address).copied();
        if let Some((until, spoken)) = known
            && until > Instant::now()
        {
            return spoken;
        }
        let spoken = self.probe(address).await;
        self.probes.lock().insert(address.to_owned(), (Instant::now() + PROBE_LIFE, spoken));
        spoken
    }

    /// The answer, if its status is OK.
    pub(crate) fn accepted(&self, address: &str, status: Option<&v2::Status>) -> Result<(), Failure> {
        let Some(status) = status else { return Err(Failure::nonsense(address, "an answer without a status")) };
        if status.code == Answered::Ok as i32 {
            return Ok(());
        }
        let mut failure = Failure::Refused { address: address.to_owned(), code: status.code, remark: status.message.clone() };
        if failure.code() == Code::Denied {
            self.keys.look();
            if let Failure::Refused { remark, .. } = &mut failure
                && self.keys.are_none()
            {
                // Proxies of 5.3.3 say "username cannot be null".
                remark.push_str(" (calls are not signed: the connection has no access_key)");
            }
        }
        Err(failure)
    }

    /// The route of a topic: from memory while that is believed, and while no proxy answers.
    pub(crate) async fn route(&self, topic: &v2::Resource) -> Result<Arc<Route>, Failure> {
        let old = match self.routes.lock().get(&topic.name) {
            Some(known) if known.until > Instant::now() => return Ok(Arc::clone(&known.route)),
            known => known.map(|known| Arc::clone(&known.route)),
        };
        match (self.fresh_route(topic).await, old) {
            (Err(Failure::Lost { .. }), Some(old)) => {
                if let Some(known) = self.routes.lock().get_mut(&topic.name) {
                    known.until = Instant::now() + ROUTE_RETRY;
                }
                Ok(old)
            }
            (route, _) => route,
        }
    }

    /// The route of a topic as the proxies have it now.
    pub(crate) async fn fresh_route(&self, topic: &v2::Resource) -> Result<Arc<Route>, Failure> {
        let endpoints = &self.settings.endpoints;
        let first = self.endpoint.load(Ordering::Relaxed);
        let none = || Failure::Lost { address: "proxy".to_owned(), reason: "the connection names none".to_owned() };
        let mut failure = None;
        for index in (0..endpoints.len()).map(|step| (first + step) % endpoints.len()) {
            match self.ask_route(&endpoints[index], topic).await {
                Ok(route) => {
                    self.endpoint.store(index, Ordering::Relaxed);
                    let route = Arc::new(route);
                    let known = Known { route: Arc::clone(&route), until: Instant::now() + ROUTE_LIFE };
                    self.routes.lock().insert(topic.name.clone(), known);
                    return Ok(route);
                }
                // What a proxy said is better to know than that another one said nothing.
                Err(lost @ Failure::Lost { .. }) => failure = failure.or(Some(lost)),
                Err(said) => failure = Some(said),
            }
        }
        Err(failure.unwrap_or_else(none))
    }

    async fn ask_route(&self, address: &str, topic: &v2::Resource) -> Result<Route, Failure> {
        let request = v2::QueryRouteRequest { topic: Some(topic.clone()), endpoints: Some(access_point(&self.settings.endpoints)) };
        let answer =
            self.call(address, &self.id, ANSWER, request, |mut stub, request| async move { stub.query_route(request).await }).await?;
        self.accepted(address, answer.status.as_ref())?;
        Ok(Route::read(&answer.message_queues, address))
    }

    /// Believes the route of a topic no longer: something at its proxies failed.
    pub(crate) fn doubt_route(&self, topic: &v2::Resource) {
        if let Some(known) = self.routes.lock().get_mut(&topic.name) {
            known.until = Instant::now();
        }
    }
}

/// The endpoints in the form of the protocol: all of one scheme. Names make all of them names.
pub(crate) fn access_point(endpoints: &[String]) -> v2::Endpoints {
    let addresses: Vec<_> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.rsplit_once(':'))
        .map(|(host, port)| v2::Address { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().unwrap_or_default() })
        .collect();
    let all = |is: fn(&str) -> bool| addresses.iter().all(|address| is(&address.host));
    let scheme = if all(|host| host.parse::<std::net::Ipv4Addr>().is_ok()) {
        v2::AddressScheme::IPv4
    } else if all(|host| host.parse::<std::net::Ipv6Addr>().is_ok()) {
        v2::AddressScheme::IPv6
    } else {
        v2::AddressScheme::DomainName
    };
    v2::Endpoints { scheme: scheme.into(), addresses }
}

/// Whether a status refuses the keys, or what they may do.
fn is_denied(address: &str, status: &v2::Status) -> bool {
    let failure = Failure::Refused { address: address.to_owned(), code: status.code, remark: status.message.clone() };
    status.code != Answered::Ok as i32 && failure.refuses_keys()
}

/// The failure that a status of gRPC itself stands for: the call has no answer of RocketMQ's.
fn unanswered(address: &str, status: &Status) -> Failure {
    let refused = |code: Answered| Failure::Refused { address: address.to_owned(), code: code as i32, remark: status.message().to_owned() };
    match status.code() {
        tonic::Code::Unauthenticated => refused(Answered::Unauthorized),
        tonic::Code::PermissionDenied => refused(Answered::Forbidden),
        tonic::Code::InvalidArgument => refused(Answered::BadRequest),
        tonic::Code::Unimplemented => refused(Answered::NotImplemented),
        // A server whose limit of a request is exceeded says so by this status, and by no other sign.
        tonic::Code::ResourceExhausted if status.message().contains("exceeds maximum size") => refused(Answered::PayloadTooLarge),
        tonic::Code::ResourceExhausted => refused(Answered::TooManyRequests),
        _ => match undialled(status) {
            Some(error) => Failure::undialled(address, error.code(), error.fault.to_string()),
            None => Failure::Lost { address: address.to_owned(), reason: innermost(status) },
        },
    }
}

/// Why there is no connection, if that is the reason of a status.
fn undialled(status: &Status) -> Option<&rocketbridge_network::Error> {
    let mut below = status.source();
    while let Some(error) = below {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        below = error.source();
    }
    None
}

/// The reason at the bottom of a status: what a person can act on (`connection refused`) stands below what only the library says.
fn innermost(status: &Status) -> String {
    let mut deepest: Option<&(dyn std::error::Error + 'static)> = status.source();
    while let Some(below) = deepest.and_then(std::error::Error::source) {
        deepest = Some(below);
    }
    match deepest {
        Some(error) => error.to_string(),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: lists of addresses and names. *Guarantees*: one scheme for all, which fits them all.
    #[test]
    fn endpoints_have_one_scheme() {
        let scheme = |endpoints: &[&str]| access_point(&endpoints.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).scheme();
        assert_eq!(scheme(&["127.0.0.1:8081", "10.0.0.1:1"]), v2::AddressScheme::IPv4);
        assert_eq!(scheme(&["[::1]:8081"]), v2::AddressScheme::IPv6);
        assert_eq!(scheme(&["127.0.0.1:8081", "proxy.example:1"]), v2::AddressScheme::DomainName);
        let address = access_point(&["[::1]:8081".to_owned()]).addresses.remove(0);
        assert_eq!((address.host.as_str(), address.port), ("::1", 8081));
    }

    /// *Scenario*: statuses of gRPC itself. *Guarantees*: what says no is refused, with the words; what says nothing is lost.
    #[test]
    fn a_status_is_a_refusal_or_a_loss() {
        let code = |status: Status| unanswered("p:1", &status).code();
        assert_eq!(code(Status::unauthenticated("no")), Code::Denied);
        assert_eq!(code(Status::permission_denied("no")), Code::Denied);
        assert_eq!(code(Status::resource_exhausted("gRPC message exceeds maximum size 136314880: 1")), Code::Rejected);
        for passing in [Status::resource_exhausted("busy"), Status::unavailable("x"), Status::cancelled("x"), Status::unknown("h2")] {
            assert_eq!(code(passing), Code::Unavailable);
        }
        let error = unanswered("p:1", &Status::permission_denied("check signature failed")).during("send");
        assert_eq!(error.to_string(), "send: p:1 answered 40300: check signature failed");
    }
}
