//! TLS of the dialer against a real server on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rocketbridge_model::Secret;
use rocketbridge_model::resolved::{ClientIdentity, Network, Proxy as ProxySettings, ProxyProtocol, RocketMqConnection, Tls};
use rocketbridge_network::testing::Proxy;
use rocketbridge_network::{Code, Dialer, Egress, Error, Stream};
use rocketbridge_secrets::Secrets;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for names, and its key, both PEM.
    fn sign(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect("names");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

/// A server that sends back each byte plus one. It asks for client certificates if it is given an authority of them.
async fn serve((certificate, key): &(String, String), clients: Option<&Authority>, protocols: &[&str]) -> SocketAddr {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")).expect("a certificate");
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier"),
            )
        }
    };
    let mut config = builder.with_single_cert(chain, key).expect("they go together");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                let byte = client.read_u8().await?;
                client.write_all(&[byte + 1]).await?;
                client.flush().await
            });
        }
    });
    address
}

fn dialer(tls: Tls) -> Dialer {
    Dialer::new(
        &RocketMqConnection { tls: Some(tls), ..RocketMqConnection::default() },
        Arc::new(Egress::default().following(Secrets::own())),
    )
}

fn trusting(authority: &Authority) -> Tls {
    Tls { ca: Some(Secret::new(authority.pem.as_str())), ..Tls::default() }
}

/// Sends a byte by both halves and reads the answer. With TLS 1.3 a refused client certificate shows only here.
async fn exchange(stream: Stream) -> std::io::Result<u8> {
    let (mut read, mut write) = stream.into_split();
    write.write_all(&[7]).await?;
    write.flush().await?;
    read.read_u8().await
}

async fn refused(tls: Tls, server: SocketAddr) -> Error {
    let error = dialer(tls).dial(&server.to_string()).await.expect_err("it must not be trusted");
    assert_eq!(error.code(), Code::Misconfigured, "{error}");
    error
}

/// *Scenario*: a server with a certificate for its address, one for a name; the right authority, another one, the system's, none checked. *Guarantees*: bytes pass
/// where the authority and the name are right; each mistake is named with the setting it is about.
#[tokio::test]
async fn certificates_of_servers_are_checked() {
    let authority = Authority::new();
    let by_address = serve(&authority.sign(&["127.0.0.1"]), None, &[]).await;
    let stream = dialer(trusting(&authority)).dial(&by_address.to_string()).await.expect("trusted");
    assert!(stream.is_tls());
    assert_eq!(exchange(stream).await.expect("it answers"), 8);

    let by_name = serve(&authority.sign(&["mq.example", "mq"]), None, &[]).await;
    let named = Tls { server_name: Some("mq.example".to_owned()), ..trusting(&authority) };
    assert_eq!(exchange(dialer(named).dial(&by_name.to_string()).await.expect("trusted")).await.expect("it answers"), 8);
    let error = refused(trusting(&authority), by_name).await;
    assert!(error.to_string().ends_with("not for 127.0.0.1; set tls.server_name to a name that it is for"), "{error}");
    assert!(error.to_string().contains("mq.example"), "{error}");

    let unknown = "TLS: the server's certificate is not from an authority of tls.ca (without tls.ca: one that this system trusts)";
    assert_eq!(refused(trusting(&Authority::new()), by_address).await.fault.to_string(), unknown);
    let error = refused(Tls::default(), by_address).await.fault.to_string();
    assert!(error == unknown || error == "TLS: this system trusts no authorities; give tls.ca", "{error}");

    let any = Tls { insecure_skip_verify: true, ..Tls::default() };
    assert_eq!(exchange(dialer(any).dial(&by_name.to_string()).await.expect("any is taken")).await.expect("it answers"), 8);
}

/// *Scenario*: a server that wants client certificates: the right one, one of another authority, none; keys that do not go together. *Guarantees*: bytes pass with
/// the right one only.
#[tokio::test]
async fn servers_check_certificates_of_clients() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = serve(&authority.sign(&["127.0.0.1"]), Some(&clients), &[]).await;
    let with = |(certificate, key): (String, String)| {
        let identity = ClientIdentity { certificate: Secret::new(certificate), key: Secret::new(key) };
        Tls { identity: Some(identity), ..trusting(&authority) }
    };
    let dial = async |tls: Tls| match dialer(tls).dial(&server.to_string()).await {
        Ok(stream) => exchange(stream).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(dial(with(clients.sign(&[]))).await, Ok(8));
    assert!(dial(with(Authority::new().sign(&[]))).await.is_err());
    let error = dial(trusting(&authority)).await.expect_err("it wants one");
    assert!(error.contains("CertificateRequired"), "{error}");
    let mixed = (clients.sign(&[]).0, clients.sign(&[]).1);
    let error = refused(with(mixed), server).await;
    assert!(error.to_string().contains("tls.client_certificate and tls.client_key do not go together"), "{error}");
}

/// *Scenario*: texts that hold no certificate, references that lead nowhere, renewed files. *Guarantees*: the setting is named; files are read at each dial.
#[tokio::test]
async fn references_are_followed_at_each_dial() {
    let authority = Authority::new();
    let server = serve(&authority.sign(&["127.0.0.1"]), None, &[]).await;
    let with = |ca: &str| Tls { ca: Some(Secret::new(ca)), ..Tls::default() };
    assert_eq!(refused(with("no PEM"), server).await.fault.to_string(), "TLS: tls.ca holds no certificate in PEM form");
    let error = refused(with("file:/nonexistent/ca.pem"), server).await;
    assert!(error.to_string().contains("cannot read the secret file:/nonexistent/ca.pem"), "{error}");

    let file = std::env::temp_dir().join(format!("rocketbridge-ca-{}.pem", std::process::id()));
    std::fs::write(&file, &Authority::new().pem).expect("writable");
    let dialer = dialer(with(&format!("file:{}", file.display())));
    dialer.dial(&server.to_string()).await.expect_err("another authority");
    std::fs::write(&file, &authority.pem).expect("writable");
    let renewed = dialer.dial(&server.to_string()).await;
    std::fs::remove_file(&file).expect("there");
    renewed.expect("the renewed file is read");
}

/// *Scenario*: TLS towards a server without it, and through a proxy; `h2` offered to a server that speaks it. *Guarantees*: the first says so; the second reaches the
/// server's TLS, not the proxy's; the third is agreed upon.
#[tokio::test]
async fn tls_is_spoken_to_the_destination() {
    let authority = Authority::new();
    let server = serve(&authority.sign(&["127.0.0.1"]), None, &["h2"]).await;
    let proxy = Proxy::start("127.0.0.1:0", None).await;
    let settings = ProxySettings {
        protocol: ProxyProtocol::Http,
        address: proxy.address().to_string().parse().expect("an address"),
        credentials: None,
        resolves: false,
    };
    let network = Network { name: "vpc".to_owned(), proxy: Some(settings), ..Network::default() };
    let connection = RocketMqConnection { tls: Some(trusting(&authority)), network: Some(network), ..RocketMqConnection::default() };
    let stream = Dialer::new(&connection, Arc::new(Egress::default().following(Secrets::own())))
        .offering(&["h2"])
        .dial(&server.to_string())
        .await
        .expect("trusted");
    assert_eq!(stream.application_protocol(), Some(&b"h2"[..]));
    assert_eq!(proxy.asked(), [server.to_string()]);

    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = plain.local_addr().expect("it listens");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = plain.accept().await {
            client.write_all(b"220 this is no TLS\r\n").await.ok();
            client.read_to_end(&mut Vec::new()).await.ok();
        }
    });
    let error = refused(trusting(&authority), address).await;
    assert_eq!(error.fault.to_string(), "TLS: the server does not speak TLS; remove tls, or dial the port that speaks it");
}
