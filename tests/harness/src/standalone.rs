//! `rocketbridge standalone`.

use std::path::Path;

use crate::api::Api;
use crate::process::Process;

/// A running standalone.
#[derive(Debug)]
pub struct Standalone {
    /// Its process.
    pub process: Process,
    name_server: Option<String>,
}

impl Standalone {
    /// Starts it without a RocketMQ, on `directory/data`. Started again on the same directory, it still has its definitions and progress.
    pub fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// As [`start`](Self::start), with further settings as variables.
    pub fn start_with(directory: &Path, variables: &[(&str, &str)]) -> Self {
        Self { process: start(directory, "--embedded-rocketmq=false", variables), name_server: None }
    }

    /// Starts it with its embedded RocketMQ.
    pub fn start_with_rocketmq(directory: &Path) -> Self {
        let mut process = start(directory, "--embedded-rocketmq=true", &[]);
        let line = process.line();
        let name_server = line.strip_prefix("embedded RocketMQ name server ").unwrap_or_else(|| panic!("second line: {line:?}"));
        Self { name_server: Some(name_server.to_owned()), process }
    }

    /// Its API.
    pub async fn api(&self) -> Api {
        Api::connect(self.process.server()).await
    }

    /// The name server of its embedded RocketMQ.
    pub fn name_server(&self) -> &str {
        self.name_server.as_deref().expect("it was started with a RocketMQ")
    }
}

fn start(directory: &Path, rocketmq: &str, variables: &[(&str, &str)]) -> Process {
    let data = directory.join("data").to_string_lossy().into_owned();
    let free = ["--listen", "127.0.0.1:0", "--embedded-name-server-port", "0"];
    let arguments = [&["standalone", "--data-dir", &data, rocketmq][..], &free].concat();
    Process::start(directory, "standalone", &arguments, variables)
}
