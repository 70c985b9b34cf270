//! From a verb to the module that does it.

use std::process::ExitCode;

use clap::CommandFactory;
use rocketbridge_node::config::{Process, Standalone};
use rocketbridge_node::{process, standalone};

use crate::arguments::{Arguments, Shared, Verb};
use crate::client::Client;
#[cfg(feature = "embedded")]
use crate::demo;
use crate::failure::Failure;
use crate::output::Console;
use crate::switch::Switch;
use crate::{acknowledge, apply, certs, delete, get, pattern, rocketmq, route, skip, status, switch, transform};

/// Does what the command line says.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let shared = &arguments.shared;
    if let Some((stage, flags)) = arguments.verb.service() {
        return ended(process::run(stage, Process::read(flags.layers(shared))?));
    }
    match &arguments.verb {
        Verb::Standalone(flags) => return ended(standalone::run(Standalone::read(flags.layers(shared))?)),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "rocketbridge", &mut script);
            Console::standard().bytes(&script)?;
        }
        #[cfg(feature = "embedded")]
        Verb::Demo(arguments) => return runtime()?.block_on(demo::run(arguments, &mut Console::standard())),
        Verb::Pattern(verb) => pattern::run(verb, shared.output, &mut Console::standard())?,
        Verb::Certs(verb) => certs::run(verb, &mut Console::standard())?,
        Verb::Transform(verb) => transform::run(verb, &mut Console::standard())?,
        Verb::Rocketmq(verb) => runtime()?.block_on(rocketmq::run(verb, shared.timeout, shared.output, &mut Console::standard()))?,
        verb => runtime()?.block_on(ask(verb, shared))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The verbs that talk to a server.
async fn ask(verb: &Verb, shared: &Shared) -> Result<(), Failure> {
    let client = Client::new(&shared.settings()?)?;
    let console = &mut Console::standard();
    match verb {
        Verb::Apply(arguments) => apply::run(&client, arguments, console).await,
        Verb::Get(arguments) => get::run(&client, arguments, shared.output, console).await,
        Verb::Describe(arguments) => get::describe(&client, arguments, shared.output, console).await,
        Verb::Delete(arguments) => delete::run(&client, arguments, console).await,
        Verb::Start(arguments) => switch::run(&client, Switch::Running, arguments, console).await,
        Verb::Pause(arguments) => switch::run(&client, Switch::Paused, arguments, console).await,
        Verb::Acknowledge(arguments) => acknowledge::run(&client, arguments, console).await,
        Verb::Status(arguments) => status::run(&client, arguments, shared.output, console).await,
        Verb::Route(verb) => route::run(&client, verb, shared.output, console).await,
        Verb::Skip(arguments) => skip::run(&client, arguments, console).await,
        // The others are done without a client.
        _ => Ok(()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::Failed(format!("cannot start the asynchronous runtime: {error}")))
}

fn ended(result: anyhow::Result<ExitCode>) -> Result<ExitCode, Failure> {
    result.map_err(|error| Failure::Failed(format!("{error:#}")))
}
