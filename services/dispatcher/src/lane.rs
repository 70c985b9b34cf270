//! One partition's deliveries on their way to the target.
//!
//! One group is with a target at a time, so deliveries of a lane never overtake each other. What becomes of a delivery is decided for that
//! delivery alone ([`fate`](crate::fate)); one that waits, or blocks, holds up those behind it. Every branch of the one `select!` is
//! cancel-safe.
//!
//! A session ends in good order when the filter sends no more, or when the shard is handed over: what no target has is forgotten, because
//! the filter sends it again; the group that a target has is answered, if the target answers [in time](patience::TARGET). Otherwise the group's
//! outcome is not known to the filter, which sends it again too. A session that is handed over does not end before the filter has closed its
//! half, which says that it has heard of it; what still comes until then is forgotten like the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use futures::future::{BoxFuture, OptionFuture};
use rocketbridge_connector::{Arrival, Code as ConnectorCode, Error as ConnectorError, LaneKey, Permit, Remedy, Target};
use rocketbridge_delivery::{Grants, Share};
use rocketbridge_mesh::{Ticket, patience};
use rocketbridge_model::outcome::RangeBuilder;
use rocketbridge_model::session::{Answer, Credit, Delivery, DispatchRequest, Skip, Trouble};
use rocketbridge_model::{Origin, Outcome};
use rocketbridge_transport::{Code, Error, ServerSession};
use tokio::time::Instant;

use crate::fate::{Failure, Form, Rules, Stage};
use crate::group::{Breadth, Queue};
use crate::pending::{Pending, Record, failure};

/// What may be under way in one session, at least.
pub(crate) const WINDOW: Credit = Credit { events: 4096, bytes: 32 << 20 };

/// How often a lane without events looks whether something will stop it.
const LOOK: Duration = Duration::from_secs(5);

/// Where a lane leads.
pub(crate) struct Way {
    pub(crate) key: LaneKey,
    pub(crate) origin: Arc<Origin>,
    pub(crate) target: Arc<dyn Target>,
    /// Where letters go; only for streams that tolerate errors.
    pub(crate) dead_letter: Option<Arc<dyn Target>>,
    pub(crate) rules: Rules,
}

impl Way {
    /// What will stop deliveries before long, if that is known.
    fn concern(&self) -> Option<Trouble> {
        let at_dead_letter =
            || self.dead_letter.as_ref().and_then(|target| target.concern()).map(|concern| format!("dead letter: {concern}"));
        let reason = self.target.concern().or_else(at_dead_letter)?;
        Some(Trouble { reason, goes_on: true, ..Trouble::default() })
    }
}

/// One session of a filter.
pub(crate) struct Lane {
    way: Way,
    ticket: Ticket,
    /// What a target asks before it sends: whether the ticket is valid.
    permit: Permit,
    upstream: ServerSession<DispatchRequest>,
    queue: Queue,
    breadth: Breadth,
    window: Credit,
    grants: Grants,
    next_receipt: u64,
    phase: Phase,
    intake: Intake,
    /// Why events in the group that a target has may pass, by offset: decided when the target has answered.
    skips: BTreeMap<u64, String>,
    /// What the filter was last told of how the lane fares.
    told: Option<Trouble>,
}

/// What happens now.
enum Phase {
    /// Nothing is with a target: the front of the queue decides what comes next.
    Waiting,
    /// A group is with a target.
    Delivering { records: Vec<Record>, attempt: BoxFuture<'static, Attempted> },
}

/// Deliveries and the target's answers.
type Attempted = (Vec<Delivery>, Vec<Result<Arrival, ConnectorError>>);

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    /// Deliveries come, and wait their turn.
    Open,
    /// Nothing is begun any more. The session ends when the group that a target has is answered and the filter has closed its half, at this
    /// time at the latest.
    Finishing { until: Instant, is_closed: bool },
}

impl Lane {
    /// A lane that has not begun. Groups hold at most `most` deliveries, each waiting at most `linger` for more.
    pub(crate) fn new(way: Way, ticket: Ticket, upstream: ServerSession<DispatchRequest>, most: u32, linger: Duration) -> Self {
        // Two groups at least, so that one fills while the other is with the target.
        let window = Credit { events: WINDOW.events.max(most.saturating_mul(2)), ..WINDOW };
        Self {
            way,
            permit: Permit::new(ticket.validity()),
            ticket,
            upstream,
            queue: Queue::new(most as usize, linger),
            breadth: Breadth::new(most as usize),
            window,
            grants: Grants::new(window),
            next_receipt: 0,
            phase: Phase::Waiting,
            intake: Intake::Open,
            skips: BTreeMap::new(),
            told: None,
        }
    }

    /// The same lane, which grants no more than a budget allows.
    pub(crate) fn within(mut self, share: Share) -> Self {
        self.grants = Grants::within(self.window, share);
        self
    }

    /// Runs until the filter is done or gone, another session takes over, the shard is handed over, or the protocol is broken.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            let LaneKey { stream, partition } = &self.way.key;
            tracing::debug!(%stream, %partition, peer = %self.upstream.peer, %error, "session ended");
            let _ = self.upstream.answers.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let ended = self.ticket.ended().clone();
        let draining = self.ticket.draining().clone();
        let first = self.grants.first();
        self.answer(Answer::Opened(first)).await?;
        loop {
            let due = match (&self.phase, self.intake) {
                (Phase::Waiting, Intake::Open) => self.queue.due_in(Instant::now()),
                (Phase::Waiting, Intake::Finishing { is_closed: true, .. }) => return Ok(()),
                (Phase::Waiting, Intake::Finishing { is_closed: false, .. }) => None,
                (Phase::Delivering { .. }, _) => None,
            };
            if due == Some(Duration::ZERO) {
                if !self.ticket.is_valid() {
                    return Err(self.ticket.end_reason());
                }
                self.begin();
            }
            let wait: OptionFuture<_> = due.filter(|due| !due.is_zero()).map(tokio::time::sleep).into();
            let attempt: OptionFuture<_> = match &mut self.phase {
                Phase::Delivering { attempt, .. } => Some(attempt).into(),
                Phase::Waiting => None.into(),
            };
            let late: OptionFuture<_> = match self.intake {
                Intake::Finishing { until, .. } => Some(tokio::time::sleep_until(until)).into(),
                Intake::Open => None.into(),
            };
            let is_open = self.intake == Intake::Open;
            let is_closed = matches!(self.intake, Intake::Finishing { is_closed: true, .. });
            tokio::select! {
                biased;
                () = ended.cancelled() => return Err(self.ticket.end_reason()),
                () = draining.cancelled(), if is_open => {
                    self.finish(false);
                    self.answer(Answer::Drain).await?;
                }
                Some((deliveries, results)) = attempt => self.settle(deliveries, results).await?,
                Some(()) = late => return Ok(()),
                Some(()) = wait => {}
                // Where nothing happens, nobody else would look.
                () = tokio::time::sleep(LOOK), if is_open => self.report(RangeBuilder::default()).await?,
                request = self.upstream.requests.next(), if !is_closed => match request {
                    None | Some(Err(_)) if !is_open => self.finish(true),
                    Some(Ok(_)) if !is_open => {}
                    Some(Ok(DispatchRequest::Deliveries(deliveries))) => self.take(deliveries).await?,
                    Some(Ok(DispatchRequest::Skip(skip))) => self.skip(skip).await?,
                    Some(Ok(DispatchRequest::Open(_))) => return Err(Error::new(Code::Protocol, "a session was opened twice")),
                    Some(Err(error)) => return Err(error),
                    None => self.finish(true),
                },
                () = self.upstream.answers.closed() => return Ok(()),
            }
        }
    }

    /// Begins to end, or goes on with it: forgets what no target has. `is_closed`: the filter has closed its half.
    fn finish(&mut self, is_closed: bool) {
        let until = match self.intake {
            Intake::Open => self.ticket.until(patience::TARGET),
            Intake::Finishing { until, .. } => until,
        };
        self.intake = Intake::Finishing { until, is_closed };
        self.queue.clear();
    }

    async fn take(&mut self, deliveries: Vec<Delivery>) -> Result<(), Error> {
        let now = Instant::now();
        let mut ended = RangeBuilder::default();
        for delivery in deliveries {
            if delivery.receipt != self.next_receipt {
                let text = format!("a delivery has receipt {}, {} is next", delivery.receipt, self.next_receipt);
                return Err(Error::new(Code::Protocol, text));
            }
            self.grants.receive(delivery.size()).map_err(|overdrawn| Error::new(Code::Protocol, overdrawn.to_string()))?;
            self.next_receipt += 1;
            let is_rejected = delivery.rejected.is_some();
            let mut pending = Pending::new(delivery, now);
            let outcome = if is_rejected { pending.fail(Failure::Untransformable, &self.way.rules, now, chance()) } else { None };
            match outcome {
                Some(outcome) => self.end(&pending.delivery, outcome, &mut ended),
                None => self.queue.push(pending),
            }
        }
        self.report(ended).await
    }

    /// Hands the next group to the target, or to the dead-letter target.
    fn begin(&mut self) {
        let group = self.queue.take(self.breadth);
        let (deliveries, records): (Vec<_>, Vec<_>) = group.into_iter().map(|pending| (pending.delivery, pending.record)).unzip();
        let (key, origin, permit) = (self.way.key.clone(), self.way.origin.clone(), self.permit.clone());
        let attempt: BoxFuture<'static, Attempted> = match (records.first().map(Record::stage), &self.way.dead_letter) {
            (Some(Stage::DeadLetter { form, .. }), Some(dead_letter)) => {
                let letters: Vec<_> = records.iter().zip(&deliveries).map(|(record, delivery)| record.letter(delivery)).collect();
                let bare = if *form == Form::Bare { dead_letter.bare() } else { None };
                let target = bare.unwrap_or_else(|| dead_letter.clone());
                Box::pin(async move { (deliveries, target.deliver(&key, &origin, &permit, &letters).await) })
            }
            _ => {
                let target = self.way.target.clone();
                Box::pin(async move {
                    let results = target.deliver(&key, &origin, &permit, &deliveries).await;
                    (deliveries, results)
                })
            }
        };
        self.phase = Phase::Delivering { records, attempt };
    }

    /// Answers what ended; what failed is decided on one by one, and waits in front.
    async fn settle(&mut self, deliveries: Vec<Delivery>, results: Vec<Result<Arrival, ConnectorError>>) -> Result<(), Error> {
        let Phase::Delivering { records, .. } = std::mem::replace(&mut self.phase, Phase::Waiting) else { return Ok(()) };
        let (now, size) = (Instant::now(), deliveries.len());
        let short = || ConnectorError::new(ConnectorCode::Internal, "deliver a group", "the target gave fewer results than deliveries");
        let mut results = results.into_iter();
        let mut ended = RangeBuilder::default();
        let mut again = Vec::new();
        let mut failed: Option<ConnectorError> = None;
        for (delivery, record) in deliveries.into_iter().zip(records) {
            let mut pending = Pending { delivery, record };
            let skip = self.skips.remove(&pending.record.offset);
            let outcome = match (results.next().unwrap_or_else(|| Err(short())), skip) {
                (Ok(arrival), _) => Some(pending.record.success(arrival)),
                (Err(_), Some(reason)) => Some(Outcome::Skipped(reason)),
                (Err(error), None) => {
                    let outcome = pending.fail(failure(&error, size), &self.way.rules, now, chance());
                    if failed.as_ref().is_none_or(|former| former.retry() == Remedy::Nothing) {
                        failed = Some(error);
                    }
                    outcome
                }
            };
            match outcome {
                Some(outcome) => self.end(&pending.delivery, outcome, &mut ended),
                None => again.push(pending),
            }
        }
        match &failed {
            Some(error) if error.retry() == Remedy::Time => self.breadth.failed(size),
            _ => self.breadth.succeeded(),
        }
        if let Some(error) = failed {
            let LaneKey { stream, partition } = &self.way.key;
            tracing::debug!(%stream, %partition, %error, deliveries = again.len(), "delivery failed");
        }
        self.queue.put_back(again);
        self.report(ended).await
    }

    /// Lets an event pass: at once if no target has it, else when the target has failed to take it.
    async fn skip(&mut self, skip: Skip) -> Result<(), Error> {
        let mut ended = RangeBuilder::default();
        if let Some(pending) = self.queue.remove(skip.offset) {
            self.end(&pending.delivery, Outcome::Skipped(skip.reason), &mut ended);
        } else if let Phase::Delivering { records, .. } = &self.phase
            && records.iter().any(|record| record.offset == skip.offset)
        {
            self.skips.insert(skip.offset, skip.reason);
        }
        self.report(ended).await
    }

    fn end(&mut self, delivery: &Delivery, outcome: Outcome, ended: &mut RangeBuilder) {
        if let Outcome::Discarded(reason) = &outcome {
            let (LaneKey { stream, partition }, offset) = (&self.way.key, delivery.event.offset);
            tracing::debug!(%stream, %partition, offset, %reason, "event discarded");
        }
        self.grants.end(delivery.size());
        ended.push(delivery.receipt, outcome);
    }

    /// Tells the filter what ended, how much more it may send, and how the lane fares, as far as that is news.
    async fn report(&mut self, mut ended: RangeBuilder) -> Result<(), Error> {
        if !ended.is_empty() {
            let ranges = ended.take();
            let discarded: u32 =
                ranges.iter().filter(|range| matches!(range.outcome, Outcome::Discarded(_))).map(|range| range.count).sum();
            if discarded > 0 {
                let LaneKey { stream, partition } = &self.way.key;
                tracing::warn!(%stream, %partition, discarded, "events discarded: they failed for good and there is no dead-letter topic");
            }
            self.answer(Answer::Outcomes(ranges)).await?;
        }
        if let Some(credit) = self.grants.take() {
            self.answer(Answer::Credit(credit)).await?;
        }
        // While a group is with a target, it is not known how it fares.
        match self.phase {
            Phase::Waiting => self.tell(self.queue.front().and_then(|front| front.record.trouble()).or_else(|| self.way.concern())).await,
            Phase::Delivering { .. } => Ok(()),
        }
    }

    async fn tell(&mut self, trouble: Option<Trouble>) -> Result<(), Error> {
        if self.told == trouble {
            return Ok(());
        }
        let LaneKey { stream, partition } = &self.way.key;
        match &trouble {
            Some(Trouble { reason, blocked_offset: Some(offset), .. }) => {
                tracing::warn!(%stream, %partition, offset, %reason, "an event was refused for good and blocks those behind it");
            }
            // Whoever has the concern logs it, once for all lanes.
            Some(Trouble { goes_on: true, .. }) => {}
            Some(Trouble { reason, .. }) => tracing::warn!(%stream, %partition, %reason, "deliveries wait"),
            None if self.told.as_ref().is_some_and(|told| told.goes_on) => {}
            None => tracing::info!(%stream, %partition, "deliveries flow again"),
        }
        self.told.clone_from(&trouble);
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

/// From 0 to 1, good enough to spread retries: the sub-second part of the clock.
fn chance() -> f64 {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    f64::from(nanoseconds % 1_000_003) / 1_000_003.0
}

#[cfg(test)]
mod tests;
