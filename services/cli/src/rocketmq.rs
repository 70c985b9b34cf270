//! `rocketbridge rocketmq`: sends to topics and reads from them, so that nobody needs other tools to try a stream.
//!
//! It goes through the connector that streams use, groups and access control through `rocketmq-client-rust`, and asks nothing of a RocketBridge server.

use std::time::Duration;

use clap::Subcommand;
#[cfg(feature = "administration")]
use rocketbridge_connector::Error;
#[cfg(feature = "administration")]
use rocketbridge_connector_rocketmq::Connectors;
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{Credentials, Keys, RocketMqConnection};
use rocketbridge_model::validate::endpoint;
#[cfg(feature = "administration")]
use rocketbridge_rocketmq_admin::Administration;

use crate::failure::Failure;
use crate::output::{Console, Format};

#[cfg(feature = "administration")]
pub mod acl;
pub mod bodies;
#[cfg(feature = "administration")]
pub mod group;
pub mod send;
pub mod tail;
pub mod topic;

/// What `rocketmq` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Send messages to a topic
    Send(send::Arguments),
    /// Print what arrives in a topic
    Tail(tail::Arguments),
    /// List the topics
    Topics(topic::ListArguments),
    /// Show the queues of a topic and what they hold
    DescribeTopic(topic::DescribeArguments),
    /// Make a topic, or change its number of queues
    CreateTopic(topic::CreateArguments),
    /// Delete a topic with all its messages
    DeleteTopic(topic::DeleteArguments),
    #[cfg(feature = "administration")]
    /// List the subscription groups
    Groups(group::ListArguments),
    #[cfg(feature = "administration")]
    /// Show how far a group is in each queue, and its members
    DescribeGroup(group::DescribeArguments),
    #[cfg(feature = "administration")]
    /// Let a group begin elsewhere in a topic
    ResetOffset(group::ResetArguments),
    #[cfg(feature = "administration")]
    /// Users and rules of access control
    #[command(subcommand)]
    Acl(acl::Verb),
}

/// How to reach a cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Instance {
    /// Name server, HOST:PORT; several are separated by commas
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', required = true, value_parser = name_server)]
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
        Verb::Topics(arguments) => topic::list(arguments, format, console).await,
        Verb::DescribeTopic(arguments) => topic::describe(arguments, format, console).await,
        Verb::CreateTopic(arguments) => topic::create(arguments, console).await,
        Verb::DeleteTopic(arguments) => topic::delete(arguments, console).await,
        #[cfg(feature = "administration")]
        Verb::Groups(arguments) => group::list(arguments, format, console).await,
        #[cfg(feature = "administration")]
        Verb::DescribeGroup(arguments) => group::describe(arguments, format, console).await,
        #[cfg(feature = "administration")]
        Verb::ResetOffset(arguments) => group::reset(arguments, format, console).await,
        #[cfg(feature = "administration")]
        Verb::Acl(verb) => acl::run(verb, format, console).await,
    }
}

/// Administers an instance for the length of a verb.
#[cfg(feature = "administration")]
async fn administer<T>(instance: &Instance, work: impl AsyncFnOnce(&Administration) -> Result<T, Error>) -> Result<T, Failure> {
    let failed = |error: Error| Failure::Failed(error.to_string());
    let connectors = Connectors::new();
    let administration = Administration::open(&connectors, &instance.connection()?).await.map_err(failed)?;
    let outcome = work(&administration).await;
    administration.close().await;
    outcome.map_err(failed)
}

/// A name server in its plain form. The error says what to write instead.
fn name_server(text: &str) -> Result<String, String> {
    let several: Vec<&str> = text.split([';', ' ']).map(str::trim).filter(|part| !part.is_empty()).collect();
    match several.as_slice() {
        [] => Err("write HOST:PORT, such as 127.0.0.1:9876".to_owned()),
        [one] => endpoint(one),
        several => Err(format!("several name servers are separated by commas: write {}", several.join(","))),
    }
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
        let credentials = self.access_key.clone().map(|access_key| Credentials::Static(Keys { access_key, secret_key, security_token }));
        Ok(RocketMqConnection {
            endpoints: self.name_server.clone(),
            namespace: self.namespace.clone(),
            credentials,
            ..RocketMqConnection::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: name servers as people write them for other tools. *Guarantees*: what cannot be dialled is refused at once, with what to write.
    #[test]
    fn name_servers_are_checked_before_anything_is_dialled() {
        for (text, answer) in [
            ("127.0.0.1:9876", Ok("127.0.0.1:9876")),
            (" MQ.example:9876;", Ok("mq.example:9876")),
            ("a:1;b:2", Err("several name servers are separated by commas: write a:1,b:2")),
            ("a:1 b:2", Err("several name servers are separated by commas: write a:1,b:2")),
            ("http://mq.example:9876", Err("write mq.example:9876, without http://")),
            ("mq.example", Err("write a port, such as mq.example:9876")),
            ("", Err("write HOST:PORT, such as 127.0.0.1:9876")),
        ] {
            assert_eq!(name_server(text), answer.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
