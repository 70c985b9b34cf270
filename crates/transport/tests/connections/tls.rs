//! Peers with certificates: what a role opens and what no other does, and those that never finish the handshake.

use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rocketbridge_model::session::{Answer, Credit, FilterRequest, Open};
use rocketbridge_model::{Epoch, Origin, testing};
use rocketbridge_transport::report::{Nothing, ask, member_service};
use rocketbridge_transport::server::Services;
use rocketbridge_transport::tls::Tls;
use rocketbridge_transport::{Channels, Code, Destination, Dialer, Role, ServerSession, grpc};
use tokio::io::AsyncWriteExt;

use crate::world::Server;
use crate::{SHORT, closed, limits};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// A certificate for 127.0.0.1 with these roles.
    fn issue(&self, roles: &[Role]) -> Tls {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        let uris = roles.iter().map(|role| SanType::URI(Ia5String::try_from(role.uri()).expect("ASCII")));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        Tls { authorities: self.0.pem().into_bytes(), certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }
}

fn accept(session: ServerSession<FilterRequest>) {
    tokio::spawn(async move {
        let mut requests = session.requests;
        if let Some(Ok(FilterRequest::Open(_))) = requests.next().await {
            let _ = session.answers.send(Ok(Answer::Opened(Credit { events: 1, bytes: 1 }))).await;
            while requests.next().await.is_some() {}
        }
    });
}

/// A filter with a certificate of its authority.
async fn filter(authority: &Authority) -> Server {
    let services = Services::new().expect("descriptors").with(&[], |routes| {
        routes.add_service(grpc::filter_service(Arc::new(accept))).add_service(member_service(Arc::new(Nothing)));
    });
    Server::with(limits(), Some(authority.issue(&[Role::Filter])), services.await).await
}

/// Opens a session to a filter with a certificate.
async fn open(server: &Server, tls: Tls) -> Result<(), rocketbridge_transport::Error> {
    let address = server.address.to_string();
    let mut session =
        Dialer::Grpc(Arc::new(Channels::new(Some(tls), None))).filter(Destination { address: &address, region: None }).await?;
    let open = Open {
        stream: testing::version(),
        origin: Arc::new(Origin::default()),
        partition_epoch: Epoch(1),
        shard: 0,
        shard_epoch: Epoch(1),
    };
    let _ = session.requests.send(FilterRequest::Open(Box::new(open))).await;
    session.answers.next().await.expect("an answer").map(|_| ())
}

/// *Scenario*: certificates of every role, of none, and of several, and of another authority, open sessions to a filter and ask for its reports. *Guarantees*:
/// only routers open sessions, only controllers are given reports; the refusal names the role; another authority's certificate opens nothing.
#[tokio::test]
async fn a_role_opens_what_it_is_for() {
    let authority = Authority::new();
    let server = filter(&authority).await;
    for roles in [&[][..], &[Role::Controller], &[Role::Filter], &[Role::Dispatcher], &[Role::Controller, Role::Dispatcher]] {
        let refused = open(&server, authority.issue(roles)).await.expect_err("no router");
        assert!(refused.message.contains("rocketbridge://service/router"), "{roles:?}: {refused}");
    }
    open(&server, authority.issue(&[Role::Router])).await.expect("a router");
    open(&server, authority.issue(&[Role::Dispatcher, Role::Router])).await.expect("a router too");
    assert_eq!(open(&server, Authority::new().issue(&[Role::Router])).await.expect_err("a stranger").code(), Code::Unavailable);

    let reports = async |role| ask(&Channels::new(Some(authority.issue(&[role])), None), &server.address.to_string(), Vec::new()).await;
    assert_eq!(reports(Role::Controller).await, Ok(Vec::new()));
    for role in [Role::Router, Role::Filter, Role::Dispatcher] {
        assert!(reports(role).await.is_err(), "{role}");
    }
}

/// *Scenario*: peers of a server with TLS say nothing, or half a ClientHello, or speak without TLS. *Guarantees*: each is dropped by the deadline, and a peer
/// with a certificate is served meanwhile.
#[tokio::test]
async fn half_a_handshake_is_dropped() {
    let authority = Authority::new();
    let server = filter(&authority).await;
    let begin = Instant::now();
    let silent = server.connect().await;
    let mut half = server.connect().await;
    // A record of 512 bytes, a ClientHello of 508, and the first 100 of it.
    half.write_all(&[&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03][..], &[7; 100]].concat()).await.expect("open");
    let mut plain = server.connect().await;
    plain.write_all(crate::world::PREFACE).await.expect("open");
    open(&server, authority.issue(&[Role::Router])).await.expect("a router");
    closed(plain).await;
    closed(silent).await;
    closed(half).await;
    assert!(begin.elapsed() < 4 * SHORT, "{:?}", begin.elapsed());
}
