//! What signals do to a real process: this test runs itself as a child and sends it signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rocketbridge_runtime::Shutdown;
use rustix::process::{Pid, Signal, kill_process};

const ROLE: &str = "ROCKETBRIDGE_TEST_SIGNALS_DEADLINE_MS";

/// The child's part; does nothing when run as a test of its own.
#[test]
fn child() {
    let Ok(deadline) = std::env::var(ROLE) else {
        return;
    };
    let deadline = Duration::from_millis(deadline.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals(deadline).expect("signal handlers");
        println!("\nready");
        shutdown.draining().await;
        println!("\ndraining: {}", shutdown.cause().expect("a cause"));
        shutdown.aborted().await;
        println!("\naborted: {}", shutdown.cause().expect("a cause"));
    });
    std::process::exit(7);
}

struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(deadline: Duration) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(ROLE, deadline.as_millis().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut running = Self { process, output };
        running.line("ready");
        running
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a process id")).expect("not zero");
        kill_process(pid, signal).expect("the child runs");
    }

    /// Reads up to the line that begins with `start`.
    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("readable"), 0, "no line '{start}'");
        }
        line.trim().to_owned()
    }

    fn status(mut self) -> Option<i32> {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("readable");
        self.process.wait().expect("it ends").code()
    }
}

/// *Scenario*: SIGTERM, then SIGINT during a drain that would last for ever. *Guarantees*: the first drains, the second ends the process at
/// once with 128 + its number.
#[test]
fn first_signal_drains_and_second_exits() {
    let mut child = Running::start(Duration::from_secs(3600));
    child.signal(Signal::TERM);
    assert_eq!(child.line("draining"), "draining: received SIGTERM");
    child.signal(Signal::INT);
    assert_eq!(child.status(), Some(130));
}

/// *Scenario*: a drain that never ends by itself. *Guarantees*: it is aborted at its deadline.
#[test]
fn a_drain_is_aborted_at_its_deadline() {
    let mut child = Running::start(Duration::from_millis(50));
    child.signal(Signal::INT);
    assert_eq!(child.line("draining"), "draining: received SIGINT");
    assert_eq!(child.line("aborted"), "aborted: drain took longer than 50ms");
    assert_eq!(child.status(), Some(7));
}
