//! How much may be under way in one session.
//!
//! The receiver grants, the sender spends. Grants are for events and for bytes; an event may be sent while both are
//! above nothing, so that one event larger than the whole byte window still passes, alone. The receiver keeps the same account as the sender, and
//! does not take what was sent without credit: its memory does not depend on a sender that counts.

use rocketbridge_model::session::Credit;

use crate::budget::Share;

/// The sender's side: what it may still send.
#[derive(Debug, Default)]
pub struct Allowance {
    events: u64,
    bytes: i128,
}

impl Allowance {
    /// Adds a grant.
    pub fn grant(&mut self, credit: Credit) {
        self.events += u64::from(credit.events);
        self.bytes += i128::from(credit.bytes);
    }

    /// Whether one more event may be sent.
    pub fn is_open(&self) -> bool {
        self.events > 0 && self.bytes > 0
    }

    /// Spends one event of this size. Call it only while [`Allowance::is_open`].
    pub fn spend(&mut self, bytes: usize) {
        debug_assert!(self.is_open(), "spent without credit");
        self.events = self.events.saturating_sub(1);
        self.bytes -= bytes as i128;
    }
}

/// An event was sent without credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of {bytes} bytes was sent with credit for {events} events and {left} bytes left: the sender must wait for credit")]
pub struct Overdrawn {
    /// Events that the sender still had credit for.
    pub events: u64,
    /// Bytes that it still had credit for; below zero after an event larger than its credit.
    pub left: i128,
    /// Size of the event.
    pub bytes: usize,
}

/// The receiver's side: what it gives back as events end, in portions worth a message.
///
/// With a [`Share`] of a budget it grants no more bytes than that has room for: what is granted counts as held, because the sender may send
/// it at any time. Then a session's window shrinks and grows with what others hold; it never closes.
#[derive(Debug)]
pub struct Grants {
    window: Credit,
    /// What the sender may still send, as the receiver knows it: never less than what the sender knows.
    allowance: Allowance,
    share: Option<Share>,
    ended: Credit,
    /// Bytes that the sender may still send or has sent and not seen end. Below nothing after an event larger than its credit.
    outstanding: i64,
}

impl Grants {
    /// For a window.
    pub fn new(window: Credit) -> Self {
        Self { window, allowance: Allowance::default(), share: None, ended: Credit::default(), outstanding: 0 }
    }

    /// For a window within a budget.
    pub fn within(window: Credit, share: Share) -> Self {
        Self { share: Some(share), ..Self::new(window) }
    }

    /// The first grant.
    pub fn first(&mut self) -> Credit {
        let credit = Credit { events: self.window.events, bytes: self.grow() };
        self.allowance.grant(credit);
        credit
    }

    /// Notes that an event of this size has come.
    ///
    /// # Errors
    ///
    /// It was sent without credit: the session must end.
    pub fn receive(&mut self, bytes: usize) -> Result<(), Overdrawn> {
        if !self.allowance.is_open() {
            let Allowance { events, bytes: left } = self.allowance;
            return Err(Overdrawn { events, left, bytes });
        }
        self.allowance.spend(bytes);
        Ok(())
    }

    /// Notes that an event of this size has ended.
    pub fn end(&mut self, bytes: usize) {
        self.ended.events = self.ended.events.saturating_add(1);
        self.ended.bytes = self.ended.bytes.saturating_add(bytes as u64);
    }

    /// What to grant now: as much as ended, within the budget, once that is an eighth of the window or of what is out.
    pub fn take(&mut self) -> Option<Credit> {
        let out = u64::try_from(self.outstanding).unwrap_or(0).min(self.window.bytes);
        let due = self.ended.events >= (self.window.events / 8).max(1) || self.ended.bytes >= (out / 8).max(1);
        if !due || self.ended == Credit::default() {
            return None;
        }
        let Credit { events, bytes } = std::mem::take(&mut self.ended);
        self.outstanding = self.outstanding.saturating_sub_unsigned(bytes);
        let credit = Credit { events, bytes: self.grow() };
        self.allowance.grant(credit);
        Some(credit)
    }

    /// Brings what is out up to the window, or to what the budget allows.
    fn grow(&mut self) -> u64 {
        let mut most = self.window.bytes;
        if let Some(share) = &self.share {
            share.set(u64::try_from(self.outstanding).unwrap_or(0));
            most = most.min(share.held() + share.room());
        }
        let granted = u64::try_from(i64::try_from(most).unwrap_or(i64::MAX).saturating_sub(self.outstanding)).unwrap_or(0);
        self.outstanding = self.outstanding.saturating_add_unsigned(granted);
        if let Some(share) = &self.share {
            share.set(u64::try_from(self.outstanding).unwrap_or(0));
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[test]
    fn an_event_larger_than_the_window_passes_alone() {
        let mut allowance = Allowance::default();
        allowance.grant(Credit { events: 10, bytes: 100 });
        allowance.spend(1_000);
        assert!(!allowance.is_open());
        allowance.grant(Credit { events: 1, bytes: 1_000 });
        assert!(allowance.is_open());
    }

    /// *Scenario*: a sender goes on without credit: of bytes, of events, and after an event larger than its whole window. *Guarantees*: exactly what it
    /// had credit for is taken, and the rest once there is credit again.
    #[test]
    fn what_is_sent_without_credit_is_not_taken() {
        let mut grants = Grants::new(Credit { events: 100, bytes: 32 << 20 });
        assert!(grants.receive(0).is_err(), "before anything was granted");
        grants.first();
        let taken = (0..100).take_while(|_| grants.receive(8 << 20).is_ok()).count();
        assert_eq!(taken, 4);
        (0..taken).for_each(|_| grants.end(8 << 20));
        grants.take().expect("credit");
        assert_eq!(grants.receive(128 << 20), Ok(()));
        let overdrawn = grants.receive(1).expect_err("the window is more than full");
        assert_eq!(overdrawn.left, (32 << 20) - (128 << 20));

        let mut grants = Grants::new(Credit { events: 100, bytes: 32 << 20 });
        grants.first();
        assert_eq!((0..1_000).take_while(|_| grants.receive(0).is_ok()).count(), 100);
    }

    #[test]
    fn what_is_spent_comes_back_whole() {
        let window = Credit { events: 16, bytes: 1_000 };
        let (mut allowance, mut grants) = (Allowance::default(), Grants::new(window));
        assert_eq!(grants.first(), window);
        allowance.grant(window);
        for _ in 0..1_000 {
            assert!(allowance.is_open());
            allowance.spend(10);
            grants.end(10);
            if let Some(credit) = grants.take() {
                allowance.grant(credit);
            }
        }
        assert!(allowance.is_open());
    }

    /// *Scenario*: a thousand sessions within a budget of a tenth of their windows, each with an event far larger than its credit among small ones;
    /// every event ends as soon as it is sent. *Guarantees*: together they are never granted more than the budget and the least part of each;
    /// each session goes on for ever; and when the others are gone, one has its whole window.
    #[test]
    fn sessions_within_a_budget_shrink_and_never_stop() {
        const SESSIONS: usize = 1_000;
        let window = Credit { events: 16, bytes: 1_000 };
        let budget = Budget::new(SESSIONS as u64 * 100, 10);
        let mut sessions: Vec<_> = (0..SESSIONS).map(|_| (Grants::within(window, budget.share()), Allowance::default())).collect();
        for (grants, allowance) in &mut sessions {
            allowance.grant(grants.first());
        }
        for round in 0..50 {
            for (grants, allowance) in &mut sessions {
                assert!(allowance.is_open(), "it has stopped in round {round}");
                let size = if round == 25 { 5_000 } else { 7 };
                allowance.spend(size);
                assert_eq!(grants.receive(size), Ok(()));
                grants.end(size);
                if let Some(credit) = grants.take() {
                    allowance.grant(credit);
                }
                assert!(budget.used() <= budget.total() + 10 * SESSIONS as u64, "{} granted", budget.used());
            }
        }
        sessions.truncate(1);
        let (grants, allowance) = &mut sessions[0];
        for _ in 0..4 {
            allowance.spend(7);
            grants.end(7);
            grants.take().into_iter().for_each(|credit| allowance.grant(credit));
        }
        assert_eq!(budget.used(), window.bytes);
    }
}
