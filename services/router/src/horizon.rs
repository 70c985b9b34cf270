//! Asks the source where a partition ends while nothing is read, so that the lag goes on telling the truth.
//!
//! Every pull says where the source ends. But while the window is full, as behind a target that is down, nothing is pulled, and the end that was
//! last seen grows old. A partition that is caught up is not asked about: its pull waits at the source and answers at the next message.

use std::sync::Arc;
use std::time::Duration;

use rocketbridge_connector::{OffsetSource, Partition};
use rocketbridge_model::resolved::StartPosition;
use tokio_util::task::AbortOnDropHandle;

use crate::gauge::Gauge;

/// How old the end may grow while something is under way.
const OLDEST: Duration = Duration::from_secs(15);

/// Keeps the end of one open partition current. Ends when it is dropped.
pub(crate) struct Horizon {
    _task: AbortOnDropHandle<()>,
}

impl Horizon {
    /// Starts to look after the end that the gauge tells.
    pub(crate) fn watch(source: Arc<dyn OffsetSource>, partition: Partition, gauge: Gauge) -> Self {
        // Not spawned through the process's tasks: it lives and dies with this handle and holds nothing that must be drained.
        Self { _task: AbortOnDropHandle::new(tokio::spawn(watch(source, partition, gauge, OLDEST))) }
    }
}

async fn watch(source: Arc<dyn OffsetSource>, partition: Partition, gauge: Gauge, oldest: Duration) {
    loop {
        tokio::time::sleep(oldest).await;
        if !gauge.is_end_older_than(oldest) {
            continue;
        }
        match source.offset_at(&partition, StartPosition::Latest).await {
            Ok(end) => gauge.maximum(end),
            // The reader meets the same trouble, and tells it.
            Err(error) => tracing::debug!(partition = %partition.id, %error, "the end of the partition cannot be asked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use rocketbridge_connector::{Error, OpenPartition};
    use rocketbridge_model::{Epoch, PartitionId};

    use super::*;

    /// A source that ends at 100 and is only asked for that.
    struct Hundred;

    impl OffsetSource for Hundred {
        fn partitions(&self) -> BoxFuture<'_, Result<Vec<Partition>, Error>> {
            unreachable!("only the end is asked for")
        }

        fn offset_at<'a>(&'a self, _: &'a Partition, _: StartPosition) -> BoxFuture<'a, Result<u64, Error>> {
            Box::pin(async { Ok(100) })
        }

        fn survey<'a>(&'a self, _: &'a Partition, _: &'a [u64]) -> BoxFuture<'a, Result<rocketbridge_connector::Survey, Error>> {
            unreachable!("only the end is asked for")
        }

        fn open<'a>(&'a self, _: &'a Partition) -> BoxFuture<'a, Result<OpenPartition, Error>> {
            unreachable!("only the end is asked for")
        }
    }

    /// *Scenario*: a window is full behind a target that is down, while the source grows. *Guarantees*: the lag grows with it, without a pull; of a partition with
    /// nothing under way the source is not asked.
    #[tokio::test(start_paused = true)]
    async fn the_lag_grows_while_nothing_can_be_read() {
        let told = async |in_flight| {
            let gauge = Gauge::new(&PartitionId::new("b/0"), Epoch(1));
            gauge.maximum(10);
            gauge.progress(10, in_flight, None);
            let partition = Partition { id: PartitionId::new("b/0"), broker: "b".into(), queue: 0 };
            let _horizon = Horizon::watch(Arc::new(Hundred), partition, gauge.clone());
            tokio::time::sleep(2 * OLDEST).await;
            gauge.report().maximum_offset
        };
        assert_eq!(told(1).await, 100);
        assert_eq!(told(0).await, 10);
    }
}
