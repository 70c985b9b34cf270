//! One partition's events on their way through the filter.
//!
//! Every branch of its one `select!` is cancel-safe. Deliveries wait in the outbox, bounded by the credit that the router was
//! given; when a dispatcher is lost they are sent again to the next one, and the router hears nothing of it.

use std::sync::Arc;

use futures::StreamExt;
use rocketbridge_delivery::{Allowance, Grants, Join, Outbox};
use rocketbridge_mesh::{Link, News, Ticket};
use rocketbridge_model::outcome::RangeBuilder;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Batch, Credit, Delivery, DispatchRequest, FilterRequest, Trouble};
use rocketbridge_model::{Origin, Outcome, OutcomeRange};
use rocketbridge_program::{Program, Verdict};
use rocketbridge_transport::{Code, Error, ServerSession};

/// Most deliveries in one message.
const BATCH: usize = 256;

/// What may be under way in one session.
pub(crate) const WINDOW: Credit = Credit { events: 4096, bytes: 32 << 20 };

/// One session of a router.
pub(crate) struct Session {
    pub(crate) stream: Arc<Stream>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) program: Arc<Program>,
    pub(crate) ticket: Ticket,
    pub(crate) link: Link<DispatchRequest>,
    pub(crate) upstream: ServerSession<FilterRequest>,
}

struct Flow {
    join: Join,
    grants: Grants,
    ranges: RangeBuilder,
    /// Deliveries without an outcome; the tag is the event's receipt in the router's session.
    outbox: Outbox<Delivery>,
    allowance: Allowance,
    /// Whether the dispatcher wants to be rid of its session.
    leaving: bool,
    open: bool,
}

impl Session {
    /// Runs until the router is done or gone, another session takes over, or the protocol is broken.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.serve().await {
            tracing::debug!(stream = %self.stream.name, partition = %self.origin.partition, peer = %self.upstream.peer, %error, "session ended");
            let _ = self.upstream.answers.try_send(Err(error));
        }
    }

    async fn serve(&mut self) -> Result<(), Error> {
        let mut flow = Flow {
            join: Join::default(),
            grants: Grants::new(WINDOW),
            ranges: RangeBuilder::default(),
            outbox: Outbox::new(),
            allowance: Allowance::default(),
            leaving: false,
            open: false,
        };
        let ended = self.ticket.ended().clone();
        let draining = self.ticket.draining().clone();
        let mut told_drain = false;
        self.answer(Answer::Opened(WINDOW)).await?;
        loop {
            if flow.leaving && !flow.outbox.awaits_outcomes() {
                self.link.reset();
                (flow.leaving, flow.open) = (false, false);
            }
            let may_send = flow.open && !flow.leaving && flow.outbox.has_waiting() && flow.allowance.is_open();
            let ready = self.link.ready();
            tokio::select! {
                biased;
                () = ended.cancelled() => return Err(self.ticket.end_reason()),
                () = draining.cancelled(), if !told_drain => {
                    told_drain = true;
                    self.answer(Answer::Drain).await?;
                }
                news = self.link.next() => self.hear(&mut flow, news).await?,
                permit = ready, if may_send => if let Some(permit) = permit {
                    if !self.ticket.is_valid() {
                        return Err(self.ticket.end_reason());
                    }
                    if let Some(deliveries) = flow.next_deliveries() {
                        permit.send(DispatchRequest::Deliveries(deliveries));
                    }
                },
                request = self.upstream.requests.next() => match request {
                    Some(Ok(FilterRequest::Batch(batch))) => self.evaluate(&mut flow, batch).await?,
                    // Routers of this version send none yet.
                    Some(Ok(FilterRequest::Skip(_))) => {}
                    Some(Ok(FilterRequest::Open(_))) => return Err(Error::new(Code::Protocol, "a session was opened twice")),
                    Some(Err(error)) => return Err(error),
                    None => return Ok(()),
                },
            }
        }
    }

    async fn evaluate(&mut self, flow: &mut Flow, batch: Batch) -> Result<(), Error> {
        if batch.revision != self.stream.revision {
            let text = format!("a batch of revision {} in a session of revision {}", batch.revision, self.stream.revision);
            return Err(Error::new(Code::Protocol, text));
        }
        if batch.first_receipt != flow.join.next_receipt() {
            let text = format!("a batch begins with receipt {}, {} is next", batch.first_receipt, flow.join.next_receipt());
            return Err(Error::new(Code::Protocol, text));
        }
        for event in batch.events {
            let (receipt, bytes) = (flow.join.next_receipt(), event.size());
            match self.program.evaluate(&event, &self.origin) {
                Verdict::Filtered => {
                    flow.join.begin(0, bytes);
                    flow.end(receipt, bytes, Outcome::Filtered);
                }
                Verdict::Matched(parameters) => {
                    flow.join.begin(1, bytes);
                    let delivery = Delivery { receipt: 0, event, parameters, rejected: None };
                    flow.outbox.push(receipt, delivery.size(), delivery);
                }
                Verdict::Rejected(reason) => {
                    flow.join.begin(1, bytes);
                    let delivery = Delivery { receipt: 0, event, parameters: Vec::new(), rejected: Some(reason) };
                    flow.outbox.push(receipt, delivery.size(), delivery);
                }
            }
        }
        self.tell(flow).await
    }

    async fn hear(&mut self, flow: &mut Flow, news: News) -> Result<(), Error> {
        match news {
            News::Opened(credit) => {
                flow.outbox.restart();
                flow.allowance = Allowance::default();
                flow.allowance.grant(credit);
                flow.open = true;
                self.answer(Answer::Trouble(None)).await
            }
            News::Down(error) => {
                flow.open = false;
                flow.leaving = false;
                let permanent = error.code() == Code::Refused;
                self.answer(Answer::Trouble(Some(Trouble { reason: error.to_string(), permanent, blocked_offset: None }))).await
            }
            News::Answer(Answer::Credit(credit)) => {
                flow.allowance.grant(credit);
                Ok(())
            }
            News::Answer(Answer::Outcomes(ranges)) => {
                flow.resolve(&ranges)?;
                self.tell(flow).await
            }
            News::Answer(Answer::Drain) => {
                flow.leaving = true;
                Ok(())
            }
            News::Answer(answer @ Answer::Trouble(_)) => self.answer(answer).await,
            News::Answer(Answer::Opened(_)) => Ok(()),
        }
    }

    /// Tells the router what ended, and grants it as much.
    async fn tell(&mut self, flow: &mut Flow) -> Result<(), Error> {
        if !flow.ranges.is_empty() {
            self.answer(Answer::Outcomes(flow.ranges.take())).await?;
        }
        match flow.grants.take() {
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
}

impl Flow {
    fn end(&mut self, receipt: u64, bytes: usize, outcome: Outcome) {
        self.ranges.push(receipt, outcome);
        self.grants.end(bytes);
    }

    fn next_deliveries(&mut self) -> Option<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        let allowance = &mut self.allowance;
        while deliveries.len() < BATCH && allowance.is_open() {
            let Some((receipt, mut delivery)) = self.outbox.send_next(|bytes| {
                allowance.spend(bytes);
                true
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
                .resolve(range, |delivery| ended.push((delivery.tag, delivery.outcome.clone())))
                .map_err(|error| Error::new(Code::Protocol, format!("the dispatcher broke the protocol: {error}")))?;
        }
        for (receipt, outcome) in ended {
            if let Some(joined) = self.join.end(receipt, outcome) {
                self.end(joined.receipt, joined.bytes, joined.outcome);
            }
        }
        Ok(())
    }
}
