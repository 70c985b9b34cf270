//! Both ends of a session as stages use them, within one process: opener, reception, and an owner that changes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::authority::Moment;
use rocketbridge_assignment::{Authority, Claim, Handler, Owner, UnitId, UnitKind};
use rocketbridge_mesh::{Admitted, Downlink, Locate, News, Reception, Serve};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Credit, DispatchRequest, Open};
use rocketbridge_model::{Epoch, MemberId, Origin, Outcome, OutcomeRange, PartitionId, testing};
use rocketbridge_runtime::{Shutdown, Tasks};
use rocketbridge_transport::{Accept, ClientSession, Code, Dialer, Error, ServerSession, Switchboard};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

const SOON: Duration = Duration::from_secs(10);

/// A stage that hands its sessions to the test.
struct Stage(mpsc::UnboundedSender<Admitted<Stage>>);

impl Serve for Stage {
    type Request = DispatchRequest;
    type Prepared = ();

    async fn prepare(&self, open: &Open) -> Result<(), Error> {
        if open.stream.pattern == "refused" { Err(Error::new(Code::Refused, "it does not compile")) } else { Ok(()) }
    }

    async fn serve(&self, admitted: Admitted<Self>) {
        assert!(self.0.send(admitted).is_ok(), "the test listens");
    }
}

/// The owner, as the test says.
#[derive(Clone)]
struct Place(Arc<Mutex<Option<Owner>>>, watch::Receiver<()>);

impl Locate for Place {
    fn owner(&self) -> Option<Owner> {
        self.0.lock().clone()
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.1.changed().await.is_err() {
                std::future::pending().await
            }
        })
    }
}

fn owner(epoch: u64) -> Option<Owner> {
    Some(Owner { member: MemberId::new("m"), address: String::new(), epoch: Epoch(epoch) })
}

fn open(pattern: &str) -> Open {
    let stream = Stream { pattern: pattern.into(), ..testing::stream() };
    let origin = Origin { partition: PartitionId::new("b/0"), ..Origin::default() };
    Open { stream: Arc::new(stream), origin: Arc::new(origin), partition_epoch: Epoch(1), shard: 0, shard_epoch: Epoch(1) }
}

async fn own(reception: &Reception<Stage>, epoch: u64) {
    let claim = Claim { epoch: Epoch(epoch), authority: Authority::new(Duration::from_secs(3600), Moment::now()) };
    reception.start(&UnitId::new("s", UnitKind::DispatchShard(0)), claim).await.expect("it starts");
}

fn stage() -> (Reception<Stage>, mpsc::UnboundedReceiver<Admitted<Stage>>) {
    let (sender, sessions) = mpsc::unbounded_channel();
    (Reception::new(Stage(sender), Tasks::new(Shutdown::new())), sessions)
}

/// Opens a session by hand; answers its first answer.
async fn first_answer(reception: &Reception<Stage>, first: DispatchRequest) -> Option<Result<Answer, Error>> {
    let (requests, incoming) = mpsc::channel(1);
    let (outgoing, answers) = mpsc::channel(1);
    let requests_of = ReceiverStream::new(incoming).map(Ok).boxed();
    reception.accept(ServerSession { requests: requests_of, answers: outgoing, peer: "the test".into() });
    requests.send(first).await.expect("it is open");
    let mut session = ClientSession { requests, answers: ReceiverStream::new(answers).boxed() };
    tokio::time::timeout(SOON, session.answers.next()).await.expect("an answer comes")
}

/// A stage that owns its shard under epoch 1, and a downlink to it.
struct Pair {
    reception: Reception<Stage>,
    sessions: mpsc::UnboundedReceiver<Admitted<Stage>>,
    place: Place,
    moved: watch::Sender<()>,
    downlink: Downlink<DispatchRequest>,
}

impl Pair {
    async fn new() -> Self {
        let (reception, sessions) = stage();
        own(&reception, 1).await;
        let switchboard = Arc::new(Switchboard::default());
        switchboard.register_dispatch(Arc::new(reception.clone()));
        let (moved, moves) = watch::channel(());
        let place = Place(Arc::new(Mutex::new(owner(1))), moves);
        let downlink = Downlink::new(Dialer::Local(switchboard), Box::new(place.clone()), open("{}"));
        Self { reception, sessions, place, moved, downlink }
    }

    /// The stage opens the session that the downlink asks for.
    async fn opened(&mut self) -> Admitted<Stage> {
        let opening = async {
            let admitted = self.sessions.recv().await.expect("a session");
            admitted.upstream.answers.send(Ok(Answer::Opened(Credit { events: 1, bytes: 1 }))).await.expect("open");
            admitted
        };
        let (news, admitted) = tokio::join!(self.downlink.next(), opening);
        assert!(matches!(news, News::Opened(_)));
        admitted
    }

    /// The news comes that the shard has the owner of epoch 2.
    fn moves(&self) {
        *self.place.0.lock() = owner(2);
        self.moved.send(()).expect("the downlink listens");
    }
}

/// *Scenario*: sessions that begin with something else, for a shard that is not owned or under another epoch, and with a definition that cannot be
/// used. *Guarantees*: each is refused with the code that tells its opener what to do.
#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_reason() {
    let (reception, _sessions) = stage();
    let code = |answer: Option<Result<Answer, Error>>| answer.expect("an answer").expect_err("a refusal").code();
    let opening = |pattern| DispatchRequest::Open(Box::new(open(pattern)));
    assert_eq!(code(first_answer(&reception, DispatchRequest::Deliveries(Vec::new())).await), Code::Protocol);
    assert_eq!(code(first_answer(&reception, opening("{}")).await), Code::Fenced);
    own(&reception, 2).await;
    assert_eq!(code(first_answer(&reception, opening("{}")).await), Code::Fenced);
    assert_eq!(code(first_answer(&reception, opening("refused")).await), Code::Refused);
}

/// *Scenario*: an opener is silent. *Guarantees*: its session is refused after a while and holds nothing.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_never_opened_ends() {
    let (reception, _sessions) = stage();
    let (_requests, incoming) = mpsc::channel::<DispatchRequest>(1);
    let (outgoing, mut answers) = mpsc::channel(1);
    reception.accept(ServerSession { requests: ReceiverStream::new(incoming).map(Ok).boxed(), answers: outgoing, peer: "the test".into() });
    assert_eq!(answers.recv().await.expect("an answer").expect_err("a refusal").code(), Code::Protocol);
    assert!(answers.recv().await.is_none());
}

/// *Scenario*: an owner hands its shard over: it says Drain, gives the shard up, and only then says what it still had to say, five seconds later, because the
/// machine is slow. *Guarantees*: everything it said is heard, nothing is sent to it meanwhile, and the next session is opened with the new owner's epoch.
#[tokio::test(start_paused = true)]
async fn an_owner_that_hands_over_is_heard_to_its_end() {
    let mut pair = Pair::new().await;
    let admitted = pair.opened().await;
    admitted.upstream.answers.send(Ok(Answer::Drain)).await.expect("open");
    assert!(matches!(pair.downlink.next().await, News::Answer(Answer::Drain)));
    assert!(pair.downlink.finish() && pair.downlink.requests().is_none());

    own(&pair.reception, 2).await;
    pair.moves();
    let outcome = Answer::Outcomes(vec![OutcomeRange { first: 0, count: 1, outcome: Outcome::Delivered }]);
    let saying = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        admitted.upstream.answers.send(Ok(outcome.clone())).await.expect("open");
        drop(admitted);
    };
    let (news, ()) = tokio::join!(pair.downlink.next(), saying);
    assert!(matches!(news, News::Answer(answer) if answer == outcome));
    assert!(matches!(pair.downlink.next().await, News::Finished));
    let admitted = pair.opened().await;
    assert_eq!(admitted.open.shard_epoch, Epoch(2));
}

/// *Scenario*: the news that a shard has another owner comes before what its former owner said last, or the former owner says nothing more.
/// *Guarantees*: what it said is heard, so that nothing that was delivered is sent again, and nothing more is sent to it; a silent one is dropped soon.
#[tokio::test(start_paused = true)]
async fn the_last_words_of_an_owner_may_come_after_the_news_of_the_next() {
    for is_silent in [false, true] {
        let mut pair = Pair::new().await;
        let admitted = pair.opened().await;
        pair.moves();
        let begun = tokio::time::Instant::now();
        if is_silent {
            assert!(matches!(pair.downlink.next().await, News::Down(_)));
            assert!(begun.elapsed() < Duration::from_secs(2));
            continue;
        }
        let outcome = Answer::Outcomes(vec![OutcomeRange { first: 0, count: 1, outcome: Outcome::Delivered }]);
        let saying = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            admitted.upstream.answers.send(Ok(outcome.clone())).await.expect("open");
            drop(admitted);
        };
        let (news, ()) = tokio::join!(pair.downlink.next(), saying);
        assert!(matches!(news, News::Answer(answer) if answer == outcome));
        assert!(pair.downlink.requests().is_none());
        assert!(matches!(pair.downlink.next().await, News::Finished));
    }
}

/// *Scenario*: the other side never closes a session that is finished. *Guarantees*: it is dropped, though later than any slow machine needs.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_never_closed_is_dropped() {
    let mut pair = Pair::new().await;
    let _kept = pair.opened().await;
    assert!(pair.downlink.finish());
    let begun = tokio::time::Instant::now();
    assert!(matches!(pair.downlink.next().await, News::Down(_)));
    assert!((Duration::from_secs(5)..Duration::from_secs(11)).contains(&begun.elapsed()));
    assert!(!pair.downlink.finish(), "there is nothing to wait for");
}
