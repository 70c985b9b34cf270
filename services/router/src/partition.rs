//! The life of one owned partition: open the source, flow, and after a failure begin again.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Authority, UnitId, UnitKind};
use rocketbridge_connector::{HandleSource, OffsetSource, Partition, Source, Start};
use rocketbridge_delivery::Ledger;
use rocketbridge_mesh::definitions::Followed;
use rocketbridge_mesh::{Downlink, Patience};
use rocketbridge_model::record::{SourceForm, SourcePartition};
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::{Credit, Open, StreamVersion};
use rocketbridge_model::{Epoch, Origin, PartitionId};
use rocketbridge_runtime::{Backoff, Retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::allotment::Allotment;
use crate::bearing::Bearing;
use crate::bucket::Bucket;
use crate::clock;
use crate::commit::Commit;
use crate::custodian::{Custodian, Custodianship};
use crate::error::Error;
use crate::flow::{End, Flow};
use crate::gauge::Gauge;
use crate::horizon::Horizon;
use crate::logbook::Logbook;
use crate::notices::Notices;
use crate::numbers;
use crate::opening::Opening;
use crate::passing::Passing;
use crate::reader::{Reader, Reading};
use crate::receiving::{Receiving, Reception};
use crate::skips::Skips;
use crate::sources::{Place, Sources};
use crate::supply::{Kept, Stock, Supply};
use crate::surroundings::Surroundings;

/// One owned partition.
pub(crate) struct OwnedPartition {
    pub(crate) stream: String,
    pub(crate) partition: PartitionId,
    pub(crate) epoch: Epoch,
    pub(crate) authority: Authority,
    pub(crate) gauge: Gauge,
    pub(crate) definition: Followed,
    pub(crate) skips: Skips,
    pub(crate) sources: Sources,
    pub(crate) surroundings: Surroundings,
    /// Asks it to stop reading, to let what is under way end, and to commit.
    pub(crate) draining: CancellationToken,
    /// How long its end may take.
    pub(crate) patience: Patience,
    /// What a source handed out, between two flows.
    pub(crate) kept: Option<Kept>,
}

/// What is written down of the partition.
struct Known {
    partition: SourcePartition,
    /// When the stream was started first, milliseconds since 1970.
    started: i64,
    /// Its place among the partitions that the source has now.
    place: Place,
    /// Names of the source's brokers, sorted, as far as any was ever seen.
    brokers: Vec<String>,
    /// Queues on the partition's broker.
    queues: u32,
}

impl Known {
    /// The partition's part of the stream's rate.
    fn bucket(&self, stream: &Stream) -> Option<Bucket> {
        stream.run.throttling.map(|rate| Bucket::shared(rate, self.place.count, self.place.rank, Instant::now()))
    }
}

/// An open source, with what of it is under way.
struct Opened {
    supply: Supply,
    ledger: Ledger,
    allotment: Allotment,
}

impl OwnedPartition {
    /// Runs until it has drained, or its authority is gone. Dropped, it stops at once; what was not committed is repeated.
    pub(crate) async fn run(mut self) {
        self.live().await;
        // Between two flows when it was to end.
        if let Some(kept) = self.kept.take().filter(|_| self.authority.is_valid()) {
            kept.stock.give_back().await;
        }
    }

    async fn live(&mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut notices = Notices::default();
        let draining = self.draining.clone();
        self.definition.ready().await;
        while !draining.is_cancelled() && self.authority.is_valid() {
            self.let_go().await;
            // Opening asks brokers, which may take its time and has no effect that must be seen to its end.
            let opened = tokio::select! {
                biased;
                () = draining.cancelled() => return,
                opened = self.open() => opened,
            };
            let error = match opened {
                Ok(flow) => {
                    let (ended, kept) = flow.run().await;
                    self.kept = kept;
                    match ended {
                        Ok(End::Drained | End::Fenced) => return,
                        Ok(End::Changed | End::Moved) => {
                            backoff.reset();
                            continue;
                        }
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            // Progress, and nothing else, starts the backoff over: an open that leads nowhere is no progress.
            if self.gauge.takes_progress() {
                backoff.reset();
            }
            if let Some(untold) = notices.is_news(error.sameness(), Instant::now()) {
                tracing::warn!(
                    stream = %self.stream, partition = %self.partition, offset = self.gauge.committed_offset(), code = ?error.code(), %error, untold,
                    "partition does not flow, tried again"
                );
            }
            self.gauge.fails(error.to_string());
            if error.retry() == Retry::Fenced {
                return;
            }
            tokio::select! {
                biased;
                () = draining.cancelled() => return,
                () = self.definition.changed() => {}
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }

    /// Gives back what was received under a definition whose source was another one.
    async fn let_go(&mut self) {
        let stream = self.definition.stream();
        if let Some(kept) = self.kept.take_if(|kept| stream.as_ref().is_ok_and(|stream| !kept.is_of(stream))) {
            kept.stock.give_back().await;
        }
    }

    /// Opens the source under the definition of now. A dropped call has changed nothing.
    async fn open(&mut self) -> Result<Flow, Error> {
        let (stream, version) = self.definition.version()?;
        let source = self.surroundings.registry.source(&stream.source);
        self.gauge.reads(source.clone());
        let form = match &source {
            Source::Offsets(_) => SourceForm::Offsets,
            Source::Handles(_) => SourceForm::Handles,
        };
        let known = self.known(&stream, form).await?;
        let opened = match source {
            Source::Offsets(source) => self.open_offsets(&stream, source, &known).await?,
            Source::Handles(source) => self.open_handles(&stream, source.as_ref(), &known).await?,
        };
        self.gauge.source(None);
        let downlink = self.downlink(&stream, &version, known);
        Ok(Flow {
            supply: opened.supply,
            ledger: opened.ledger,
            allotment: opened.allotment,
            downlink,
            passing: Passing::new(self.skips.of(&stream.uid, &self.partition)),
            definition: self.definition.clone(),
            stream,
            version,
            partition: self.partition.clone(),
            gauge: self.gauge.clone(),
            authority: self.authority.clone(),
            draining: self.draining.clone(),
            settings: self.surroundings.settings,
            patience: self.patience.clone(),
        })
    }

    /// Opens a partition that is read at offsets.
    async fn open_offsets(&self, stream: &Stream, source: Arc<dyn OffsetSource>, known: &Known) -> Result<Opened, Error> {
        let partition = Partition { id: known.partition.id.clone(), broker: known.partition.broker.clone(), queue: known.partition.queue };
        let mut open = source.open(&partition).await?;
        let logbook = Logbook::open(self.surroundings.store.clone(), stream, &self.partition).await?;
        let horizon = source.clone();
        let bearing = Bearing { source, partition: partition.clone(), origin: known.partition.origin };
        let opening = Opening { stream: &self.stream, bearing: &bearing, gauge: &self.gauge };
        let (start, logbook) = opening.place(open.committer.as_mut(), logbook).await?;
        tracing::info!(
            stream = %self.stream, partition = %self.partition, epoch = %self.epoch, revision = %stream.revision, start, "partition opened"
        );
        self.gauge.committed(start);
        self.gauge.maximum(logbook.maximum().max(start));
        self.gauge.progress(start, 0, None);
        let settings = self.surroundings.settings;
        let allotment = Allotment::new(self.surroundings.budget.share());
        let skips = self.skips.of(&stream.uid, &self.partition);
        let (authority, gauge) = (self.authority.clone(), self.gauge.clone());
        let reading = Reading {
            stream: self.stream.clone(),
            reader: allotment.reader(open.reader),
            allotment: allotment.clone(),
            bearing,
            logbook,
            gauge: self.gauge.clone(),
            offset: start,
            limits: settings.pull,
            bucket: known.bucket(stream),
            skips: skips.clone(),
        };
        let supply = Supply::Offsets {
            reader: Reader::start(reading),
            commit: Commit::start(open.committer, start, settings.commit_interval, authority, gauge, skips),
            _horizon: Horizon::watch(horizon, partition, self.gauge.clone()),
        };
        Ok(Opened { supply, ledger: Ledger::new(start, settings.window), allotment })
    }

    /// Opens a way to receive, or goes on with what was received under the former definition.
    async fn open_handles(&mut self, stream: &Stream, source: &dyn HandleSource, known: &Known) -> Result<Opened, Error> {
        if stream.target.mirror {
            return Err(Error::Unmirrored);
        }
        if let Some(kept) = self.kept.take_if(|kept| kept.is_of(stream)) {
            kept.throttle(known.bucket(stream));
            tracing::info!(
                stream = %self.stream, partition = %self.partition, revision = %stream.revision, kept = kept.ledger.in_flight(), "partition goes on"
            );
            return Ok(Opened { supply: Supply::Handles(kept.stock), ledger: kept.ledger, allotment: kept.allotment });
        }
        let start = Start { position: stream.source.start, moment: known.started };
        let terms = source.terms().await?;
        let open = source.open(start).await?;
        let settings = self.surroundings.settings;
        let skips = self.skips.of(&stream.uid, &self.partition);
        let number = numbers::first(clock::now(), skips.marks().into_keys().next_back());
        tracing::info!(
            stream = %self.stream, partition = %self.partition, epoch = %self.epoch, revision = %stream.revision, ?terms, "partition opened"
        );
        self.gauge.receives();
        self.gauge.committed(number);
        self.gauge.progress(number, 0, None);
        let window = Credit { events: settings.window.events.min(terms.window.max(1)), ..settings.window };
        let allotment = Allotment::new(self.surroundings.budget.share());
        let custodian = Custodian::start(Custodianship {
            stream: self.stream.clone(),
            partition: self.partition.clone(),
            handles: open.handles,
            terms,
            gauge: self.gauge.clone(),
            skips,
            number,
        });
        let reception = Reception {
            stream: self.stream.clone(),
            partition: self.partition.clone(),
            receiver: open.receiver,
            terms,
            hands: custodian.hands(),
            allotment: allotment.clone(),
            gauge: self.gauge.clone(),
            number,
            window: window.events as usize,
            limits: settings.pull,
            since: start.wanted_since(),
        };
        let receiving = Receiving::start(reception, known.bucket(stream));
        Ok(Opened { supply: Supply::Handles(Stock { receiving, custodian }), ledger: Ledger::new(number, window), allotment })
    }

    async fn known(&mut self, stream: &Stream, form: SourceForm) -> Result<Known, Error> {
        let found = self.sources.find(&stream.uid).await?;
        let found = found.filter(|found| found.record().is_of(&stream.source) && found.record().form == form).ok_or(Error::Undiscovered)?;
        let (partition, place) = found.partition(&self.partition).ok_or(Error::Undiscovered)?;
        let (brokers, queues) = (found.brokers(), found.queues(&partition.broker));
        Ok(Known { partition: partition.clone(), started: found.record().started, place, brokers, queues })
    }

    fn downlink(&self, stream: &Stream, version: &StreamVersion, known: Known) -> Downlink<rocketbridge_model::session::FilterRequest> {
        let shard = stream.run.shard_of(&self.partition);
        let unit = UnitId::new(self.stream.clone(), UnitKind::FilterShard(shard));
        let origin = Origin {
            partition: self.partition.clone(),
            broker: known.partition.broker,
            queue: known.partition.queue,
            brokers: known.brokers,
            queues: known.queues,
            ..Origin::default()
        };
        let open = Open {
            stream: version.clone(),
            origin: Arc::new(origin.within(&stream.source)),
            partition_epoch: self.epoch,
            shard,
            shard_epoch: Epoch::default(),
        };
        Downlink::new(self.surroundings.dialer.clone(), Box::new(self.surroundings.owners.follow(&unit)), open)
    }
}
