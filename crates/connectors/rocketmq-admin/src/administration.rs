//! One instance, administered.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::{Code, Error};
use rocketbridge_connector_rocketmq::{Admin, Connectors, refused};
use rocketbridge_model::resolved::{Protocol, RocketMqConnection};
use rocketbridge_network::Code as FaultCode;
use rocketbridge_runtime::Chain;
use rocketmq_client_rust::{
    AclClientRPCHook, BrokerAdmin, ClientError, ClientResult, ClientRuntime, ClientRuntimeConfig, DefaultMQAdminExt, SessionCredentials,
    TelemetryHandle,
};
use rocketmq_runtime::RuntimeContext;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::hook::Hook;
use crate::relay::{Relays, Role};

/// How long the library waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long we wait for the library, which may ask several servers.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the end of the library is waited for.
const END: Duration = Duration::from_secs(5);

/// One instance, for the length of a command or of one look at it: masters and keys are those of the moment when it was opened. [`close`](Self::close) it.
pub struct Administration {
    pub(crate) admin: Admin,
    pub(crate) library: DefaultMQAdminExt,
    runtime: Arc<ClientRuntime>,
    relays: Arc<Relays>,
    hook: Arc<Hook>,
    name_servers: Vec<String>,
    masters: BTreeMap<String, String>,
    /// Held during a request: there is one at a time.
    turn: Mutex<()>,
}

impl Administration {
    /// Opens an instance. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The instance is reached over gRPC only, no name server answers, there is no master, or the keys cannot be had.
    pub async fn open(connectors: &Connectors, connection: &RocketMqConnection) -> Result<Self, Error> {
        let name_servers: Vec<String> = connection.endpoints.iter().map(|server| server.trim().to_owned()).collect();
        let attempt = format!("administer the instance of name server {}", name_servers.join(";"));
        if connection.protocol == Protocol::Grpc {
            let reason = "it is reached over gRPC, and proxies offer no administration; name a connection to its name servers";
            return Err(Error::new(Code::Rejected, attempt, reason));
        }
        let admin = connectors.admin(connection);
        let masters = admin.masters().await?;
        if masters.is_empty() {
            return Err(Error::new(Code::Unavailable, attempt, "the name server knows no master broker now"));
        }
        let relays = Arc::new(Relays::new(connectors.dialer(connection), connectors.tasks().clone()));
        let signer = signer(connectors, connection).await.map_err(|reason| Error::new(Code::Unavailable, attempt.clone(), reason))?;
        let hook = Arc::new(Hook::new(signer, Arc::clone(&relays)));
        let failed = |error: ClientError| Error::new(Code::Internal, attempt.clone(), Chain(&error).to_string());
        let context = RuntimeContext::from_current("rocketbridge-rocketmq-admin");
        let config = ClientRuntimeConfig { shutdown_timeout: END, ..ClientRuntimeConfig::default() };
        let runtime = ClientRuntime::try_new(context.service_context("administration"), config, TelemetryHandle::noop()).map_err(failed)?;
        let mut library = DefaultMQAdminExt::with_rpc_hook_and_timeout(Arc::clone(&runtime), hook.clone(), ANSWER);
        let mut servers = Vec::new();
        for server in &name_servers {
            servers.push(
                relays
                    .to(Role::Given, server)
                    .map_err(|error| Error::new(Code::Internal, attempt.clone(), format!("open a relay: {error}")))?,
            );
        }
        library.set_namesrv_addr(servers.join(";"));
        // The library's futures are deep: in boxes they do not count towards the depth of types of whoever calls this.
        Box::pin(BrokerAdmin::start(&mut library)).await.map_err(failed)?;
        Ok(Self { admin, library, runtime, relays, hook, name_servers, masters, turn: Mutex::default() })
    }

    /// Ends the library's tasks and connections.
    pub async fn close(mut self) {
        Box::pin(BrokerAdmin::shutdown(&mut self.library)).await;
        Box::pin(self.runtime.shutdown()).await;
    }

    /// The masters: their addresses, as the name server gives them, by the broker's name.
    pub fn masters(&self) -> &BTreeMap<String, String> {
        &self.masters
    }

    /// A topic or group as it is called on the wire.
    pub(crate) fn wire_name(&self, name: &str) -> String {
        self.admin.wire_name(name)
    }

    /// A topic or group of the wire by the name that users use; `None` if it belongs to another namespace.
    pub(crate) fn own_name(&self, wire: &str) -> Option<String> {
        self.admin.own_name(wire)
    }

    /// Whether a broker answered as those of 4.x do.
    pub(crate) fn is_old(&self) -> bool {
        self.hook.is_old()
    }

    pub(crate) fn name_servers(&self) -> &[String] {
        &self.name_servers
    }

    /// The address of a broker's master.
    pub(crate) fn master(&self, broker: &str, attempt: &str) -> Result<&str, Error> {
        let known = self.masters.get(broker).map(String::as_str);
        known.ok_or_else(|| Error::new(Code::Unavailable, attempt, format!("broker {broker} has no master now")))
    }

    /// Asks each master the same. `call` gets the port of its relay.
    pub(crate) async fn at_masters<T, F>(&self, attempt: &str, call: impl Fn(String) -> F) -> Result<BTreeMap<String, T>, Error>
    where
        F: Future<Output = ClientResult<T>>,
    {
        let mut answers = BTreeMap::new();
        for (broker, address) in &self.masters {
            answers.insert(broker.clone(), self.at(address, attempt, &call).await?);
        }
        Ok(answers)
    }

    /// Asks one server. `call` gets the port of its relay.
    pub(crate) async fn at<T, F>(&self, address: &str, attempt: &str, call: impl FnOnce(String) -> F) -> Result<T, Error>
    where
        F: Future<Output = ClientResult<T>>,
    {
        let _turn = self.turn.lock().await;
        let relay = self.relays.to(Role::Asked, address);
        let relay = relay.map_err(|error| Error::new(Code::Internal, attempt, format!("open a relay to {address}: {error}")))?;
        self.hook.take_refusal();
        match timeout(PATIENCE, Box::pin(call(relay))).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(address, attempt, &error)),
            Err(_) => Err(Error::new(Code::Unavailable, attempt, format!("{address}: no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    /// What the server said, or why it was not reached, or what the library says.
    fn failed(&self, address: &str, attempt: &str, error: &ClientError) -> Error {
        if let Some(refusal) = self.hook.take_refusal() {
            return refused(attempt, address, refusal.code, &refusal.remark);
        }
        if let Some(fault) = self.relays.fault(address) {
            let code = if fault.code() == FaultCode::Unavailable { Code::Unavailable } else { Code::Denied };
            return Error::new(code, attempt, format!("{address}: {fault}"));
        }
        Error::new(Code::Unavailable, attempt, format!("{address}: {}", Chain(error)))
    }
}

/// What signs requests with the keys of the moment.
async fn signer(connectors: &Connectors, connection: &RocketMqConnection) -> Result<Option<AclClientRPCHook>, String> {
    let Some(keeper) = connectors.keeper(connection) else { return Ok(None) };
    let token = timeout(PATIENCE, keeper.current()).await.map_err(|_| format!("no credentials within {} s", PATIENCE.as_secs()))?;
    let token = token.map_err(|error| format!("no credentials: {error}"))?;
    let (key, secret) = (token.access_key.as_str(), token.secret_key.expose());
    let credentials = match token.security_token.is_empty() {
        true => SessionCredentials::with_keys(key, secret),
        false => SessionCredentials::with_token(key, secret, token.security_token.expose()),
    };
    Ok(Some(AclClientRPCHook::new(credentials)))
}
