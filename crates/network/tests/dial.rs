//! The dialer against real sockets on loopback: addresses that are refused, vSwitches, security groups, proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{
    Network, Proxy as ProxySettings, ProxyCredentials, ProxyProtocol, RocketMqConnection, SecurityGroup, SecurityRule, Vswitch,
};
use rocketbridge_network::testing::{Proxy, Relay, Trap};
use rocketbridge_network::{Code, Dialer, Egress, Fault, Rules};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A server that answers each byte with the address that it was dialled from, and then closes.
async fn whoami(at: &str) -> SocketAddr {
    let listener = TcpListener::bind(at).await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((mut client, from)) = listener.accept().await {
            tokio::spawn(async move {
                client.read_u8().await.ok();
                client.write_all(from.ip().to_string().as_bytes()).await.ok();
            });
        }
    });
    address
}

async fn ask(dialer: &Dialer, address: &str) -> String {
    let mut stream = dialer.dial(address).await.unwrap_or_else(|error| panic!("{error}"));
    stream.write_all(b"?").await.expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

fn dialer(network: Option<Network>, egress: Arc<Egress>) -> Dialer {
    Dialer::new(&RocketMqConnection { network, ..RocketMqConnection::default() }, egress)
}

fn on_loopback() -> Arc<Egress> {
    Arc::new(Egress::default())
}

fn through(proxy: &Proxy, protocol: ProxyProtocol) -> ProxySettings {
    ProxySettings { protocol, address: proxy.address().to_string().parse().expect("an address"), credentials: None, resolves: false }
}

/// *Scenario*: an address and a name of this machine, to a process on loopback. *Guarantees*: both connect, and the peer is what was resolved.
#[tokio::test]
async fn addresses_and_names_are_dialled() {
    let server = whoami("127.0.0.1:0").await;
    let dialer = dialer(None, on_loopback());
    assert_eq!(ask(&dialer, &server.to_string()).await, "127.0.0.1");
    let stream = dialer.dial(&format!("localhost:{}", server.port())).await.expect("localhost has an address that listens");
    assert_eq!(stream.peer(), Some(server));
    assert!(!stream.is_tls());
}

/// *Scenario*: ports of this machine that are open, closed and silent, to a process of a mesh, by address and by name, and by ways of writing that only the
/// C library takes. *Guarantees*: one message whatever is behind, nothing is tried, and each refusal is counted.
#[tokio::test]
async fn a_refused_address_looks_the_same_whatever_is_behind_it() {
    let open = Trap::set("127.0.0.1:0").await;
    let closed = {
        let trap = Trap::set("127.0.0.1:0").await;
        trap.address()
    };
    let egress = Arc::new(Egress::new(Rules::usual(false)));
    let dialer = dialer(None, Arc::clone(&egress));
    let mut said = Vec::new();
    for address in [
        open.address().to_string(),
        closed.to_string(),
        format!("localhost:{}", open.address().port()),
        format!("localhost:{}", closed.port()),
    ] {
        let began = Instant::now();
        let error = dialer.dial(&address).await.expect_err("it is loopback");
        assert!(began.elapsed() < Duration::from_secs(1), "nothing is tried");
        assert_eq!(error.code(), Code::Forbidden);
        said.push(error.fault.to_string().replace("::1 is", "127.0.0.1 is"));
    }
    assert_eq!(said[0], "127.0.0.1 is a loopback address, and this process does not dial those unless egress.allow names them");
    assert!(said.iter().all(|other| *other == said[0]), "{said:?}");
    assert_eq!(egress.refused(), 4);
    for address in [format!("0x7f.1:{}", open.address().port()), format!("2130706433:{}", open.address().port()), "127.1:80".to_owned()] {
        let error = dialer.dial(&address).await.expect_err("it is malformed");
        assert_eq!(error.code(), Code::Misconfigured, "{error}");
    }
    assert!(!open.was_dialled().await);
}

/// *Scenario*: a network whose vSwitches are another machine's and this machine's; one with another machine's alone. *Guarantees*: connections come from the
/// local one; without any, the error names network and vSwitches.
#[tokio::test]
async fn connections_come_from_a_vswitch() {
    let server = whoami("127.0.0.1:0").await.to_string();
    let vswitch = |id: &str, address: &str| Vswitch { id: id.to_owned(), address: address.parse().expect("an address") };
    let elsewhere = vswitch("vsw-1", "203.0.113.7");
    let network = |vswitches: Vec<Vswitch>| Some(Network { name: "vpc".to_owned(), vswitches, ..Network::default() });
    let here = dialer(network(vec![elsewhere.clone(), vswitch("vsw-6", "::1"), vswitch("vsw-2", "127.0.2.1")]), on_loopback());
    assert_eq!(ask(&here, &server).await, "127.0.2.1");
    let error = dialer(network(vec![elsewhere]), on_loopback()).dial(&server).await.expect_err("it is not local");
    assert_eq!(error.code(), Code::Misconfigured);
    assert_eq!(
        error.fault.to_string(),
        "network vpc has no vSwitch on this machine for IPv4 addresses: vsw-1 (203.0.113.7) cannot be bound here"
    );
}

/// *Scenario*: a security group drops a port. *Guarantees*: group, rule and address are named, nothing is tried, it is counted; other ports are dialled.
#[tokio::test]
async fn a_security_group_drops() {
    let (server, trap) = (whoami("127.0.0.1:0").await, Trap::set("127.0.0.1:0").await);
    let port = trap.address().port();
    let rule = SecurityRule {
        place: "rules[0]".to_owned(),
        cidr: "127.0.0.0/8".parse().expect("a range"),
        port_from: port,
        port_to: port,
        priority: 7,
        accepts: false,
    };
    let group = SecurityGroup { id: "sg-1".to_owned(), rules: vec![rule], drops_others: false };
    let egress = on_loopback();
    let network = Network { name: "vpc".to_owned(), security_groups: vec![group], ..Network::default() };
    let dialer = dialer(Some(network), Arc::clone(&egress));
    let error = dialer.dial(&trap.address().to_string()).await.expect_err("it is dropped");
    assert_eq!(
        error.to_string(),
        format!("127.0.0.1:{port}: security group sg-1 drops 127.0.0.1:{port}: rules[0] drops 127.0.0.0/8 {port}/{port} with priority 7")
    );
    assert_eq!((error.code(), egress.dropped(), egress.refused()), (Code::Forbidden, 1, 0));
    assert!(!trap.was_dialled().await);
    assert_eq!(ask(&dialer, &server.to_string()).await, "127.0.0.1");
}

/// *Scenario*: SOCKS 5 and HTTP proxies, open and with a login; the right login, a wrong one, none. *Guarantees*: the right one leads to the destination, which the
/// proxy is asked for by its checked address; the others say what is wrong and show no password.
#[tokio::test]
async fn proxies_are_asked_by_address() {
    let server = whoami("127.0.0.1:0").await;
    for protocol in [ProxyProtocol::Socks5, ProxyProtocol::Http] {
        let open = Proxy::start("127.0.0.1:0", None).await;
        let network = |proxy: ProxySettings| Some(Network { name: "vpc".to_owned(), proxy: Some(proxy), ..Network::default() });
        let dialer_of = |proxy: ProxySettings| dialer(network(proxy), on_loopback());
        let by_name = format!("localhost:{}", server.port());
        let stream = dialer_of(through(&open, protocol)).dial(&by_name).await.expect("it leads there");
        assert_eq!(stream.peer(), Some(server));
        // The resolver may prefer ::1, where nobody listens; the proxy is then asked for the other one.
        assert_eq!(open.asked().last().map(String::as_str), Some(server.to_string().as_str()), "{protocol:?}");
        assert!(!open.asked().contains(&by_name));

        let guarded = Proxy::start("127.0.0.1:0", Some(("me", "hunter2"))).await;
        let login = |password: &str| {
            let credentials = Some(ProxyCredentials { username: "me".to_owned(), password: Secret::new(password) });
            ProxySettings { credentials, ..through(&guarded, protocol) }
        };
        assert_eq!(ask(&dialer_of(login("hunter2")), &server.to_string()).await, "127.0.0.1");
        for wrong in [through(&guarded, protocol), login("hunter3")] {
            let error = dialer_of(wrong).dial(&server.to_string()).await.expect_err("the login is wrong");
            assert_eq!(error.code(), Code::Misconfigured, "{error}");
            assert!(!error.to_string().contains("hunter"), "{error}");
        }
        assert_eq!(guarded.asked(), [server.to_string()], "nobody was served without the login");
    }
}

/// *Scenario*: through a proxy to a refused address, to one that nobody listens at, and to a proxy at a refused address; and names that the proxy resolves.
/// *Guarantees*: a refused destination is not asked for, a refused proxy not dialled; the proxy's own words are told; a name goes as it is.
#[tokio::test]
async fn rules_hold_through_proxies() {
    let proxy = Proxy::start("127.0.0.1:0", None).await;
    let network = |settings: ProxySettings| Some(Network { name: "vpc".to_owned(), proxy: Some(settings), ..Network::default() });
    let settings = through(&proxy, ProxyProtocol::Socks5);
    let error = dialer(network(settings.clone()), on_loopback()).dial("169.254.169.254:80").await.expect_err("metadata");
    assert!(matches!(error.fault, Fault::Refused(_)), "{error}");
    assert!(proxy.asked().is_empty());
    let closed = {
        let trap = Trap::set("127.0.0.1:0").await;
        trap.address().to_string()
    };
    let error = dialer(network(settings.clone()), on_loopback()).dial(&closed).await.expect_err("nobody listens");
    assert_eq!(error.fault.to_string(), format!("egress proxy {}: connection refused", proxy.address()));
    assert_eq!(error.code(), Code::Unavailable);

    let mesh = Arc::new(Egress::new(Rules::usual(false)));
    let asked = proxy.asked().len();
    let error = dialer(network(settings.clone()), mesh).dial("10.0.0.1:9876").await.expect_err("the proxy is on loopback");
    assert!(matches!(error.fault, Fault::Refused(_)), "{error}");
    assert_eq!(proxy.asked().len(), asked);

    let server = whoami("127.0.0.1:0").await;
    let by_name = format!("localhost:{}", server.port());
    let resolving = ProxySettings { resolves: true, ..settings };
    let stream = dialer(network(resolving), on_loopback()).dial(&by_name).await.expect("the proxy resolves it");
    assert_eq!(stream.peer(), None);
    assert_eq!(proxy.asked().last(), Some(&by_name));
}

/// *Scenario*: a link of 50 ms to one side and 1 MB/s. *Guarantees*: a byte takes a round trip, and 200 kB take as long as the rate allows.
#[tokio::test]
async fn the_long_link_delays_and_limits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let to = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = client.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    let relay = Relay::start("127.0.0.1:0", to, Duration::from_millis(50), Some(1_000_000)).await;
    let mut stream = dialer(None, on_loopback()).dial(&relay.address().to_string()).await.expect("it listens");
    stream.write_all(b"a").await.expect("it passes on");
    stream.read_u8().await.expect("it comes back");
    let began = Instant::now();
    stream.write_all(b"b").await.expect("it passes on");
    stream.read_u8().await.expect("it comes back");
    assert!(began.elapsed() >= Duration::from_millis(100), "{:?}", began.elapsed());
    let began = Instant::now();
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move { write.write_all(&[7; 200_000]).await });
    let mut back = vec![0; 200_000];
    read.read_exact(&mut back).await.expect("all of it");
    sending.await.expect("no panic").expect("all is sent");
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
}
