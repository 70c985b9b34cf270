//! A real etcd on free loopback ports, started by the kit in `tests/etcd` and stopped when this is dropped.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::etcd::Config;

/// A running cluster. All calls block.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    directory: PathBuf,
    /// The client addresses, of member 1, 2, …
    pub endpoints: Vec<String>,
}

/// How many ranges of ports are tried when other processes take the ports first.
const ATTEMPTS: u32 = 10;

static STARTED: AtomicU32 = AtomicU32::new(0);

impl Cluster {
    /// Starts a cluster of 1 or 3 members. If there is neither a built etcd nor Go, it prints to standard error what is missing and
    /// skipped, and returns `None`; in CI (the variable `CI` is set) nothing is skipped.
    ///
    /// # Panics
    ///
    /// When etcd does not start, or in CI when it cannot be built.
    pub fn start(members: usize) -> Option<Self> {
        Self::start_with(members, None, &[])
    }

    /// As [`start`](Self::start), with TLS from a directory of certificates (see `etcd.sh help`), and flags for every member.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(members: usize, tls: Option<&Path>, flags: &[&str]) -> Option<Self> {
        if let Err(output) = kit(&["install"]) {
            let missing = output.lines().next().unwrap_or("etcd.sh install failed").to_owned();
            assert!(std::env::var_os("CI").is_none() && missing.contains("not on PATH"), "no etcd: {output}");
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            // Not `eprintln!`, which the test runner hides when a test passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {missing}");
            return None;
        }
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let number = STARTED.fetch_add(1, Ordering::Relaxed);
            let name = format!("test-{}-{number}", std::process::id());
            let directory = std::env::temp_dir().join("rocketbridge-etcd").join(&name);
            let port = free_ports(members * 2);
            let scheme = if tls.is_some() { "https" } else { "http" };
            let address = |member: usize| format!("{scheme}://127.0.0.1:{}", usize::from(port) + 2 * member);
            let cluster = Self { endpoints: (0..members).map(address).collect(), name, directory };
            let (members, port) = (members.to_string(), port.to_string());
            let certificates = tls.map(|tls| tls.to_string_lossy());
            let mut options = vec!["up", "--members", &members, "--base-port", &port];
            options.extend(certificates.as_deref().into_iter().flat_map(|directory| ["--tls", directory]));
            match cluster.run_with(&options, flags) {
                Ok(_) => return Some(cluster),
                Err(output) => last = output,
            }
        }
        panic!("etcd does not start: {last}")
    }

    /// Settings for a store on it.
    pub fn config(&self) -> Config {
        Config::new(self.endpoints.clone())
    }

    /// Kills a member (1, 2, …) with SIGKILL.
    pub fn kill(&self, member: usize) {
        self.must(&["kill9", "--member", &member.to_string()]);
    }

    /// Starts a killed member again on its old data; returns when it serves.
    pub fn restart(&self, member: usize) {
        self.must(&["start-member", "--member", &member.to_string()]);
    }

    /// Stops a member with SIGSTOP: it keeps its connections open and answers nothing.
    pub fn freeze(&self, member: usize) {
        self.must(&["stop", "--member", &member.to_string()]);
    }

    /// Lets a stopped member continue.
    pub fn thaw(&self, member: usize) {
        self.must(&["cont", "--member", &member.to_string()]);
    }

    /// The number of the leader.
    pub fn leader(&self) -> usize {
        self.must(&["leader"]).trim().parse().expect("etcd.sh prints a number")
    }

    fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|output| panic!("etcd.sh {arguments:?}: {output}"))
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], flags: &[&str]) -> Result<String, String> {
        let directory = self.directory.to_string_lossy();
        kit(&[arguments, &["--name", &self.name, "--dir", &directory, "--"], flags].concat())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(output) = self.run(&["down"]) {
            let _ = writeln!(std::io::stderr(), "etcd.sh down --name {}: {output}", self.name);
        }
    }
}

fn kit(arguments: &[&str]) -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/etcd/etcd.sh");
    let output = Command::new(script).args(arguments).output().map_err(|error| format!("{script}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The first of `count` ports in a row that were free a moment ago.
fn free_ports(count: usize) -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let count = u16::try_from(count).expect("a few ports");
        if first.checked_add(count).is_some() && (first..first + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}
