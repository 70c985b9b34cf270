//! The `rocketbridge` command. What it can do stands in [`rocketbridge_cli::arguments`], how it ends in
//! [`rocketbridge_cli::failure`].

use std::process::ExitCode;

use clap::Parser;
use rocketbridge_cli::arguments::Arguments;
use rocketbridge_cli::dispatch;

fn main() -> ExitCode {
    dispatch::run(&Arguments::parse()).unwrap_or_else(|failure| failure.report())
}
