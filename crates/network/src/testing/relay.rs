//! A TCP relay with the delay and the rate of a long link.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Chunks that may be on the link in one direction. When full the sender waits, as it does for a window of TCP: 256 MiB are more than a rate of 10 Gbit/s
/// has on a link of 200 ms.
const ON_THE_LINK: usize = 4_096;

/// Passes every connection on to one address. Each direction takes `delay`, so a round trip takes twice that, and no more than `rate` bytes a second.
/// It stops when dropped; connections go on until their ends close them.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    carried: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// Listens at an address, port 0 for any free port.
    pub async fn start(at: &str, to: SocketAddr, delay: Duration, rate: Option<u64>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap_or_else(|error| panic!("a relay at {at}: {error}"));
        let address = listener.local_addr().expect("it listens");
        let carried = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&carried);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    // A link of this delay needs a round trip before a connection stands.
                    tokio::time::sleep(delay * 2).await;
                    let Ok(server) = TcpStream::connect(to).await else { return };
                    if client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).is_err() {
                        return;
                    }
                    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                    let unread = AtomicU64::new(0);
                    let there = pass(from_client, to_server, delay, rate, &counter);
                    let back = pass(from_server, to_client, delay, rate, &unread);
                    // An end that is gone shows at the other end by its closed direction.
                    let _ = tokio::join!(there, back);
                });
            }
        });
        Self { address, carried, accepting }
    }

    /// Bytes that clients have sent through it.
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration, rate: Option<u64>, carried: &AtomicU64) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_LINK);
    let reading = async move {
        let mut free = Instant::now();
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 {
                return Ok::<_, io::Error>(());
            }
            // The link carries one chunk after the other, each for as long as its bytes take.
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            carried.fetch_add(length, Ordering::Relaxed);
            let taken = rate.map_or(Duration::ZERO, |rate| Duration::from_nanos(length.saturating_mul(1_000_000_000) / rate.max(1)));
            free = free.max(Instant::now()) + taken;
            if sender.send((free + delay, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}
