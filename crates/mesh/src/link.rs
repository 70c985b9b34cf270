//! A session to whoever owns a shard now.
//!
//! [`Link::next`] does everything: it finds the owner, opens the session, reads answers, and after a loss waits a little and
//! begins again. It tells its user what happened; what to replay after [`News::Opened`] is the user's business. A session is
//! dropped as soon as its owner is not the shard's owner any more: an owner that was stopped without a word keeps its
//! connection, but not its lease.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use rocketbridge_assignment::{Owner, Owners, UnitId};
use rocketbridge_model::Epoch;
use rocketbridge_model::session::{Answer, Credit, DispatchRequest, FilterRequest, Open};
use rocketbridge_runtime::Backoff;
use rocketbridge_transport::{ClientSession, Code, Dialer, Error};
use tokio::sync::mpsc;

/// Longest that opening a session may take.
const OPENING: Duration = Duration::from_secs(10);

/// Finds the owner of one shard.
pub trait Locate: Send {
    /// The owner now.
    fn owner(&self) -> Option<Owner>;
    /// Returns when owners have changed since the last call, of this shard or another. Cancel-safe.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

/// Finds the owner of one unit among all owners.
pub struct UnitOwner {
    owners: Owners,
    unit: UnitId,
}

impl UnitOwner {
    /// For one unit.
    pub fn new(owners: Owners, unit: UnitId) -> Self {
        Self { owners, unit }
    }
}

impl Locate for UnitOwner {
    fn owner(&self) -> Option<Owner> {
        self.owners.owner(&self.unit)
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.owners.changed())
    }
}

/// Requests that a link can carry.
pub trait Carry: Sized + Send + 'static {
    /// The name of the stage that takes them, for messages.
    const STAGE: &'static str;
    /// The first request of a session.
    fn open(open: Open) -> Self;
    /// Opens a session.
    fn dial<'a>(dialer: &'a Dialer, address: &'a str) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a;
}

impl Carry for FilterRequest {
    const STAGE: &'static str = "filter";

    fn open(open: Open) -> Self {
        Self::Open(Box::new(open))
    }

    fn dial<'a>(dialer: &'a Dialer, address: &'a str) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a {
        dialer.filter(address)
    }
}

impl Carry for DispatchRequest {
    const STAGE: &'static str = "dispatcher";

    fn open(open: Open) -> Self {
        Self::Open(Box::new(open))
    }

    fn dial<'a>(dialer: &'a Dialer, address: &'a str) -> impl Future<Output = Result<ClientSession<Self>, Error>> + Send + 'a {
        dialer.dispatch(address)
    }
}

/// What happened to the link.
#[derive(Debug)]
pub enum News {
    /// A new session is open. Receipts start at 0, credit at this; whatever was sent and not acknowledged is to be sent again.
    Opened(Credit),
    /// Credit, outcomes, drain or trouble. Never `Opened`.
    Answer(Answer),
    /// There is no session; another is sought. Told once for each reason.
    Down(Error),
}

/// A session to whoever owns a shard now.
pub struct Link<Q> {
    dialer: Dialer,
    locate: Box<dyn Locate>,
    open: Open,
    shard: String,
    state: State<Q>,
    backoff: Backoff,
    told: Option<Error>,
}

enum State<Q> {
    /// Look for the owner, after a wait if there was a failure.
    Seeking(Option<Wait>),
    /// A session is being opened.
    Opening { owner: Owner, opening: BoxFuture<'static, Result<(ClientSession<Q>, Credit), Error>> },
    /// A session is open.
    Open { owner: Owner, session: ClientSession<Q> },
}

type Wait = std::pin::Pin<Box<tokio::time::Sleep>>;

impl<Q: Carry> Link<Q> {
    /// A link that has not begun. `open` is sent in every session, with the owner's epoch filled in.
    pub fn new(dialer: Dialer, locate: Box<dyn Locate>, open: Open) -> Self {
        let shard = format!("shard {} of stream {}", open.shard, open.stream.name);
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        Self { dialer, locate, open, shard, state: State::Seeking(None), backoff, told: None }
    }

    /// Where to send, while a session is open.
    pub fn requests(&self) -> Option<&mpsc::Sender<Q>> {
        match &self.state {
            State::Open { session, .. } => Some(&session.requests),
            State::Seeking(_) | State::Opening { .. } => None,
        }
    }

    /// Waits until the session takes one more request. While none is open it waits for ever. Cancel-safe.
    pub fn ready(&self) -> impl Future<Output = Option<mpsc::OwnedPermit<Q>>> + Send + use<Q> {
        let requests = self.requests().cloned();
        async move {
            match requests {
                Some(requests) => requests.reserve_owned().await.ok(),
                None => std::future::pending().await,
            }
        }
    }

    /// Drops the session; the next call of [`Link::next`] seeks another, at once.
    pub fn reset(&mut self) {
        self.state = State::Seeking(None);
    }

    /// What happens next. Cancel-safe: a dropped future loses nothing, the next call goes on where it was.
    pub async fn next(&mut self) -> News {
        loop {
            match &mut self.state {
                State::Seeking(wait) => {
                    if let Some(wait) = wait {
                        wait.as_mut().await;
                    }
                    match self.locate.owner() {
                        Some(owner) => {
                            let opening = Box::pin(open::<Q>(self.dialer.clone(), owner.clone(), self.open.clone()));
                            self.state = State::Opening { owner, opening };
                        }
                        None => {
                            let error = Error::new(Code::Unavailable, format!("no {} owns {}", Q::STAGE, self.shard));
                            if let Some(news) = self.tell(error) {
                                return news;
                            }
                            self.locate.changed().await;
                            self.state = State::Seeking(None);
                        }
                    }
                }
                State::Opening { owner, opening } => match opening.await {
                    Ok((session, credit)) => {
                        self.state = State::Open { owner: owner.clone(), session };
                        self.told = None;
                        return News::Opened(credit);
                    }
                    Err(error) => {
                        if let Some(news) = self.lost(error) {
                            return news;
                        }
                    }
                },
                State::Open { owner, session } => {
                    // Both arms are cancel-safe; answers that wait are read in the next call.
                    tokio::select! {
                        biased;
                        answer = session.answers.next() => match answer {
                            Some(Ok(Answer::Opened(_))) => {
                                let error = Error::new(Code::Protocol, format!("the {} opened a session twice", Q::STAGE));
                                if let Some(news) = self.lost(error) {
                                    return news;
                                }
                            }
                            Some(Ok(answer)) => {
                                if matches!(answer, Answer::Outcomes(_)) {
                                    self.backoff.reset();
                                }
                                return News::Answer(answer);
                            }
                            Some(Err(error)) => {
                                if let Some(news) = self.lost(error) {
                                    return news;
                                }
                            }
                            None => {
                                let error = Error::new(Code::Unavailable, format!("the {} closed the session", Q::STAGE));
                                if let Some(news) = self.lost(error) {
                                    return news;
                                }
                            }
                        },
                        () = self.locate.changed() => {
                            let now = self.locate.owner();
                            if now.as_ref().is_none_or(|now| now.epoch != owner.epoch) {
                                let error = Error::new(Code::Fenced, format!("{} has passed to another {}", self.shard, Q::STAGE));
                                self.state = State::Seeking(None);
                                if let Some(news) = self.tell(error) {
                                    return news;
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn lost(&mut self, error: Error) -> Option<News> {
        tracing::debug!(stage = Q::STAGE, shard = %self.shard, %error, "session lost");
        self.state = State::Seeking(Some(Box::pin(tokio::time::sleep(self.backoff.next_delay()))));
        self.tell(error)
    }

    /// A loss is told even when the former had the same reason, but only once between two sessions.
    fn tell(&mut self, error: Error) -> Option<News> {
        if self.told.as_ref() == Some(&error) {
            return None;
        }
        self.told = Some(error.clone());
        Some(News::Down(error))
    }
}

async fn open<Q: Carry>(dialer: Dialer, owner: Owner, mut open: Open) -> Result<(ClientSession<Q>, Credit), Error> {
    open.shard_epoch = Epoch(owner.epoch.0);
    let address = owner.address.clone();
    let opening = async {
        let mut session = Q::dial(&dialer, &address).await?;
        let gone = || Error::new(Code::Unavailable, format!("the {} at {address} closed the session while it was opened", Q::STAGE));
        session.requests.send(Q::open(open)).await.map_err(|_| gone())?;
        match session.answers.next().await {
            Some(Ok(Answer::Opened(credit))) => Ok((session, credit)),
            Some(Ok(other)) => Err(Error::new(Code::Protocol, format!("the {} at {address} answered {other:?} to Open", Q::STAGE))),
            Some(Err(error)) => Err(error),
            None => Err(gone()),
        }
    };
    let late = || Error::new(Code::Unavailable, format!("the {} at {address} did not open a session within {OPENING:?}", Q::STAGE));
    tokio::time::timeout(OPENING, opening).await.unwrap_or_else(|_| Err(late()))
}
