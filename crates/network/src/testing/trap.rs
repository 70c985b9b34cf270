//! A listener that must not be dialled.

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A listener that nobody accepts at: a connection to it would wait in its backlog, where [`Trap::was_dialled`] finds it.
#[derive(Debug)]
pub struct Trap {
    listener: TcpListener,
}

impl Trap {
    /// Listens at an address, port 0 for any free port.
    pub async fn set(at: &str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap_or_else(|error| panic!("a trap at {at}: {error}"));
        Self { listener }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    /// Whether somebody has connected since the last look.
    pub async fn was_dialled(&self) -> bool {
        // The runtime must have polled the socket once to know; the kernel has finished what was connected before.
        tokio::time::timeout(std::time::Duration::from_millis(50), self.listener.accept()).await.is_ok()
    }
}
