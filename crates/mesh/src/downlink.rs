//! The opener's side: a session to whoever owns a shard of the next stage now.
//!
//! [`Downlink::next`] does everything: it finds the owner, opens the session, reads answers, and after a loss waits a little and begins
//! again. It tells its user what happened; what to send again after [`News::Opened`] is the user's business. Nothing more is sent in a session
//! whose owner is not the shard's owner any more, and it is dropped [soon](patience::PASSED): an owner that was stopped without a word keeps its
//! connection, but not its lease.
//!
//! [`Downlink::finish`] ends a session in good order: nothing more is sent, the other side gives up what it has not begun, answers what it
//! has, and closes. What has no answer by then was never with a target.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use rocketbridge_assignment::{Owner, UnitOwner};
use rocketbridge_model::Epoch;
use rocketbridge_model::session::{Answer, Credit, Open};
use rocketbridge_runtime::Backoff;
use rocketbridge_transport::{ClientSession, Code, Dialer, Error};
use tokio::sync::mpsc;

use crate::carry::Carry;
use crate::patience;

/// Longest that opening a session may take.
const OPENING: Duration = Duration::from_secs(10);

/// Finds the owner of one shard.
pub trait Locate: Send {
    /// The owner now.
    fn owner(&self) -> Option<Owner>;
    /// Returns when the owner may have changed since the last call. Cancel-safe.
    fn changed(&mut self) -> BoxFuture<'_, ()>;
}

impl Locate for UnitOwner {
    fn owner(&self) -> Option<Owner> {
        UnitOwner::owner(self)
    }

    fn changed(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(UnitOwner::changed(self))
    }
}

/// What happened to the session.
#[derive(Debug)]
pub enum News {
    /// A new session is open. Receipts start at 0, credit at this; whatever was sent and not acknowledged is to be sent again.
    Opened(Credit),
    /// Credit, outcomes, drain or trouble. Never `Opened`.
    Answer(Answer),
    /// A session that was finished has been closed by the other side, after everything it had to say. Another is sought.
    Finished,
    /// There is no session; another is sought. Told once for each reason.
    Down(Error),
}

/// A session to whoever owns a shard now.
pub struct Downlink<Q> {
    dialer: Dialer,
    locate: Box<dyn Locate>,
    open: Open,
    shard: String,
    state: State<Q>,
    backoff: Backoff,
    told: Option<Error>,
}

enum State<Q> {
    /// Look for the owner; after a failure once its wait is over, or at once if somebody else owns the shard by then.
    Seeking(Option<(Wait, Epoch)>),
    /// A session is being opened.
    Opening { owner: Owner, opening: BoxFuture<'static, Result<(ClientSession<Q>, Credit), Error>> },
    /// A session is open.
    Open { owner: Owner, requests: mpsc::Sender<Q>, answers: Answers },
    /// A session is being finished. It is not dropped when its owner changes: the former owner gives the shard back when it has said everything,
    /// and news of that may be faster than what it said.
    Finishing { owner: Owner, answers: Answers, late: Wait },
}

type Answers = BoxStream<'static, Result<Answer, Error>>;

type Wait = std::pin::Pin<Box<tokio::time::Sleep>>;

impl<Q: Carry> Downlink<Q> {
    /// One that has not begun. `open` is sent in every session, with the owner's epoch filled in.
    pub fn new(dialer: Dialer, locate: Box<dyn Locate>, open: Open) -> Self {
        let shard = format!("shard {} of stream {}", open.shard, open.stream.name);
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        Self { dialer, locate, open, shard, state: State::Seeking(None), backoff, told: None }
    }

    /// Where to send, while a session is open.
    pub fn requests(&self) -> Option<&mpsc::Sender<Q>> {
        match &self.state {
            State::Open { requests, .. } => Some(requests),
            State::Seeking(_) | State::Opening { .. } | State::Finishing { .. } => None,
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

    /// Ends the session in good order: nothing more is sent, and answers come until the other side has closed, or is [late](patience::LATE). Whoever
    /// must stop sooner stops waiting by itself. True if there is anything to wait for: without an open session there is not.
    pub fn finish(&mut self) -> bool {
        self.finish_within(patience::LATE);
        matches!(self.state, State::Finishing { .. })
    }

    fn finish_within(&mut self, limit: Duration) {
        self.state = match std::mem::replace(&mut self.state, State::Seeking(None)) {
            State::Open { owner, answers, .. } => State::Finishing { owner, answers, late: Box::pin(tokio::time::sleep(limit)) },
            other => other,
        };
    }

    /// What happens next. Cancel-safe: a dropped future loses nothing, the next call goes on where it was.
    pub async fn next(&mut self) -> News {
        loop {
            match &mut self.state {
                State::Seeking(failed) => {
                    if let Some((wait, epoch)) = failed {
                        tokio::select! {
                            () = wait.as_mut() => {}
                            () = self.locate.changed() => {
                                if self.locate.owner().is_none_or(|owner| owner.epoch == *epoch) {
                                    continue;
                                }
                            }
                        }
                    }
                    match self.locate.owner() {
                        Some(owner) => {
                            let opening = Box::pin(open::<Q>(self.dialer.clone(), owner.clone(), self.open.clone()));
                            self.state = State::Opening { owner, opening };
                        }
                        None => {
                            let error = Error::new(Code::Unavailable, format!("no {} owns {}", Q::STAGE.name(), self.shard));
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
                        let ClientSession { requests, answers } = session;
                        self.state = State::Open { owner: owner.clone(), requests, answers };
                        self.told = None;
                        return News::Opened(credit);
                    }
                    Err(error) => {
                        if let Some(news) = self.lost(error) {
                            return news;
                        }
                    }
                },
                State::Open { owner, answers, .. } => {
                    // Both arms are cancel-safe; answers that wait are read in the next call.
                    tokio::select! {
                        biased;
                        answer = answers.next() => match answer {
                            Some(Ok(answer)) => return self.answered(answer),
                            Some(Err(error)) => {
                                if let Some(news) = self.lost(error) {
                                    return news;
                                }
                            }
                            None => {
                                let error = Error::new(Code::Unavailable, format!("the {} closed the session", Q::STAGE.name()));
                                if let Some(news) = self.lost(error) {
                                    return news;
                                }
                            }
                        },
                        () = self.locate.changed() => {
                            let now = self.locate.owner();
                            if now.as_ref().is_none_or(|now| now.epoch != owner.epoch) {
                                tracing::debug!(stage = Q::STAGE.name(), shard = %self.shard, "the shard has passed to another owner");
                                self.finish_within(patience::PASSED);
                            }
                        }
                    }
                }
                State::Finishing { answers, late, .. } => {
                    let answer = tokio::select! {
                        biased;
                        answer = answers.next() => answer,
                        () = late.as_mut() => Some(Err(Error::new(Code::Unavailable, format!("the {} did not close a session in time", Q::STAGE.name())))),
                    };
                    match answer {
                        Some(Ok(answer)) => return self.answered(answer),
                        None => {
                            self.state = State::Seeking(None);
                            return News::Finished;
                        }
                        // Told even if it is no news: whoever finishes waits for the end.
                        Some(Err(error)) => {
                            self.told = None;
                            if let Some(news) = self.lost(error) {
                                return news;
                            }
                        }
                    }
                }
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> News {
        match answer {
            Answer::Opened(_) => {
                let error = Error::new(Code::Protocol, format!("the {} opened a session twice", Q::STAGE.name()));
                self.told = None;
                self.lost(error.clone()).unwrap_or(News::Down(error))
            }
            answer => {
                if matches!(answer, Answer::Outcomes(_)) {
                    self.backoff.reset();
                }
                News::Answer(answer)
            }
        }
    }

    fn lost(&mut self, error: Error) -> Option<News> {
        tracing::debug!(stage = Q::STAGE.name(), shard = %self.shard, %error, "session lost");
        let epoch = match &self.state {
            State::Opening { owner, .. } | State::Open { owner, .. } | State::Finishing { owner, .. } => owner.epoch,
            State::Seeking(_) => Epoch::default(),
        };
        self.state = State::Seeking(Some((Box::pin(tokio::time::sleep(self.backoff.next_delay())), epoch)));
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
    let address = &owner.address;
    let opening = async {
        let mut session = Q::dial(&dialer, &owner).await?;
        let gone = || Error::new(Code::Unavailable, format!("the {} at {address} closed the session while it was opened", Q::STAGE.name()));
        session.requests.send(Q::open(open)).await.map_err(|_| gone())?;
        match session.answers.next().await {
            Some(Ok(Answer::Opened(credit))) => Ok((session, credit)),
            Some(Ok(other)) => Err(Error::new(Code::Protocol, format!("the {} at {address} answered {other:?} to Open", Q::STAGE.name()))),
            Some(Err(error)) => Err(error),
            None => Err(gone()),
        }
    };
    let late = || Error::new(Code::Unavailable, format!("the {} at {address} did not open a session within {OPENING:?}", Q::STAGE.name()));
    tokio::time::timeout(OPENING, opening).await.unwrap_or_else(|_| Err(late()))
}
