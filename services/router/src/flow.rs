//! The loop of a partition while its source is open: read, send, hear outcomes, commit.
//!
//! Every branch of its one `select!` is cancel-safe, and the order is: stop, news of the session, a changed definition, room in
//! the session for a batch, new events. Reading comes last, so that what is under way ends before more comes in. Nothing waits
//! inside a branch, except for the final commit.
//!
//! A flow that is to end closes: it reads and sends nothing more, and finishes its session, so that everything that no target has yet comes
//! back without an outcome. What came back is behind everything that ended, so the offset that is committed is exact, and nothing is
//! repeated by whoever reads on from there.

use std::sync::Arc;
use std::time::Duration;

use futures::future::OptionFuture;
use rocketbridge_assignment::Authority;
use rocketbridge_delivery::{Allowance, Ledger};
use rocketbridge_mesh::definitions::Followed;
use rocketbridge_mesh::{Downlink, News, Patience, patience};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Batch, FilterRequest, StreamVersion};
use rocketbridge_model::{Event, Outcome, OutcomeRange, PartitionId};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::allotment::{self, Allotment};
use crate::config::Settings;
use crate::error::Error;
use crate::gauge::{Gauge, Tally};
use crate::passing::Passing;
use crate::read::Read;
use crate::supply::{Kept, Supply};

/// Between two looks whether the authority is still there while nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Bytes with which a message to a filter is full; a larger event travels alone.
const MESSAGE: usize = 4 << 20;

/// Why a flow ended without an error.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Asked to, and everything is committed or acknowledged.
    Drained,
    /// The ownership is gone; nothing may be done any more.
    Fenced,
    /// The definition changed: begin again with the new one.
    Changed,
    /// The source is not what was read any more: begin again where that leads. Nothing was committed since it was noticed.
    Moved,
}

/// One open source under one definition.
pub(crate) struct Flow {
    pub(crate) supply: Supply,
    pub(crate) ledger: Ledger,
    pub(crate) allotment: Allotment,
    pub(crate) downlink: Downlink<FilterRequest>,
    pub(crate) passing: Passing,
    pub(crate) definition: Followed,
    pub(crate) stream: Arc<Stream>,
    /// What its sessions are for.
    pub(crate) version: StreamVersion,
    pub(crate) partition: PartitionId,
    pub(crate) gauge: Gauge,
    pub(crate) authority: Authority,
    pub(crate) draining: CancellationToken,
    pub(crate) settings: Settings,
    pub(crate) patience: Patience,
}

/// How far along a flow is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Flowing,
    /// The source is not what was read any more: nothing is read, and nothing committed, but what was read of it may still be delivered, until then.
    Leaving {
        until: Instant,
    },
    /// Nothing is read or sent any more; outcomes of what is with the target are awaited, for so long since then as a router's patience lasts.
    Closing {
        began: Instant,
        end: End,
    },
    /// Everything that can have ended has: the progress is committed, and the flow ends.
    Closed {
        began: Instant,
        end: End,
    },
}

/// The longest that what was read of a topic that is no longer there may take to be delivered.
const LEAVING: Duration = Duration::from_secs(5);

impl Phase {
    fn closed(self) -> Self {
        match self {
            Self::Closing { began, end } => Self::Closed { began, end },
            Self::Flowing | Self::Leaving { .. } | Self::Closed { .. } => self,
        }
    }
}

impl Flow {
    /// Runs until it ends. What was received and is under way then is kept for the next flow, unless it was given back; what was read at offsets is
    /// read again by whoever opens the partition next.
    pub(crate) async fn run(mut self) -> (Result<End, Error>, Option<Kept>) {
        let end = self.flow().await;
        let kept = match self.supply {
            Supply::Offsets { reader, .. } => {
                // What was read last is on record already where the source moved, and is not ours to write where the ownership is gone.
                if matches!(end, Ok(End::Drained | End::Changed) | Err(_)) && self.authority.is_valid() {
                    let until = self.patience.until(patience::RECORD);
                    reader.finish(self.gauge.committed_offset(), until).await;
                }
                None
            }
            // Its handles run out.
            Supply::Handles(_) if matches!(end, Ok(End::Fenced)) => None,
            Supply::Handles(stock) if matches!(end, Ok(End::Drained) | Err(Error::ReaderEnded)) => {
                stock.give_back().await;
                None
            }
            Supply::Handles(stock) => Some(Kept {
                uid: self.stream.uid.clone(),
                source: self.stream.source.clone(),
                stock,
                ledger: self.ledger,
                allotment: self.allotment,
            }),
        };
        (end, kept)
    }

    async fn flow(&mut self) -> Result<End, Error> {
        let mut allowance = Allowance::default();
        let mut is_open = false;
        let mut phase = Phase::Flowing;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Phase::Leaving { until } = phase
                && (self.ledger.in_flight() == 0 || Instant::now() >= until)
            {
                phase = self.close(End::Moved);
            }
            let until = match phase {
                Phase::Flowing | Phase::Leaving { .. } => None,
                Phase::Closing { began, end: End::Drained | End::Fenced } => Some(began + patience::FILTER),
                // Nobody waits for this one to stop.
                Phase::Closing { began, end: End::Changed | End::Moved } => Some(began + patience::LATE),
                Phase::Closed { end: End::Moved, .. } => return Ok(End::Moved),
                Phase::Closed { began, end } => {
                    self.commit_last(began + patience::COMMIT).await;
                    return Ok(end);
                }
            };
            let is_flowing = until.is_none();
            let may_drain = !matches!(phase, Phase::Closing { end: End::Drained | End::Fenced, .. });
            let may_batch = self.ledger.has_waiting() && allowance.is_open();
            let may_send = is_flowing && is_open && (may_batch || self.passing.has_request());
            let may_read = matches!(phase, Phase::Flowing) && self.ledger.has_room();
            let ready = self.downlink.ready();
            let late: OptionFuture<_> = until.map(tokio::time::sleep_until).into();
            tokio::select! {
                biased;
                () = self.draining.cancelled(), if may_drain => phase = self.close(End::Drained),
                news = self.downlink.next() => match news {
                    News::Finished | News::Down(_) if !is_flowing => phase = phase.closed(),
                    news => self.hear(news, &mut is_open, &mut allowance)?,
                },
                // Behind the news: what the filter has said counts, also for one who comes late to read it.
                Some(()) = late => phase = phase.closed(),
                () = self.definition.changed(), if is_flowing => {
                    match self.definition.version() {
                        // Compared whole: a connection that changed does not change the stream's revision. A store that was restored to before the
                        // version does not know it.
                        Ok((now, version)) if *now == *self.stream && version.as_of >= self.version.as_of => {}
                        // A removed stream drains as its plan goes; one that cannot be used any more goes on as it was.
                        Err(reason) => tracing::warn!(stream = %self.stream.name, %reason, "the new definition is not taken"),
                        Ok(_) => phase = self.close(End::Changed),
                    }
                }
                permit = ready, if may_send => if let Some(permit) = permit {
                    if !self.authority.is_valid() {
                        return Ok(End::Fenced);
                    }
                    if let Some(skip) = self.passing.next_request() {
                        permit.send(FilterRequest::Skip(skip));
                    } else if let Some((first_receipt, events)) = self.ledger.next_batch(&mut allowance, self.settings.batch, MESSAGE) {
                        permit.send(FilterRequest::Batch(Batch { first_receipt, revision: self.stream.revision, events }));
                    }
                },
                () = self.passing.changed(), if is_flowing => self.let_pass(),
                read = self.supply.next(), if may_read => match read {
                    Some(Read::Events { events, next_offset, end }) => {
                        self.take(events, next_offset, end);
                        self.let_pass();
                    }
                    Some(Read::Failing(error)) => self.gauge.source(Some(error.to_string())),
                    Some(Read::Moved) => {
                        // The offsets of what is under way mean nothing in what the source is now.
                        self.supply.halt();
                        phase = Phase::Leaving { until: Instant::now() + LEAVING };
                    }
                    None => return Err(Error::ReaderEnded),
                },
                _ = heartbeat.tick() => if !self.authority.is_valid() {
                    return Ok(End::Fenced);
                },
            }
        }
    }

    /// Begins to end the flow, or to end it sooner than was begun.
    fn close(&mut self, end: End) -> Phase {
        if matches!(end, End::Drained) {
            self.supply.stop();
        }
        let began = self.patience.began();
        if self.downlink.finish() { Phase::Closing { began, end } } else { Phase::Closed { began, end } }
    }

    /// Commits what has ended, as far as that can be done in time.
    async fn commit_last(&mut self, until: Instant) {
        self.supply.ended(&[], self.ledger.committable());
        let until = until.max(Instant::now() + patience::LATE_COMMIT);
        if !self.supply.flush(until).await {
            tracing::warn!(
                stream = %self.stream.name, partition = %self.partition, offset = self.ledger.committable(),
                "the last commit was not confirmed in time: events may repeat"
            );
        }
    }

    fn hear(&mut self, news: News, is_open: &mut bool, allowance: &mut Allowance) -> Result<(), Error> {
        match news {
            News::Opened(credit) => {
                let repeated = self.ledger.restart();
                self.gauge.repeated(repeated);
                self.gauge.flows();
                *allowance = Allowance::default();
                allowance.grant(credit);
                *is_open = true;
                self.passing.restart();
                self.let_pass();
                if repeated > 0 {
                    tracing::info!(stream = %self.stream.name, partition = %self.partition, repeated, "session opened, events sent again");
                }
            }
            News::Finished => *is_open = false,
            News::Down(error) => {
                *is_open = false;
                self.gauge.fails(error.to_string());
                if !self.passing.is_empty() {
                    // What was sent is with nobody now.
                    let repeated = self.ledger.restart();
                    self.gauge.repeated(repeated);
                    self.let_pass();
                }
            }
            News::Answer(Answer::Credit(credit)) => allowance.grant(credit),
            News::Answer(Answer::Outcomes(ranges)) => self.resolve(&ranges)?,
            News::Answer(Answer::Drain) => {
                *is_open = false;
                self.downlink.finish();
            }
            News::Answer(Answer::Trouble(trouble)) => self.gauge.trouble(trouble),
            News::Answer(Answer::Opened(_)) => {}
        }
        Ok(())
    }

    fn resolve(&mut self, ranges: &[OutcomeRange]) -> Result<(), Error> {
        let (mut tally, mut each) = (Tally::default(), Vec::new());
        let wants_each = self.supply.wants_each();
        for range in ranges {
            let (stream, partition) = (&self.stream.name, &self.partition);
            let resolved = self.ledger.resolve(range, |ended| {
                if wants_each {
                    each.push(ended.tag);
                }
                if let Outcome::Skipped(reason) = ended.outcome {
                    log_skip(stream, partition, ended.item.offset, reason);
                }
                tally.count(&ended);
            });
            if let Err(error) = resolved {
                // What ended before the breach has ended.
                self.end(&each, tally);
                return Err(error.into());
            }
            if !range.outcome.acknowledges() {
                self.gauge.repeated(range.count as usize);
            }
        }
        self.end(&each, tally);
        Ok(())
    }

    /// Events have ended.
    fn end(&self, each: &[u64], tally: Tally) {
        self.allotment.holds(self.ledger.held());
        self.gauge.ended(tally);
        self.tell_progress();
        self.supply.ended(each, self.ledger.committable());
    }

    fn tell_progress(&self) {
        let oldest = self.ledger.oldest().map(|event| event.envelope.store_timestamp);
        self.gauge.progress(self.ledger.read_offset(), self.ledger.in_flight(), oldest);
    }

    /// Lets the events pass that operators have marked: what no filter has at once, the rest when whoever holds it has heard of it.
    fn let_pass(&mut self) {
        if self.passing.is_empty() {
            return;
        }
        let (mut tally, mut each) = (Tally::default(), Vec::new());
        for (event, reason) in self.passing.pass(&mut self.ledger) {
            log_skip(&self.stream.name, &self.partition, event.offset, &reason);
            tally.skip(&event);
            each.push(event.offset);
        }
        self.end(&each, tally);
    }

    fn take(&mut self, events: Vec<Event>, next_offset: u64, end: Option<u64>) {
        self.gauge.source(None);
        if let Some(end) = end {
            self.gauge.maximum(end);
        }
        let read = allotment::size(&events);
        self.ledger.admit(events, next_offset);
        self.allotment.admitted(read, self.ledger.held());
        self.tell_progress();
        self.supply.ended(&[], self.ledger.committable());
    }
}

/// The one trace that a skipped event leaves for people, besides its count.
fn log_skip(stream: &str, partition: &PartitionId, offset: u64, reason: &str) {
    tracing::warn!(stream, %partition, offset, reason, "event skipped, as an operator asked");
}
