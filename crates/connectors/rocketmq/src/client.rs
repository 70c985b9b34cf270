//! The client of one RocketMQ instance: connections by address, routes by topic, and presence of consumer groups.
//!
//! Guarantees: one dial at a time per address, shared by all who wait for it; a lost connection is dialled anew by the next request,
//! with no breaker in between; equal connection settings share one client. It repeats nothing by itself: whether a request may be sent
//! twice is its caller's to know.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use rocketbridge_connector::Code;
use rocketbridge_model::resolved::RocketMqConnection;
use rocketbridge_model::secret::Unresolvable;
use rocketbridge_runtime::Tasks;
use tokio::time::Instant;

use crate::acl::Signer;
use crate::error::Failure;
use crate::presence::Presence;
use crate::remoting::code::{request, response};
use crate::remoting::{Answer, Connection, Lost, Request, Response};
use crate::route::Route;

/// How long an ordinary answer may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How long a name server may take.
const NAME_SERVER_ANSWER: Duration = Duration::from_secs(3);
/// How long a route is believed.
const ROUTE_LIFE: Duration = Duration::from_secs(30);

/// A client.
pub(crate) struct Client {
    settings: RocketMqConnection,
    id: String,
    tasks: Tasks,
    dials: Mutex<HashMap<String, Dial>>,
    routes: Mutex<HashMap<String, KnownRoute>>,
    name_server: AtomicUsize,
    presence: Presence,
}

/// A request under way, and what to say if it fails.
pub(crate) struct Exchange {
    answer: Answer,
    link: Arc<Link>,
    address: String,
    deadline: Instant,
    limit: Duration,
}

type Dial = Shared<BoxFuture<'static, Result<Arc<Link>, DialFailure>>>;

/// Picks an address of a broker from a route.
type Choose = for<'a> fn(&'a Route, &str) -> Option<&'a str>;

struct Link {
    connection: Connection,
    signer: Option<Signer>,
    /// New requests dial anew; what is under way goes on.
    retired: AtomicBool,
}

#[derive(Clone)]
enum DialFailure {
    Lost(Lost),
    Secret(Unresolvable),
}

struct KnownRoute {
    route: Arc<Route>,
    until: Instant,
}

impl Client {
    pub(crate) fn new(settings: RocketMqConnection, tasks: Tasks) -> Arc<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let id = format!("rocketbridge@{}@{now:x}", std::process::id());
        let client = Arc::new(Self {
            settings,
            id,
            tasks,
            dials: Mutex::default(),
            routes: Mutex::default(),
            name_server: AtomicUsize::new(0),
            presence: Presence::default(),
        });
        Presence::keep(&client);
        client
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

    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// A topic or group as it is called on the wire.
    pub(crate) fn wire_name(&self, name: &str) -> String {
        if self.settings.namespace.is_empty() { name.to_owned() } else { format!("{}%{name}", self.settings.namespace) }
    }

    /// The name servers, for messages to people.
    pub(crate) fn name_servers(&self) -> String {
        self.settings.name_servers.join(";")
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
        let link = self.link(address).await.map_err(|failure| match failure {
            DialFailure::Lost(lost) => Failure::lost(address, self.told_by_name_server(address, lost)),
            DialFailure::Secret(unresolvable) => Failure::Secret(unresolvable),
        })?;
        let request = match &link.signer {
            Some(signer) => signer.sign(request),
            None => request,
        };
        let answer = link.connection.submit(request).await.map_err(|lost| Failure::lost(address, lost))?;
        Ok(Exchange { answer, link, address: address.to_owned(), deadline, limit })
    }

    /// Asks the name servers, beginning with the one that answered last; the next one only if one cannot be reached.
    pub(crate) async fn ask_name_server(&self, request: Request) -> Result<(String, Response), Failure> {
        let servers = &self.settings.name_servers;
        let first = self.name_server.load(Ordering::Relaxed);
        let mut failure = Failure::Lost { address: "name server".to_owned(), reason: "the connection names none".to_owned() };
        for index in (0..servers.len()).map(|step| (first + step) % servers.len()) {
            let address = servers[index].trim();
            match self.exchange(address, request.clone(), NAME_SERVER_ANSWER).await {
                Ok(response) => {
                    self.name_server.store(index, Ordering::Relaxed);
                    return Failure::unless_success(address, response).map(|response| (address.to_owned(), response));
                }
                Err(lost) => failure = lost,
            }
        }
        Err(failure)
    }

    /// The route of a topic (wire name): from memory while that is believed.
    ///
    /// When the name servers fail, or have forgotten a topic whose brokers are down, an old route serves on: what the brokers
    /// themselves then say is the truth.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<Route>, Failure> {
        let known = {
            let routes = self.routes.lock();
            routes.get(topic).map(|known| (Arc::clone(&known.route), known.until > Instant::now()))
        };
        match known {
            Some((route, true)) => Ok(route),
            Some((route, false)) => Ok(self.fresh_route(topic).await.unwrap_or(route)),
            None => self.fresh_route(topic).await,
        }
    }

    /// The route of a topic as the name servers have it now.
    pub(crate) async fn fresh_route(&self, topic: &str) -> Result<Arc<Route>, Failure> {
        let request = Request::new(request::GET_ROUTE_BY_TOPIC).field("topic", topic.to_owned()).field("acceptStandardJsonOnly", "true");
        let (address, response) = self.ask_name_server(request).await?;
        let route = Route::read(&response.body).map_err(|error| Failure::nonsense(&address, format!("route: {error}")))?;
        let route = Arc::new(route);
        self.routes.lock().insert(topic.to_owned(), KnownRoute { route: Arc::clone(&route), until: Instant::now() + ROUTE_LIFE });
        Ok(route)
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
        if let Some(known) = self.routes.lock().get_mut(topic) {
            known.until = Instant::now();
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
    fn told_by_name_server(&self, address: &str, Lost(reason): Lost) -> Lost {
        if self.settings.name_servers.iter().any(|server| server.trim() == address) {
            return Lost(reason);
        }
        Lost(format!("{reason}; this is the broker's address as name server {} gives it", self.name_servers()))
    }

    async fn link(&self, address: &str) -> Result<Arc<Link>, DialFailure> {
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

    fn dial(&self, address: String) -> impl Future<Output = Result<Arc<Link>, DialFailure>> + Send + 'static {
        let (tasks, credentials) = (self.tasks.clone(), self.settings.credentials.clone());
        async move {
            let signer = credentials.as_ref().map(Signer::resolve).transpose().map_err(DialFailure::Secret)?;
            let connection = Connection::dial(&address, &tasks).await.map_err(DialFailure::Lost)?;
            Ok(Arc::new(Link { connection, signer, retired: AtomicBool::new(false) }))
        }
    }
}

impl Exchange {
    /// Waits for the response, whatever its code. Cancel-safe: a dropped wait can be begun again.
    pub(crate) async fn response(&mut self) -> Result<Response, Failure> {
        let response = self.answer.wait(self.deadline, self.limit).await.map_err(|lost| Failure::lost(&self.address, lost))?;
        let refused = response.code != response::SUCCESS && self.link.signer.is_some();
        if refused && Failure::refused(&self.address, &response).code() == Code::Denied {
            // The keys may have been replaced where the references point: the next dial looks them up again.
            self.link.retired.store(true, Ordering::Relaxed);
        }
        Ok(response)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// Whether a dial is under way or led to a connection that is open.
fn usable(dial: &Dial) -> bool {
    match dial.peek() {
        None => true,
        Some(Ok(link)) => link.connection.is_open() && !link.retired.load(Ordering::Relaxed),
        Some(Err(_)) => false,
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.presence.wake();
    }
}
