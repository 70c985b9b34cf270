//! `rocketbridge rocketmq`: sends to topics and reads from them, so that nobody needs other tools to try a stream.
//!
//! It goes through the connector that streams use, and asks nothing of a RocketBridge server.

use std::time::Duration;

use clap::Subcommand;
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{Credentials, RocketMqConnection};

use crate::failure::Failure;
use crate::output::{Console, Format};

pub mod bodies;
pub mod send;
pub mod tail;

/// What `rocketmq` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Send messages to a topic
    Send(send::Arguments),
    /// Print what arrives in a topic
    Tail(tail::Arguments),
    /// Make a topic, or change its number of queues
    CreateTopic(TopicArguments),
}

/// What `create-topic` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct TopicArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Queues on each broker, for reading and writing
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    queues: u32,
}

/// How to reach a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Instance {
    /// Name servers, HOST:PORT, separated by commas
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true)]
    name_server: Vec<String>,
    /// Prefix of topics on the wire
    #[arg(long, default_value = "", hide_default_value = true)]
    namespace: String,
    /// Access key
    #[arg(long)]
    access_key: Option<String>,
    /// Reference to the secret key: env:NAME or file:/path
    #[arg(long, value_name = "REFERENCE", requires = "access_key")]
    secret_key: Option<String>,
    /// Reference to the token of temporary credentials: env:NAME or file:/path
    #[arg(long, value_name = "REFERENCE", requires = "secret_key")]
    security_token: Option<String>,
}

/// Does what the verb says. Needs a runtime of several threads.
pub async fn run(verb: &Verb, patience: Duration, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Send(arguments) => send::run(arguments, patience, console).await,
        Verb::Tail(arguments) => tail::run(arguments, format, console).await,
        Verb::CreateTopic(arguments) => create_topic(arguments, console).await,
    }
}

async fn create_topic(arguments: &TopicArguments, console: &mut Console<'_>) -> Result<(), Failure> {
    let admin = Connectors::new().admin(&arguments.instance.connection()?);
    let created = admin.create_topic(&arguments.topic, arguments.queues).await;
    created.map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(console.result(format!("topic/{} has {} queues on each broker\n", arguments.topic, arguments.queues))?)
}

impl Instance {
    /// The connection. Secrets must be references: other users of the machine can read command lines.
    fn connection(&self) -> Result<RocketMqConnection, Failure> {
        let reference = |flag: &str, text: &Option<String>| match text.as_deref().map(Secret::new) {
            Some(secret) if !secret.is_reference() => {
                Err(Failure::Usage(format!("{flag} takes a reference, not the secret itself; write env:NAME or file:/path")))
            }
            secret => Ok(secret.unwrap_or_default()),
        };
        let secret_key = reference("--secret-key", &self.secret_key)?;
        let security_token = reference("--security-token", &self.security_token)?;
        let credentials = self.access_key.clone().map(|access_key| Credentials { access_key, secret_key, security_token });
        Ok(RocketMqConnection {
            name_servers: self.name_server.clone(),
            namespace: self.namespace.clone(),
            credentials,
            ..RocketMqConnection::default()
        })
    }
}
