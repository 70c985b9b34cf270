//! What routers remember of a partition, besides its progress.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::name::PartitionId;
use crate::property;
use crate::resolved::RocketMqSource;

/// What routers remember of one partition, under `partitions/{uid}/{partition}`: what tells its topic from one that was made anew under
/// the same name, what was decided about offsets that were not there, and what was never read.
///
/// It is written when something was decided or lost, when a partition is opened or handed over, and every some minutes: never per batch.
/// The progress itself is the group's committed offset, at the source's broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartitionRecord {
    /// Layout of this record.
    pub schema: u32,
    /// Identity of the stream's creation.
    pub uid: String,
    /// The partition.
    pub partition: PartitionId,
    /// Instance, namespace and topic that the offsets belong to: with another source they mean nothing.
    pub source: String,
    /// Some messages that were read, by offset.
    pub landmarks: Vec<Landmark>,
    /// Where reading went on instead of at an offset that the group still has committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relocation: Option<Relocation>,
    /// Every event before it had ended when the record was written.
    pub committed: u64,
    /// One beyond the newest offset of the source when the record was written.
    pub maximum: u64,
    /// What was not read and nobody has acknowledged, oldest first. Bounded: the oldest ones are joined.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Messages that were lost at the source before they were read, acknowledged or not.
    pub lost: u64,
    /// Gaps up to this moment were acknowledged, milliseconds since 1970.
    pub acknowledged: i64,
}

impl PartitionRecord {
    /// Most gaps that are kept one by one.
    pub const GAPS: usize = 32;

    /// Whether the record's offsets belong to this source.
    pub fn is_of(&self, source: &RocketMqSource) -> bool {
        self.source == source.identity()
    }

    /// Most landmarks that are kept.
    pub const LANDMARKS: usize = 6;

    /// Adds a message that was read. Those at or behind its offset are forgotten: they stood where it stands. Of too many the first and
    /// the last stay, and those between that spread best.
    pub fn remember(&mut self, landmark: Landmark) {
        self.landmarks.retain(|known| known.offset < landmark.offset);
        self.landmarks.push(landmark);
        if self.landmarks.len() > Self::LANDMARKS {
            let span = |at: &usize| self.landmarks[at + 1].offset - self.landmarks[at - 1].offset;
            if let Some(closest) = (1..self.landmarks.len() - 1).min_by_key(span) {
                self.landmarks.remove(closest);
            }
        }
    }

    /// Adds a gap. One that goes on where the last one of the same cause ended lengthens it.
    pub fn add_gap(&mut self, gap: Gap) {
        self.lost += gap.lost();
        if let Some(last) = self.gaps.last_mut()
            && last.cause == gap.cause
            && last.to == gap.from
        {
            last.to = gap.to;
            last.at = gap.at;
            return;
        }
        self.gaps.push(gap);
        if self.gaps.len() > Self::GAPS {
            let oldest = self.gaps.remove(0);
            let next = &mut self.gaps[0];
            next.from = oldest.from.min(next.from);
            next.to = oldest.to.max(next.to);
        }
    }

    /// Forgets the gaps up to a moment (milliseconds since 1970). Whether there were any.
    pub fn acknowledge(&mut self, moment: i64) -> bool {
        let before = self.gaps.len();
        self.acknowledged = self.acknowledged.max(moment);
        let acknowledged = self.acknowledged;
        self.gaps.retain(|gap| gap.at > acknowledged);
        self.gaps.len() != before
    }
}

/// What tells a message from every other one that ever stood at its offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Landmark {
    /// Its offset.
    pub offset: u64,
    /// Its place in the broker's log.
    pub position: u64,
    /// When the broker stored it, milliseconds since 1970.
    pub stored: i64,
    /// The identity that its producer gave it; may be empty.
    pub id: String,
}

impl Landmark {
    /// Of a message that was read. The place in the log and the time of the store are the same at all members of a broker; the producer may
    /// have given no identity.
    pub fn of(event: &Event) -> Self {
        let envelope = &event.envelope;
        Self {
            offset: event.offset,
            position: envelope.commit_log_offset,
            stored: envelope.store_timestamp,
            id: envelope.properties.get(property::UNIQUE_KEY).unwrap_or_default().to_owned(),
        }
    }
}

/// Reading went on elsewhere than at the committed offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relocation {
    /// The committed offset that means nothing any more; `None` if there was none.
    pub instead_of: Option<u64>,
    /// Where reading went on.
    pub to: u64,
}

/// Offsets that were not read, or that stand for other messages than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// The first offset.
    pub from: u64,
    /// One beyond the last.
    pub to: u64,
    /// When it was noticed, milliseconds since 1970.
    pub at: i64,
    /// Why.
    pub cause: GapCause,
}

impl Gap {
    /// How many messages were lost by it, at most. Offsets that the source has taken back were read and delivered before.
    pub fn lost(&self) -> u64 {
        match self.cause {
            GapCause::Retention | GapCause::Skipped | GapCause::MadeAnew => self.to.saturating_sub(self.from),
            GapCause::Truncated | GapCause::Rewritten => 0,
        }
    }
}

/// Why offsets were not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The source removed them before they were read.
    Retention,
    /// The source passed over them, though nothing was filtered.
    #[default]
    Skipped,
    /// The topic was removed and made anew: what it held before and was not read is gone. Reading begins with its oldest message.
    MadeAnew,
    /// The source ended before what was committed: it lost what it had, or the committed offset was never there. Reading goes on at its end.
    Truncated,
    /// The source holds other messages than those that were read there. Reading goes back to the last one that is the same.
    Rewritten,
}

impl GapCause {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Skipped => "skipped",
            Self::MadeAnew => "made anew",
            Self::Truncated => "truncated",
            Self::Rewritten => "rewritten",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: u64, to: u64, at: i64) -> Gap {
        Gap { from, to, at, cause: GapCause::Retention }
    }

    /// *Scenario*: a thousand messages are remembered, then one again that stands where an earlier one stood. *Guarantees*: few are kept, the first
    /// and the newest among them, and none beyond the newest.
    #[test]
    fn landmarks_are_few_and_far_between() {
        let mut record = PartitionRecord::default();
        for offset in 0..1000 {
            record.remember(Landmark { offset, ..Landmark::default() });
        }
        let offsets = |record: &PartitionRecord| record.landmarks.iter().map(|landmark| landmark.offset).collect::<Vec<_>>();
        assert_eq!((record.landmarks.len(), offsets(&record)[0], offsets(&record)[5]), (PartitionRecord::LANDMARKS, 0, 999));
        assert!(offsets(&record).is_sorted());
        record.remember(Landmark { offset: 1, ..Landmark::default() });
        assert_eq!(offsets(&record), [0, 1]);
    }

    /// *Scenario*: gaps that touch, then more than are kept, then an acknowledgement in between. *Guarantees*: touching ones are one, no offset is
    /// forgotten by the bound, the count of lost messages stays exact, and only what was there at the acknowledgement goes.
    #[test]
    fn gaps_are_bounded_and_acknowledged() {
        let mut record = PartitionRecord::default();
        record.add_gap(gap(0, 5, 1));
        record.add_gap(gap(5, 9, 2));
        assert_eq!(record.gaps, [gap(0, 9, 2)]);
        for number in 1..100 {
            record.add_gap(gap(number * 10, number * 10 + 1, 100 + number as i64));
        }
        assert_eq!((record.gaps.len(), record.lost), (PartitionRecord::GAPS, 9 + 99));
        assert_eq!((record.gaps[0].from, record.gaps.last().map(|last| last.to)), (0, Some(991)));
        assert!(!record.acknowledge(100), "a joined gap is as new as its newest part");
        assert!(record.acknowledge(180));
        assert_eq!((record.gaps.len(), record.gaps[0].at, record.lost), (19, 181, 9 + 99));
    }
}
