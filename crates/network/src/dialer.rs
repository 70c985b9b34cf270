//! From an address as somebody wrote it to a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_model::Secret;
use rocketbridge_model::address::{Address, Host};
use rocketbridge_model::resolved::{Network, Proxy, ProxyProtocol, RocketMqConnection, Tls};
use rocketbridge_secrets::Secrets;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connect::{CONNECT, connect};
use crate::egress::Egress;
use crate::error::{Error, Fault};
use crate::group;
use crate::http_proxy;
use crate::socks::{self, Destination, Refused};
use crate::stream::Stream;
use crate::tls;

/// How long a proxy may take to connect.
const TUNNEL: Duration = Duration::from_secs(5);
/// Most addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// Dials for one connection's settings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    egress: Arc<Egress>,
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    network: Option<Network>,
    tls: Option<Tls>,
    protocols: Vec<Vec<u8>>,
}

impl Dialer {
    /// A dialer for what a connection says of network and TLS.
    pub fn new(connection: &RocketMqConnection, egress: Arc<Egress>) -> Self {
        let settings = Settings { network: connection.network.clone(), tls: connection.tls.clone(), protocols: Vec::new() };
        Self { egress, settings: Arc::new(settings) }
    }

    /// A dialer that offers application protocols by TLS (ALPN), such as `h2`, in the order of preference.
    #[must_use]
    pub fn offering(&self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self { egress: Arc::clone(&self.egress), settings: Arc::new(Settings { protocols, ..(*self.settings).clone() }) }
    }

    /// What references to secrets lead to.
    pub fn secrets(&self) -> &Arc<Secrets> {
        self.egress.secrets()
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.settings.tls.is_some()
    }

    /// Dials `HOST:PORT`. It ends within 11 s, and within 3 s without a proxy and TLS.
    pub async fn dial(&self, address: &str) -> Result<Stream, Error> {
        let dialled = self.reach(address).await;
        dialled.map_err(|fault| {
            let error = Error { address: address.to_owned(), fault };
            self.egress.note(&error);
            error
        })
    }

    async fn reach(&self, address: &str) -> Result<Stream, Fault> {
        let to: Address = address.parse().map_err(|malformed: rocketbridge_model::address::Malformed| Fault::Malformed(malformed.fix))?;
        let (socket, peer) = match self.settings.network.as_ref().and_then(|network| Some((network, network.proxy.as_ref()?))) {
            None => {
                let connecting = async { connect(&self.permitted(&to).await?, self.settings.network.as_ref()).await };
                let (socket, peer) = in_time(connecting).await?;
                (socket, Some(peer))
            }
            Some((network, proxy)) => self.through(network, proxy, &to).await?,
        };
        match &self.settings.tls {
            None => Ok(Stream::plain(socket, peer)),
            Some(settings) => {
                Ok(Stream::tls(tls::agree(socket, &to.host, settings, &self.settings.protocols, self.secrets()).await?, peer))
            }
        }
    }

    /// The addresses of a host that may be dialled, at least one.
    async fn permitted(&self, to: &Address) -> Result<Vec<SocketAddr>, Fault> {
        let groups = self.settings.network.as_ref().map(|network| network.security_groups.as_slice()).unwrap_or_default();
        self.checked(to, |address| group::judge(groups, address).map_err(Fault::Dropped)).await
    }

    /// The addresses of a host that the process may dial and that pass a further check, at least one; else why the first one may not be dialled.
    async fn checked(&self, to: &Address, check: impl Fn(SocketAddr) -> Result<(), Fault>) -> Result<Vec<SocketAddr>, Fault> {
        let mut refusal = None;
        let mut permitted = Vec::new();
        for address in resolve(to).await? {
            match self.egress.judge(address).map_err(Fault::Refused).and_then(|()| check(address)) {
                Ok(()) if permitted.contains(&address) => {}
                Ok(()) => permitted.push(address),
                Err(fault) => drop(refusal.get_or_insert(fault)),
            }
        }
        permitted.truncate(ADDRESSES);
        match refusal {
            Some(refusal) if permitted.is_empty() => Err(refusal),
            None if permitted.is_empty() => Err(Fault::Unknown("it has no address".to_owned())),
            _ => Ok(permitted),
        }
    }

    /// Through the network's proxy, which an API user named, and which therefore is held against the rules as well.
    async fn through(&self, network: &Network, proxy: &Proxy, to: &Address) -> Result<(TcpStream, Option<SocketAddr>), Fault> {
        let destinations: Vec<Destination> = match &to.host {
            Host::Name(name) if proxy.resolves => vec![Destination::Name(name.clone(), to.port)],
            _ => in_time(self.permitted(to)).await?.into_iter().map(Destination::Address).collect(),
        };
        let login = log_in_as(proxy, self.secrets()).await?;
        let login = login.as_ref().map(|(username, password)| (username.as_str(), password.expose()));
        let failed = |Refused { reason, will_pass }| Fault::Proxy { proxy: proxy.address.to_string(), reason, will_pass };
        let mut last = Refused::passing("there is no address to ask it for");
        for destination in destinations {
            let connecting = async { connect(&self.checked(&proxy.address, |_| Ok(())).await?, Some(network)).await };
            let (mut socket, _) = in_time(connecting).await.map_err(|fault| match fault {
                Fault::Unreachable(reason) | Fault::Unknown(reason) => failed(Refused::passing(reason)),
                other => other,
            })?;
            let asking = async {
                match proxy.protocol {
                    ProxyProtocol::Socks5 => socks::tunnel(&mut socket, &destination, login).await,
                    ProxyProtocol::Http => http_proxy::tunnel(&mut socket, &destination, login).await,
                }
            };
            match timeout(TUNNEL, asking).await {
                Ok(Ok(())) => {
                    let peer = if let Destination::Address(address) = destination { Some(address) } else { None };
                    return Ok((socket, peer));
                }
                Ok(Err(refused)) => last = refused,
                Err(_) => return Err(failed(Refused::passing(format!("no answer within {} s", TUNNEL.as_secs())))),
            }
        }
        Err(failed(last))
    }
}

/// User name and password for a proxy.
async fn log_in_as(proxy: &Proxy, secrets: &Arc<Secrets>) -> Result<Option<(String, Secret)>, Fault> {
    let Some(credentials) = proxy.credentials.clone() else { return Ok(None) };
    // A reference may be a file.
    let secrets = Arc::clone(secrets);
    let reading =
        tokio::task::spawn_blocking(move || secrets.follow(&credentials.password).map(|password| (credentials.username, password)));
    match reading.await {
        Ok(read) => Ok(Some(read?)),
        Err(_) => Err(Fault::Proxy {
            proxy: proxy.address.to_string(),
            reason: "its password was not read to the end".to_owned(),
            will_pass: true,
        }),
    }
}

/// Every address of a host, in the order that the resolver prefers. IPv6 addresses that stand for IPv4 ones are those.
async fn resolve(to: &Address) -> Result<Vec<SocketAddr>, Fault> {
    match &to.host {
        Host::Ip(ip) => Ok(vec![SocketAddr::new(ip.to_canonical(), to.port)]),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), to.port)).await.map_err(|error| Fault::Unknown(error.to_string()))?;
            // The zone of a link-local address is dropped with the rest; such addresses are refused unless somebody allows them.
            Ok(found.map(|address| SocketAddr::new(address.ip().to_canonical(), to.port)).collect())
        }
    }
}

async fn in_time<T>(step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match timeout(CONNECT, step).await {
        Ok(done) => done,
        Err(_) => Err(Fault::Unreachable(format!("no connection within {} s", CONNECT.as_secs()))),
    }
}
