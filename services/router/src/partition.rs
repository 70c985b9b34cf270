//! The life of one owned partition: open the source, flow, and after a failure begin again.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Authority, UnitId, UnitKind};
use rocketbridge_connector::Partition;
use rocketbridge_delivery::Ledger;
use rocketbridge_mesh::Downlink;
use rocketbridge_mesh::downlink::UnitOwner;
use rocketbridge_model::record::SourcePartition;
use rocketbridge_model::resolved::Stream;
use rocketbridge_model::session::Open;
use rocketbridge_model::{Epoch, Origin, PartitionId};
use rocketbridge_runtime::{Backoff, Retry};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::allotment::Allotment;
use crate::bearing::Bearing;
use crate::bucket::Bucket;
use crate::commit::Commit;
use crate::definitions::Followed;
use crate::error::Error;
use crate::flow::{End, Flow};
use crate::gauge::Gauge;
use crate::horizon::Horizon;
use crate::logbook::Logbook;
use crate::notices::Notices;
use crate::opening::Opening;
use crate::passing::Passing;
use crate::reader::{Reader, Reading};
use crate::skips::Skips;
use crate::sources;
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
    pub(crate) surroundings: Surroundings,
    /// Asks it to stop reading, to let what is under way end, and to commit.
    pub(crate) draining: CancellationToken,
}

/// The partition's place among those that its source has now.
#[derive(Clone, Copy)]
struct Place {
    rank: usize,
    count: usize,
}

impl OwnedPartition {
    /// Runs until it has drained, or its authority is gone. Dropped, it stops at once; what was not committed is repeated.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut notices = Notices::default();
        let draining = self.draining.clone();
        self.definition.ready().await;
        while !draining.is_cancelled() && self.authority.is_valid() {
            // Opening asks brokers, which may take its time and has no effect that must be seen to its end.
            let opened = tokio::select! {
                biased;
                () = draining.cancelled() => return,
                opened = self.open() => opened,
            };
            let error = match opened {
                Ok(flow) => match flow.run().await {
                    Ok(End::Drained | End::Fenced) => return,
                    Ok(End::Changed | End::Moved) => {
                        backoff.reset();
                        continue;
                    }
                    Err(error) => error,
                },
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

    /// Opens the source under the definition of now.
    async fn open(&mut self) -> Result<Flow, Error> {
        let stream = self.definition.stream()?;
        let (known, place) = self.known(&stream).await?;
        let partition = Partition { id: known.id.clone(), broker: known.broker.clone(), queue: known.queue };
        let source = self.surroundings.registry.source(&stream.source).offsets().ok_or(Error::Undiscovered)?;
        let mut open = source.open(&partition).await?;
        let logbook = Logbook::open(self.surroundings.store.clone(), &stream, &self.partition).await?;
        let horizon = source.clone();
        let bearing = Bearing { source, partition: partition.clone(), origin: known.origin };
        let opening = Opening { stream: &self.stream, bearing: &bearing, gauge: &self.gauge };
        let (start, logbook) = opening.place(open.committer.as_mut(), logbook).await?;
        tracing::info!(
            stream = %self.stream, partition = %self.partition, epoch = %self.epoch, revision = %stream.revision, start, "partition opened"
        );
        self.gauge.committed(start);
        self.gauge.maximum(logbook.maximum().max(start));
        self.gauge.progress(start, 0, None);
        self.gauge.source(None);
        let settings = self.surroundings.settings;
        let bucket = stream.run.throttling.map(|rate| Bucket::shared(rate, place.count, place.rank, Instant::now()));
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
            bucket,
        };
        Ok(Flow {
            reader: Reader::start(reading),
            commit: Commit::start(open.committer, start, settings.commit_interval, authority, gauge, skips.clone()),
            ledger: Ledger::new(start, settings.window),
            allotment,
            downlink: self.downlink(&stream, &partition),
            passing: Passing::new(skips),
            definition: self.definition.clone(),
            stream,
            partition: self.partition.clone(),
            gauge: self.gauge.clone(),
            authority: self.authority.clone(),
            draining: self.draining.clone(),
            settings,
            _horizon: Horizon::watch(horizon, partition, self.gauge.clone()),
        })
    }

    async fn known(&self, stream: &Stream) -> Result<(SourcePartition, Place), Error> {
        let (record, _) = sources::read(&self.surroundings.store, &stream.uid).await?;
        let record = record.filter(|record| record.is_of(&stream.source)).ok_or(Error::Undiscovered)?;
        let present = || record.partitions.iter().filter(|partition| partition.gone.is_none());
        let rank = present().position(|partition| partition.id == self.partition).ok_or(Error::Undiscovered)?;
        let known = record.partition(&self.partition).cloned().ok_or(Error::Undiscovered)?;
        Ok((known, Place { rank, count: present().count() }))
    }

    fn downlink(&self, stream: &Arc<Stream>, partition: &Partition) -> Downlink<rocketbridge_model::session::FilterRequest> {
        let shard = stream.run.shard_of(&self.partition);
        let unit = UnitId::new(self.stream.clone(), UnitKind::FilterShard(shard));
        let origin = Origin {
            region: stream.source.connection.region.clone(),
            account: String::new(),
            instance: stream.source.connection.instance.clone(),
            topic: stream.source.topic.clone(),
            partition: self.partition.clone(),
            broker: partition.broker.clone(),
            queue: partition.queue,
            name_server: stream.source.connection.endpoints.first().cloned().unwrap_or_default(),
        };
        let open =
            Open { stream: stream.clone(), origin: Arc::new(origin), partition_epoch: self.epoch, shard, shard_epoch: Epoch::default() };
        Downlink::new(self.surroundings.dialer.clone(), Box::new(UnitOwner::new(self.surroundings.owners.clone(), unit)), open)
    }
}
