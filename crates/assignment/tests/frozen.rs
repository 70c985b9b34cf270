//! A process that is stopped (SIGSTOP) past its TTL and then continues: this test runs itself as a child.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Claims, Lease, UnitId, UnitKind};
use rocketbridge_metastore::testing::Cluster;
use rocketbridge_metastore::{Etcd, Metastore, etcd};
use rocketbridge_model::MemberId;
use rocketbridge_runtime::{Shutdown, Tasks};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

const ROLE: &str = "ROCKETBRIDGE_TEST_FROZEN_ETCD";
const PATIENCE: Duration = Duration::from_secs(40);

fn unit() -> UnitId {
    UnitId::new("s", UnitKind::FilterShard(0))
}

async fn connect(endpoint: &str) -> Arc<dyn Metastore> {
    Arc::new(Etcd::connect(etcd::Config::new([endpoint])).await.expect("connect"))
}

/// The child's part: owns a unit, and for each line of its input prints whether it may act. Does nothing when run as a test of its own.
#[test]
fn child() {
    let Ok(endpoint) = std::env::var(ROLE) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (lease, term) = runtime.block_on(async {
        let store = connect(&endpoint).await;
        let tasks = Tasks::new(Shutdown::new());
        let lease = Lease::start(Arc::clone(&store), Duration::from_secs(3), &tasks).expect("long enough");
        let term = lease.term().await;
        let claims = Claims::new(store, MemberId::new("child"), "child:1".into(), None);
        claims.claim(&term, &unit()).await.expect("it is free");
        (lease, term)
    });
    println!("\nowns");
    for line in std::io::stdin().lines() {
        line.expect("readable");
        println!("\nvalid {}", term.authority().is_valid());
    }
    drop(lease);
    std::process::exit(0);
}

struct Running {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(endpoint: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(ROLE, endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut running = Self { process, input, output };
        running.line("owns");
        running
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).expect("a process id")).expect("not zero");
        kill_process(pid, signal).expect("the child runs");
    }

    /// Stops the process, and returns when each of its threads has stopped: a signal takes effect when a thread is next scheduled, and until
    /// then the process could read its input.
    fn stop(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.process.id());
        let stopped = || {
            std::fs::read_dir(&threads).expect("the child runs").flatten().all(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
                // The state follows the name, which is in parentheses and may contain anything.
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
            })
        };
        let deadline = std::time::Instant::now() + PATIENCE;
        while !stopped() {
            assert!(std::time::Instant::now() < deadline, "the child does not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn ask(&mut self) {
        self.input.write_all(b"\n").expect("writable");
    }

    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("readable"), 0, "no line '{start}'");
        }
        line.trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// *Scenario*: an owner is stopped until another process has claimed its unit, then continues. *Guarantees*: its first check
/// says that it may not act, without a request and before any of its tasks has run; the other process has a higher epoch.
#[tokio::test]
async fn a_stopped_owner_knows_at_once() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let store = connect(&cluster.endpoints[0]).await;
    let mut owner = Running::start(&cluster.endpoints[0]);
    owner.ask();
    assert_eq!(owner.line("valid"), "valid true");
    let before = store.get(&unit().key()).await.expect("get").expect("it is owned").create_revision;
    owner.stop();
    // The line waits in the child's input, so that the child reads it first.
    owner.ask();

    let tasks = Tasks::new(Shutdown::new());
    let lease = Lease::start(Arc::clone(&store), Duration::from_secs(10), &tasks).expect("long enough");
    let term = lease.term().await;
    let claims = Claims::new(store, MemberId::new("other"), "other:1".into(), None);
    let takeover = async {
        loop {
            match claims.claim(&term, &unit()).await {
                Ok(epoch) => return epoch,
                Err(error) => assert_eq!(error.to_string(), "claim s/filter/0: held by child"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let epoch = timeout(PATIENCE, takeover).await.expect("the lease of the stopped owner ends");
    assert!(epoch.0 > before);
    owner.signal(Signal::CONT);
    assert_eq!(owner.line("valid"), "valid false");
    lease.revoke().await.expect("revoke");
}
