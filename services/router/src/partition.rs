//! The life of one owned partition: open the source, flow, and after a failure begin again.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_assignment::{Authority, UnitId, UnitKind};
use rocketbridge_connector::Partition;
use rocketbridge_delivery::Ledger;
use rocketbridge_mesh::Downlink;
use rocketbridge_mesh::downlink::UnitOwner;
use rocketbridge_model::record::SourcePartition;
use rocketbridge_model::resolved::{StartPosition, Stream};
use rocketbridge_model::session::Open;
use rocketbridge_model::{Epoch, Origin, PartitionId};
use rocketbridge_runtime::{Backoff, Chain};
use tokio_util::sync::CancellationToken;

use crate::allotment::Allotment;
use crate::commit::Commit;
use crate::flow::{End, Flow};
use crate::gauge::Gauge;
use crate::horizon::Horizon;
use crate::passing::Passing;
use crate::reader::Reader;
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
    pub(crate) skips: Skips,
    pub(crate) surroundings: Surroundings,
    /// Asks it to stop reading, to let what is under way end, and to commit.
    pub(crate) draining: CancellationToken,
}

impl OwnedPartition {
    /// Runs until it has drained, or its authority is gone. Dropped, it stops at once; what was not committed is repeated.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let mut told: Option<String> = None;
        let draining = self.draining.clone();
        self.surroundings.definitions.ready().await;
        while !draining.is_cancelled() && self.authority.is_valid() {
            // Opening asks brokers, which may take its time and has no effect that must be seen to its end.
            let opened = tokio::select! {
                biased;
                () = draining.cancelled() => return,
                opened = self.open(&mut backoff) => opened,
            };
            let ended = match opened {
                Ok(flow) => flow.run().await,
                Err(reason) => Err(reason),
            };
            match ended {
                Ok(End::Drained | End::Fenced) => return,
                Ok(End::Changed) => backoff.reset(),
                Err(reason) => {
                    // The same reason again, without having flowed between, is no news: it is tried many times a minute.
                    if self.gauge.is_flowing() {
                        told = None;
                    }
                    if told.as_ref() == Some(&reason) {
                        tracing::debug!(stream = %self.stream, partition = %self.partition, %reason, "partition does not flow, tried again");
                    } else {
                        tracing::warn!(stream = %self.stream, partition = %self.partition, %reason, "partition does not flow, tried again");
                        told = Some(reason.clone());
                    }
                    self.gauge.fails(reason);
                    tokio::select! {
                        biased;
                        () = self.draining.cancelled() => return,
                        () = self.surroundings.definitions.changed() => {}
                        () = tokio::time::sleep(backoff.next_delay()) => {}
                    }
                }
            }
        }
    }

    /// One definition, one open source.
    async fn open(&mut self, backoff: &mut Backoff) -> Result<Flow, String> {
        let stream = self.surroundings.definitions.stream(&self.stream).map_err(|error| error.to_string())?;
        let (known, partitions) = self.known(&stream).await?;
        let partition = Partition { id: known.id.clone(), broker: known.broker.clone(), queue: known.queue };
        let connector = self.surroundings.registry.source(&stream.source);
        let mut open = connector.open(&partition).await.map_err(|error| error.to_string())?;
        let committed = open.committer.committed().await.map_err(|error| error.to_string())?;
        let wanted = committed.unwrap_or(known.origin);
        let newest = connector.offset_at(&partition, StartPosition::Latest).await.map_err(|error| error.to_string())?;
        let start = if wanted <= newest {
            wanted
        } else {
            // Progress beyond the end: the topic was removed and made anew.
            let oldest = connector.offset_at(&partition, StartPosition::Earliest).await.map_err(|error| error.to_string())?;
            tracing::error!(stream = %self.stream, partition = %self.partition, wanted, newest, oldest, "the topic was made anew: reading begins with its oldest");
            oldest
        };
        tracing::info!(
            stream = %self.stream, partition = %self.partition, epoch = %self.epoch, revision = %stream.revision, start, ?committed,
            "partition opened"
        );
        backoff.reset();
        self.gauge.committed(start);
        self.gauge.maximum(newest);
        self.gauge.progress(start, 0, None);
        let settings = self.surroundings.settings;
        let rate = stream.run.throttling.map(|rate| f64::from(rate) / partitions as f64);
        let bounds = {
            let (connector, partition) = (connector.clone(), partition.clone());
            Box::new(move |position| {
                let (connector, partition) = (connector.clone(), partition.clone());
                let ask: futures::future::BoxFuture<'static, _> = Box::pin(async move { connector.offset_at(&partition, position).await });
                ask
            })
        };
        let allotment = Allotment::new(self.surroundings.budget.share());
        let skips = self.skips.of(&stream.uid, &self.partition);
        let (authority, gauge) = (self.authority.clone(), self.gauge.clone());
        let flow = Flow {
            reader: Reader::start(allotment.reader(open.reader), start, settings.pull, rate, bounds),
            commit: Commit::start(open.committer, start, settings.commit_interval, authority, gauge, skips.clone()),
            ledger: Ledger::new(start, settings.window),
            allotment,
            downlink: self.downlink(&stream, &partition),
            passing: Passing::new(skips),
            definitions: self.surroundings.definitions.clone(),
            stream,
            partition: self.partition.clone(),
            gauge: self.gauge.clone(),
            authority: self.authority.clone(),
            draining: self.draining.clone(),
            settings,
            _horizon: Horizon::watch(connector, partition, self.gauge.clone()),
        };
        Ok(flow)
    }

    async fn known(&self, stream: &Stream) -> Result<(SourcePartition, usize), String> {
        let (record, _) = sources::read(&self.surroundings.store, &stream.uid).await.map_err(|error| Chain(&error).to_string())?;
        let record = record.filter(|record| record.is_of(&stream.source));
        let known = record.as_ref().and_then(|record| record.partition(&self.partition).cloned());
        let count = record.map_or(0, |record| record.partitions.len());
        known.map(|known| (known, count.max(1))).ok_or_else(|| "the source's partitions are not known yet".to_owned())
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
            name_server: stream.source.connection.name_servers.first().cloned().unwrap_or_default(),
        };
        let open =
            Open { stream: stream.clone(), origin: Arc::new(origin), partition_epoch: self.epoch, shard, shard_epoch: Epoch::default() };
        Downlink::new(self.surroundings.dialer.clone(), Box::new(UnitOwner::new(self.surroundings.owners.clone(), unit)), open)
    }
}
