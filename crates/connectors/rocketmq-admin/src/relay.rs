//! Loopback ports that lead to an instance's servers through this process's own dialer.
//!
//! The library can dial by itself only, past networks, TLS and rules. So it is told a port of a relay instead of a server's address. A relay takes one
//! connection, the library's for one [`Role`] of the server, and closes its port at once: a port that stayed open would lend our way to a broker, and our client certificate, to every
//! process of the machine. When the connection ends, the next request opens a relay anew.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::Arc;

use parking_lot::Mutex;
use rocketbridge_network::{Dialer, Fault};
use rocketbridge_runtime::{TaskHandle, TaskKind, Tasks};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;

/// The relays to one instance; they end when this is dropped.
pub(crate) struct Relays {
    dialer: Dialer,
    tasks: Tasks,
    opened: Mutex<HashMap<(Role, String), Opened>>,
}

/// What the library takes a server for. It has a connection of its own for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// One of the name servers that it was given at its start.
    Given,
    /// Named in a request, or in a route.
    Asked,
}

struct Opened {
    port: String,
    task: TaskHandle,
    /// Why the server was not reached.
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Relays {
    pub(crate) fn new(dialer: Dialer, tasks: Tasks) -> Self {
        Self { dialer, tasks, opened: Mutex::default() }
    }

    /// The port that leads to a server, `127.0.0.1:PORT`. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// This machine gives no port.
    pub(crate) fn to(&self, role: Role, address: &str) -> io::Result<String> {
        let mut opened = self.opened.lock();
        let key = (role, address.to_owned());
        if let Some(open) = opened.get(&key).filter(|open| !open.task.is_ended()) {
            return Ok(open.port.clone());
        }
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.to_string();
        let fault = Arc::default();
        let serving = serve(TcpListener::from_std(listener)?, self.dialer.clone(), address.to_owned(), Arc::clone(&fault));
        let task = self.tasks.spawn(format!("relay to {address}"), TaskKind::Worker, async move {
            serving.await;
            Ok::<_, Infallible>(())
        });
        opened.insert(key, Opened { port: port.clone(), task, fault });
        Ok(port)
    }

    /// Why a server was not reached when its relay was last used; `None` if it was.
    pub(crate) fn fault(&self, address: &str) -> Option<Fault> {
        let opened = self.opened.lock();
        [Role::Asked, Role::Given].into_iter().find_map(|role| opened.get(&(role, address.to_owned()))?.fault.lock().clone())
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.opened.get_mut().values().for_each(|open| open.task.cancel());
    }
}

async fn serve(listener: TcpListener, dialer: Dialer, address: String, fault: Arc<Mutex<Option<Fault>>>) {
    let Ok((mut library, _)) = listener.accept().await else { return };
    drop(listener);
    match dialer.dial(&address).await {
        // How it ends is what the library sees; it reports it.
        Ok(mut server) => drop(copy_bidirectional(&mut library, &mut server).await),
        Err(error) => *fault.lock() = Some(error.fault),
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::resolved::RocketMqConnection;
    use rocketbridge_network::Egress;
    use rocketbridge_runtime::Shutdown;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    fn relays() -> Relays {
        let dialer = Dialer::new(&RocketMqConnection::default(), Arc::new(Egress::default()));
        Relays::new(dialer, Tasks::new(Shutdown::new()))
    }

    /// *Scenario*: a server that answers; a second process that found the relay's port. *Guarantees*: the first connection is passed on both ways, the second
    /// is refused; after the end of the first there is a new port.
    #[tokio::test]
    async fn a_relay_takes_one_connection() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address").to_string();
        let relays = relays();
        let port = relays.to(Role::Asked, &address).expect("a relay");
        let mut library = TcpStream::connect(&port).await.expect("it listens");
        let (mut accepted, _) = server.accept().await.expect("the relay dials");
        library.write_all(b"question").await.expect("open");
        let mut read = [0; 8];
        accepted.read_exact(&mut read).await.expect("passed on");
        accepted.write_all(b"response").await.expect("open");
        library.read_exact(&mut read).await.expect("passed back");
        assert_eq!(&read, b"response");

        assert!(TcpStream::connect(&port).await.is_err(), "the port is closed");
        assert_eq!(relays.to(Role::Asked, &address).expect("a relay"), port);
        drop((library, accepted));
        while relays.to(Role::Asked, &address).expect("a relay") == port {
            tokio::task::yield_now().await;
        }
        assert_eq!(relays.fault(&address), None);
    }

    /// *Scenario*: nobody listens where the relay leads. *Guarantees*: the library's connection ends, and the reason is kept.
    #[tokio::test]
    async fn a_server_that_is_not_there_is_said() {
        let relays = relays();
        let address = { TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address").to_string() };
        let mut library = TcpStream::connect(relays.to(Role::Asked, &address).expect("a relay")).await.expect("it listens");
        // However it ends, it ends.
        let _ = library.read(&mut [0]).await;
        assert!(matches!(relays.fault(&address), Some(Fault::Unreachable(_))), "{:?}", relays.fault(&address));
    }
}
