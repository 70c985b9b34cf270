//! A session between a router and a dispatcher that the test plays, without network.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use rocketbridge_assignment::authority::Moment;
use rocketbridge_assignment::{Authority, Owner, Stage};
use rocketbridge_delivery::Budget;
use rocketbridge_mesh::{Locate, Patience, Shards};
use rocketbridge_model::resolved::RunSettings;
use rocketbridge_model::session::Open;
use rocketbridge_model::{Envelope, Epoch, MemberId, PartitionId, Revision, testing};
use rocketbridge_program::Compiler;
use rocketbridge_transport::{ClientSession, Dialer, Switchboard};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// The two ends that the test plays.
struct Ends {
    router: ClientSession<FilterRequest>,
    dispatchers: mpsc::UnboundedReceiver<ServerSession<DispatchRequest>>,
    shards: Shards,
}

struct Fixed;

impl Locate for Fixed {
    fn owner(&self) -> Option<Owner> {
        Some(Owner { member: MemberId::new("d"), address: String::new(), region: None, epoch: Epoch(1) })
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

pub(crate) fn stream(pattern: &str) -> Stream {
    let run = RunSettings { batch_count: 256, ..testing::run() };
    Stream { pattern: pattern.into(), run, ..testing::stream() }
}

async fn begin(pattern: &str) -> Ends {
    let stream = Arc::new(stream(pattern));
    let origin = Arc::new(Origin { partition: PartitionId::new("b/0"), ..Origin::default() });
    let open = Open { stream: testing::version(), origin: origin.clone(), partition_epoch: Epoch(1), shard: 0, shard_epoch: Epoch(1) };
    let shards = Shards::new(Stage::Filter, Patience::default());
    shards.begin("s", 0, Epoch(1), Authority::new(Duration::from_secs(3600), Moment::now()));
    let ticket = shards.admit(&open, || Some(Epoch(1))).expect("it is owned");
    let switchboard = Arc::new(Switchboard::default());
    let (arrivals, dispatchers) = mpsc::unbounded_channel();
    switchboard.register_dispatch(Arc::new(move |session| drop(arrivals.send(session))));
    let (requests, incoming) = mpsc::channel(16);
    let (outgoing, answers) = mpsc::channel(16);
    let upstream = ServerSession { requests: ReceiverStream::new(incoming).map(Ok).boxed(), answers: outgoing, peer: "the test".into() };
    let program = Arc::new(Program::compile(&stream, &Compiler::default()).expect("it compiles"));
    let pool = Pool::with_threads("test", 1).expect("threads");
    let downlink = Downlink::new(Dialer::Local(switchboard), Box::new(Fixed), open);
    let passage = Passage { stream, origin, program };
    tokio::spawn(Transit::new(downlink, passage, ticket, upstream, pool, Budget::new(1 << 30, 1 << 16).share()).run());
    let mut router = ClientSession { requests, answers: ReceiverStream::new(answers).boxed() };
    assert_eq!(next(&mut router).await, Some(Answer::Opened(WINDOW)));
    Ends { router, dispatchers, shards }
}

fn event(offset: u64, size: usize) -> Event {
    let body = format!("{{\"n\":{offset},\"x\":\"{}\"}}", "x".repeat(size));
    Event { offset, envelope: Envelope { body: Bytes::from(body), ..Envelope::default() }, attributes: None }
}

fn batch(numbers: std::ops::Range<u64>, size: usize) -> FilterRequest {
    let first_receipt = numbers.start;
    FilterRequest::Batch(Batch { first_receipt, revision: Revision(1), events: numbers.map(|number| event(number, size)).collect() })
}

/// The next answer that is no news of how the dispatcher fares.
async fn next(router: &mut ClientSession<FilterRequest>) -> Option<Answer> {
    loop {
        match tokio::time::timeout(SOON, router.answers.next()).await.expect("an answer comes") {
            Some(Ok(Answer::Trouble(_))) => {}
            Some(Ok(answer)) => return Some(answer),
            Some(Err(error)) => panic!("{error}"),
            None => return None,
        }
    }
}

/// The next session of the dispatcher, opened with this much credit.
async fn opened(ends: &mut Ends, events: u32) -> ServerSession<DispatchRequest> {
    let mut session = tokio::time::timeout(SOON, ends.dispatchers.recv()).await.expect("a session is opened").expect("the filter is there");
    assert!(matches!(session.requests.next().await, Some(Ok(DispatchRequest::Open(_)))));
    session.answers.send(Ok(Answer::Opened(Credit { events, bytes: 1 << 40 }))).await.expect("the filter is there");
    session
}

/// Offsets of deliveries, until there are so many; each message as a list.
async fn deliveries(session: &mut ServerSession<DispatchRequest>, count: usize) -> Vec<Vec<u64>> {
    let mut messages: Vec<Vec<u64>> = Vec::new();
    while messages.iter().map(Vec::len).sum::<usize>() < count {
        match tokio::time::timeout(SOON, session.requests.next()).await.expect("deliveries come") {
            Some(Ok(DispatchRequest::Deliveries(deliveries))) => {
                messages.push(deliveries.iter().map(|delivery| delivery.event.offset).collect());
            }
            other => panic!("{other:?}"),
        }
    }
    messages
}

fn outcomes(first: u64, count: u32, outcome: Outcome) -> Answer {
    Answer::Outcomes(vec![OutcomeRange { first, count, outcome }])
}

/// *Scenario*: a router finishes its session while 200 of its 600 events are with the dispatcher and the rest waits. *Guarantees*: the dispatcher's
/// session is finished too; what it says until it closes reaches the router, nothing else is sent, and the session ends without an error.
#[tokio::test]
async fn a_finished_session_brings_the_last_outcomes_and_forgets_the_rest() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 200).await;
    for first in [0, 200, 400] {
        ends.router.requests.send(batch(first..first + 200, 0)).await.expect("it is open");
    }
    assert_eq!(deliveries(&mut dispatcher, 200).await.concat(), (0..200).collect::<Vec<_>>());
    let ClientSession { requests, answers } = ends.router;
    drop(requests);
    assert!(dispatcher.requests.next().await.is_none(), "the dispatcher's session is finished, and got nothing more");
    dispatcher.answers.send(Ok(outcomes(0, 150, Outcome::Delivered))).await.expect("the filter waits");
    drop(dispatcher);
    let (requests, _unused) = mpsc::channel(1);
    let mut router = ClientSession { requests, answers };
    assert_eq!(next(&mut router).await, Some(outcomes(0, 150, Outcome::Delivered)));
    assert_eq!(next(&mut router).await, None);
    assert!(ends.dispatchers.try_recv().is_err(), "no other session is opened");
}

/// *Scenario*: the shard is handed over while a dispatcher answers nothing at all. *Guarantees*: the router is told to drain, and the session ends
/// after the filter's patience.
#[tokio::test(start_paused = true)]
async fn a_silent_dispatcher_delays_a_drain_no_longer_than_the_patience() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 200).await;
    // So few that they are evaluated without the pool: its threads do not live by the paused clock.
    ends.router.requests.send(batch(0..20, 0)).await.expect("it is open");
    deliveries(&mut dispatcher, 20).await;
    let begun = Instant::now();
    let shards = ends.shards.clone();
    let drained = tokio::spawn(async move { shards.drain("s", 0).await });
    assert_eq!(next(&mut ends.router).await, Some(Answer::Drain));
    assert_eq!(next(&mut ends.router).await, None);
    drained.await.expect("it drains");
    assert!(begun.elapsed() <= patience::DISPATCHER + Duration::from_millis(50), "{:?}", begun.elapsed());
}

/// *Scenario*: a filter that stops gets no processor until long after its patience has ended; meanwhile the dispatcher has answered. *Guarantees*: the answer is passed on,
/// then the session ends.
#[tokio::test(start_paused = true)]
async fn what_was_said_in_time_counts_for_a_filter_that_reads_it_late() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 200).await;
    ends.router.requests.send(batch(0..20, 0)).await.expect("it is open");
    deliveries(&mut dispatcher, 20).await;
    let shards = ends.shards.clone();
    let drained = tokio::spawn(async move { shards.drain("s", 0).await });
    assert_eq!(next(&mut ends.router).await, Some(Answer::Drain));
    dispatcher.answers.try_send(Ok(outcomes(0, 20, Outcome::Delivered))).expect("there is room");
    // The filter is not polled in between.
    tokio::time::advance(patience::DISPATCHER * 2).await;
    assert_eq!(next(&mut ends.router).await, Some(outcomes(0, 20, Outcome::Delivered)));
    assert_eq!(next(&mut ends.router).await, None);
    drained.await.expect("it drains");
}

/// *Scenario*: the shard is handed over while the router still sends, and the router hears of it late. *Guarantees*: the outcomes of what is with the dispatcher
/// are passed on; the shard is given up only after the router has closed its half; no other session with a dispatcher is opened meanwhile.
#[tokio::test(start_paused = true)]
async fn a_shard_is_given_up_only_when_its_router_has_heard_of_it() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 200).await;
    ends.router.requests.send(batch(0..20, 0)).await.expect("it is open");
    deliveries(&mut dispatcher, 20).await;
    let (begun, shards) = (Instant::now(), ends.shards.clone());
    let given_up = tokio::spawn(async move { shards.drain("s", 0).await });
    assert_eq!(next(&mut ends.router).await, Some(Answer::Drain));
    assert!(dispatcher.requests.next().await.is_none(), "the dispatcher's session is finished");
    dispatcher.answers.send(Ok(outcomes(0, 20, Outcome::Delivered))).await.expect("the filter waits");
    drop(dispatcher);
    assert_eq!(next(&mut ends.router).await, Some(outcomes(0, 20, Outcome::Delivered)));
    tokio::time::sleep(Duration::from_millis(700)).await;
    ends.router.requests.send(batch(20..40, 0)).await.expect("it is open");
    assert!(!given_up.is_finished(), "the router does not know yet");
    let ClientSession { requests, answers } = ends.router;
    drop(requests);
    given_up.await.expect("it does not panic");
    assert!(begun.elapsed() < Duration::from_millis(720), "{:?}", begun.elapsed());
    let (requests, _unused) = mpsc::channel(1);
    assert_eq!(next(&mut ClientSession { requests, answers }).await, None);
    assert!(ends.dispatchers.try_recv().is_err(), "no other session is opened");
}

/// *Scenario*: a dispatcher drains when it has answered 50 of 100, answers 20 more and closes. *Guarantees*: the next one gets exactly the other 30, in
/// order, and the router hears of each event once.
#[tokio::test]
async fn a_dispatcher_that_drains_hands_over_without_repeats() {
    let mut ends = begin("{}").await;
    let mut first = opened(&mut ends, 1000).await;
    ends.router.requests.send(batch(0..100, 0)).await.expect("it is open");
    deliveries(&mut first, 100).await;
    first.answers.send(Ok(outcomes(0, 50, Outcome::Delivered))).await.expect("open");
    first.answers.send(Ok(Answer::Drain)).await.expect("open");
    assert!(first.requests.next().await.is_none(), "the filter finishes the session");
    first.answers.send(Ok(outcomes(50, 20, Outcome::Delivered))).await.expect("open");
    drop(first);
    let mut second = opened(&mut ends, 1000).await;
    assert_eq!(deliveries(&mut second, 30).await.concat(), (70..100).collect::<Vec<_>>());
    second.answers.send(Ok(outcomes(0, 30, Outcome::Delivered))).await.expect("open");
    for expected in [outcomes(0, 50, Outcome::Delivered), outcomes(50, 20, Outcome::Delivered), outcomes(70, 30, Outcome::Delivered)] {
        assert_eq!(next(&mut ends.router).await, Some(expected));
    }
}

/// *Scenario*: one batch is so large that it is evaluated in several portions, and nothing else happens. *Guarantees*: all of it is delivered.
#[tokio::test]
async fn what_is_left_of_a_batch_does_not_wait_for_news() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 10_000).await;
    ends.router.requests.send(batch(0..3_000, 0)).await.expect("it is open");
    assert_eq!(deliveries(&mut dispatcher, 3_000).await.concat(), (0..3_000).collect::<Vec<_>>());
}

/// *Scenario*: events of 1 MiB and one of 20 MiB. *Guarantees*: messages to the dispatcher stay below 4 MiB, but for the one, which travels alone.
#[tokio::test]
async fn messages_close_before_they_are_too_large() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 1000).await;
    let size = |number| if number == 5 { 20 << 20 } else { 1 << 20 };
    let events: Vec<Event> = (0..8).map(|number| event(number, size(number))).collect();
    let batch = Batch { first_receipt: 0, revision: Revision(1), events };
    ends.router.requests.send(FilterRequest::Batch(batch)).await.expect("it is open");
    let messages = deliveries(&mut dispatcher, 8).await;
    assert!(messages.contains(&vec![5]), "{messages:?}");
    assert!(messages.iter().all(|message| message.len() <= 3), "{messages:?}");
    assert_eq!(messages.concat(), (0..8).collect::<Vec<_>>());
}

/// *Scenario*: one event in 5,000 is wanted, and the dispatcher answers nothing. *Guarantees*: everything else is answered, in order.
#[tokio::test]
async fn what_is_not_wanted_is_answered_while_the_target_is_dead() {
    let mut ends = begin(r#"{"data":{"body":{"n":[{"numeric":["<",1]}]}}}"#).await;
    let mut dispatcher = opened(&mut ends, 1000).await;
    let mut answered = 0;
    for first in (0..5_000).step_by(250) {
        ends.router.requests.send(batch(first..first + 250, 10)).await.expect("it is open");
        while answered < first {
            match next(&mut ends.router).await {
                Some(Answer::Outcomes(ranges)) => {
                    for range in ranges {
                        assert_eq!((range.first, &range.outcome), (answered + 1, &Outcome::Filtered));
                        answered += u64::from(range.count);
                    }
                }
                Some(Answer::Credit(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(deliveries(&mut dispatcher, 1).await, [[0]]);
}

/// *Scenario*: an operator skips an event that the dispatcher has, one that waits for credit, and one that is not open. *Guarantees*: the dispatcher is told
/// of the first and decides; the second ends at once and is never delivered; the third is ignored.
#[tokio::test]
async fn a_skipped_event_passes_whoever_holds_it() {
    let mut ends = begin("{}").await;
    let mut dispatcher = opened(&mut ends, 1).await;
    ends.router.requests.send(batch(0..3, 0)).await.expect("it is open");
    assert_eq!(deliveries(&mut dispatcher, 1).await.concat(), [0]);
    for offset in [1, 0, 77] {
        ends.router.requests.send(FilterRequest::Skip(Skip { offset, reason: "poison".into() })).await.expect("it is open");
    }
    assert_eq!(next(&mut ends.router).await, Some(outcomes(1, 1, Outcome::Skipped("poison".into()))));
    match tokio::time::timeout(SOON, dispatcher.requests.next()).await.expect("it is told") {
        Some(Ok(DispatchRequest::Skip(skip))) => assert_eq!(skip.offset, 0),
        other => panic!("{other:?}"),
    }
    dispatcher.answers.send(Ok(outcomes(0, 1, Outcome::Skipped("poison".into())))).await.expect("open");
    dispatcher.answers.send(Ok(Answer::Credit(Credit { events: 10, bytes: 1 << 30 }))).await.expect("open");
    assert_eq!(next(&mut ends.router).await, Some(outcomes(0, 1, Outcome::Skipped("poison".into()))));
    assert_eq!(deliveries(&mut dispatcher, 1).await.concat(), [2]);
}
