//! One partition's events on their way through the filter.
//!
//! Every branch of its one `select!` is cancel-safe. Batches wait until they are evaluated, deliveries wait in the outbox; both are bounded
//! by the credit that the router was given. When a dispatcher is lost, deliveries are sent again to the next one, and the router hears
//! nothing of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{BoxFuture, OptionFuture};
use rocketbridge_delivery::{Allowance, Grants, Join, Outbox, Share};
use rocketbridge_mesh::{Downlink, News, Ticket, patience};
use rocketbridge_model::outcome::RangeBuilder;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Batch, Credit, Delivery, DispatchRequest, FilterRequest, LARGEST_EVENT, Skip, Trouble};
use rocketbridge_model::{Event, Origin, Outcome, OutcomeRange};
use rocketbridge_program::{Program, Verdict};
use rocketbridge_runtime::Pool;
use rocketbridge_transport::{Code, Error, ServerSession};
use tokio::time::Instant;

use crate::slice::{self, Cost, Evaluated};

/// Most deliveries in one message.
const BATCH: usize = 256;
/// Bytes with which a message is full.
const MESSAGE: usize = 4 << 20;

/// What may be under way in one session, as far as the budget allows it.
pub(crate) const WINDOW: Credit = Credit { events: 4096, bytes: 32 << 20 };

/// What a router's session is for.
pub(crate) struct Passage {
    pub(crate) stream: Arc<Stream>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) program: Arc<Program>,
}

/// The session of a router, and what is under way in it.
pub(crate) struct Transit {
    stream: Arc<Stream>,
    origin: Arc<Origin>,
    program: Arc<Program>,
    ticket: Ticket,
    downlink: Downlink<DispatchRequest>,
    upstream: ServerSession<FilterRequest>,
    pool: Pool,
    phase: Phase,
    /// Whether the dispatcher may be sent to.
    is_open: bool,
    /// The receipt that the next event must have.
    next_receipt: u64,
    /// Events that are not evaluated yet, in order.
    waiting: VecDeque<Event>,
    /// The slice that is being evaluated in the pool.
    evaluating: Option<BoxFuture<'static, Evaluated>>,
    cost: Cost,
    join: Join,
    grants: Grants,
    ranges: RangeBuilder,
    /// Deliveries without an outcome; the tag is the event's receipt in the router's session.
    outbox: Outbox<Delivery>,
    allowance: Allowance,
    /// Why events may pass without being delivered, by offset, until they have ended.
    skips: BTreeMap<u64, String>,
    /// What the dispatcher is to be told before it gets more.
    passing: VecDeque<Skip>,
}

/// How far along the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Flowing,
    /// Nothing is evaluated or sent any more; outcomes of what is with the dispatcher are passed on, until then at the latest.
    Finishing {
        until: Instant,
        /// The dispatcher has nothing more to say.
        is_answered: bool,
        /// The router has closed its half: it knows that the session ends, and hears it to its end.
        is_closed: bool,
    },
}

impl Transit {
    pub(crate) fn new(
        downlink: Downlink<DispatchRequest>,
        passage: Passage,
        ticket: Ticket,
        upstream: ServerSession<FilterRequest>,
        pool: Pool,
        share: Share,
    ) -> Self {
        let Passage { stream, origin, program } = passage;
        Self {
            stream,
            origin,
            program,
            ticket,
            downlink,
            upstream,
            pool,
            phase: Phase::Flowing,
            is_open: false,
            next_receipt: 0,
            waiting: VecDeque::new(),
            evaluating: None,
            cost: Cost::unknown(),
            join: Join::default(),
            grants: Grants::within(WINDOW, share),
            ranges: RangeBuilder::default(),
            outbox: Outbox::new(),
            allowance: Allowance::default(),
            skips: BTreeMap::new(),
            passing: VecDeque::new(),
        }
    }

    /// Runs until the session is finished, the router is gone, another session takes over, or the protocol is broken.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!(stream = %self.stream.name, partition = %self.origin.partition, peer = %self.upstream.peer, %error, "session ended");
            let _ = self.upstream.answers.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let ended = self.ticket.ended().clone();
        let draining = self.ticket.draining().clone();
        let first = self.grants.first();
        self.answer(Answer::Opened(first)).await?;
        loop {
            let (until, is_answered, is_closed) = match self.phase {
                Phase::Flowing => (None, false, false),
                Phase::Finishing { is_answered: true, is_closed: true, .. } => return Ok(()),
                Phase::Finishing { until, is_answered, is_closed } => (Some(until), is_answered, is_closed),
            };
            let is_flowing = until.is_none();
            if is_flowing && self.evaluating.is_none() && !self.waiting.is_empty() {
                self.evaluate().await?;
            }
            // Evaluated in portions, so that news is heard between them; what is left must not wait for news.
            let has_more = is_flowing && self.evaluating.is_none() && !self.waiting.is_empty();
            let may_deliver = self.outbox.has_waiting() && self.allowance.is_open();
            let may_send = is_flowing && self.is_open && (may_deliver || !self.passing.is_empty());
            let ready = self.downlink.ready();
            let evaluating: OptionFuture<_> = self.evaluating.as_mut().into();
            let late: OptionFuture<_> = until.map(tokio::time::sleep_until).into();
            tokio::select! {
                biased;
                () = ended.cancelled() => return Err(self.ticket.end_reason()),
                () = draining.cancelled(), if is_flowing => {
                    self.finish(false);
                    self.answer(Answer::Drain).await?;
                }
                news = self.downlink.next(), if !is_answered => self.hear(news).await?,
                Some(evaluated) = evaluating => {
                    self.evaluating = None;
                    self.take(evaluated).await?;
                }
                // Behind the news: what the dispatcher has said is passed on, also by one who comes late to read it.
                Some(()) = late => return Ok(()),
                permit = ready, if may_send => if let Some(permit) = permit {
                    if !self.ticket.is_valid() {
                        return Err(self.ticket.end_reason());
                    }
                    if let Some(skip) = self.passing.pop_front() {
                        permit.send(DispatchRequest::Skip(skip));
                    } else if let Some(deliveries) = self.next_deliveries() {
                        permit.send(DispatchRequest::Deliveries(deliveries));
                    }
                },
                request = self.upstream.requests.next(), if !is_closed => match request {
                    None | Some(Err(_)) if !is_flowing => self.finish(true),
                    Some(Ok(_)) if !is_flowing => {}
                    Some(Ok(FilterRequest::Batch(batch))) => self.receive(batch)?,
                    Some(Ok(FilterRequest::Skip(skip))) => self.skip(skip).await?,
                    Some(Ok(FilterRequest::Open(_))) => return Err(Error::new(Code::Protocol, "a session was opened twice")),
                    Some(Err(error)) => return Err(error),
                    None => self.finish(true),
                },
                () = self.upstream.answers.closed() => return Ok(()),
                () = tokio::task::yield_now(), if has_more => {}
            }
        }
    }

    /// Begins to end the session in good order, or goes on with it: what was not sent is forgotten, because the router sends it again.
    fn finish(&mut self, is_closed: bool) {
        self.waiting.clear();
        self.evaluating = None;
        self.phase = match self.phase {
            Phase::Flowing => {
                let until = self.ticket.until(patience::DISPATCHER);
                Phase::Finishing { until, is_answered: !self.downlink.finish(), is_closed }
            }
            Phase::Finishing { until, is_answered, .. } => Phase::Finishing { until, is_answered, is_closed },
        };
    }

    /// Notes that the dispatcher has nothing more to say. True if that is all that was waited for of it.
    fn is_answered(&mut self) -> bool {
        if let Phase::Finishing { is_answered, .. } = &mut self.phase {
            *is_answered = true;
        }
        self.phase != Phase::Flowing
    }

    fn receive(&mut self, batch: Batch) -> Result<(), Error> {
        if batch.revision != self.stream.revision {
            let text = format!("a batch of revision {} in a session of revision {}", batch.revision, self.stream.revision);
            return Err(Error::new(Code::Protocol, text));
        }
        if batch.first_receipt != self.next_receipt {
            let text = format!("a batch begins with receipt {}, {} is next", batch.first_receipt, self.next_receipt);
            return Err(Error::new(Code::Protocol, text));
        }
        for event in &batch.events {
            self.grants.receive(event.size()).map_err(|overdrawn| Error::new(Code::Protocol, overdrawn.to_string()))?;
        }
        self.next_receipt += batch.events.len() as u64;
        self.waiting.extend(batch.events);
        Ok(())
    }

    /// Evaluates what waits: here if that is a matter of microseconds, else a slice of it in the pool.
    async fn evaluate(&mut self) -> Result<(), Error> {
        let few = self.waiting.len().min(BATCH);
        if self.cost.is_small(self.waiting.iter().take(few)) {
            let events = self.waiting.drain(..few).collect();
            return self.take(slice::evaluate(&self.program, &self.origin, events)).await;
        }
        let slice = self.cost.slice(self.waiting.iter().take(few));
        let events: Vec<Event> = self.waiting.drain(..slice).collect();
        let (program, origin, pool) = (self.program.clone(), self.origin.clone(), self.pool.clone());
        self.evaluating = Some(Box::pin(async move { pool.run(move || slice::evaluate(&program, &origin, events)).await }));
        Ok(())
    }

    async fn take(&mut self, evaluated: Evaluated) -> Result<(), Error> {
        self.cost.learn(&evaluated);
        for (event, verdict) in evaluated.events {
            let (receipt, bytes) = (self.join.next_receipt(), event.size());
            if let Some(reason) = self.skips.remove(&event.offset) {
                self.join.begin(0, bytes);
                self.end(receipt, bytes, Outcome::Skipped(reason));
                continue;
            }
            let (parameters, rejected) = match verdict {
                Verdict::Filtered => {
                    self.join.begin(0, bytes);
                    self.end(receipt, bytes, Outcome::Filtered);
                    continue;
                }
                Verdict::Matched(parameters) => (parameters, None),
                Verdict::Rejected(reason) => (Vec::new(), Some(reason)),
            };
            self.join.begin(1, bytes);
            let delivery = travelling(Delivery { receipt: 0, event, parameters, rejected });
            self.outbox.push(receipt, delivery.size(), delivery);
        }
        self.tell().await
    }

    async fn hear(&mut self, news: News) -> Result<(), Error> {
        match news {
            News::Opened(credit) => {
                self.allowance = Allowance::default();
                self.allowance.grant(credit);
                self.is_open = true;
                self.lost();
                self.tell().await?;
                self.answer(Answer::Trouble(None)).await
            }
            News::Finished | News::Down(_) if self.is_answered() => Ok(()),
            News::Finished => {
                self.is_open = false;
                self.lost();
                self.tell().await
            }
            News::Down(error) => {
                self.is_open = false;
                self.lost();
                self.tell().await?;
                let permanent = error.code() == Code::Refused;
                self.answer(Answer::Trouble(Some(Trouble { reason: error.to_string(), permanent, ..Trouble::default() }))).await
            }
            News::Answer(Answer::Credit(credit)) => {
                self.allowance.grant(credit);
                Ok(())
            }
            News::Answer(Answer::Outcomes(ranges)) => {
                self.resolve(&ranges)?;
                self.tell().await
            }
            News::Answer(Answer::Drain) => {
                self.is_open = false;
                self.downlink.finish();
                Ok(())
            }
            News::Answer(answer @ Answer::Trouble(_)) => self.answer(answer).await,
            News::Answer(Answer::Opened(_)) => Ok(()),
        }
    }

    /// The session with a dispatcher is over: what it held is nobody's now.
    fn lost(&mut self) {
        self.outbox.restart();
        self.passing.clear();
        self.let_pass();
    }

    /// The router lets an event pass: at once if no dispatcher has it, else the dispatcher decides when.
    async fn skip(&mut self, skip: Skip) -> Result<(), Error> {
        let is_sent = self.outbox.items().any(|delivery| delivery.event.offset == skip.offset);
        let is_new = self.skips.insert(skip.offset, skip.reason.clone()).is_none();
        if self.skips.len() > WINDOW.events as usize {
            let text = format!("{} skips are open, no more than the {} events of a window can be", self.skips.len(), WINDOW.events);
            return Err(Error::new(Code::Protocol, text));
        }
        if !self.let_pass() && is_sent && is_new {
            self.passing.push_back(skip);
        }
        self.tell().await
    }

    /// Ends what may pass and no dispatcher has; what is not evaluated yet passes once it is. True if anything passed.
    fn let_pass(&mut self) -> bool {
        if self.skips.is_empty() {
            return false;
        }
        let (skips, mut passed) = (&self.skips, Vec::new());
        self.outbox.withdraw(
            |delivery| skips.contains_key(&delivery.event.offset),
            |withdrawn| passed.push((withdrawn.tag, withdrawn.item.event.offset)),
        );
        for (receipt, offset) in &passed {
            let reason = self.skips.remove(offset).unwrap_or_default();
            self.end_delivery(*receipt, Outcome::Skipped(reason));
        }
        !passed.is_empty()
    }

    /// Tells the router what ended, and grants it as much.
    async fn tell(&mut self) -> Result<(), Error> {
        if !self.ranges.is_empty() {
            let ranges = self.ranges.take();
            self.answer(Answer::Outcomes(ranges)).await?;
        }
        match self.grants.take() {
            Some(credit) => self.answer(Answer::Credit(credit)).await,
            None => Ok(()),
        }
    }

    /// The router reads answers whatever else it does, so this waits for the network only.
    async fn answer(&mut self, answer: Answer) -> Result<(), Error> {
        let ended = self.ticket.ended().clone();
        tokio::select! {
            biased;
            () = ended.cancelled() => Err(self.ticket.end_reason()),
            sent = self.upstream.answers.send(Ok(answer)) => sent.map_err(|_| Error::new(Code::Unavailable, "the router is gone")),
        }
    }

    fn end(&mut self, receipt: u64, bytes: usize, outcome: Outcome) {
        self.ranges.push(receipt, outcome);
        self.grants.end(bytes);
    }

    fn next_deliveries(&mut self) -> Option<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        let mut full = 0;
        let allowance = &mut self.allowance;
        while deliveries.len() < BATCH && full < MESSAGE && allowance.is_open() {
            let Some((receipt, mut delivery)) = self.outbox.send_next(|bytes| {
                // A message may be as large as its first delivery, else it closes before it is too large.
                let fits = full == 0 || full + bytes <= MESSAGE;
                if fits {
                    allowance.spend(bytes);
                    full += bytes.max(1);
                }
                fits
            }) else {
                break;
            };
            delivery.receipt = receipt;
            deliveries.push(delivery);
        }
        (!deliveries.is_empty()).then_some(deliveries)
    }

    fn resolve(&mut self, ranges: &[OutcomeRange]) -> Result<(), Error> {
        let mut ended = Vec::new();
        for range in ranges {
            self.outbox
                .resolve(range, |delivery| {
                    self.skips.remove(&delivery.item.event.offset);
                    ended.push((delivery.tag, delivery.outcome.clone()));
                })
                .map_err(|error| Error::new(Code::Protocol, format!("the dispatcher broke the protocol: {error}")))?;
        }
        if self.outbox.is_thin() {
            self.outbox.detach(|delivery| delivery.event.detach());
        }
        for (receipt, outcome) in ended {
            self.end_delivery(receipt, outcome);
        }
        self.let_pass();
        Ok(())
    }

    fn end_delivery(&mut self, receipt: u64, outcome: Outcome) {
        if let Some(joined) = self.join.end(receipt, outcome) {
            self.end(joined.receipt, joined.bytes, joined.outcome);
        }
    }
}

/// The delivery, or, where transforms made more of it than can travel, one that says so.
fn travelling(delivery: Delivery) -> Delivery {
    let size = delivery.size();
    if size <= LARGEST_EVENT {
        return delivery;
    }
    let reason = format!("the event and what the transforms made of it are {size} bytes; at most {LARGEST_EVENT} can travel");
    Delivery { parameters: Vec::new(), rejected: Some(reason), ..delivery }
}

#[cfg(test)]
pub(crate) mod tests;
