//! What became of an event.
//!
//! Outcomes travel as ranges of receipts: almost always neighbours end alike. A receipt is the number of an event within
//! one session; it resolves once, and a session that ends leaves its open receipts as nacks (invariant I2).

/// The end of one delivery, or of an event when all its deliveries have ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The pattern did not match. Acknowledged.
    Filtered,
    /// It has been at the target before on its way through streams, and is not delivered there again. Acknowledged; counts as filtered.
    Looped,
    /// The target has it. Acknowledged.
    Delivered,
    /// The target had it already, by a send whose answer was lost; it was not sent again. Acknowledged; counts as delivered.
    Deduplicated,
    /// The target has it, and perhaps twice: a mirror could not find out whether it was there before. Acknowledged; counts as delivered.
    Unproven,
    /// It is stored durably for a later attempt. Acknowledged.
    Parked,
    /// It is in the dead-letter target. Acknowledged.
    DeadLettered,
    /// It failed for good, and the stream tolerates errors and names no dead-letter target: it is given up, counted and reported.
    Discarded(String),
    /// An operator let it pass without delivering it, for this reason. Acknowledged.
    Skipped(String),
    /// It was not delivered: try again. The text says why.
    Nack(String),
}

impl Outcome {
    /// Whether the source may forget the event.
    pub fn acknowledges(&self) -> bool {
        !matches!(self, Self::Nack(_))
    }

    /// The outcome of an event from those of two of its deliveries: the worse one.
    pub fn join(self, other: Self) -> Self {
        self.max(other)
    }
}

/// Neighbouring receipts with the same outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeRange {
    /// The first receipt.
    pub first: u64,
    /// How many, at least one.
    pub count: u32,
    /// What became of each.
    pub outcome: Outcome,
}

/// Collects outcomes, in the order of receipts, into ranges.
#[derive(Debug, Default)]
pub struct RangeBuilder(Vec<OutcomeRange>);

impl RangeBuilder {
    /// Adds one outcome.
    pub fn push(&mut self, receipt: u64, outcome: Outcome) {
        if let Some(last) = self.0.last_mut()
            && last.first + u64::from(last.count) == receipt
            && last.outcome == outcome
        {
            last.count += 1;
            return;
        }
        self.0.push(OutcomeRange { first: receipt, count: 1, outcome });
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges so far; the builder is empty afterwards.
    pub fn take(&mut self) -> Vec<OutcomeRange> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_outcome_are_one_range() {
        let mut builder = RangeBuilder::default();
        for receipt in [1, 2, 3, 5] {
            builder.push(receipt, Outcome::Delivered);
        }
        builder.push(6, Outcome::Filtered);
        assert_eq!(
            builder.take(),
            [
                OutcomeRange { first: 1, count: 3, outcome: Outcome::Delivered },
                OutcomeRange { first: 5, count: 1, outcome: Outcome::Delivered },
                OutcomeRange { first: 6, count: 1, outcome: Outcome::Filtered },
            ]
        );
        assert!(builder.is_empty());
    }

    #[test]
    fn the_worse_outcome_wins() {
        assert_eq!(Outcome::Delivered.join(Outcome::Filtered), Outcome::Delivered);
        assert_eq!(Outcome::Nack("down".into()).join(Outcome::DeadLettered), Outcome::Nack("down".into()));
    }
}
