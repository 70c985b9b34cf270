//! A process that may open no more files.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use rocketbridge_transport::Limits;

use crate::world::Server;

/// Says to the test below that it is the process with few files.
const CHILD: &str = "ROCKETBRIDGE_TEST_FEW_FILES";

/// *Scenario*: a process that may have 48 files is given 200 connections that say nothing, for three seconds; then they leave. *Guarantees*: it does not spin;
/// it says once what is wrong; and it accepts again afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_without_files_rests() {
    if std::env::var_os(CHILD).is_some() {
        return serve_with_few_files().await;
    }
    let program = std::env::current_exe().expect("a test has a path");
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 48; exec \"$0\" --exact files::a_process_without_files_rests --nocapture"])
        .arg(program)
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let address = lines.find_map(|line| line.expect("text").strip_prefix("address ").map(str::to_owned)).expect("it serves");
    let mut held = Vec::new();
    for _ in 0..200 {
        // Beyond what the kernel queues for it, connecting waits.
        let connecting = tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(&address));
        if let Ok(Ok(stream)) = connecting.await {
            held.push(stream);
        }
    }
    let before = ticks(child.id());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = ticks(child.id()) - before;
    drop(held);
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let asking = async {
        loop {
            if let Ok(channel) = channel.connect().await
                && tonic_health::pb::health_client::HealthClient::new(channel)
                    .check(tonic_health::pb::HealthCheckRequest::default())
                    .await
                    .is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.expect("it accepts again");
    child.kill().expect("it is our child");
    let log = std::io::read_to_string(child.stderr.take().expect("it is piped")).expect("text");
    child.wait().expect("it ends");
    assert!(spent < 30, "{spent} hundredths of a second of processor time in 3 s");
    assert_eq!(log.matches("no connection can be accepted").count(), 1, "{log}");
}

/// Processor time of a process, hundredths of a second.
fn ticks(id: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("Linux");
    let fields: Vec<&str> = text.rsplit(')').next().expect("a name in parentheses").split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

async fn serve_with_few_files() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let server = Server::start(Limits { handshake: Duration::from_secs(60), ..Limits::default() }).await;
    println!("\naddress {}", server.address);
    std::future::pending().await
}
