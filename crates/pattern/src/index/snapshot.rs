//! The rules of an index at one moment.

use std::sync::Arc;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::access::{Access, Group, Key, cost, group_hash, keys};
use super::intervals::Interval;
use super::rule::Filed;
use super::sequence::{Keyed, Sequence};
use super::table::{Slots, Table};
use crate::condition::Condition;
use crate::field::Ask;
use crate::leaves::{Leaves, Value};
use crate::matching::Matching;
use crate::paths::{Node, Paths};
use crate::pattern::Logic;
use crate::view::{EventError, View, evaluate};

/// An immutable set of rules, shared by those who match with it.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    paths: Arc<Paths>,
    count: usize,
    table: Table,
    /// By node.
    access: Slots<Access>,
    /// Rules that no value leads to.
    always: Sequence<Filed>,
    hasher: RandomState,
}

/// A rule that an event's leaves lead to.
struct Candidate<'s> {
    filed: &'s Filed,
    /// Whether it is known to match.
    matches: bool,
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

    /// Names of the rules that the event matches, each once, those added first first.
    ///
    /// # Errors
    /// As [`Pattern::matches`](crate::Pattern::matches).
    pub fn matches<V: View + ?Sized>(&self, event: &V) -> Result<Vec<&str>, EventError> {
        evaluate(event, &self.paths, |leaves| self.find(leaves), |found| !found.is_empty())
    }

    fn find(&self, leaves: &Leaves<'_>) -> Result<Vec<&str>, EventError> {
        let mut candidates = self.candidates(leaves)?;
        if candidates.len() > 1 {
            // Of the same rule, the one that is known to match comes first.
            candidates.sort_unstable_by_key(|candidate| (candidate.filed.number, !candidate.matches));
            candidates.dedup_by_key(|candidate| candidate.filed.number);
        }
        let mut found = Vec::new();
        for candidate in candidates {
            if candidate.matches || candidate.filed.rule.matches(leaves)? {
                found.push(candidate.filed.rule.name());
            }
        }
        Ok(found)
    }

    /// All rules that could match.
    fn candidates(&self, leaves: &Leaves<'_>) -> Result<SmallVec<[Candidate<'_>; 16]>, EventError> {
        let mut candidates: SmallVec<[Candidate<'_>; 16]> = SmallVec::new();
        candidates.extend(self.always.iter().map(|filed| Candidate { filed, matches: false }));
        // Budgets of patterns bound what one comparison of fields may cost; here it is that of no pattern in particular.
        let matching = Matching::new(leaves, u32::MAX);
        for leaf in leaves.as_slice() {
            let Some(access) = self.access.get(leaf.node.number()) else {
                continue;
            };
            access.look_up(leaf, &self.hasher, |hash| {
                self.table.visit(hash, |filed| candidates.push(Candidate { filed, matches: false }));
            });
            if let (Value::Number(text), false) = (&leaf.value, access.intervals.is_empty()) {
                let number = leaf.digits(text).approximate();
                candidates.extend(access.intervals.containing(number).map(|filed| Candidate { filed, matches: false }));
            }
            for group in access.groups.iter() {
                // What compares fields is left to the rules, which have budgets.
                let compares = group.compares;
                if compares || matching.any(&group.conditions, leaf)? {
                    let candidate = |filed: &'_ Filed| !compares && filed.rule.is_one_field();
                    candidates.extend(group.rules.iter().map(|filed| Candidate { filed, matches: candidate(filed) }));
                }
            }
        }
        Ok(candidates)
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
        let size = |hash: u64| self.table.count(hash);
        let mut chosen: Vec<Key> = Vec::new();
        for combination in logic.combinations() {
            let choices = combination.iter().filter_map(|&index| {
                let field = &logic.fields[index as usize];
                match &field.ask {
                    Ask::OneOf(conditions) => Some(keys(field.node, conditions, &self.hasher, &size)),
                    Ask::Absent { .. } => None,
                }
            });
            let best = choices.min_by_key(|keys| keys.iter().map(|key| cost(key, &size)).sum::<usize>());
            for key in best.unwrap_or_else(|| vec![Key::Always]) {
                if !chosen.contains(&key) {
                    chosen.push(key);
                }
            }
        }
        chosen
    }

    /// Files a rule with this logic under `keys`.
    pub(super) fn file(&mut self, filed: &Filed, logic: &Logic, keys: &[Key]) {
        for key in keys {
            match *key {
                Key::Hash { hash, node, kind } => {
                    self.table.insert(hash, filed.clone());
                    self.access.slot(node.number()).add(kind);
                }
                Key::Range { node, least, most } => {
                    self.access.slot(node.number()).intervals.insert(Interval { least, most, filed: filed.clone() });
                }
                Key::Group { node, hash } => {
                    let asked = logic.fields.iter().find_map(|field| match &field.ask {
                        Ask::OneOf(conditions) if field.node == node && group_hash(conditions, &self.hasher) == hash => Some(conditions),
                        _ => None,
                    });
                    self.join_group(node, hash, asked.map(|conditions| &**conditions).unwrap_or_default(), filed);
                }
                Key::Always => self.always.insert(filed.clone()),
            }
        }
        self.count += 1;
    }

    fn join_group(&mut self, node: Node, hash: u128, conditions: &[Condition], filed: &Filed) {
        let groups = &mut self.access.slot(node.number()).groups;
        let mut group = groups.remove(hash as u64, |group| group.hash == hash).unwrap_or_else(|| Group {
            hash,
            conditions: conditions.into(),
            compares: conditions.iter().any(|condition| !condition.others().is_empty()),
            rules: Sequence::default(),
        });
        group.rules.insert(filed.clone());
        groups.insert(group);
    }

    pub(super) fn unfile(&mut self, filed: &Filed, keys: &[Key]) {
        for key in keys {
            match *key {
                Key::Hash { hash, node, kind } => {
                    self.table.remove(hash, filed.number);
                    self.access.slot(node.number()).remove(kind);
                }
                Key::Range { node, least, .. } => self.access.slot(node.number()).intervals.remove(least, filed.number),
                Key::Group { node, hash } => {
                    let groups = &mut self.access.slot(node.number()).groups;
                    if let Some(mut group) = groups.remove(hash as u64, |group| group.hash == hash) {
                        group.rules.remove(filed.number, |known| known.key() == filed.number);
                        if group.rules.len() > 0 {
                            groups.insert(group);
                        }
                    }
                }
                Key::Always => drop(self.always.remove(filed.number, |known| known.key() == filed.number)),
            }
        }
        self.count -= 1;
    }
}
