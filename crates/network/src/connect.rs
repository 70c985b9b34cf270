//! From addresses that were checked to a TCP connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rocketbridge_model::resolved::Network;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::error::Fault;

/// How long resolving and connecting may take together.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);
/// How long an address may be silent before the next one is tried as well (RFC 8305, 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to whichever of the addresses answers first, begun in their order; from a vSwitch of the network if it has any.
pub(crate) async fn connect(addresses: &[SocketAddr], network: Option<&Network>) -> Result<(TcpStream, SocketAddr), Fault> {
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = Fault::Unreachable("there is no address".to_owned());
    loop {
        match waiting.next() {
            Some(address) => attempts.push(attempt(*address, network)),
            None if attempts.is_empty() => return Err(last),
            None => {}
        }
        // Without a further address there is nothing to do but wait; the caller's limit ends that.
        let limit = if waiting.len() > 0 { STAGGER } else { Duration::MAX };
        match timeout(limit, attempts.next()).await {
            Ok(Some(Ok(connected))) => return Ok(connected),
            Ok(Some(Err(fault))) => last = fault,
            Ok(None) | Err(_) => {}
        }
    }
}

async fn attempt(address: SocketAddr, network: Option<&Network>) -> Result<(TcpStream, SocketAddr), Fault> {
    let socket = bound(address.ip(), network)?;
    let stream = socket.connect(address).await.map_err(|error| Fault::Unreachable(reason(&error)))?;
    // Requests are small, and each waits for an answer.
    stream.set_nodelay(true).map_err(|error| Fault::Unreachable(reason(&error)))?;
    Ok((stream, address))
}

/// A socket for addresses of a family, bound to the first vSwitch of that family that is an address of this machine.
fn bound(to: IpAddr, network: Option<&Network>) -> Result<TcpSocket, Fault> {
    let fresh = || if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let fresh = || fresh().map_err(|error| Fault::Unreachable(reason(&error)));
    let Some(network) = network.filter(|network| !network.vswitches.is_empty()) else { return fresh() };
    let family: Vec<_> = network.vswitches.iter().filter(|vswitch| vswitch.address.is_ipv4() == to.is_ipv4()).collect();
    for vswitch in &family {
        let socket = fresh()?;
        match socket.bind(SocketAddr::new(vswitch.address, 0)) {
            Ok(()) => return Ok(socket),
            // Another machine's: a network lists the vSwitches of all machines that reach it.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => return Err(Fault::Unreachable(format!("cannot bind vSwitch {} ({}): {error}", vswitch.id, vswitch.address))),
        }
    }
    let vswitches: Vec<String> = family.iter().map(|vswitch| format!("{} ({})", vswitch.id, vswitch.address)).collect();
    let vswitches = if vswitches.is_empty() { "it lists none, so none".to_owned() } else { vswitches.join(", ") };
    Err(Fault::NotLocal { network: network.name.clone(), family: Fault::family(to), vswitches })
}

/// What the system said, for people.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}
