//! One partition's deliveries on their way to the target.
//!
//! One group is with the target at a time, so deliveries of a lane never overtake each other. Every branch of the one `select!` is
//! cancel-safe. A group is not taken back once it is with the target: when the session ends, its outcome is not known to the
//! filter, which sends it again.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use futures::future::{BoxFuture, OptionFuture};
use rocketbridge_connector::{Code as ConnectorCode, Error as ConnectorError, LaneKey, Retry, Target};
use rocketbridge_delivery::Grants;
use rocketbridge_mesh::Ticket;
use rocketbridge_model::outcome::RangeBuilder;
use rocketbridge_model::session::{Answer, Credit, Delivery, DispatchRequest, Trouble};
use rocketbridge_model::{Origin, Outcome};
use rocketbridge_transport::{Code, Error, ServerSession};

use crate::group::Queue;
use crate::patience::{Decision, Patience};

/// What may be under way in one session, at least.
pub(crate) const WINDOW: Credit = Credit { events: 4096, bytes: 32 << 20 };

/// One session of a filter.
pub(crate) struct Lane {
    pub(crate) key: LaneKey,
    pub(crate) origin: Arc<Origin>,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) dead_letter: Option<Arc<dyn Target>>,
    pub(crate) tolerate: bool,
    pub(crate) ticket: Ticket,
    pub(crate) upstream: ServerSession<DispatchRequest>,
    pub(crate) queue: Queue,
    pub(crate) patience: Patience,
    pub(crate) window: Credit,
}

/// A group and what became of each of its deliveries.
type Attempt = (Vec<Delivery>, Vec<Result<Outcome, ConnectorError>>);

struct Flow {
    grants: Grants,
    next_receipt: u64,
    /// The group that is with the target.
    delivering: Option<BoxFuture<'static, Attempt>>,
    /// No group goes out before this.
    resume: Option<Instant>,
    trouble: Option<Trouble>,
    /// The group in front was given up by the target: it goes to the dead-letter target.
    giving_up: Option<String>,
}

impl Lane {
    /// Runs until the filter is done or gone, another session takes over, or the protocol is broken.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!(stream = %self.key.stream, partition = %self.key.partition, peer = %self.upstream.peer, %error, "session ended");
            let _ = self.upstream.answers.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let mut flow =
            Flow { grants: Grants::new(self.window), next_receipt: 0, delivering: None, resume: None, trouble: None, giving_up: None };
        let ended = self.ticket.ended().clone();
        let draining = self.ticket.draining().clone();
        let mut told_drain = false;
        self.answer(Answer::Opened(self.window)).await?;
        loop {
            let now = Instant::now();
            let due = match flow.delivering {
                Some(_) => None,
                None => self
                    .queue
                    .due_in(now)
                    .map(|due| due.max(flow.resume.map_or(Duration::ZERO, |resume| resume.saturating_duration_since(now)))),
            };
            if due == Some(Duration::ZERO) {
                if !self.ticket.is_valid() {
                    return Err(self.ticket.end_reason());
                }
                self.begin(&mut flow);
            }
            let wait: OptionFuture<_> = due.filter(|due| !due.is_zero()).map(tokio::time::sleep).into();
            let delivering: OptionFuture<_> = flow.delivering.as_mut().into();
            tokio::select! {
                biased;
                () = ended.cancelled() => return Err(self.ticket.end_reason()),
                () = draining.cancelled(), if !told_drain => {
                    told_drain = true;
                    self.answer(Answer::Drain).await?;
                }
                Some((group, results)) = delivering => {
                    flow.delivering = None;
                    self.settle(&mut flow, group, results).await?;
                }
                Some(()) = wait => {}
                request = self.upstream.requests.next() => match request {
                    Some(Ok(DispatchRequest::Deliveries(deliveries))) => self.take(&mut flow, deliveries)?,
                    Some(Ok(DispatchRequest::Open(_))) => return Err(Error::new(Code::Protocol, "a session was opened twice")),
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
            }
        }
    }

    fn take(&mut self, flow: &mut Flow, deliveries: Vec<Delivery>) -> Result<(), Error> {
        let now = Instant::now();
        for delivery in deliveries {
            if delivery.receipt != flow.next_receipt {
                let text = format!("a delivery has receipt {}, {} is next", delivery.receipt, flow.next_receipt);
                return Err(Error::new(Code::Protocol, text));
            }
            flow.next_receipt += 1;
            self.queue.push(delivery, now);
        }
        Ok(())
    }

    /// Hands the next group to the target, or to the dead-letter target.
    fn begin(&mut self, flow: &mut Flow) {
        let group = self.queue.take();
        let (key, origin) = (self.key.clone(), self.origin.clone());
        let rejected = group.first().and_then(|delivery| delivery.rejected.clone());
        let reason = flow.giving_up.take().or(if self.tolerate { rejected.clone() } else { None });
        flow.delivering = Some(match (reason, rejected) {
            (Some(reason), _) => match self.dead_letter.clone() {
                // The event as it was read, with why it is there.
                Some(target) => Box::pin(async move {
                    let letter =
                        |delivery: &Delivery| Delivery { parameters: Vec::new(), rejected: Some(reason.clone()), ..delivery.clone() };
                    let letters: Vec<Delivery> = group.iter().map(letter).collect();
                    let results = target.deliver(&key, &origin, &letters).await;
                    (group, results.into_iter().map(|result| result.map(|()| Outcome::DeadLettered)).collect())
                }),
                None => {
                    let results = group.iter().map(|_| Ok(Outcome::Discarded(reason.clone()))).collect();
                    Box::pin(async move { (group, results) })
                }
            },
            // The stream tolerates no errors: the partition waits for a definition that can be applied.
            (None, Some(reason)) => {
                let results = vec![Err(ConnectorError::new(ConnectorCode::Rejected, "transform an event", reason)); group.len()];
                Box::pin(async move { (group, results) })
            }
            (None, None) => {
                let target = self.target.clone();
                Box::pin(async move {
                    let results = target.deliver(&key, &origin, &group).await;
                    (group, results.into_iter().map(|result| result.map(|()| Outcome::Delivered)).collect())
                })
            }
        });
    }

    /// Answers what ended, and decides what becomes of what failed.
    async fn settle(&mut self, flow: &mut Flow, group: Vec<Delivery>, results: Vec<Result<Outcome, ConnectorError>>) -> Result<(), Error> {
        let mut ranges = RangeBuilder::default();
        let mut failed: Option<ConnectorError> = None;
        let mut again = Vec::new();
        let short = || ConnectorError::new(ConnectorCode::Internal, "deliver a group", "the target answered fewer results than deliveries");
        let mut results = results.into_iter();
        for delivery in group {
            match results.next().unwrap_or_else(|| Err(short())) {
                Ok(outcome) => {
                    flow.grants.end(delivery.size());
                    ranges.push(delivery.receipt, outcome);
                }
                Err(error) => {
                    again.push(delivery);
                    failed.get_or_insert(error);
                }
            }
        }
        let progressed = !ranges.is_empty();
        if progressed {
            self.answer(Answer::Outcomes(ranges.take())).await?;
            if let Some(credit) = flow.grants.take() {
                self.answer(Answer::Credit(credit)).await?;
            }
            self.patience.reset();
        }
        flow.resume = None;
        match failed {
            None => self.tell(flow, None).await,
            Some(error) => {
                let oldest = again.first().map_or(0, |delivery| delivery.event.envelope.store_timestamp);
                let now = Instant::now();
                match self.patience.failed(&error, now, age(oldest), random()) {
                    Decision::Wait(wait) => flow.resume = Some(now + wait),
                    Decision::GiveUp => flow.giving_up = Some(error.to_string()),
                }
                tracing::debug!(stream = %self.key.stream, partition = %self.key.partition, %error, deliveries = again.len(), "delivery failed");
                self.queue.put_back(again, now);
                self.tell(flow, Some(Trouble { reason: error.to_string(), permanent: error.retry() != Retry::Soon })).await
            }
        }
    }

    /// Tells the filter how the lane is faring, when that changed.
    async fn tell(&mut self, flow: &mut Flow, trouble: Option<Trouble>) -> Result<(), Error> {
        if flow.trouble == trouble {
            return Ok(());
        }
        match &trouble {
            Some(trouble) => {
                tracing::warn!(stream = %self.key.stream, partition = %self.key.partition, reason = %trouble.reason, "deliveries wait")
            }
            None => tracing::info!(stream = %self.key.stream, partition = %self.key.partition, "deliveries flow again"),
        }
        flow.trouble.clone_from(&trouble);
        self.answer(Answer::Trouble(trouble)).await
    }

    /// The filter reads answers whatever else it does, so this waits for the network only.
    async fn answer(&mut self, answer: Answer) -> Result<(), Error> {
        let ended = self.ticket.ended().clone();
        tokio::select! {
            biased;
            () = ended.cancelled() => Err(self.ticket.end_reason()),
            sent = self.upstream.answers.send(Ok(answer)) => sent.map_err(|_| Error::new(Code::Unavailable, "the filter is gone")),
        }
    }
}

fn age(stored: i64) -> Duration {
    let stored = UNIX_EPOCH + Duration::from_millis(u64::try_from(stored).unwrap_or(0));
    SystemTime::now().duration_since(stored).unwrap_or_default()
}

/// From 0 to 1, good enough to spread retries: the sub-second part of the clock.
fn random() -> f64 {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    f64::from(nanoseconds % 1_000_003) / 1_000_003.0
}
