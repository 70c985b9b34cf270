//! `rocketbridge route`: topics of one instance, copied to another.
//!
//! - [`create`]: a route in one line, or what it would do;
//! - [`status`]: what a route is doing; [`verify`]: whether both ends hold the same;
//! - [`failover`]: users go to the other end, and back.

use clap::Subcommand;
use rocketbridge_model::printable;
use rocketbridge_proto::route::v1::State;

use crate::client::{Client, Kind};
use crate::failure::Failure;
use crate::output::{Console, Format};

pub mod create;
pub mod failover;
pub mod status;
pub mod verify;

/// What `route` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Create a route and start it
    Create(create::Arguments),
    /// Show what a route is doing
    Status(status::Arguments),
    /// Compare both ends of a route that mirrors, message by message
    Verify(verify::Arguments),
    /// Let users go on at the other end: progress of groups is translated, streams are turned
    Failover(failover::Arguments),
    /// Let them go back
    Failback(failover::Arguments),
    /// Let routes run
    Start(Named),
    /// Drain the streams of routes; they keep their progress
    Pause(Named),
    /// Delete routes and their streams; topics and messages stay
    Delete(Named),
}

/// Routes by name.
#[derive(Clone, Debug, clap::Args)]
pub struct Named {
    /// Names of routes
    #[arg(required = true)]
    names: Vec<String>,
}

/// Does what the verb says.
pub async fn run(client: &Client, verb: &Verb, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Create(arguments) => create::run(client, arguments, format, console).await,
        Verb::Status(arguments) => status::run(client, arguments, format, console).await,
        Verb::Verify(arguments) => verify::run(client, arguments, format, console).await,
        Verb::Failover(arguments) => failover::run(client, failover::Way::Over, arguments, format, console).await,
        Verb::Failback(arguments) => failover::run(client, failover::Way::Back, arguments, format, console).await,
        Verb::Start(Named { names }) => {
            for name in names {
                client.start_route(name).await?;
                console.result(format!("route/{name} started\n"))?;
            }
            Ok(())
        }
        Verb::Pause(Named { names }) => {
            for name in names {
                client.pause_route(name).await?;
                console.result(format!("route/{name} paused\n"))?;
            }
            Ok(())
        }
        Verb::Delete(Named { names }) => {
            for name in names {
                client.delete(Kind::Route, name, false).await?;
                console.result(format!("route/{name} deleted\n"))?;
            }
            Ok(())
        }
    }
}

/// A state as the states of streams are written.
pub(crate) fn word(state: State) -> String {
    state.as_str_name().trim_start_matches("STATE_").to_owned()
}

/// A text of others, on one line and without what terminals obey.
fn plain(text: &str) -> String {
    printable::line(&text.replace(['\n', '\r'], " ")).into_owned()
}
