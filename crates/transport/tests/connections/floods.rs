//! Floods of frames that cost their sender little.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::limits;
use crate::world::{PREFACE, SETTINGS, Server, check, resident};

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// Sends the same bytes until the server has closed the connection, or so many were sent. Reads nothing.
async fn flood(server: &Server, begin: &[u8], again: &[u8], most: usize) -> (usize, bool) {
    let mut stream = server.connect().await;
    stream.write_all(&[PREFACE, SETTINGS, begin].concat()).await.expect("it is open");
    let mut sent = 0;
    while sent < most {
        match tokio::time::timeout(Duration::from_secs(3), stream.write_all(again)).await {
            Ok(Ok(())) => sent += again.len(),
            Ok(Err(_)) => return (sent, true),
            // Nobody reads what is sent any more: the server waits for its own answers to be read.
            Err(_) => return (sent, false),
        }
    }
    let mut scratch = vec![0; 65_536];
    let reading = async { while stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {} };
    (sent, tokio::time::timeout(Duration::from_secs(3), reading).await.is_ok())
}

/// *Scenario*: a client opens calls and resets each at once, 20,000 of them. *Guarantees*: the server ends the connection, or does the work; nobody
/// else waits, and memory stays.
#[tokio::test]
async fn rapid_reset() {
    let server = Server::start(limits()).await;
    let (before, begin) = (resident(), Instant::now());
    let mut client = server.raw().await;
    let mut count = 0;
    while count < 20_000 {
        client = match client.ready().await {
            Ok(client) => client,
            Err(_) => break,
        };
        let Ok((_, mut request)) = client.send_request(check(&server), false) else { break };
        request.send_reset(h2::Reason::CANCEL);
        count += 1;
    }
    println!("{count} calls were reset in {:.1?}; grown by {} MiB", begin.elapsed(), resident().saturating_sub(before) >> 20);
    server.is_well().await;
    assert!(resident().saturating_sub(before) < 64 << 20);
}

/// *Scenario*: headers that never end, over frames without end. *Guarantees*: the server ends the connection after some of them.
#[tokio::test]
async fn headers_without_end() {
    let server = Server::start(limits()).await;
    let before = resident();
    let literal: Vec<u8> = [&[0x00, 0x01, b'x', 0x7f, 0x81, 0x03][..], &[b'v'; 512]].concat();
    let begin = frame(HEADERS, 0, 1, &literal);
    let (sent, is_closed) = flood(&server, &begin, &frame(CONTINUATION, 0, 1, &literal), 32 << 20).await;
    println!("closed after {} KiB", sent >> 10);
    assert!(is_closed, "{sent} bytes of headers were taken");
    assert!(resident().saturating_sub(before) < 32 << 20);
    server.is_well().await;
}

/// *Scenario*: pings, and settings, without end, whose answers nobody reads. *Guarantees*: the server stops reading them or ends the connection; memory stays,
/// and others are served.
#[tokio::test]
async fn answers_that_nobody_reads() {
    let server = Server::start(limits()).await;
    let before = resident();
    for again in [frame(PING, 0, 0, &[7; 8]), SETTINGS.to_vec()] {
        let (sent, is_closed) = flood(&server, &[], &again.repeat(1_000), 64 << 20).await;
        println!("{} KiB were taken; closed: {is_closed}", sent >> 10);
        server.is_well().await;
    }
    assert!(resident().saturating_sub(before) < 64 << 20, "{} MiB", resident().saturating_sub(before) >> 20);
}
