//! `rocketbridge transform`: tries transforms, without a server.

use clap::Subcommand;
use rocketbridge_pattern::JsonEvent;
use rocketbridge_transform::{Output, Transform};

use crate::failure::Failure;
use crate::output::Console;
use crate::pattern::argument;

/// What `transform` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Print what a transform makes of an event; exit status 1 if it finds nothing
    Test {
        /// The event: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE")]
        event: String,
        /// ORIGINAL, JSONPATH, CONSTANT or TEMPLATE
        #[arg(long)]
        form: String,
        /// A constant, a path, or variables, by the form
        #[arg(long)]
        value: Option<String>,
        /// The template of TEMPLATE
        #[arg(long)]
        template: Option<String>,
    },
}

/// Does what the verb says. The value is printed as it is, with a line end behind it on a terminal.
pub fn run(verb: &Verb, console: &mut Console<'_>) -> Result<(), Failure> {
    let Verb::Test { event, form, value, template } = verb;
    let event = argument(event)?;
    let transform = Transform::compile(form, value.as_deref(), template.as_deref());
    let transform = transform.map_err(|error| Failure::Failed(format!("the transform is refused: {error}")))?;
    match transform.apply(&JsonEvent::new(&event)).map_err(|error| Failure::Failed(error.to_string()))? {
        Output::Value(bytes) => console.bytes(&bytes)?,
        Output::Absent => return Err(Failure::Failed("the event has nothing at that path".into())),
    }
    if console.is_live() {
        console.result("\n")?;
    }
    Ok(())
}
