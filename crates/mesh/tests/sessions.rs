//! Both ends of a session as stages use them, within one process: opener, reception, and an owner that changes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rocketbridge_assignment::authority::Moment;
use rocketbridge_assignment::{Authority, Claim, Handler, Owner, UnitId, UnitKind};
use rocketbridge_mesh::{Admitted, Downlink, Locate, News, Reception, Records, Serve};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Credit, DispatchRequest, Open, StreamVersion};
use rocketbridge_model::{Epoch, MemberId, Origin, Outcome, OutcomeRange, PartitionId, testing};
use rocketbridge_runtime::{Shutdown, Tasks};
use rocketbridge_transport::{Accept, Code, Dialer, Error, ServerSession, Switchboard};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

const SOON: Duration = Duration::from_secs(10);

/// A stage that hands its sessions to the test.
struct Stage(mpsc::UnboundedSender<Admitted<Stage>>);

impl Serve for Stage {
    type Request = DispatchRequest;
    type Prepared = ();

    async fn prepare(&self, stream: &Arc<Stream>) -> Result<(), Error> {
        if stream.uid == "refused" { Err(Error::new(Code::Refused, "it does not compile")) } else { Ok(()) }
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
    Some(Owner { member: MemberId::new("m"), address: String::new(), region: None, epoch: Epoch(epoch) })
}

/// What the store says: of every uid one stream, and of every partition the same owner.
struct Book(Place);

impl Records for Book {
    fn stream<'a>(&'a self, version: &'a StreamVersion) -> BoxFuture<'a, Result<Arc<Stream>, Error>> {
        let mut stream = Stream { uid: version.uid.clone(), ..testing::stream() };
        stream.source.topic = "of the definition".into();
        Box::pin(async { Ok(Arc::new(stream)) })
    }

    fn owner(&self, _: &UnitId) -> Box<dyn Locate> {
        Box::new(self.0.clone())
    }
}

fn open(uid: &str) -> Open {
    let stream = StreamVersion { uid: uid.into(), ..testing::version() };
    let origin = Origin { partition: PartitionId::new("b/0"), topic: "of the opener".into(), ..Origin::default() };
    Open { stream, origin: Arc::new(origin), partition_epoch: Epoch(1), shard: 0, shard_epoch: Epoch(1) }
}

fn claim(epoch: u64) -> Claim {
    Claim { epoch: Epoch(epoch), authority: Authority::new(Duration::from_secs(3600), Moment::now()) }
}

async fn own(reception: &Reception<Stage>, epoch: u64) {
    reception.start(&UnitId::new("s", UnitKind::DispatchShard(0)), claim(epoch)).await.expect("it starts");
}

fn stage() -> (Reception<Stage>, mpsc::UnboundedReceiver<Admitted<Stage>>) {
    let (_, moves) = watch::channel(());
    stage_of(Place(Arc::new(Mutex::new(owner(1))), moves))
}

/// A stage whose copy of the owner keys is the test's.
fn stage_of(partition: Place) -> (Reception<Stage>, mpsc::UnboundedReceiver<Admitted<Stage>>) {
    let (sender, sessions) = mpsc::unbounded_channel();
    (Reception::new(Stage(sender), Book(partition), Tasks::new(Shutdown::new())), sessions)
}

/// Opens a session by hand.
async fn begin(
    reception: &Reception<Stage>,
    first: DispatchRequest,
) -> (mpsc::Sender<DispatchRequest>, mpsc::Receiver<Result<Answer, Error>>) {
    let (requests, incoming) = mpsc::channel(1);
    let (outgoing, answers) = mpsc::channel(1);
    let requests_of = ReceiverStream::new(incoming).map(Ok).boxed();
    reception.accept(ServerSession { requests: requests_of, answers: outgoing, peer: "the test".into() });
    requests.send(first).await.expect("it is open");
    (requests, answers)
}

/// Opens a session by hand; answers its first answer.
async fn first_answer(reception: &Reception<Stage>, first: DispatchRequest) -> Option<Result<Answer, Error>> {
    let (_requests, mut answers) = begin(reception, first).await;
    tokio::time::timeout(SOON, answers.recv()).await.expect("an answer comes")
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
        let downlink = Downlink::new(Dialer::Local(switchboard), Box::new(place.clone()), open("u"));
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

/// *Scenario*: sessions that begin with something else, for a shard that is not owned or under another epoch, for a partition of another shard, and
/// with a definition that cannot be used. *Guarantees*: each is refused with the code that tells its opener what to do.
#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_reason() {
    let (reception, _sessions) = stage();
    let code = |answer: Option<Result<Answer, Error>>| answer.expect("an answer").expect_err("a refusal").code();
    let opening = |uid| DispatchRequest::Open(Box::new(open(uid)));
    assert_eq!(code(first_answer(&reception, DispatchRequest::Deliveries(Vec::new())).await), Code::Protocol);
    assert_eq!(code(first_answer(&reception, opening("u")).await), Code::Fenced);
    own(&reception, 2).await;
    assert_eq!(code(first_answer(&reception, opening("u")).await), Code::Fenced);
    own(&reception, 1).await;
    let elsewhere = Open { shard: 1, ..open("u") };
    reception.start(&UnitId::new("s", UnitKind::DispatchShard(1)), claim(1)).await.expect("it starts");
    assert_eq!(code(first_answer(&reception, DispatchRequest::Open(Box::new(elsewhere))).await), Code::Protocol);
    assert_eq!(code(first_answer(&reception, opening("refused")).await), Code::Refused);
}

/// *Scenario*: while a session is open, others are opened for its partition by a former owner, by one that names the highest epoch there is, and by one
/// whose epoch no owner key has, also after some wait. Then the partition passes on, and the former owner opens once more. *Guarantees*: each is
/// refused and takes nothing over; the next owner is admitted even before its key is known here, and then ends the former owner's session.
#[tokio::test(start_paused = true)]
async fn only_the_owner_of_the_partition_is_admitted() {
    let (moved, moves) = watch::channel(());
    let partition = Place(Arc::new(Mutex::new(owner(5))), moves);
    let (reception, mut sessions) = stage_of(partition.clone());
    own(&reception, 1).await;
    let opening = |epoch| DispatchRequest::Open(Box::new(Open { partition_epoch: Epoch(epoch), ..open("u") }));
    let (_requests, _answers) = begin(&reception, opening(5)).await;
    let present = sessions.recv().await.expect("the owner is admitted");
    assert_eq!(present.open.origin.topic, "of the definition");

    for (epoch, most) in [(4, 0), (u64::MAX, 0), (6, 4)] {
        let asked = tokio::time::Instant::now();
        let refusal = first_answer(&reception, opening(epoch)).await.expect("an answer").expect_err("a refusal");
        assert_eq!(refusal.code(), Code::Fenced, "{refusal}");
        assert!(asked.elapsed() <= Duration::from_secs(most), "{epoch} was refused after {:?}", asked.elapsed());
    }
    assert!(present.ticket.is_valid(), "a refused session has taken over");

    let (_requests, _answers) = begin(&reception, opening(9)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(present.ticket.is_valid() && sessions.try_recv().is_err(), "it is not known yet");
    *partition.0.lock() = owner(9);
    moved.send(()).expect("it is waited for");
    let next = sessions.recv().await.expect("the next owner is admitted");
    assert!(!present.ticket.is_valid() && next.ticket.is_valid());
    assert_eq!(first_answer(&reception, opening(5)).await.expect("an answer").expect_err("a refusal").code(), Code::Fenced);
    assert!(next.ticket.is_valid());
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
