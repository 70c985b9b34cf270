//! The rules of an index at one moment.

use std::sync::Arc;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::Rule;
use super::access::{Access, Key, always, keys};
use super::table::{Slots, Table};
use crate::leaves::Leaves;
use crate::paths::{Node, Paths};
use crate::pattern::{Ask, Logic};
use crate::view::{EventError, View};

/// An immutable set of rules, shared by those who match with it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    paths: Arc<Paths>,
    rules: Slots<Arc<Rule>>,
    count: usize,
    table: Table,
    /// By node.
    access: Slots<Access>,
    hasher: RandomState,
}

impl Snapshot {
    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names of the rules that the event matches, in no order that means anything, each once.
    ///
    /// # Errors
    /// As [`Pattern::matches`](crate::Pattern::matches).
    pub fn matches<V: View + ?Sized>(&self, event: &V) -> Result<Vec<&str>, EventError> {
        let mut leaves = Leaves::default();
        event.read(&self.paths, &mut leaves)?;
        let found = self.find(&leaves);
        if found.as_ref().is_ok_and(Vec::is_empty) || leaves.hold() {
            return found;
        }
        let mut leaves = Leaves::certain();
        event.read(&self.paths, &mut leaves)?;
        self.find(&leaves)
    }

    fn find(&self, leaves: &Leaves<'_>) -> Result<Vec<&str>, EventError> {
        let mut found = Vec::new();
        for number in self.candidates(leaves) {
            if let Some(rule) = self.rules.get(number)
                && rule.logic.matches(leaves)?
            {
                found.push(&*rule.name);
            }
        }
        Ok(found)
    }

    /// Numbers of all rules that could match, ascending, each once.
    fn candidates(&self, leaves: &Leaves<'_>) -> SmallVec<[u32; 16]> {
        let mut candidates: SmallVec<[u32; 16]> = SmallVec::new();
        let mut take = |hash: u64| candidates.extend(self.table.get(hash).iter().map(|entry| entry.rule));
        take(always(&self.hasher).hash);
        for leaf in leaves.as_slice() {
            if let Some(access) = self.access.get(leaf.node.number()) {
                access.look_up(leaf, &self.hasher, &mut take);
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }

    /// The nodes of `paths` here; the paths are added where they are new.
    pub(super) fn locate(&mut self, paths: &Paths) -> Vec<Node> {
        match self.paths.locate(paths) {
            Some(places) => places,
            None => Arc::make_mut(&mut self.paths).merge(paths),
        }
    }

    pub(super) fn unwant(&mut self, node: Node) {
        Arc::make_mut(&mut self.paths).unwant(node);
    }

    /// Keys such that an event that matches looks up one of them: those of the best field of each combination.
    pub(super) fn choose_keys(&self, logic: &Logic) -> Vec<Key> {
        let size = |hash: u64| self.table.get(hash).len();
        let mut chosen: Vec<Key> = Vec::new();
        for combination in logic.combinations() {
            let choices = combination.iter().filter_map(|&index| {
                let field = &logic.fields[index as usize];
                match &field.ask {
                    Ask::OneOf(conditions) => Some(keys(field.node, conditions, &self.hasher, &size)),
                    Ask::Absent { .. } => None,
                }
            });
            let best = choices.min_by_key(|keys| keys.iter().map(|key| size(key.hash) + cost(key)).sum::<usize>());
            for key in best.unwrap_or_else(|| vec![always(&self.hasher)]) {
                if !chosen.contains(&key) {
                    chosen.push(key);
                }
            }
        }
        chosen
    }

    pub(super) fn next_number(&self) -> u32 {
        self.rules.length()
    }

    pub(super) fn file(&mut self, number: u32, rule: Arc<Rule>) {
        for key in &rule.keys {
            self.table.insert(key.hash, number);
            if let Some(node) = key.node {
                self.access.slot(node.number()).get_or_insert_default().add(key.kind);
            }
        }
        *self.rules.slot(number) = Some(rule);
        self.count += 1;
    }

    pub(super) fn unfile(&mut self, number: u32) -> Option<Arc<Rule>> {
        let rule = self.rules.slot(number).take()?;
        for key in &rule.keys {
            self.table.remove(key.hash, number);
            if let Some(access) = key.node.and_then(|node| self.access.slot(node.number()).as_mut()) {
                access.remove(key.kind);
            }
        }
        self.count -= 1;
        Some(rule)
    }
}

/// How much more than an exact value a key of this kind is looked up in vain, in rules.
fn cost(key: &Key) -> usize {
    use super::access::Kind;
    match key.kind {
        Kind::Exact | Kind::Untyped | Kind::Folded => 1,
        Kind::Prefix(_) | Kind::Suffix(_) => 4,
        Kind::Gram => 32,
        Kind::Any | Kind::Always => 256,
    }
}
