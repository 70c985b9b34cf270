//! The loop of a partition while its source is open: read, send, hear outcomes, commit.
//!
//! Every branch of its one `select!` is cancel-safe, and the order is: stop, news of the session, a changed definition, room in
//! the session for a batch, new events. Reading comes last, so that what is under way ends before more comes in. Nothing waits
//! inside a branch, except for the final commit.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::Authority;
use rocketbridge_delivery::{Allowance, Ledger};
use rocketbridge_mesh::{Link, News};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Answer, Batch, FilterRequest, Trouble};
use rocketbridge_model::{OutcomeRange, PartitionId};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::commit::Commit;
use crate::config::Settings;
use crate::definitions::Definitions;
use crate::gauge::{Gauge, Tally};
use crate::reader::{Read, Reader};

/// Between two looks whether the authority is still there while nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Why a flow ended without an error.
#[derive(Debug)]
pub(crate) enum End {
    /// Asked to, and everything is committed.
    Drained,
    /// The ownership is gone; nothing may be done any more.
    Fenced,
    /// The definition changed: begin again with the new one.
    Changed,
}

/// One open source under one definition.
pub(crate) struct Flow {
    pub(crate) reader: Reader,
    pub(crate) commit: Commit,
    pub(crate) ledger: Ledger,
    pub(crate) link: Link<FilterRequest>,
    pub(crate) definitions: Definitions,
    pub(crate) stream: Arc<Stream>,
    pub(crate) partition: PartitionId,
    pub(crate) gauge: Gauge,
    pub(crate) authority: Authority,
    pub(crate) draining: CancellationToken,
    pub(crate) settings: Settings,
}

/// Whether the session may be sent to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    Down,
    Open,
    /// The filter wants to be rid of it: nothing more is sent, and it is dropped when nothing is under way in it.
    Draining,
}

/// Whether the source is still what it was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Same,
    /// Its offsets begin again: what is under way ends, then the partition is opened anew.
    MadeAnew,
}

impl Flow {
    pub(crate) async fn run(mut self) -> Result<End, String> {
        let mut allowance = Allowance::default();
        let mut session = Session::Down;
        let mut changed_until: Option<Instant> = None;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let stopping = self.draining.is_cancelled();
            if stopping && self.ledger.in_flight() == 0 {
                self.commit.advance(self.ledger.committable());
                self.commit.flush().await;
                return Ok(End::Drained);
            }
            if let Some(until) = changed_until
                && (self.ledger.in_flight() == 0 || Instant::now() >= until)
            {
                self.commit.advance(self.ledger.committable());
                self.commit.flush().await;
                return Ok(End::Changed);
            }
            if session == Session::Draining && !self.ledger.awaits_outcomes() {
                self.link.reset();
                session = Session::Down;
            }
            let may_send = session == Session::Open && self.ledger.has_waiting() && allowance.is_open();
            let may_read = !stopping && changed_until.is_none() && self.ledger.has_room();
            let ready = self.link.ready();
            tokio::select! {
                biased;
                () = self.draining.cancelled(), if !stopping => {}
                news = self.link.next() => self.hear(news, &mut session, &mut allowance)?,
                () = self.definitions.changed(), if changed_until.is_none() => {
                    match self.definitions.stream(&self.stream.name) {
                        // Compared whole: a connection that changed does not change the stream's revision.
                        Ok(now) if *now == *self.stream => {}
                        // A removed stream drains as its plan goes; one that cannot be used any more goes on as it was.
                        Err(reason) => tracing::warn!(stream = %self.stream.name, %reason, "the new definition is not taken"),
                        Ok(_) => changed_until = Some(Instant::now() + self.settings.change_grace),
                    }
                }
                permit = ready, if may_send => if let Some(permit) = permit {
                    if !self.authority.is_valid() {
                        return Ok(End::Fenced);
                    }
                    if let Some((first_receipt, events)) = self.ledger.next_batch(&mut allowance, self.settings.batch) {
                        permit.send(FilterRequest::Batch(Batch { first_receipt, revision: self.stream.revision, events }));
                    }
                },
                read = self.reader.next(), if may_read => if self.take(read)? == Source::MadeAnew {
                    changed_until = Some(Instant::now() + self.settings.change_grace);
                },
                _ = heartbeat.tick() => if !self.authority.is_valid() {
                    return Ok(End::Fenced);
                },
            }
        }
    }

    fn hear(&mut self, news: News, session: &mut Session, allowance: &mut Allowance) -> Result<(), String> {
        match news {
            News::Opened(credit) => {
                let repeated = self.ledger.restart();
                self.gauge.repeated(repeated);
                self.gauge.flows();
                *allowance = Allowance::default();
                allowance.grant(credit);
                *session = Session::Open;
                if repeated > 0 {
                    tracing::info!(stream = %self.stream.name, partition = %self.partition, repeated, "session opened, events sent again");
                }
            }
            News::Down(error) => {
                *session = Session::Down;
                self.gauge.fails(error.to_string());
            }
            News::Answer(Answer::Credit(credit)) => allowance.grant(credit),
            News::Answer(Answer::Outcomes(ranges)) => self.resolve(&ranges)?,
            News::Answer(Answer::Drain) => *session = Session::Draining,
            News::Answer(Answer::Trouble(trouble)) => self.gauge.trouble(trouble),
            News::Answer(Answer::Opened(_)) => {}
        }
        Ok(())
    }

    fn resolve(&mut self, ranges: &[OutcomeRange]) -> Result<(), String> {
        let mut tally = Tally::default();
        for range in ranges {
            self.ledger.resolve(range, |ended| tally.count(&ended)).map_err(|error| format!("the filter broke the protocol: {error}"))?;
            if !range.outcome.acknowledges() {
                self.gauge.repeated(range.count as usize);
            }
        }
        self.gauge.ended(tally);
        self.gauge.progress(self.ledger.read_offset(), self.ledger.in_flight());
        self.commit.advance(self.ledger.committable());
        Ok(())
    }

    fn take(&mut self, read: Option<Result<Read, rocketbridge_connector::Error>>) -> Result<Source, String> {
        match read {
            Some(Ok(Read::Pulled(pulled))) => {
                self.gauge.maximum(pulled.maximum_offset);
                self.ledger.admit(pulled.events, pulled.next_offset);
            }
            Some(Ok(Read::Skipped(skip))) => {
                tracing::error!(
                    stream = %self.stream.name, partition = %self.partition, from = skip.from, to = skip.to,
                    "the source no longer stores the next offset: events were lost before they were read, or the topic was made anew"
                );
                if skip.to < skip.from {
                    return Ok(Source::MadeAnew);
                }
                let reason = format!("offsets {} to {} are no longer stored in the source and were not read", skip.from, skip.to);
                self.gauge.trouble(Some(Trouble { reason, ..Trouble::default() }));
                self.ledger.admit(Vec::new(), skip.to);
            }
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err("the reader ended".to_owned()),
        }
        self.gauge.progress(self.ledger.read_offset(), self.ledger.in_flight());
        self.commit.advance(self.ledger.committable());
        Ok(Source::Same)
    }
}
