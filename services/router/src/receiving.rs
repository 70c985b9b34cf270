//! Receives ahead of the flow from a source that hands out messages, in a task of its own.
//!
//! A message is in the hands of the [custodian](crate::custodian) from the moment of its arrival, before anybody else hears of it. No more is
//! received than the window leaves room for, also while nothing flows. Messages get numbers, which stand for their offsets from here on. A failure of the
//! source stays here and is tried again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_connector::{PullLimits, Received, Receiver, Terms};
use rocketbridge_model::PartitionId;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::allotment::{self, Allotment};
use crate::bucket::Bucket;
use crate::custodian::Hands;
use crate::error::Error;
use crate::gauge::Gauge;
use crate::pacing::{Failed, Pacing};
use crate::read::Read;

/// Receives that may wait for the flow.
const AHEAD: usize = 2;
/// How long a receive that is under way may still bring something when it is stopped: what arrives then can be given back at once, else only
/// the end of its invisible time brings it back.
const LAST_RECEIVE: Duration = Duration::from_millis(200);

/// Receives until it is stopped.
pub(crate) struct Receiving {
    reads: mpsc::Receiver<Read>,
    stop: CancellationToken,
    bucket: Arc<Mutex<Option<Bucket>>>,
    task: AbortOnDropHandle<()>,
}

/// What receiving is made of.
pub(crate) struct Reception {
    /// For logs.
    pub(crate) stream: String,
    pub(crate) partition: PartitionId,
    pub(crate) receiver: Box<dyn Receiver>,
    pub(crate) terms: Terms,
    /// Who looks after what is received.
    pub(crate) hands: Hands,
    pub(crate) allotment: Allotment,
    pub(crate) gauge: Gauge,
    /// The first message's number.
    pub(crate) number: u64,
    /// Most messages that may be held.
    pub(crate) window: usize,
    pub(crate) limits: PullLimits,
    /// Messages that were stored before are not wanted, milliseconds since 1970.
    pub(crate) since: Option<i64>,
}

impl Receiving {
    /// Starts to receive. `bucket` bounds messages per second.
    pub(crate) fn start(reception: Reception, bucket: Option<Bucket>) -> Self {
        let (sender, reads) = mpsc::channel(AHEAD);
        let stop = CancellationToken::new();
        let bucket = Arc::new(Mutex::new(bucket));
        let work = Work { reception, sender, stop: stop.clone(), bucket: bucket.clone(), pacing: Pacing::new() };
        // Not spawned through the process's tasks: it lives and dies with this handle, and what it received is the custodian's.
        let task = AbortOnDropHandle::new(tokio::spawn(work.run()));
        Self { reads, stop, bucket, task }
    }

    /// The next messages. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<Read> {
        self.reads.recv().await
    }

    /// From now on at this rate.
    pub(crate) fn throttle(&self, bucket: Option<Bucket>) {
        *self.bucket.lock() = bucket;
    }

    /// Receives nothing more. What is under way may still arrive for a moment, and goes to the custodian.
    pub(crate) fn stop(&mut self) {
        self.stop.cancel();
        // Nobody listens any more.
        self.reads.close();
    }

    /// Returns when nothing can arrive any more, after a [stop](Self::stop). Cancel-safe.
    pub(crate) async fn stopped(&mut self) {
        let _ = (&mut self.task).await;
    }
}

struct Work {
    reception: Reception,
    sender: mpsc::Sender<Read>,
    stop: CancellationToken,
    bucket: Arc<Mutex<Option<Bucket>>>,
    pacing: Pacing,
}

/// Whether receiving goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    Over,
}

impl Work {
    async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            // To wait for room has no effect that must be seen to its end.
            let limits = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                limits = self.room() => limits,
            };
            if self.receive(limits).await == Next::Over {
                return;
            }
        }
    }

    /// Waits until something may be received; returns how much.
    async fn room(&mut self) -> PullLimits {
        let Reception { hands, allotment, terms, limits, window, .. } = &self.reception;
        loop {
            let room = hands.room(*window).await;
            let most = u32::try_from(room).unwrap_or(u32::MAX).min(limits.events).min(terms.batch.max(1));
            let events = match self.bucket.lock().as_mut() {
                Some(bucket) => match bucket.available(Instant::now()) {
                    0 => Err(bucket.wait()),
                    available => Ok(most.min(available)),
                },
                None => Ok(most),
            };
            match events {
                Ok(events) => {
                    let bytes = allotment.room().await;
                    return PullLimits { events, ahead: false, bytes: limits.bytes.min(u32::try_from(bytes).unwrap_or(u32::MAX)) };
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    async fn receive(&mut self, limits: PullLimits) -> Next {
        let asked = Instant::now();
        let stop = self.stop.clone();
        let receive = self.reception.receiver.receive(limits, self.reception.terms.invisible);
        let last = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_RECEIVE).await;
        };
        // A receive that is dropped ends its request; what the source handed out by then comes again.
        let received = tokio::select! {
            biased;
            received = receive => received,
            () = last => return Next::Over,
        };
        match received {
            Ok(received) => {
                let wait = self.pacing.answered(!received.is_empty(), asked.elapsed());
                if self.admit(received).await == Next::Over {
                    return Next::Over;
                }
                pause(&self.stop, wait.unwrap_or_default()).await
            }
            Err(error) => self.fail(error.into()).await,
        }
    }

    /// Numbers what arrived, hands it to the custodian, and then to the flow.
    async fn admit(&mut self, received: Vec<Received>) -> Next {
        let (mut events, mut again) = (Vec::with_capacity(received.len()), 0);
        if let Some(bucket) = self.bucket.lock().as_mut() {
            bucket.spend(received.len());
        }
        let reception = &mut self.reception;
        for Received { mut event, handle, attempt } in received {
            let number = reception.number;
            reception.number += 1;
            reception.hands.take(number, handle);
            if reception.since.is_some_and(|since| event.envelope.store_timestamp < since) {
                reception.hands.pass_over(number);
                continue;
            }
            again += usize::from(attempt > 1);
            event.offset = number;
            events.push(event);
        }
        reception.gauge.repeated(again);
        reception.allotment.read(allotment::size(&events));
        let read = Read::Events { events, next_offset: reception.number, end: None };
        if self.sender.send(read).await.is_err() { Next::Over } else { Next::GoOn }
    }

    async fn fail(&mut self, error: Error) -> Next {
        let Failed { news, lasts, pause: wait } = self.pacing.failed(&error, Instant::now());
        let Reception { stream, partition, .. } = &self.reception;
        if let Some(untold) = news {
            tracing::warn!(%stream, %partition, code = ?error.code(), %error, untold, "nothing can be received from the source, tried again");
        }
        if lasts && self.sender.send(Read::Failing(error)).await.is_err() {
            return Next::Over;
        }
        pause(&self.stop, wait).await
    }
}

async fn pause(stop: &CancellationToken, pause: Duration) -> Next {
    tokio::select! {
        biased;
        () = stop.cancelled() => Next::Over,
        () = tokio::time::sleep(pause) => Next::GoOn,
    }
}
