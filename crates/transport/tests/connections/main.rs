//! Peers that mean no good, before and after a server knows them: what they take is bounded, passes, and holds up nobody else.

mod files;
mod floods;
mod tls;
mod world;

use std::time::{Duration, Instant};

use rocketbridge_transport::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{PREFACE, SETTINGS, Server, resident};

/// Short enough for a test, long enough for a busy machine.
const SHORT: Duration = Duration::from_secs(2);

fn limits() -> Limits {
    Limits { handshake: SHORT, first_call: SHORT, silence: SHORT, ..Limits::default() }
}

/// Waits until the server closes a connection; returns how long that took.
async fn closed(mut stream: TcpStream) -> Duration {
    let (begin, mut scratch) = (Instant::now(), [0; 4096]);
    let closing = async { while stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(Duration::from_secs(20), closing).await.expect("the server closes the connection");
    begin.elapsed()
}

/// *Scenario*: 500 connections say nothing; others begin with half of HTTP/2's preface, with HTTP/1, or with all of the preface and settings and then
/// never call. *Guarantees*: the server closes each by its deadline, HTTP/1 at once; others are served meanwhile.
#[tokio::test]
async fn a_peer_that_does_not_begin_is_dropped() {
    let server = Server::start(limits()).await;
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(server.connect().await);
    }
    server.is_well().await;
    let begun = Instant::now();
    let mut half = server.connect().await;
    half.write_all(&PREFACE[..12]).await.expect("it is open");
    let mut idle = server.connect().await;
    idle.write_all(&[PREFACE, SETTINGS].concat()).await.expect("it is open");
    let mut other = server.connect().await;
    other.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it is open");
    assert!(closed(other).await < SHORT);
    closed(half).await;
    closed(idle).await;
    for stream in silent {
        closed(stream).await;
    }
    assert!(begun.elapsed() < 4 * SHORT, "{:?}", begun.elapsed());
    server.is_well().await;
}

/// *Scenario*: one address opens more connections than it may, some leave, and it opens more. *Guarantees*: what is beyond the limit is closed at once, and
/// what has left makes room.
#[tokio::test]
async fn an_address_has_so_many_connections() {
    let server = Server::start(Limits { per_address: 20, handshake: Duration::from_secs(60), ..limits() }).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(server.connect().await);
    }
    // Accepting keeps the order of connections.
    assert!(closed(server.connect().await).await < SHORT);
    held.truncate(10);
    let begin = Instant::now();
    while !server.answers().await {
        assert!(begin.elapsed() < Duration::from_secs(20), "there is room again");
    }
}

/// *Scenario*: a peer begins 30,857 calls whose requests never end. *Guarantees*: a thousand of them are held, the others are refused at once; those that
/// are held end by the deadline; memory stays, and others are served meanwhile.
#[tokio::test]
async fn calls_that_never_end_are_few_and_end() {
    const CALLS: usize = 30_857;
    let server = Server::start(Limits { silence: 3 * SHORT, ..limits() }).await;
    let before = resident();
    let mut client = server.raw().await;
    let (mut requests, mut answers) = (Vec::new(), Vec::new());
    let (mut refused, mut late) = (0, 0);
    let mut most = 0;
    for number in 0..CALLS {
        client = match tokio::time::timeout(Duration::from_secs(30), client.ready()).await.expect("a call ends") {
            Ok(client) => client,
            Err(error) => panic!("the connection has ended after {number} calls: {error}"),
        };
        let (answer, request) = client.send_request(world::check(&server), false).expect("it is ready");
        requests.push(request);
        answers.push(answer);
        if number % 1_000 == 0 {
            most = most.max(resident().saturating_sub(before));
            server.is_well().await;
        }
    }
    for answer in answers {
        match world::code(answer).await.as_deref() {
            Some("8") => refused += 1,
            Some("4") => late += 1,
            other => panic!("{other:?}"),
        }
    }
    println!("{refused} refused, {late} ended by the deadline, grown by {} MiB", most >> 20);
    assert_eq!(refused + late, CALLS);
    assert!(late >= 1_000, "{late} were held");
    // The client of this test is in the same process, and holds its end of every call.
    assert!(most < 160 << 20, "{} MiB", most >> 20);
    server.is_well().await;
}
