//! One budget of bytes for everything of a kind that a process holds, shared fairly.
//!
//! Each holder (a partition, a session) has a [`Share`] and asks it for [`room`](Share::room) before it takes more. The rules:
//!
//! - Whatever others hold, a share may hold [`least`](Budget::new): nobody starves, one batch is always possible. Where there are so many shares that
//!   this would be more than the total, it is [`FLOOR`].
//! - A share may hold its fair part while the total is not reached: the total, divided by the shares there are, idle ones too.
//! - Beyond its fair part it may borrow while more than half of the total is free. So few busy holders use what idle ones leave, and half of all
//!   is left for those when they wake up: the streams of one dead target do not take the memory of the others.
//!
//! What was taken is never taken back. So all shares together hold at most twice the total (what was taken while there was room, and the least part of
//! those that came after), [`FLOOR`] for each, and what one requested read brought beyond its room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a share may always hold, however many there are: without any room it could not take even one event.
pub const FLOOR: u64 = 4 << 10;

/// A budget. Cheap to clone; clones are the same one.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: u64,
    least: u64,
    used: AtomicU64,
    shares: AtomicUsize,
}

/// What one holder has of a budget; given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: AtomicU64,
}

impl Budget {
    /// Of so many bytes, of which each holder may always have `least`.
    pub fn new(total: u64, least: u64) -> Self {
        Self(Arc::new(Inner { total, least, used: AtomicU64::new(0), shares: AtomicUsize::new(0) }))
    }

    /// A share that holds nothing yet.
    pub fn share(&self) -> Share {
        self.0.shares.fetch_add(1, Ordering::Relaxed);
        Share { budget: self.clone(), held: AtomicU64::new(0) }
    }

    /// Bytes that are held.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be held in all.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// Bytes that a share may always hold.
    pub fn least(&self) -> u64 {
        self.0.least
    }
}

impl Share {
    /// Bytes that it holds.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// How many more bytes it may take now; 0: it waits until it holds less, or others do.
    pub fn room(&self) -> u64 {
        let Inner { total, least, used, shares } = &*self.budget.0;
        let (held, used) = (self.held(), used.load(Ordering::Relaxed));
        let shares = (shares.load(Ordering::Relaxed) as u64).max(1);
        let fair = total / shares;
        let free = total.saturating_sub(used);
        let own = fair.saturating_sub(held).min(free);
        let borrowed = (total / 2).saturating_sub(used);
        let always = if least.saturating_mul(shares) <= *total { *least } else { FLOOR.min(*least) };
        own.max(borrowed).max(always.saturating_sub(held))
    }

    /// It holds so much more.
    pub fn add(&self, bytes: u64) {
        self.change(|held| held + bytes);
    }

    /// It holds so much less.
    pub fn remove(&self, bytes: u64) {
        self.change(|held| held.saturating_sub(bytes));
    }

    /// It holds so much.
    pub fn set(&self, bytes: u64) {
        self.change(|_| bytes);
    }

    fn change(&self, after: impl Fn(u64) -> u64) {
        let changed = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| Some(after(held)));
        let before = changed.unwrap_or_else(|held| held);
        // Wrapping: what is added is subtracted later.
        self.budget.0.used.fetch_add(after(before).wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
        self.budget.0.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOTAL: u64 = 10_000;
    const LEAST: u64 = 10;

    /// *Scenario*: four holders; one takes what it can, then the others wake up. *Guarantees*: the first may take half of all while the others are
    /// idle, which is left for them; when it holds less, the last of them finds its part too; one alone may have everything.
    #[test]
    fn what_idle_holders_leave_is_used_and_half_is_left_for_them() {
        let budget = Budget::new(TOTAL, LEAST);
        let shares: Vec<_> = (0..4).map(|_| budget.share()).collect();
        assert_eq!(shares[0].room(), 5_000);
        shares[0].add(5_000);
        assert_eq!(shares[0].room(), 0, "beyond its fair part");
        for (share, free) in shares[1..].iter().zip([2_500, 2_500, 0]) {
            assert_eq!(share.room().max(LEAST), free.max(LEAST));
            share.add(free);
        }
        shares[0].set(2_500);
        assert_eq!(shares[3].room(), 2_500);
        drop(shares);
        assert_eq!((budget.used(), budget.share().room()), (0, TOTAL));
    }

    /// *Scenario*: ten thousand holders of a budget that has 6.5 KiB for each, where each may have 64 KiB while they are few; they come all at once, or one after the
    /// other, and each takes what it may. *Guarantees*: together they hold no more than twice the budget and the floor of each; each has something.
    #[test]
    fn many_holders_hold_no_more_than_twice_the_total_and_a_floor() {
        const HOLDERS: u64 = 10_000;
        for at_once in [true, false] {
            let budget = Budget::new(64 << 20, 64 << 10);
            let mut shares: Vec<Share> = Vec::new();
            if at_once {
                shares.extend((0..HOLDERS).map(|_| budget.share()));
            }
            for number in 0..HOLDERS as usize {
                if !at_once {
                    shares.push(budget.share());
                }
                let share = &shares[number];
                share.add(share.room().min(256 << 10));
            }
            shares.iter().for_each(|share| share.add(share.room().min(256 << 10)));
            let most = 2 * budget.total() + HOLDERS * FLOOR;
            assert!(budget.used() <= most, "{} of {} are held", budget.used(), budget.total());
            assert!(shares.iter().all(|share| share.held() >= FLOOR));
        }
        let tiny = Budget::new(1, 64 << 10);
        let shares: Vec<_> = (0..100).map(|_| tiny.share()).collect();
        assert!(shares.iter().all(|share| share.room() == FLOOR));
    }

    proptest! {
        /// Scenario: any number of holders that take what they may and give back at random. Guarantees: together they never hold more than
        /// the total and the least part of each; and whoever holds less than the least part may always take.
        #[test]
        fn the_total_is_kept_and_nobody_starves(holders in 1usize..400, steps in prop::collection::vec((any::<usize>(), any::<bool>(), 1u64..5_000), 1..2_000)) {
            let budget = Budget::new(TOTAL, LEAST);
            let shares: Vec<_> = (0..holders).map(|_| budget.share()).collect();
            for (pick, takes, bytes) in steps {
                let share = &shares[pick % holders];
                if takes {
                    share.add(share.room().min(bytes));
                } else {
                    share.remove(bytes);
                }
                prop_assert!(budget.used() <= TOTAL + LEAST * holders as u64);
                prop_assert_eq!(budget.used(), shares.iter().map(Share::held).sum::<u64>());
                for share in &shares {
                    prop_assert!(share.held() >= LEAST || share.room() > 0);
                }
            }
        }
    }
}
