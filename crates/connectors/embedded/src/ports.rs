//! Free loopback ports for one cluster.
//!
//! The library takes port numbers, not sockets, so a port that is free now may be taken when the library binds it; the start then
//! fails and is tried again with others.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use crate::error::Error;

/// The ports of one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Of the name server.
    pub(crate) name_server: u16,
    /// Of the broker; it also listens two below.
    pub(crate) broker: u16,
    /// Of the listener for replicas, which nothing uses.
    pub(crate) replication: u16,
}

impl Ports {
    /// Ports that were free a moment ago, all different: the wanted ones of the name server and the broker, or any for 0.
    pub(crate) fn choose(wanted_name_server: u16, wanted_broker: u16) -> Result<Self, Error> {
        let name_server = bind("name server", wanted_name_server)?;
        let (broker, _below) = broker(wanted_broker)?;
        let replication = bind("broker's replication", 0)?;
        Ok(Self { name_server: port(&name_server), broker: port(&broker), replication: port(&replication) })
    }
}

fn broker(wanted: u16) -> Result<(TcpListener, TcpListener), Error> {
    let mut attempts = if wanted == 0 { 32 } else { 1 };
    loop {
        attempts -= 1;
        let listener = bind("broker", wanted)?;
        match bind("broker's second", port(&listener).saturating_sub(2).max(1)) {
            Ok(below) => return Ok((listener, below)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn bind(part: &'static str, port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse if port != 0 => Error::PortTaken { part, port },
        _ => Error::Port { part, source: Arc::new(error) },
    })
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().map(|address| address.port()).unwrap_or_default()
}
