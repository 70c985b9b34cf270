//! Sessions over gRPC on loopback and within the process behave alike.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use rocketbridge_model::session::{Answer, Batch, Credit, FilterRequest};
use rocketbridge_model::{Envelope, Event, Outcome, OutcomeRange, Revision};
use rocketbridge_transport::server::{Listener, Services};
use rocketbridge_transport::session::ServerSession;
use rocketbridge_transport::{Channels, Code, Destination, Dialer, Error, Limits, Switchboard, grpc};

/// Answers every batch with one range of deliveries; a batch of no events with a refusal.
fn echo(session: ServerSession<FilterRequest>) {
    tokio::spawn(async move {
        let mut requests = session.requests;
        while let Some(Ok(request)) = requests.next().await {
            let answer = match request {
                FilterRequest::Open(_) => Ok(Answer::Opened(Credit { events: 1, bytes: 1 })),
                FilterRequest::Skip(_) => Err(Error::new(Code::Protocol, "nothing is skipped here")),
                FilterRequest::Batch(batch) if batch.events.is_empty() => Err(Error::new(Code::Fenced, "no events")),
                FilterRequest::Batch(batch) => Ok(Answer::Outcomes(vec![OutcomeRange {
                    first: batch.first_receipt,
                    count: batch.events.len() as u32,
                    outcome: Outcome::Delivered,
                }])),
            };
            if session.answers.send(answer).await.is_err() {
                return;
            }
        }
    });
}

fn near(address: &str) -> Destination<'_> {
    Destination { address, region: None }
}

fn batch(first_receipt: u64, events: usize) -> FilterRequest {
    let event = Event { offset: 1, envelope: Envelope { body: Bytes::from(vec![255; 100_000]), ..Envelope::default() }, attributes: None };
    FilterRequest::Batch(Batch { first_receipt, revision: Revision(1), events: vec![event; events] })
}

/// Scenario: batches larger together than every default window, then a refusal. Guarantees: each is answered, the refusal keeps its kind.
async fn conversation(dialer: Dialer, address: &str) {
    let mut session = dialer.filter(near(address)).await.expect("the server is up");
    for index in 0..20 {
        session.requests.send(batch(index * 50, 50)).await.expect("open");
        let Some(Ok(Answer::Outcomes(ranges))) = session.answers.next().await else { panic!("an outcome is owed") };
        assert_eq!((ranges[0].first, ranges[0].count), (index * 50, 50));
    }
    session.requests.send(batch(0, 0)).await.expect("open");
    let error = session.answers.next().await.expect("an answer").expect_err("a refusal");
    assert_eq!(error.code, Code::Fenced);
}

#[tokio::test]
async fn over_grpc() {
    let listener = Listener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.address().to_string();
    let services = Services::new().expect("descriptors").with(&["rocketbridge.filter.v1.FilterService"], |routes| {
        routes.add_service(grpc::filter_service(Arc::new(echo)));
    });
    let services = services.await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(listener.serve(services, None, Limits::default(), async {
        drop(stopped.await);
        Duration::from_millis(200)
    }));
    conversation(Dialer::Grpc(Arc::new(Channels::new(None, None))), &address).await;
    // Scenario: a session is open while the server stops. Guarantees: the server ends within its grace.
    let open = Dialer::Grpc(Arc::new(Channels::new(None, None))).filter(near(&address)).await.expect("up");
    stop.send(()).expect("the server runs");
    server.await.expect("no panic").expect("a clean end");
    drop(open);
}

#[tokio::test]
async fn within_the_process() {
    let switchboard = Arc::new(Switchboard::default());
    let dialer = Dialer::Local(switchboard.clone());
    assert!(matches!(dialer.filter(near("")).await.map(|_| ()), Err(Error { code: Code::Unavailable, .. })));
    switchboard.register_filter(Arc::new(echo));
    conversation(dialer, "").await;
}

#[tokio::test]
async fn nobody_listens() {
    let address = Listener::bind("127.0.0.1:0").await.expect("loopback").address().to_string();
    let error = Dialer::Grpc(Arc::new(Channels::new(None, None))).filter(near(&address)).await.map(|_| ()).expect_err("closed port");
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains(&address), "{error}");
}
