//! Finds the partitions of a stream's source and writes down where each begins.
//!
//! At first every partition begins at the stream's start position. One that appears later begins with its oldest offset:
//! everything in it arrived after the stream had started.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rocketbridge_connector::Registry;
use rocketbridge_metastore::Metastore;
use rocketbridge_model::record::{SourcePartition, SourceRecord};
use rocketbridge_model::resolved::{RocketMqSource, StartPosition, Stream};
use rocketbridge_model::status::DiscoveryReport;
use rocketbridge_runtime::{Backoff, Chain};
use tokio_util::sync::CancellationToken;

use crate::definitions::Definitions;
use crate::sources;

/// Longest that one look at the source may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Finds the partitions of one stream's source.
pub(crate) struct Discovery {
    pub(crate) stream: String,
    pub(crate) definitions: Definitions,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) store: Arc<dyn Metastore>,
    pub(crate) interval: Duration,
    pub(crate) report: Arc<Mutex<DiscoveryReport>>,
}

impl Discovery {
    /// Looks again and again until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(4));
        loop {
            let look = tokio::time::timeout(DEADLINE, self.look());
            // A look that is dropped has written everything or nothing.
            let found = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                found = look => found.unwrap_or_else(|_| Err(format!("the source did not answer within {DEADLINE:?}"))),
            };
            let wait = match &found {
                Ok(()) => {
                    backoff.reset();
                    self.interval
                }
                Err(reason) => {
                    // The same reason again is no news.
                    if self.report.lock().failure.as_ref() != Some(reason) {
                        tracing::warn!(stream = %self.stream, %reason, "partitions of the source are not known, tried again");
                    }
                    backoff.next_delay()
                }
            };
            self.report.lock().failure = found.err();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.definitions.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        self.definitions.ready().await;
        let stream = self.definitions.stream(&self.stream).map_err(|error| error.to_string())?;
        let (stored, revision) = sources::read(&self.store, &stream.uid).await.map_err(|error| Chain(&error).to_string())?;
        let record = self.find(&stream, &stream.source, stored.as_ref()).await.map_err(|error| error.to_string())?;
        if stored.as_ref() != Some(&record) {
            sources::write(&self.store, &record, revision).await.map_err(|error| Chain(&error).to_string())?;
            tracing::info!(stream = %self.stream, partitions = record.partitions.len(), "partitions of the source are known");
        }
        Ok(())
    }

    async fn find(
        &self,
        stream: &Stream,
        source: &RocketMqSource,
        stored: Option<&SourceRecord>,
    ) -> Result<SourceRecord, rocketbridge_connector::Error> {
        let connector = self.registry.source(source);
        let known = stored.filter(|record| record.is_of(source));
        let begin = if known.is_some() { StartPosition::Earliest } else { source.start };
        let mut record = known.cloned().unwrap_or_else(|| SourceRecord::new(&stream.uid, source));
        for partition in connector.partitions().await? {
            if record.partition(&partition.id).is_none() {
                let origin = connector.offset_at(&partition, begin).await?;
                record.partitions.push(SourcePartition { id: partition.id, broker: partition.broker, queue: partition.queue, origin });
            }
        }
        record.partitions.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(record)
    }
}
