//! Where a partition is read from when it is opened.

use rocketbridge_connector::PartitionCommitter;
use rocketbridge_model::partition::{Gap, GapCause, Relocation};
use tokio::time::Instant;

use crate::bearing::Bearing;
use crate::clock;
use crate::continuity::{Verdict, Waiting};
use crate::error::Error;
use crate::gauge::Gauge;
use crate::logbook::Logbook;
use crate::reader::LOOK_AGAIN;

/// A partition that is being opened.
pub(crate) struct Opening<'a> {
    /// For logs.
    pub(crate) stream: &'a str,
    pub(crate) bearing: &'a Bearing,
    pub(crate) gauge: &'a Gauge,
}

impl Opening<'_> {
    /// Where reading begins: at the group's committed offset, or where the stream began, if the partition is still what it was. What is
    /// decided otherwise is written down before anything is read, so that it is decided once.
    pub(crate) async fn place(&self, committer: &mut dyn PartitionCommitter, mut logbook: Logbook) -> Result<(u64, Logbook), Error> {
        let bearing = self.bearing;
        let committed = committer.committed().await?;
        let wanted = match logbook.relocation() {
            Some(relocation) if relocation.instead_of == committed => relocation.to,
            _ => committed.unwrap_or(bearing.origin),
        };
        let began = Instant::now();
        let known = logbook.known();
        let (verdict, survey) = loop {
            match bearing.take(wanted, &known, began.elapsed()).await? {
                (Verdict::Wait(Waiting::Growth), _) => tokio::time::sleep(LOOK_AGAIN).await,
                (Verdict::Wait(waiting), _) => return Err(waiting.into()),
                decided => break decided,
            }
        };
        let at = clock::now();
        let start = match verdict {
            Verdict::GoOn | Verdict::Wait(_) => wanted,
            Verdict::Skip { to } => {
                let gap = Gap { from: wanted, to, at, cause: GapCause::Retention };
                self.tell(&gap, to);
                logbook.gap(gap);
                to
            }
            Verdict::Back { to, cause } => {
                let gap = match cause {
                    GapCause::MadeAnew => Gap { from: wanted, to: logbook.maximum().max(wanted), at, cause },
                    _ => Gap { from: to, to: wanted, at, cause },
                };
                self.tell(&gap, to);
                logbook.relocate(Relocation { instead_of: committed, to }, gap, &survey.landmarks);
                // Without this on record, a restart would believe the group's offset again.
                logbook.moves(None, survey.maximum);
                logbook.write().await?;
                if let Err(error) = committer.commit(to).await {
                    tracing::debug!(%error, to, "the group's offset stays where it was until it is passed");
                }
                to
            }
        };
        logbook.moves(None, survey.maximum);
        if known.is_empty() {
            logbook.remember(bearing.landmarks(start, &survey).await?);
        }
        logbook.committed(start);
        logbook.write_due(Instant::now()).await;
        Ok((start, logbook))
    }

    fn tell(&self, gap: &Gap, to: u64) {
        self.gauge.lost(gap.lost());
        tracing::warn!(
            stream = %self.stream, partition = %self.bearing.partition.id, from = gap.from, until = gap.to, cause = gap.cause.word(), reading_goes_on_at = to,
            "the source does not hold what was to be read next"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rocketbridge_metastore::Metastore;
    use rocketbridge_model::partition::Landmark;
    use rocketbridge_model::resolved::StartPosition;
    use rocketbridge_model::{Epoch, PartitionId};

    use super::*;
    use crate::fake::{Store, Topic, partition, stream};

    /// Opens the partition as a router does that has just started. Answers where it is read from.
    async fn open(topic: &Topic, store: &Arc<dyn Metastore>, origin: u64) -> u64 {
        use rocketbridge_connector::OffsetSource;
        let bearing = Bearing { source: Arc::new(topic.clone()), partition: partition(0), origin };
        let id = PartitionId::new("b/0");
        let logbook = Logbook::open(store.clone(), &stream(StartPosition::Earliest), &id).await.expect("reads");
        let opening = Opening { stream: "s", bearing: &bearing, gauge: &Gauge::new(&id, Epoch(1)) };
        let mut open = topic.open(&partition(0)).await.expect("opens");
        opening.place(open.committer.as_mut(), logbook).await.expect("is placed").0
    }

    /// What the stream read and committed, as a router leaves it.
    async fn leave(topic: &Topic, store: &Arc<dyn Metastore>, committed: u64) {
        let mut logbook = Logbook::open(store.clone(), &stream(StartPosition::Earliest), &PartitionId::new("b/0")).await.expect("reads");
        let last = Landmark { offset: committed - 1, stored: committed as i64 - 1, ..Landmark::default() };
        logbook.moves(Some(last), committed);
        logbook.committed(committed);
        logbook.write().await.expect("writes");
        topic.with(|topic| topic.committed = Some(committed));
    }

    async fn gaps(store: &Arc<dyn Metastore>) -> Vec<(u64, u64, GapCause)> {
        let stored = store.list("partitions/u/").await.expect("lists").entries;
        let record: rocketbridge_model::partition::PartitionRecord = serde_json::from_slice(&stored[0].value).expect("a record");
        record.gaps.iter().map(|gap| (gap.from, gap.to, gap.cause)).collect()
    }

    /// *Scenario*: while nobody reads, the topic is removed and made anew, and holds more messages than before; its broker keeps the group's
    /// old offset (4.9.7). The router dies before it commits, and is started twice again. *Guarantees*: the topic is read from its oldest
    /// message each time; it is decided and told once; later progress counts, also at the very offset that once meant nothing.
    #[tokio::test(start_paused = true)]
    async fn a_topic_made_anew_is_read_from_its_oldest_message() {
        let (topic, store) = (Topic::new(0..500), Arc::new(Store::default()) as Arc<dyn Metastore>);
        assert_eq!(open(&topic, &store, 0).await, 0);
        leave(&topic, &store, 500).await;
        topic.with(|topic| topic.messages = (10_000..12_000).collect());
        for _ in 0..3 {
            assert_eq!(open(&topic, &store, 0).await, 0);
            // A broker that refuses to go back.
            topic.with(|topic| topic.committed = Some(500));
        }
        assert_eq!(gaps(&store).await, [(500, 500, GapCause::MadeAnew)]);
        topic.with(|topic| topic.committed = Some(700));
        assert_eq!(open(&topic, &store, 0).await, 700);
    }

    /// *Scenario*: as before, on a broker that forgets the group with the topic (5.x), and the stream had begun at offset 300. *Guarantees*: the same.
    #[tokio::test(start_paused = true)]
    async fn a_topic_made_anew_is_not_read_from_where_the_old_one_was_begun() {
        let (topic, store) = (Topic::new(0..500), Arc::new(Store::default()) as Arc<dyn Metastore>);
        assert_eq!(open(&topic, &store, 300).await, 300);
        leave(&topic, &store, 400).await;
        topic.with(|topic| topic.messages = (10_000..12_000).collect());
        topic.with(|topic| topic.committed = None);
        assert_eq!(open(&topic, &store, 300).await, 0);
        assert_eq!(open(&topic, &store, 300).await, 0);
    }

    /// *Scenario*: the group's offset is set far beyond the end; and in another life, a master that was only a replica before ends sooner than what
    /// was committed. *Guarantees*: reading goes on at the end, not with the whole topic again; what is added then is read.
    #[tokio::test(start_paused = true)]
    async fn an_end_before_what_was_committed_repeats_nothing() {
        let (topic, store) = (Topic::new(0..500), Arc::new(Store::default()) as Arc<dyn Metastore>);
        open(&topic, &store, 0).await;
        leave(&topic, &store, 500).await;
        topic.with(|topic| topic.committed = Some(1_000_000));
        assert_eq!(open(&topic, &store, 0).await, 500);
        assert_eq!(topic.with(|topic| topic.committed), Some(500));
        topic.with(|topic| topic.messages.truncate(490));
        assert_eq!(open(&topic, &store, 0).await, 490);
        assert_eq!(gaps(&store).await, [(500, 1_000_000, GapCause::Truncated), (490, 500, GapCause::Truncated)]);
    }

    /// *Scenario*: the committed offset and everything known has expired. *Guarantees*: reading goes on at the oldest, and the loss is told with its range.
    #[tokio::test(start_paused = true)]
    async fn what_has_expired_while_nobody_read_is_a_gap() {
        let (topic, store) = (Topic::new(0..500), Arc::new(Store::default()) as Arc<dyn Metastore>);
        open(&topic, &store, 0).await;
        leave(&topic, &store, 100).await;
        topic.with(|topic| {
            topic.minimum = 600;
            topic.messages = (600..700).collect();
        });
        assert_eq!(open(&topic, &store, 0).await, 600);
        assert_eq!(gaps(&store).await, [(100, 600, GapCause::Retention)]);
    }
}
