//! A lane between a filter and a target that are both the test's own: no network, no process, and a clock that only waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use rocketbridge_assignment::Authority;
use rocketbridge_assignment::authority::Moment;
use rocketbridge_mesh::{Patience, Shards};
use rocketbridge_model::resolved::{RocketMqConnection, RunSettings};
use rocketbridge_model::session::{Open, StreamVersion};
use rocketbridge_model::{Envelope, Epoch, Event, PartitionId, resolved, testing};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;

const STREAM: &str = "orders";

/// What the fake target does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taste {
    Takes,
    /// It has it already.
    Knows,
    /// It takes it, and cannot say whether it had it.
    Doubts,
    /// It has had it before, on its way through streams.
    SeesALoop,
    /// It refuses this one for good.
    Refuses,
    /// It breaks off the whole group, and what was before this one in it is not known to be stored.
    BreaksOff,
    /// It fails at this one; what was before it is stored.
    Fails(ConnectorCode),
}

/// Decides by the delivery.
type Palate = Box<dyn Fn(&Delivery) -> Taste + Send>;

/// A target that records what it is given.
struct Fake {
    taste: Mutex<Palate>,
    /// Offsets of each call.
    calls: Mutex<Vec<Vec<u64>>>,
    /// What it has, in order.
    stored: Mutex<Vec<Delivery>>,
    /// While this is false, it does not answer.
    answers: watch::Sender<bool>,
    bare: Option<Arc<Fake>>,
    under_way: AtomicUsize,
    /// Whether the lane might still send when it last called.
    permitted: AtomicBool,
    /// What will stop it before long.
    concern: Mutex<Option<String>>,
}

impl Fake {
    fn new(taste: impl Fn(&Delivery) -> Taste + Send + 'static) -> Arc<Self> {
        Arc::new(Self::with(taste, None))
    }

    fn with(taste: impl Fn(&Delivery) -> Taste + Send + 'static, bare: Option<Arc<Fake>>) -> Self {
        let (calls, stored, answers) = (Mutex::default(), Mutex::default(), watch::Sender::new(true));
        Self {
            taste: Mutex::new(Box::new(taste)),
            calls,
            stored,
            answers,
            bare,
            under_way: AtomicUsize::new(0),
            permitted: AtomicBool::new(true),
            concern: Mutex::default(),
        }
    }

    fn now(&self, taste: impl Fn(&Delivery) -> Taste + Send + 'static) {
        *self.taste.lock() = Box::new(taste);
    }

    fn stored(&self) -> Vec<u64> {
        self.stored.lock().iter().map(|delivery| delivery.event.offset).collect()
    }

    fn call(&self, deliveries: &[Delivery]) -> Vec<Result<Arrival, ConnectorError>> {
        self.calls.lock().push(deliveries.iter().map(|delivery| delivery.event.offset).collect());
        let taste = self.taste.lock();
        let error = |code| ConnectorError::new(code, "send to the fake", format!("{code:?}"));
        if deliveries.iter().any(|delivery| taste(delivery) == Taste::BreaksOff) {
            return vec![Err(error(ConnectorCode::Unavailable)); deliveries.len()];
        }
        let mut stopped = None;
        let each = deliveries.iter().map(|delivery| {
            if let Some(code) = stopped {
                return Err(error(code));
            }
            match taste(delivery) {
                Taste::Takes => self.stored.lock().push(delivery.clone()),
                Taste::Knows => return Ok(Arrival::Known),
                Taste::Doubts => return Ok(Arrival::Unproven),
                Taste::SeesALoop => return Ok(Arrival::Looped),
                Taste::Refuses => return Err(error(ConnectorCode::Rejected)),
                Taste::BreaksOff => return Err(error(ConnectorCode::Unavailable)),
                Taste::Fails(code) => {
                    stopped = Some(code);
                    return Err(error(code));
                }
            }
            Ok(Arrival::Stored)
        });
        each.collect()
    }
}

impl Target for Fake {
    fn deliver<'a>(
        &'a self,
        _: &'a LaneKey,
        _: &'a Origin,
        permit: &'a Permit,
        deliveries: &'a [Delivery],
    ) -> BoxFuture<'a, Vec<Result<Arrival, ConnectorError>>> {
        Box::pin(async move {
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "one group at a time");
            let mut answers = self.answers.subscribe();
            let _ = answers.wait_for(|answers| *answers).await;
            self.under_way.store(0, Ordering::SeqCst);
            self.permitted.store(permit.holds(), Ordering::SeqCst);
            self.call(deliveries)
        })
    }

    fn concern(&self) -> Option<String> {
        self.concern.lock().clone()
    }

    fn bare(&self) -> Option<Arc<dyn Target>> {
        self.bare.clone().map(|bare| bare as Arc<dyn Target>)
    }
}

/// The filter's end of a lane.
struct Bench {
    shards: Shards,
    target: Arc<Fake>,
    dead_letter: Arc<Fake>,
    requests: mpsc::Sender<Result<DispatchRequest, Error>>,
    heard: watch::Receiver<Heard>,
    lane: JoinHandle<()>,
    listener: JoinHandle<()>,
    sent: u64,
}

/// What the lane said.
#[derive(Clone, Debug, Default)]
struct Heard {
    outcomes: BTreeMap<u64, Outcome>,
    trouble: Option<Trouble>,
    drained: bool,
    error: Option<Error>,
}

/// How the stream runs.
#[derive(Clone, Copy)]
struct Run {
    tolerate: bool,
    has_dead_letter: bool,
    most: u32,
}

const NONE: Run = Run { tolerate: false, has_dead_letter: false, most: 256 };
const ALL: Run = Run { tolerate: true, has_dead_letter: false, most: 256 };
const ALL_WITH_LETTERS: Run = Run { tolerate: true, has_dead_letter: true, most: 256 };

impl Bench {
    fn new(run: Run, target: Arc<Fake>, dead_letter: Arc<Fake>) -> Self {
        let dead = || resolved::DeadLetterTarget { connection: RocketMqConnection::default(), topic: "dead".into() };
        let settings = RunSettings {
            tolerate_errors: run.tolerate,
            batch_count: run.most,
            dead_letter: run.has_dead_letter.then(dead),
            ..testing::run()
        };
        let rules = Rules::new(&settings);
        let shards = Shards::new(rocketbridge_assignment::Stage::Dispatcher, Patience::default());
        shards.begin(STREAM, 0, Epoch(1), Authority::new(Duration::from_secs(1_000_000), Moment::now()));
        let origin = Arc::new(Origin { partition: PartitionId::new("b/0"), ..Origin::default() });
        let version = StreamVersion { name: STREAM.into(), ..testing::version() };
        let open = Open { stream: version, origin: origin.clone(), partition_epoch: Epoch(1), shard: 0, shard_epoch: Epoch(1) };
        let ticket = shards.admit(&open, || Some(Epoch(1))).unwrap_or_else(|error| panic!("{error}"));
        let (requests, incoming) = mpsc::channel(16);
        let (answers, outgoing) = mpsc::channel(16);
        let upstream =
            ServerSession { requests: tokio_stream::wrappers::ReceiverStream::new(incoming).boxed(), answers, peer: "test".into() };
        let key = LaneKey { stream: STREAM.into(), partition: PartitionId::new("b/0") };
        let letters: Arc<dyn Target> = dead_letter.clone();
        let way = Way { key, origin, target: target.clone(), dead_letter: run.has_dead_letter.then_some(letters), rules };
        let lane = tokio::spawn(Lane::new(way, ticket, upstream, run.most, Duration::ZERO).run());
        let (listener, heard) = listen(outgoing);
        Self { shards, target, dead_letter, requests, heard, lane, listener, sent: 0 }
    }

    async fn request(&self, request: DispatchRequest) {
        self.requests.send(Ok(request)).await.unwrap_or_else(|_| panic!("the lane has ended"));
    }

    /// Sends so many deliveries more; their offsets are their receipts.
    async fn send(&mut self, count: u64) {
        self.send_as(count, |delivery| delivery).await;
    }

    async fn send_as(&mut self, count: u64, change: impl Fn(Delivery) -> Delivery) {
        let receipts: Vec<u64> = (self.sent..self.sent + count).collect();
        self.sent += count;
        for some in receipts.chunks(256) {
            let deliveries = some.iter().map(|receipt| change(delivery(*receipt))).collect();
            self.request(DispatchRequest::Deliveries(deliveries)).await;
        }
    }

    async fn skip(&self, offset: u64) {
        self.request(DispatchRequest::Skip(Skip { offset, reason: "seen by operations".into() })).await;
    }

    /// Waits until what the lane has said satisfies the condition.
    async fn until(&mut self, what: &str, condition: impl FnMut(&Heard) -> bool) -> Heard {
        let heard = tokio::time::timeout(Duration::from_secs(100_000), self.heard.wait_for(condition)).await;
        let heard = heard.map(|heard| heard.map(|heard| heard.clone()));
        match heard {
            Ok(Ok(heard)) => heard,
            Ok(Err(_)) => panic!("the lane ended before: {what}; it said {:?}", *self.heard.borrow()),
            Err(_) => panic!("never: {what}; it said {:?}", self.heard.borrow().trouble),
        }
    }

    async fn until_ended(&mut self, count: u64) -> BTreeMap<u64, Outcome> {
        self.until("so many outcomes", |heard| heard.outcomes.len() as u64 >= count).await.outcomes
    }
}

/// Collects what a lane says.
fn listen(mut outgoing: mpsc::Receiver<Result<Answer, Error>>) -> (JoinHandle<()>, watch::Receiver<Heard>) {
    let (sender, heard) = watch::channel(Heard::default());
    let listener = tokio::spawn(async move {
        while let Some(answer) = outgoing.recv().await {
            sender.send_modify(|heard| match answer {
                Ok(Answer::Outcomes(ranges)) => {
                    for range in ranges {
                        for receipt in range.first..range.first + u64::from(range.count) {
                            let former = heard.outcomes.insert(receipt, range.outcome.clone());
                            assert_eq!(former, None, "receipt {receipt} resolved twice");
                        }
                    }
                }
                Ok(Answer::Trouble(trouble)) => heard.trouble = trouble,
                Ok(Answer::Drain) => heard.drained = true,
                Ok(Answer::Opened(_) | Answer::Credit(_)) => {}
                Err(error) => heard.error = Some(error),
            });
        }
        // Kept until the test has looked: `wait_for` fails once the sender is gone.
        sender.closed().await;
    });
    (listener, heard)
}

fn delivery(receipt: u64) -> Delivery {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let envelope = Envelope { body: Bytes::from_static(b"{}"), store_timestamp: now, ..Envelope::default() };
    Delivery { receipt, event: Event { offset: receipt, envelope, attributes: None }, parameters: Vec::new(), rejected: None }
}

fn takes(_: &Delivery) -> Taste {
    Taste::Takes
}

fn only(offset: u64, taste: Taste) -> impl Fn(&Delivery) -> Taste + Send + 'static {
    move |delivery| if delivery.event.offset == offset { taste } else { Taste::Takes }
}

fn offsets_with(outcomes: &BTreeMap<u64, Outcome>, wanted: impl Fn(&Outcome) -> bool) -> Vec<u64> {
    outcomes.iter().filter(|(_, outcome)| wanted(outcome)).map(|(receipt, _)| *receipt).collect()
}

/// *Scenario*: a target tells what will stop it, first without events, then with one that fails, then it is well again. *Guarantees*: the concern is told although
/// nothing happens, as one that stops nothing; a real failure takes its place; each ends.
#[tokio::test(start_paused = true)]
async fn what_will_stop_a_target_is_told_before_it_does() {
    let mut bench = Bench::new(NONE, Fake::new(takes), Fake::new(takes));
    *bench.target.concern.lock() = Some("the keys end in 4 min".to_owned());
    let expected = Some(Trouble { reason: "the keys end in 4 min".to_owned(), goes_on: true, ..Trouble::default() });
    bench.until("the concern", |heard| heard.trouble == expected).await;
    bench.target.now(only(0, Taste::Fails(ConnectorCode::Denied)));
    bench.send(1).await;
    bench.until("the failure", |heard| heard.trouble.as_ref().is_some_and(|trouble| !trouble.goes_on)).await;
    bench.target.now(takes);
    bench.until_ended(1).await;
    bench.until("the concern again", |heard| heard.trouble == expected).await;
    *bench.target.concern.lock() = None;
    bench.until("nothing", |heard| heard.trouble.is_none()).await;
}

/// *Scenario*: 30,010 events, ten of which the target refuses, tolerance ALL, no dead-letter topic. *Guarantees*: exactly those ten are discarded;
/// every other is delivered once, in order.
#[tokio::test(start_paused = true)]
async fn healthy_events_are_not_thrown_away_with_those_that_the_target_refuses() {
    let is_poison = |offset: u64| offset % 3_001 == 1_500;
    let poison = move |delivery: &Delivery| if is_poison(delivery.event.offset) { Taste::Refuses } else { Taste::Takes };
    let mut bench = Bench::new(ALL, Fake::new(poison), Fake::new(takes));
    bench.send(30_010).await;
    let outcomes = bench.until_ended(30_010).await;
    let discarded = offsets_with(&outcomes, |outcome| matches!(outcome, Outcome::Discarded(_)));
    assert_eq!(discarded, (0..30_010).filter(|offset| is_poison(*offset)).collect::<Vec<_>>());
    assert_eq!(discarded.len(), 10);
    assert_eq!(bench.target.stored(), (0..30_010).filter(|offset| !is_poison(*offset)).collect::<Vec<_>>());
    assert_eq!(bench.heard.borrow().trouble, None);
}

/// *Scenario*: one event makes the target break off whatever group it is in, tolerance ALL. *Guarantees*: it alone is given up, when its patience is over.
#[tokio::test(start_paused = true)]
async fn an_event_that_the_target_stumbles_over_is_given_up_alone() {
    let mut bench = Bench::new(ALL_WITH_LETTERS, Fake::new(only(300, Taste::BreaksOff)), Fake::new(takes));
    bench.send(1_000).await;
    let outcomes = bench.until_ended(1_000).await;
    assert_eq!(offsets_with(&outcomes, |outcome| *outcome != Outcome::Delivered), [300]);
    assert_eq!(bench.dead_letter.stored(), [300]);
    let stored: std::collections::BTreeSet<u64> = bench.target.stored().into_iter().collect();
    assert_eq!(stored.len(), 999);
}

/// *Scenario*: the target is away for longer than the retry strategy's waits, and comes back. *Guarantees*: what was attempted meanwhile went to the
/// dead-letter topic with the target's error, the rest is delivered in order, and the target is not asked in a hot loop.
#[tokio::test(start_paused = true)]
async fn an_outage_longer_than_the_patience_dead_letters_what_failed_by_itself() {
    let down = |_: &Delivery| Taste::Fails(ConnectorCode::Unavailable);
    let mut bench = Bench::new(Run { most: 4, ..ALL_WITH_LETTERS }, Fake::new(down), Fake::new(takes));
    bench.send(20).await;
    tokio::time::sleep(Duration::from_secs(44)).await;
    assert_eq!((bench.heard.borrow().outcomes.len(), bench.target.calls.lock().len() < 80), (0, true));
    bench.until("the first letter", |heard| !heard.outcomes.is_empty()).await;
    bench.target.now(takes);
    let outcomes = bench.until_ended(20).await;
    let letters = offsets_with(&outcomes, |outcome| *outcome == Outcome::DeadLettered);
    assert_eq!(letters, bench.dead_letter.stored());
    assert!(letters.len() <= 4 && letters.first() == Some(&0), "{letters:?}");
    let reason = bench.dead_letter.stored.lock()[0].rejected.clone();
    assert!(reason.as_deref().is_some_and(|reason| reason.contains("send to the fake")), "{reason:?}");
    let rest: Vec<u64> = (0..20).filter(|offset| !letters.contains(offset)).collect();
    assert_eq!(bench.target.stored(), rest);
}

/// *Scenario*: the target's topic is missing, tolerance ALL. *Guarantees*: each event is tried as often as the strategy says, then given up.
#[tokio::test(start_paused = true)]
async fn a_missing_topic_uses_up_the_retries_of_each_event() {
    let mut bench = Bench::new(ALL, Fake::new(|_: &Delivery| Taste::Fails(ConnectorCode::NotFound)), Fake::new(takes));
    let begun = Instant::now();
    bench.send(10).await;
    let outcomes = bench.until_ended(10).await;
    assert_eq!(offsets_with(&outcomes, |outcome| matches!(outcome, Outcome::Discarded(_))).len(), 10);
    assert_eq!(bench.target.calls.lock().len(), 4);
    let waited = begun.elapsed().as_secs();
    assert!((30..=61).contains(&waited), "{waited} s");
}

/// *Scenario*: tolerance NONE, one event refused for good, later events behind it. *Guarantees*: what was delivered is acknowledged once, those behind
/// wait, the status names the offset and the reason; when the target takes it, it goes before those behind it.
#[tokio::test(start_paused = true)]
async fn a_refused_event_blocks_those_behind_it_and_the_status_says_which() {
    let mut bench = Bench::new(Run { most: 10, ..NONE }, Fake::new(only(5, Taste::Refuses)), Fake::new(takes));
    bench.send(100).await;
    let heard = bench.until("blocked", |heard| heard.trouble.as_ref().is_some_and(|trouble| trouble.blocked_offset.is_some())).await;
    let trouble = heard.trouble.expect("it blocks");
    assert_eq!((trouble.blocked_offset, trouble.permanent), (Some(5), true));
    assert!(trouble.reason.contains("Rejected"), "{}", trouble.reason);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let group: Vec<u64> = (0..10).filter(|offset| *offset != 5).collect();
    assert_eq!((bench.target.stored(), bench.heard.borrow().outcomes.keys().copied().collect::<Vec<_>>()), (group.clone(), group));
    let calls = bench.target.calls.lock().len();
    assert!((12..=40).contains(&calls), "{calls} calls in 60 s");
    bench.target.now(takes);
    let outcomes = bench.until_ended(100).await;
    assert!(outcomes.values().all(|outcome| *outcome == Outcome::Delivered));
    assert_eq!(bench.target.stored()[9..], [vec![5], (10..100).collect()].concat());
    bench.until("it flows again", |heard| heard.trouble.is_none()).await;
}

/// *Scenario*: a target that has some events already, doubts some, and has had some on their way through streams. *Guarantees*: each event has the
/// outcome that says so, all acknowledge; the target is given a permit that holds.
#[tokio::test(start_paused = true)]
async fn a_target_says_how_each_delivery_ended() {
    let taste = |delivery: &Delivery| match delivery.event.offset % 4 {
        0 => Taste::Takes,
        1 => Taste::Knows,
        2 => Taste::Doubts,
        _ => Taste::SeesALoop,
    };
    let mut bench = Bench::new(NONE, Fake::new(taste), Fake::new(takes));
    bench.send(8).await;
    let outcomes = bench.until_ended(8).await;
    let expected = [Outcome::Delivered, Outcome::Deduplicated, Outcome::Unproven, Outcome::Looped];
    assert!(outcomes.iter().all(|(offset, outcome)| *outcome == expected[*offset as usize % 4] && outcome.acknowledges()), "{outcomes:?}");
    assert!(bench.target.permitted.load(Ordering::SeqCst));
}

/// *Scenario*: tolerance NONE, a transform cannot be applied to one event; an operator lets it pass. *Guarantees*: nothing is attempted for it; it blocks
/// until it is skipped; exactly it is skipped.
#[tokio::test(start_paused = true)]
async fn an_operator_lets_an_event_pass_that_cannot_be_transformed() {
    let mut bench = Bench::new(NONE, Fake::new(takes), Fake::new(takes));
    let broken = |delivery: Delivery| Delivery { rejected: (delivery.receipt == 7).then(|| "cannot apply .id".to_owned()), ..delivery };
    bench.send_as(20, broken).await;
    bench.until("blocked", |heard| heard.trouble.as_ref().is_some_and(|trouble| trouble.blocked_offset == Some(7))).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(bench.target.stored(), (0..7).collect::<Vec<_>>());
    bench.skip(7).await;
    bench.skip(7_000).await;
    let outcomes = bench.until_ended(20).await;
    assert_eq!(outcomes[&7], Outcome::Skipped("seen by operations".into()));
    assert_eq!(offsets_with(&outcomes, |outcome| *outcome == Outcome::Delivered).len(), 19);
    bench.until("it flows again", |heard| heard.trouble.is_none()).await;
}

/// *Scenario*: an event is skipped while the target has it. *Guarantees*: it counts as delivered if the target took it, and as skipped if not.
#[tokio::test(start_paused = true)]
async fn a_skip_waits_for_the_target_that_has_the_event() {
    for (taste, expected) in [(Taste::Takes, Outcome::Delivered), (Taste::Refuses, Outcome::Skipped("seen by operations".into()))] {
        let mut bench = Bench::new(NONE, Fake::new(only(0, taste)), Fake::new(takes));
        bench.target.answers.send_replace(false);
        bench.send(2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.skip(0).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(bench.heard.borrow().outcomes.is_empty());
        bench.target.answers.send_replace(true);
        assert_eq!(bench.until_ended(2).await[&0], expected);
    }
}

/// *Scenario*: the dead-letter topic refuses a letter in one form after the other. *Guarantees*: the letter gets barer until it fits; its reason is the
/// target's error; the target never gets it again.
#[tokio::test(start_paused = true)]
async fn a_letter_is_made_to_fit() {
    let long = "x".repeat(1_000);
    let refuses = move |least: Option<usize>| {
        move |letter: &Delivery| match (&letter.rejected, least) {
            (Some(reason), Some(least)) if reason.len() <= least => Taste::Takes,
            (None, _) if least.is_some_and(|least| least == 0) => Taste::Takes,
            _ => Taste::Refuses,
        }
    };
    for (least, expected) in [(Some(10_000), Some(1_000)), (Some(400), Some(123)), (Some(0), None)] {
        let reason = long.clone();
        let mut bench = Bench::new(ALL_WITH_LETTERS, Fake::new(takes), Fake::new(refuses(least)));
        bench.send_as(3, |delivery| Delivery { rejected: (delivery.receipt == 1).then(|| reason.clone()), ..delivery }).await;
        assert_eq!(bench.until_ended(3).await[&1], Outcome::DeadLettered);
        let letters = bench.dead_letter.stored.lock().iter().map(|letter| letter.rejected.as_ref().map(String::len)).collect::<Vec<_>>();
        assert_eq!((letters, bench.target.stored()), (vec![expected], vec![0, 2]));
    }
    let bare = Fake::new(takes);
    let dead_letter = Arc::new(Fake::with(|_: &Delivery| Taste::Refuses, Some(bare.clone())));
    let mut bench = Bench::new(ALL_WITH_LETTERS, Fake::new(only(0, Taste::Refuses)), dead_letter);
    bench.send(1).await;
    assert_eq!(bench.until_ended(1).await[&0], Outcome::DeadLettered);
    assert_eq!((bare.stored(), bench.dead_letter.calls.lock().len(), bench.target.calls.lock().len()), (vec![0], 3, 1));
}

/// *Scenario*: the dead-letter topic refuses a letter in every form, or cannot be reached. *Guarantees*: the letter blocks with a status and is never lost;
/// attempts are seconds apart; an operator can skip it.
#[tokio::test(start_paused = true)]
async fn a_letter_that_nobody_takes_blocks_and_is_not_lost() {
    let mut bench = Bench::new(ALL_WITH_LETTERS, Fake::new(only(0, Taste::Refuses)), Fake::new(|_: &Delivery| Taste::Refuses));
    bench.send(2).await;
    let heard = bench.until("blocked", |heard| heard.trouble.as_ref().is_some_and(|trouble| trouble.blocked_offset == Some(0))).await;
    let reason = heard.trouble.expect("it blocks").reason;
    assert!(reason.starts_with("dead letter: "), "{reason}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let calls = bench.dead_letter.calls.lock().len();
    assert!((12..=40).contains(&calls), "{calls} calls in 60 s");
    bench.skip(0).await;
    let outcomes = bench.until_ended(2).await;
    assert_eq!(outcomes[&0], Outcome::Skipped("seen by operations".into()));

    let away = |_: &Delivery| Taste::Fails(ConnectorCode::Unavailable);
    let mut bench = Bench::new(ALL_WITH_LETTERS, Fake::new(only(0, Taste::Refuses)), Fake::new(away));
    bench.send(2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let calls = bench.dead_letter.calls.lock().len();
    assert!((300..=700).contains(&calls), "{calls} calls in 600 s");
    bench.dead_letter.now(takes);
    assert_eq!(bench.until_ended(2).await[&0], Outcome::DeadLettered);
    assert_eq!(bench.target.calls.lock().iter().flatten().filter(|offset| **offset == 0).count(), 1, "a letter never goes back");
}

/// *Scenario*: the shard is handed over, or the filter sends no more, while a target has a group and more waits behind it; the target answers, or does not.
/// *Guarantees*: what waits is forgotten without an outcome; the session ends as soon as the target has answered, within the patience in any case; the group
/// is answered if the target took it.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_session_forgets_what_no_target_has_and_answers_what_one_has() {
    for (handed_over, answers) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bench = Bench::new(Run { most: 4, ..NONE }, Fake::new(takes), Fake::new(takes));
        bench.target.answers.send_replace(false);
        bench.send(10).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        let (begun, shards) = (Instant::now(), bench.shards.clone());
        if handed_over {
            tokio::spawn(async move { shards.drain(STREAM, 0).await });
            bench.until("it wants to be rid of the session", |heard| heard.drained).await;
        }
        bench.requests = mpsc::channel(1).0;
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.target.answers.send_replace(answers);
        (&mut bench.lane).await.expect("it does not panic");
        let waited = begun.elapsed();
        let most = if answers { Duration::from_millis(200) } else { patience::TARGET + Duration::from_millis(100) };
        assert!(waited <= most, "{waited:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        let heard = bench.heard.borrow().clone();
        let taken = if answers { (0..4).collect() } else { Vec::new() };
        assert_eq!((heard.outcomes.keys().copied().collect::<Vec<_>>(), heard.error.is_none()), (taken, true));
    }
}

/// *Scenario*: the shard is handed over, and the filter hears of it late: it sends more before it closes its half, or never closes it. *Guarantees*: the
/// shard is given up only after the filter has closed its half, so that it cannot miss what was said, or after the patience; what it sent meanwhile
/// goes to no target and gets no outcome.
#[tokio::test(start_paused = true)]
async fn a_shard_is_given_up_only_when_its_filter_has_heard_of_it() {
    for closes in [true, false] {
        let mut bench = Bench::new(NONE, Fake::new(takes), Fake::new(takes));
        bench.send(3).await;
        bench.until_ended(3).await;
        let (begun, shards) = (Instant::now(), bench.shards.clone());
        let given_up = tokio::spawn(async move { shards.drain(STREAM, 0).await });
        bench.until("it wants to be rid of the session", |heard| heard.drained).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        bench.send(2).await;
        assert!(!given_up.is_finished(), "the filter does not know yet");
        if closes {
            bench.requests = mpsc::channel(1).0;
        }
        given_up.await.expect("it does not panic");
        let waited = begun.elapsed();
        let expected = if closes { Duration::from_millis(700) } else { patience::TARGET };
        assert!((expected..expected + Duration::from_millis(20)).contains(&waited), "{waited:?}");
        assert_eq!((bench.target.stored(), bench.heard.borrow().outcomes.len()), (vec![0, 1, 2], 3));
    }
}

/// *Scenario*: the filter is gone while a group is with the target. *Guarantees*: the lane ends at once.
#[tokio::test(start_paused = true)]
async fn a_lane_whose_filter_is_gone_ends_at_once() {
    let mut bench = Bench::new(NONE, Fake::new(takes), Fake::new(takes));
    bench.target.answers.send_replace(false);
    bench.send(1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    bench.listener.abort();
    bench.requests = mpsc::channel(1).0;
    (&mut bench.lane).await.expect("it does not panic");
    assert!(begun.elapsed() < Duration::from_millis(100));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// *Scenario*: any mix of events that the target refuses, stumbles over or fails at, in any group size, tolerance ALL. *Guarantees*: exactly those are
    /// given up; all others are delivered, in order but for contiguous replays.
    #[test]
    fn exactly_those_that_failed_are_given_up(
        tastes in prop::collection::vec(prop_oneof![
            12 => Just(Taste::Takes), 2 => Just(Taste::Refuses), 1 => Just(Taste::BreaksOff), 1 => Just(Taste::Fails(ConnectorCode::Internal)),
        ], 1..120),
        most in 1_u32..40,
        has_dead_letter in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let count = tastes.len() as u64;
            let known = tastes.clone();
            let taste = move |delivery: &Delivery| known[delivery.event.offset as usize];
            let mut bench = Bench::new(Run { most, has_dead_letter, ..ALL }, Fake::new(taste), Fake::new(takes));
            bench.send(count).await;
            let outcomes = bench.until_ended(count).await;
            let expected: Vec<u64> = (0..count).filter(|offset| tastes[*offset as usize] != Taste::Takes).collect();
            let given_up = offsets_with(&outcomes, |outcome| *outcome != Outcome::Delivered);
            prop_assert_eq!(&given_up, &expected);
            let letters = bench.dead_letter.stored();
            prop_assert_eq!(letters, if has_dead_letter { expected } else { Vec::new() });
            let mut first = Vec::new();
            for offset in bench.target.stored() {
                if !first.contains(&offset) {
                    first.push(offset);
                }
            }
            prop_assert!(first.is_sorted(), "{first:?}");
            Ok(())
        })?;
    }
}
