//! Events that operators let pass, on their way to whoever holds them.

use std::collections::{BTreeSet, VecDeque};

use rocketbridge_delivery::Ledger;
use rocketbridge_model::Event;
use rocketbridge_model::session::Skip;

use crate::skips::PartitionSkips;

/// What of one partition may pass.
pub(crate) struct Passing {
    skips: PartitionSkips,
    /// What the filter was asked for in the present session.
    asked: BTreeSet<u64>,
    /// What the filter is to hear next.
    requests: VecDeque<Skip>,
}

impl Passing {
    pub(crate) fn new(skips: PartitionSkips) -> Self {
        Self { skips, asked: BTreeSet::new(), requests: VecDeque::new() }
    }

    /// Waits until there may be something new. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        self.skips.changed().await;
    }

    /// Whether anything may pass at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.skips.is_empty()
    }

    /// A session begins: whoever holds events of it has heard nothing.
    pub(crate) fn restart(&mut self) {
        self.asked.clear();
        self.requests.clear();
    }

    /// Takes what may pass and waits to be sent out of the ledger, and returns it with the reasons. For what the filter has, the filter is asked, once in a
    /// session.
    pub(crate) fn pass(&mut self, ledger: &mut Ledger) -> Vec<(Event, String)> {
        let mut marks = self.skips.marks();
        let mut passed = Vec::new();
        ledger.withdraw(|offset| marks.contains_key(&offset), |withdrawn| passed.push(withdrawn.item));
        let passed = passed.into_iter().map(|event| (marks.remove(&event.offset).unwrap_or_default(), event));
        let passed = passed.map(|(reason, event)| (event, reason)).collect();
        marks.retain(|offset, _| ledger.holds(*offset) && self.asked.insert(*offset));
        self.requests.extend(marks.into_iter().map(|(offset, reason)| Skip { offset, reason }));
        passed
    }

    /// Whether the filter is to hear something.
    pub(crate) fn has_request(&self) -> bool {
        !self.requests.is_empty()
    }

    /// What the filter is to hear next.
    pub(crate) fn next_request(&mut self) -> Option<Skip> {
        self.requests.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rocketbridge_codec::definition::stored;
    use rocketbridge_codec::keyspace;
    use rocketbridge_delivery::Allowance;
    use rocketbridge_metastore::{Embedded, Metastore, Transaction};
    use rocketbridge_model::record::SkipRecord;
    use rocketbridge_model::session::Credit;
    use rocketbridge_model::{Envelope, PartitionId};
    use rocketbridge_runtime::{Shutdown, Tasks};

    use super::*;
    use crate::skips::Skips;

    const WINDOW: Credit = Credit { events: 100, bytes: 1 << 20 };

    async fn mark(store: &Arc<dyn Metastore>, offset: u64) {
        let record = SkipRecord { reason: "seen".into(), ..SkipRecord::default() };
        store.transact(Transaction::new().put(keyspace::skip("u", "b/0", offset), stored::encode(record))).await.expect("writes");
    }

    /// *Scenario*: of six events, three were sent to the filter; an operator skips one of each and one that is not open; then the session is lost. *Guarantees*: what was not
    /// sent passes at once; the filter is asked for the other, once in a session; when nobody holds it any more, it passes too.
    #[tokio::test]
    async fn an_event_passes_wherever_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let store: Arc<dyn Metastore> = Arc::new(Embedded::open(directory.path()).await.expect("a store"));
        let mut passing = Passing::new(Skips::start(Arc::clone(&store), &Tasks::new(Shutdown::new())).of("u", &PartitionId::new("b/0")));
        let mut ledger = Ledger::new(10, WINDOW);
        ledger.admit((10..16).map(|offset| Event { offset, envelope: Envelope::default(), attributes: None }).collect(), 16);
        let mut allowance = Allowance::default();
        allowance.grant(WINDOW);
        ledger.next_batch(&mut allowance, 3, usize::MAX).expect("three were sent");
        assert!(passing.is_empty() && passing.pass(&mut ledger).is_empty() && !passing.has_request());
        for offset in [9, 11, 14] {
            mark(&store, offset).await;
        }
        while passing.skips.marks().len() < 3 {
            passing.changed().await;
        }
        let passed: Vec<_> = passing.pass(&mut ledger).into_iter().map(|(event, reason)| (event.offset, reason)).collect();
        assert_eq!(passed, [(14, "seen".to_owned())]);
        assert_eq!(passing.next_request(), Some(Skip { offset: 11, reason: "seen".into() }));
        assert!(passing.pass(&mut ledger).is_empty() && !passing.has_request());
        passing.restart();
        assert!(passing.pass(&mut ledger).is_empty() && passing.has_request(), "a new session is asked again");
        ledger.restart();
        assert_eq!(passing.pass(&mut ledger).into_iter().map(|(event, _)| event.offset).collect::<Vec<_>>(), [11]);
        assert_eq!((ledger.committable(), ledger.in_flight()), (10, 4));
    }
}
