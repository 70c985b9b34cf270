//! One embedded cluster: started, asked, stopped.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_broker::config::validated::ValidatedBrokerConfig;
use rocketmq_broker::{BrokerBootstrap, Running};
use rocketmq_namesrv::bootstrap::Builder as NameServerBuilder;
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_protocol::protocol::remoting_command_facade::initialize_remoting_defaults;
use rocketmq_runtime::RuntimeContext;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::config::{EmbeddedConfig, LOOPBACK, server};
use crate::error::Error;
use crate::ports::Ports;
use crate::topic;

/// A running name server and broker. Dropping it without [`Embedded::stop`] is a crash: the next start recovers.
///
/// The library's futures and types stay behind `dyn`, so that crates that use this one do not compile the broker's code again.
pub struct Embedded {
    name: String,
    ports: Ports,
    /// Not polled before the cluster is stopped; holds the parts that run. The lock is never taken: it makes the cluster `Sync`.
    stopping: Mutex<BoxFuture<()>>,
    _lock: File,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The parts of a running cluster.
struct Parts {
    broker: BrokerBootstrap<Running>,
    stop_name_server: oneshot::Sender<()>,
    name_server: JoinHandle<Result<(), String>>,
    context: RuntimeContext,
}

/// How long the name server may take to listen.
const NAME_SERVER_DEADLINE: Duration = Duration::from_secs(10);
/// How long the tasks of a stopped cluster may take to end.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
/// How often a start is tried when its free ports were taken in between.
const ATTEMPTS: u32 = 3;

impl Embedded {
    /// Starts a cluster on its data directory, in the current tokio runtime. It is ready when this returns.
    ///
    /// # Errors
    ///
    /// The directory cannot be made or is in use, no port is free, or a part does not come up.
    pub fn start(config: EmbeddedConfig) -> Pin<Box<dyn Future<Output = Result<Self, Error>> + Send>> {
        Box::pin(async move {
            let lock = lock(&config)?;
            // Process-wide in the library; a second cluster finds it set, which is no error to us.
            initialize_remoting_defaults(rocketmq_model::version::CURRENT_VERSION as i32).ok();
            let mut attempt = 1;
            loop {
                let ports = Ports::choose(config.name_server_port.wanted(&config.data_dir), config.broker_port)?;
                match Parts::start(&config, ports).await {
                    Ok(parts) => {
                        config.name_server_port.keep(&config.data_dir, ports.name_server)?;
                        let stopping: BoxFuture<()> = Box::pin(parts.stop(config.name.clone()));
                        return Ok(Self { name: config.name, ports, stopping: Mutex::new(stopping), _lock: lock });
                    }
                    Err(error) if attempt == ATTEMPTS => return Err(error),
                    Err(error) => {
                        tracing::warn!(cluster = %config.name, %error, attempt, "embedded cluster is started again on other ports")
                    }
                }
                attempt += 1;
            }
        })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The broker's name.
    pub fn broker_name(&self) -> String {
        format!("{}-a", self.name)
    }

    /// Address of the name server, `127.0.0.1:port`: what clients are given.
    pub fn name_server(&self) -> String {
        format!("{LOOPBACK}:{}", self.ports.name_server)
    }

    /// Address of the broker, `127.0.0.1:port`.
    pub fn broker(&self) -> String {
        format!("{LOOPBACK}:{}", self.ports.broker)
    }

    /// Creates a topic, or changes its number of queues; an existing topic of that form is left as it is.
    pub async fn create_topic(&self, name: &str, queues: u32) -> Result<(), Error> {
        topic::create((LOOPBACK, self.ports.broker), name, queues).await.map_err(|reason| Error::Topic { topic: name.to_owned(), reason })
    }

    /// Stops broker and name server and writes what is not yet on disk.
    pub async fn stop(self) {
        self.stopping.into_inner().unwrap_or_else(PoisonError::into_inner).await;
    }
}

impl Parts {
    async fn start(config: &EmbeddedConfig, ports: Ports) -> Result<Self, Error> {
        let context = RuntimeContext::try_from_current(format!("embedded-{}", config.name))
            .map_err(|error| Error::NameServer { reason: chain(&error) })?;
        let (stop_name_server, stopped) = oneshot::channel();
        let bootstrap = NameServerBuilder::new(context.service_context("name-server"), TelemetryRuntimeGuard::noop().handle())
            .set_name_server_config(config.name_server())
            .set_server_config(server(ports.name_server))
            .build();
        // The library's own future is its main loop; it ends by the channel, also when the cluster is dropped.
        let mut name_server = tokio::spawn(async move {
            let stop = async {
                stopped.await.ok();
            };
            bootstrap.boot_with_shutdown(stop).await.map_err(|error| chain(&error))
        });
        listening(ports.name_server, &mut name_server).await?;
        let validated = ValidatedBrokerConfig::try_from_parts(config.broker(ports), config.store(ports))
            .map_err(|error| Error::Settings { reason: chain(&error) })?;
        let broker = rocketmq_broker::Builder::new(context.service_context("broker"), TelemetryRuntimeGuard::noop())
            .with_validated_config(validated)
            .build()
            .initialize()
            .await
            .map_err(|error| Error::Broker { reason: chain(&error) })?
            .start()
            .await
            .map_err(|error| Error::Broker { reason: chain(&error) })?;
        Ok(Self { broker, stop_name_server, name_server, context })
    }

    async fn stop(self, name: String) {
        self.broker.shutdown().await;
        self.stop_name_server.send(()).ok();
        match tokio::time::timeout(STOP_DEADLINE, self.name_server).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(cluster = %name, %error, "embedded name server stopped with an error"),
            Ok(Err(_)) | Err(_) => tracing::warn!(cluster = %name, "embedded name server did not stop in time"),
        }
        self.context.shutdown_tasks(STOP_DEADLINE).await;
    }
}

/// Waits until the name server accepts connections, or ends.
async fn listening(port: u16, task: &mut JoinHandle<Result<(), String>>) -> Result<(), Error> {
    let deadline = Instant::now() + NAME_SERVER_DEADLINE;
    loop {
        if TcpStream::connect((LOOPBACK, port)).await.is_ok() {
            return Ok(());
        }
        if task.is_finished() {
            let reason = match task.await {
                Ok(Ok(())) => "it ended at once".to_owned(),
                Ok(Err(reason)) => reason,
                Err(error) => error.to_string(),
            };
            return Err(Error::NameServer { reason });
        }
        if Instant::now() > deadline {
            return Err(Error::NameServer { reason: format!("no connection within {NAME_SERVER_DEADLINE:?}") });
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Takes the data directory: the store's own lock would let two clusters of one process share it.
fn lock(config: &EmbeddedConfig) -> Result<File, Error> {
    let failed = |source| directory(config, source);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(config.data_dir.join("namesrv")).map_err(failed)?;
    // A link must not make this process write to, or hold, a file that is not its own.
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).clone();
    let file = options.open(config.data_dir.join("lock")).map_err(failed)?;
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => Error::DataDirectoryInUse { path: config.data_dir.clone() },
        std::fs::TryLockError::Error(source) => directory(config, source),
    })?;
    Ok(file)
}

fn directory(config: &EmbeddedConfig, source: std::io::Error) -> Error {
    Error::DataDirectory { path: config.data_dir.clone(), source: Arc::new(source) }
}

/// An error and what caused it: the library keeps the outer text general on purpose.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
