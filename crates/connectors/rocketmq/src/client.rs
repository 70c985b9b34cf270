//! The client of one RocketMQ instance: connections by address, and routes by topic.
//!
//! Guarantees: one dial at a time per address, shared by all who wait for it; a lost connection is dialled anew by the next request,
//! with no breaker in between; equal connection settings share one client. A name server that does not answer, or does not know a topic,
//! costs next to nothing while another one answers or an old route works. It repeats nothing by itself, but questions to name servers:
//! whether a request may be sent twice is its caller's to know.

mod exchange;

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::{BoxFuture, Shared};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_network::{Dialer, Egress, Fault};
use rocketbridge_runtime::{TaskKind, Tasks};
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) use exchange::Exchange;
use exchange::Signed;

use crate::acl::Keys;
use crate::error::Failure;
use crate::light;
use crate::limit;
use crate::namespace;
use crate::probe::{self, GrpcOnly, Spoken};
use crate::remoting::code::request;
use crate::remoting::{Answer, Connection, Request, Response};
use crate::route::Route;

/// How long an ordinary answer may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How long a name server may take.
const NAME_SERVER_ANSWER: Duration = Duration::from_secs(3);
/// How long a name server may take before the next one is asked as well.
const HEDGE: Duration = Duration::from_millis(300);
/// How long a route is believed.
const ROUTE_LIFE: Duration = Duration::from_secs(30);
/// How long an old route serves on before the name servers are asked again, when they failed.
const ROUTE_RETRY: Duration = Duration::from_secs(1);
/// How long after it was asked what silent name servers speak it is not asked again.
const PROBE_PAUSE: Duration = Duration::from_secs(10);
/// How long a newer route is waited for when something at the brokers of the old one failed.
const DOUBT: Duration = Duration::from_millis(250);

/// A client.
pub(crate) struct Client {
    me: Weak<Self>,
    settings: RocketMqConnection,
    id: String,
    tasks: Tasks,
    dialer: Dialer,
    keys: Keys,
    dials: Mutex<HashMap<String, Dial>>,
    routes: Mutex<HashMap<String, KnownRoute>>,
    name_server: AtomicUsize,
    /// Endpoints that turned out to be no name servers.
    grpc_only: GrpcOnly,
    /// When what the name servers speak may be asked again.
    probe_after: Mutex<Option<Instant>>,
}

type Dial = Shared<BoxFuture<'static, Result<Arc<Connection>, Fault>>>;

/// Picks an address of a broker from a route.
type Choose = for<'a> fn(&'a Route, &str) -> Option<&'a str>;

/// What is known of the route of a topic.
#[derive(Default)]
struct KnownRoute {
    route: Option<Arc<Route>>,
    /// Until when it is believed.
    until: Option<Instant>,
    /// Something at its brokers failed.
    is_doubted: bool,
    /// The question to the name servers that is under way, shared by all who want to know.
    question: Option<Question>,
}

type Question = Shared<BoxFuture<'static, Result<Arc<Route>, Failure>>>;

impl Client {
    pub(crate) fn new(settings: RocketMqConnection, tasks: Tasks, egress: Arc<Egress>, grpc_only: GrpcOnly, keys: Keys) -> Arc<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let id = format!("rocketbridge@{}@{now:x}", std::process::id());
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            dialer: Dialer::new(&settings, egress),
            keys,
            settings,
            id,
            tasks,
            dials: Mutex::default(),
            routes: Mutex::default(),
            name_server: AtomicUsize::new(0),
            grpc_only,
            probe_after: Mutex::default(),
        })
    }

    /// The settings it was made from.
    pub(crate) fn settings(&self) -> &RocketMqConnection {
        &self.settings
    }

    /// Its identity towards brokers.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// A topic or group as it is called on the wire.
    pub(crate) fn wire_name(&self, name: &str) -> String {
        namespace::wrapped(&self.settings.namespace, name)
    }

    /// What users of this connection call a topic or group of this name on the wire; `None` if it is not of their namespace.
    pub(crate) fn plain_name<'a>(&self, wire: &'a str) -> Option<Cow<'a, str>> {
        namespace::unwrapped(&self.settings.namespace, wire)
    }

    /// The name servers, for messages to people.
    pub(crate) fn name_servers(&self) -> String {
        self.settings.endpoints.join(";")
    }

    /// Sends a request and waits for its response, whatever its code.
    pub(crate) async fn exchange(&self, address: &str, request: Request, limit: Duration) -> Result<Response, Failure> {
        self.submit(address, request, limit).await?.response().await
    }

    /// Sends a request and waits for success.
    pub(crate) async fn ask(&self, address: &str, request: Request) -> Result<Response, Failure> {
        let response = self.exchange(address, request, ANSWER).await?;
        Failure::unless_success(address, response)
    }

    /// Sends a request; its response is waited for apart, at most `limit` from now.
    pub(crate) async fn submit(&self, address: &str, request: Request, limit: Duration) -> Result<Exchange, Failure> {
        let deadline = Instant::now() + limit;
        let signed = match timeout_at(deadline, self.keys.signer()).await {
            Ok(Ok(signer)) => signer.map(|signer| Signed::new(request.clone(), signer)),
            Ok(Err(error)) => return Err(Failure::Credentials(error)),
            Err(_) => {
                let reason = format!("the keys to sign with did not come within {:.1} s", limit.as_secs_f32());
                return Err(Failure::Lost { address: address.to_owned(), reason });
            }
        };
        let request = match &signed {
            Some(signed) => signed.sign(request),
            None => request,
        };
        let (link, answer) = self.send(address, request).await?;
        Ok(Exchange { client: self.me.clone(), answer, link, address: address.to_owned(), deadline, limit, signed })
    }

    /// Sends a request as it is. A future that is dropped has sent nothing. A request that is longer than peers take by default goes by a connection of its
    /// own: if the peer closes that, no other request is lost.
    async fn send(&self, address: &str, request: Request) -> Result<(Arc<Connection>, Answer), Failure> {
        let is_long = request.body.len() > limit::SHARED;
        let link = if is_long { self.dial(address.to_owned()).await } else { self.link(address).await };
        let link = link.map_err(|fault| {
            let code = fault.code();
            Failure::undialled(address, code, self.told_by_name_server(address, fault.to_string()))
        })?;
        let answer = link.submit(request).await.map_err(|lost| Failure::lost(address, lost))?;
        Ok((link, answer))
    }

    /// What will stop requests before long, or does already, for people: the keys to sign them with cannot be renewed.
    pub(crate) fn concern(&self) -> Option<String> {
        self.keys.concern(&self.name_servers())
    }

    /// Asks the name servers, beginning with the one that answered last. The next one is asked as well when one does not answer soon, and
    /// at once when one fails or says no: one that was just started does not know its topics yet.
    pub(crate) async fn ask_name_server(&self, request: Request) -> Result<(String, Response), Failure> {
        let servers = &self.settings.endpoints;
        let first = self.name_server.load(Ordering::Relaxed);
        let mut next = (0..servers.len()).map(|step| (first + step) % servers.len()).peekable();
        let mut asked = FuturesUnordered::new();
        let (mut refusal, mut loss) = (None, None);
        loop {
            let mut must_ask = asked.is_empty();
            if !must_ask {
                // Without a further server there is nothing to do but wait.
                let limit = if next.peek().is_some() { HEDGE } else { Duration::MAX };
                match timeout(limit, asked.next()).await {
                    Err(_) => must_ask = true,
                    Ok(None) => {}
                    Ok(Some((index, Ok(response)))) => {
                        let address: &String = &servers[index];
                        match Failure::unless_success(address.trim(), response) {
                            Ok(response) => {
                                self.name_server.store(index, Ordering::Relaxed);
                                return Ok((address.trim().to_owned(), response));
                            }
                            Err(refused) => refusal = Some(refused),
                        }
                        must_ask = true;
                    }
                    Ok(Some((_, Err(lost)))) => {
                        loss = Some(lost);
                        must_ask = true;
                    }
                }
            }
            match next.next_if(|_| must_ask) {
                Some(index) => {
                    let request = request.clone();
                    asked.push(async move { (index, self.exchange(servers[index].trim(), request, NAME_SERVER_ANSWER).await) });
                }
                // What a server said is better to know than that another one said nothing.
                None if asked.is_empty() => {
                    let none = || Failure::Lost { address: "name server".to_owned(), reason: "the connection names none".to_owned() };
                    return Err(match (refusal, loss) {
                        (None, Some(loss)) => self.unless_mistaken(loss).await,
                        (refusal, loss) => refusal.or(loss).unwrap_or_else(none),
                    });
                }
                None => {}
            }
        }
    }

    /// The loss of all name servers, unless one of them is a proxy's port: then that is said. It is asked for once in a while.
    async fn unless_mistaken(&self, loss: Failure) -> Failure {
        {
            let mut after = self.probe_after.lock();
            if after.is_some_and(|after| after > Instant::now()) {
                return loss;
            }
            *after = Some(Instant::now() + PROBE_PAUSE);
        }
        for server in &self.settings.endpoints {
            let address = server.trim();
            if probe::spoken(&self.dialer, address).await == Some(Spoken::Grpc) {
                self.grpc_only.add(address);
                let reason =
                    "it speaks gRPC only, so it is a proxy and no name server; write protocol Grpc, or the name server's HOST:PORT";
                return Failure::Mistaken { address: address.to_owned(), reason: reason.to_owned() };
            }
        }
        loss
    }

    /// The route of a topic (wire name): from memory while that is believed.
    ///
    /// An old route serves on while the name servers are asked, and when they fail or have forgotten a topic whose brokers are down: what the
    /// brokers themselves then say is the truth. Only when a broker failed is a newer route waited for, and not for long.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<Route>, Failure> {
        let (old, is_doubted, question) = {
            let mut routes = self.routes.lock();
            let known = routes.entry(topic.to_owned()).or_default();
            match &known.route {
                Some(route) if known.until.is_some_and(|until| until > Instant::now()) => return Ok(Arc::clone(route)),
                _ => {}
            }
            let question = match &known.question {
                Some(question) => question.clone(),
                None => {
                    let question = self.question(topic);
                    known.question = Some(question.clone());
                    question
                }
            };
            (known.route.clone(), known.is_doubted, question)
        };
        match old {
            None => question.await,
            Some(old) if is_doubted => Ok(timeout(DOUBT, question).await.ok().and_then(Result::ok).unwrap_or(old)),
            Some(old) => Ok(old),
        }
    }

    /// The route of a topic as the name servers have it now.
    pub(crate) async fn fresh_route(&self, topic: &str) -> Result<Arc<Route>, Failure> {
        let read = self.asked_route(topic).await;
        let read = read.map(Arc::new);
        let mut routes = self.routes.lock();
        match &read {
            Ok(route) => {
                let known = routes.entry(topic.to_owned()).or_default();
                known.route = Some(Arc::clone(route));
                known.until = Some(Instant::now() + ROUTE_LIFE);
                known.is_doubted = false;
            }
            Err(_) => {
                if let Some(known) = routes.get_mut(topic)
                    && known.route.is_some()
                {
                    known.until = Some(Instant::now() + ROUTE_RETRY);
                }
            }
        }
        read
    }

    async fn asked_route(&self, topic: &str) -> Result<Route, Failure> {
        let by_topic = Request::new(request::GET_ROUTE_BY_TOPIC).field("topic", topic.to_owned()).field("acceptStandardJsonOnly", "true");
        let is_light = light::is_light(topic);
        let request = if is_light { Request::new(request::GET_BROKER_CLUSTER_INFO) } else { by_topic };
        let (address, response) = self.ask_name_server(request).await?;
        let read = if is_light { light::route(&response.body) } else { Route::read(&response.body) };
        read.map_err(|error| Failure::nonsense(&address, format!("route: {error}")))
    }

    /// Asks for a route in a task of its own, whoever waits for it.
    fn question(&self, topic: &str) -> Question {
        let (me, name) = (self.me.clone(), topic.to_owned());
        let asking = async move {
            let Some(client) = me.upgrade() else {
                return Err(Failure::Lost { address: "name server".to_owned(), reason: "the client is gone".to_owned() });
            };
            let read = client.fresh_route(&name).await;
            let mut routes = client.routes.lock();
            if let Some(known) = routes.get_mut(&name) {
                known.question = None;
                if known.route.is_none() {
                    routes.remove(&name);
                }
            }
            drop(routes);
            read
        };
        let question = asking.boxed().shared();
        let asking = question.clone();
        self.tasks.spawn(format!("rocketmq route of {topic}"), TaskKind::Worker, async move {
            asking.await.ok();
            Ok::<_, Infallible>(())
        });
        question
    }

    /// The address that reads of a broker go to.
    pub(crate) async fn reader(&self, topic: &str, broker: &str) -> Result<String, Failure> {
        self.address(topic, broker, Route::reader).await
    }

    /// The address of a broker's master.
    pub(crate) async fn master(&self, topic: &str, broker: &str) -> Result<String, Failure> {
        self.address(topic, broker, Route::master).await
    }

    /// Believes the route of a topic no longer: something at its brokers failed.
    pub(crate) fn doubt_route(&self, topic: &str) {
        if let Some(known) = self.routes.lock().get_mut(topic)
            && !known.is_doubted
        {
            known.is_doubted = true;
            known.until = None;
        }
    }

    async fn address(&self, topic: &str, broker: &str, choose: Choose) -> Result<String, Failure> {
        let route = self.route(topic).await?;
        if let Some(address) = choose(&route, broker) {
            return Ok(address.to_owned());
        }
        self.doubt_route(topic);
        let reason = format!("the route of topic {topic} has no address of broker {broker} now");
        Err(Failure::Lost { address: self.name_servers(), reason })
    }

    /// Says where an address that cannot be reached comes from, unless a user wrote it: brokers behind a NAT or in containers register
    /// addresses that only they can reach.
    fn told_by_name_server(&self, address: &str, reason: String) -> String {
        if self.settings.endpoints.iter().any(|server| server.trim() == address) {
            return reason;
        }
        format!("{reason}; this is the broker's address as name server {} gives it", self.name_servers())
    }

    async fn link(&self, address: &str) -> Result<Arc<Connection>, Fault> {
        let dial = {
            let mut dials = self.dials.lock();
            match dials.get(address) {
                Some(dial) if usable(dial) => dial.clone(),
                _ => {
                    let dial = self.dial(address.to_owned()).boxed().shared();
                    dials.insert(address.to_owned(), dial.clone());
                    dial
                }
            }
        };
        dial.await
    }

    fn dial(&self, address: String) -> impl Future<Output = Result<Arc<Connection>, Fault>> + Send + 'static {
        let (tasks, dialer) = (self.tasks.clone(), self.dialer.clone());
        async move {
            let stream = dialer.dial(&address).await.map_err(|error| error.fault)?;
            Ok(Arc::new(Connection::over(stream, &address, &tasks)))
        }
    }
}

/// Whether a dial is under way or led to a connection that is open.
fn usable(dial: &Dial) -> bool {
    match dial.peek() {
        None => true,
        Some(Ok(link)) => link.is_open(),
        Some(Err(_)) => false,
    }
}
