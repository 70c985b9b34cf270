//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use rocketbridge_node::Stage;
use rocketbridge_node::config::Layers;
use rocketbridge_node::config::layers::Flags;
use rocketbridge_node::config::quantity::duration_argument;

use crate::client::{Settings, Tls};
#[cfg(feature = "embedded")]
use crate::demo;
use crate::failure::Failure;
use crate::output::Format;
use crate::{acknowledge, apply, certs, delete, get, pattern, rocketmq, route, skip, status, switch, transform};

/// An open event router for Apache RocketMQ.
#[derive(Clone, Debug, Parser)]
#[command(name = "rocketbridge", version, max_term_width = 120, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// What every verb takes.
    #[command(flatten)]
    pub shared: Shared,
}

/// What every verb takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Shared {
    /// Server that the client verbs talk to
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ROCKETBRIDGE_SERVER",
        default_value = "http://127.0.0.1:9080",
        help_heading = "Client"
    )]
    server: String,
    /// Form of results
    #[arg(short, long, global = true, value_enum, env = "ROCKETBRIDGE_OUTPUT", default_value = "table", help_heading = "Client")]
    pub output: Format,
    /// Longest wait for one answer
    #[arg(long, global = true, value_name = "DURATION", env = "ROCKETBRIDGE_TIMEOUT", default_value = "10s", value_parser = duration_argument, help_heading = "Client")]
    pub timeout: Duration,
    /// PEM file of the authority that the other side's certificate comes from
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_ca: Option<String>,
    /// PEM file of our certificate
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_cert: Option<String>,
    /// PEM file of our certificate's private key
    #[arg(long, global = true, value_name = "FILE", help_heading = "TLS")]
    tls_key: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Run all four services in one process, with nothing else to install
    Standalone(StandaloneFlags),
    /// Run the service that serves the API and plans
    Controller(ProcessFlags),
    /// Run the service that reads sources
    Router(ProcessFlags),
    /// Run the service that matches and transforms
    Filter(ProcessFlags),
    /// Run the service that delivers
    Dispatcher(ProcessFlags),
    /// Make the server have what files define
    Apply(apply::Arguments),
    /// List definitions
    Get(get::Arguments),
    /// Show a definition and what it is doing
    Describe(get::DescribeArguments),
    /// Remove definitions
    Delete(delete::Arguments),
    /// Let streams run
    Start(switch::Arguments),
    /// Drain streams; they keep their progress
    Pause(switch::Arguments),
    /// Show what a stream is doing
    Status(status::Arguments),
    /// Let one event of a stream pass without delivering it: the way past an event that blocks its partition
    Skip(skip::Arguments),
    /// Take as known what of a stream's source was not read
    Acknowledge(acknowledge::Arguments),
    /// Copy topics of one instance to another
    #[command(subcommand)]
    Route(route::Verb),
    /// Send to topics and read from them, without a server
    #[command(subcommand)]
    Rocketmq(rocketmq::Verb),
    /// Try and check patterns
    #[command(subcommand)]
    Pattern(pattern::Verb),
    /// Try transforms
    #[command(subcommand)]
    Transform(transform::Verb),
    #[cfg(feature = "embedded")]
    /// Route orders between two embedded clusters and count them: `make demo`
    #[command(hide = true)]
    Demo(demo::Arguments),
    /// Certificates for trying a mesh with TLS
    #[command(subcommand)]
    Certs(certs::Verb),
    /// Print a completion script
    Completions {
        /// For this shell
        shell: Shell,
    },
}

/// Flags of standalone. They stay texts here: the configuration checks them, together with environment and file.
#[derive(Clone, Debug, clap::Args)]
pub struct StandaloneFlags {
    #[cfg_attr(feature = "embedded", doc = "Where definitions, progress and the embedded RocketMQ are kept [default: rocketbridge-data]")]
    #[cfg_attr(not(feature = "embedded"), doc = "Where definitions and progress are kept [default: rocketbridge-data]")]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the API; port 0 for any free one [default: 127.0.0.1:9080]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Whether a RocketMQ runs inside [default: true]
    // A build without one still takes `=false`, so that scripts work with both.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = !cfg!(feature = "embedded"))]
    embedded_rocketmq: Option<String>,
    /// Port of the name server of that RocketMQ; 0 for any free one [default: that of the last start, at first 9081]
    #[arg(long, value_name = "PORT", hide = !cfg!(feature = "embedded"))]
    embedded_name_server_port: Option<String>,
    /// Region it is in
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Configuration file, TOML or YAML
    #[arg(long, value_name = "FILE", env = "ROCKETBRIDGE_CONFIG")]
    config: Option<PathBuf>,
}

/// Flags of the four services. They stay texts here: the configuration checks them, together with environment and file.
#[derive(Clone, Debug, clap::Args)]
pub struct ProcessFlags {
    /// Addresses of etcd, separated by commas
    #[arg(long, value_name = "URL[,URL…]")]
    etcd: Option<String>,
    /// Address to serve; port 0 for any free one
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Region it is in
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Where others reach it [default: the address it serves]
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// Identity among the members [default: made up at each start]
    #[arg(long, value_name = "ID")]
    member_id: Option<String>,
    /// How long its ownerships outlive its last renewal [default: 9s]
    #[arg(long, value_name = "DURATION")]
    lease_ttl: Option<String>,
    /// Prefix of every key in etcd [default: /rocketbridge]
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Configuration file, TOML or YAML
    #[arg(long, value_name = "FILE", env = "ROCKETBRIDGE_CONFIG")]
    config: Option<PathBuf>,
}

impl Shared {
    /// How to reach the server. Certificates come from the flags, or the variables that the processes take them from.
    pub fn settings(&self) -> Result<Settings, Failure> {
        let path =
            |flag: &Option<String>, variable: &str| flag.clone().or_else(|| std::env::var(variable).ok()).filter(|path| !path.is_empty());
        let read = |path: String| std::fs::read_to_string(&path).map_err(|error| Failure::Usage(format!("cannot read {path}: {error}")));
        let ca = path(&self.tls_ca, "ROCKETBRIDGE_TLS_CA").map(read).transpose()?;
        let certificate = path(&self.tls_cert, "ROCKETBRIDGE_TLS_CERT").map(read).transpose()?;
        let key = path(&self.tls_key, "ROCKETBRIDGE_TLS_KEY").map(read).transpose()?;
        let is_tls = self.server.starts_with("https://");
        let tls = match (is_tls, ca) {
            (false, _) => None,
            (true, Some(ca)) => Some(Tls { ca, identity: certificate.zip(key) }),
            (true, None) => {
                return Err(Failure::Usage(format!("{} needs the authority of its certificate; pass --tls-ca FILE", self.server)));
            }
        };
        Ok(Settings { server: self.server.clone(), timeout: self.timeout, tls })
    }

    fn tls_flags(&self) -> Flags {
        vec![("tls.ca", self.tls_ca.clone()), ("tls.cert", self.tls_cert.clone()), ("tls.key", self.tls_key.clone())]
    }
}

impl StandaloneFlags {
    /// Everything that was said about the process.
    pub fn layers(&self, shared: &Shared) -> Layers {
        let mut flags = shared.tls_flags();
        flags.extend([
            ("data_dir", self.data_dir.clone()),
            ("listen", self.listen.clone()),
            ("embedded_rocketmq", self.embedded_rocketmq.clone()),
            ("embedded.name_server_port", self.embedded_name_server_port.clone()),
            ("region", self.region.clone()),
        ]);
        collect(true, flags, self.config.as_deref())
    }
}

impl ProcessFlags {
    /// Everything that was said about the process.
    pub fn layers(&self, shared: &Shared) -> Layers {
        let mut flags = shared.tls_flags();
        flags.extend([
            ("etcd.endpoints", self.etcd.clone()),
            ("listen", self.listen.clone()),
            ("region", self.region.clone()),
            ("advertise", self.advertise.clone()),
            ("member_id", self.member_id.clone()),
            ("lease_ttl", self.lease_ttl.clone()),
            ("etcd.prefix", self.etcd_prefix.clone()),
        ]);
        collect(false, flags, self.config.as_deref())
    }
}

fn collect(for_standalone: bool, flags: Flags, file: Option<&Path>) -> Layers {
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Layers::collect(for_standalone, flags, environment, file)
}

impl Verb {
    /// The service that the verb runs, if it runs one as a process of its own.
    pub fn service(&self) -> Option<(Stage, &ProcessFlags)> {
        match self {
            Self::Controller(flags) => Some((Stage::Controller, flags)),
            Self::Router(flags) => Some((Stage::Router, flags)),
            Self::Filter(flags) => Some((Stage::Filter, flags)),
            Self::Dispatcher(flags) => Some((Stage::Dispatcher, flags)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_flag_without_a_value_means_true_and_verbs_of_services_know_their_stage() {
        let parse = |line: &[&str]| Arguments::try_parse_from([&["rocketbridge"], line].concat()).map(|arguments| arguments.verb);
        let Ok(Verb::Standalone(flags)) = parse(&["standalone", "--embedded-rocketmq=false"]) else { panic!("it is a standalone") };
        assert_eq!(flags.embedded_rocketmq.as_deref(), Some("false"));
        let filter = parse(&["filter", "--etcd", "http://a:1", "--listen", "127.0.0.1:0"]).expect("valid");
        assert_eq!(filter.service().map(|(stage, _)| stage), Some(Stage::Filter));
        #[cfg(feature = "embedded")]
        assert!(parse(&["demo", "--keep"]).expect("valid").service().is_none());
    }
}
