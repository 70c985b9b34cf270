//! Many patterns at once.
//!
//! Each combination of a rule is filed under the one of its fields that is expected to let the fewest events through ([`access`] is the
//! choice): under hashes of its exact values, prefixes, or pieces of its wildcards, in one [`table`] of all rules; under its range of
//! numbers, in [`intervals`]; or, if it asks for something else, in a group of the rules that ask the same of that field. An event looks up
//! what its leaves could be filed under, and only the rules found there are evaluated. So the cost follows the event and the rules that
//! nearly match it.
//!
//! Guarantees: a [`Snapshot`] never changes, and taking one never waits, neither for an update nor for another reader. An update
//! copies the few parts of the structure it changes. Updates wait for each other.

mod access;
mod intervals;
mod rule;
mod sequence;
mod snapshot;
mod table;

pub use snapshot::Snapshot;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::paths::Node;
use crate::pattern::Pattern;
use access::Key;
use rule::{Filed, Rule};

/// Rules by name, matched together, added and removed one by one.
#[derive(Debug)]
pub struct Index {
    published: ArcSwap<Snapshot>,
    /// What only updates need.
    ledger: Mutex<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// Rules by name, and where each is filed.
    rules: HashMap<Box<str>, (Filed, Box<[Key]>)>,
    /// The number of the next rule.
    next: u64,
    /// How many rules read each path.
    readers: HashMap<Node, u32>,
}

impl Default for Index {
    fn default() -> Self {
        Self { published: ArcSwap::from_pointee(Snapshot::default()), ledger: Mutex::default() }
    }
}

impl Index {
    /// The rules as they are now. Later updates do not change what it answers.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Adds a rule, in place of one of the same name.
    pub fn insert(&self, name: &str, pattern: &Pattern) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.published.load());
        ledger.take(name, &mut next);
        ledger.put(name, pattern, &mut next);
        self.published.store(Arc::new(next));
    }

    /// Removes the rule of this name and says whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.published.load());
        let found = ledger.take(name, &mut next);
        if found {
            self.published.store(Arc::new(next));
        }
        found
    }

    /// Makes the changes of many rules visible at once: those named are removed, then those given are added.
    pub fn update<'r>(&self, removed: impl IntoIterator<Item = &'r str>, added: impl IntoIterator<Item = (&'r str, &'r Pattern)>) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.published.load());
        for name in removed {
            ledger.take(name, &mut next);
        }
        for (name, pattern) in added {
            ledger.take(name, &mut next);
            ledger.put(name, pattern, &mut next);
        }
        self.published.store(Arc::new(next));
    }
}

impl Ledger {
    fn put(&mut self, name: &str, pattern: &Pattern, next: &mut Snapshot) {
        let places = next.locate(pattern.paths());
        let logic = pattern.logic().relocated(&places);
        let keys = next.choose_keys(&logic).into_boxed_slice();
        let filed = Filed { number: self.next, rule: Rule::new(name, &logic) };
        self.next += 1;
        for node in filed.rule.nodes() {
            *self.readers.entry(node).or_default() += 1;
        }
        next.file(&filed, &logic, &keys);
        self.rules.insert(name.into(), (filed, keys));
    }

    fn take(&mut self, name: &str, next: &mut Snapshot) -> bool {
        let Some((filed, keys)) = self.rules.remove(name) else {
            return false;
        };
        next.unfile(&filed, &keys);
        for node in filed.rule.nodes() {
            let readers = self.readers.entry(node).or_default();
            *readers = readers.saturating_sub(1);
            if *readers == 0 {
                self.readers.remove(&node);
                next.unwant(node);
            }
        }
        true
    }
}
