//! Rules by hash: a clone costs one reference count, and a change copies only the parts on the way to it.

use std::sync::Arc;

use super::rule::Filed;
use super::sequence::{Keyed, Sequence};

/// Children of each of the two upper levels, and slots of a block.
const WAYS: usize = 256;

/// A slot for each number from 0, made as they are needed.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    top: Arc<Vec<Arc<Vec<Block<T>>>>>,
}

type Block<T> = Arc<Vec<Option<Arc<T>>>>;

/// Rules by 64-bit hash; several may be under one.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    top: Arc<[Arc<[Bucket; WAYS]>; WAYS]>,
}

/// Ascending by hash, in one piece of memory.
type Bucket = Option<Arc<[Entry]>>;

/// A hash and the rules filed under it.
#[derive(Debug, Clone)]
struct Entry {
    hash: u64,
    rules: Posting,
}

#[derive(Debug, Clone)]
enum Posting {
    One(Filed),
    Many(Sequence<Filed>),
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { top: Arc::clone(&self.top) }
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { top: Arc::default() }
    }
}

impl<T> Slots<T> {
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let [top, middle, slot] = split(number);
        self.top.get(top)?.get(middle)?.get(slot)?.as_deref()
    }

    /// The slot, to be changed.
    pub(crate) fn slot(&mut self, number: u32) -> &mut T
    where
        T: Clone + Default,
    {
        let [top, middle, slot] = split(number);
        let blocks = Arc::make_mut(grown(Arc::make_mut(&mut self.top), top, Arc::default));
        let block = Arc::make_mut(grown(blocks, middle, Arc::default));
        Arc::make_mut(grown(block, slot, || None).get_or_insert_default())
    }
}

fn split(number: u32) -> [usize; 3] {
    let number = number as usize;
    [number / WAYS / WAYS, number / WAYS % WAYS, number % WAYS]
}

fn grown<T>(items: &mut Vec<T>, index: usize, empty: impl FnMut() -> T) -> &mut T {
    if items.len() <= index {
        items.resize_with(index + 1, empty);
    }
    &mut items[index]
}

impl Posting {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(rules) => rules.len(),
        }
    }

    fn insert(&mut self, filed: Filed) {
        match self {
            Self::Many(rules) => rules.insert(filed),
            Self::One(first) => {
                let mut rules = Sequence::default();
                rules.insert(first.clone());
                rules.insert(filed);
                *self = Self::Many(rules);
            }
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        let empty: Arc<[Bucket; WAYS]> = Arc::new([const { None }; WAYS]);
        Self { top: Arc::new(std::array::from_fn(|_| Arc::clone(&empty))) }
    }
}

impl Table {
    /// How many rules are filed under `hash`.
    pub(crate) fn count(&self, hash: u64) -> usize {
        self.entry(hash).map_or(0, |entry| entry.rules.len())
    }

    /// Calls `visit` with each rule filed under `hash`.
    #[inline]
    pub(crate) fn visit<'t>(&'t self, hash: u64, mut visit: impl FnMut(&'t Filed)) {
        match self.entry(hash).map(|entry| &entry.rules) {
            Some(Posting::One(filed)) => visit(filed),
            Some(Posting::Many(rules)) => rules.iter().for_each(visit),
            None => {}
        }
    }

    #[inline]
    fn entry(&self, hash: u64) -> Option<&Entry> {
        let [top, middle] = place(hash);
        let bucket = self.top[top][middle].as_deref()?;
        // Few: looked at in the order of memory.
        bucket.iter().find(|entry| entry.hash == hash)
    }

    pub(crate) fn insert(&mut self, hash: u64, filed: Filed) {
        let bucket = self.bucket(hash);
        let mut entries = bucket.as_deref().map(<[Entry]>::to_vec).unwrap_or_default();
        match entries.binary_search_by_key(&hash, |entry| entry.hash) {
            Ok(at) => entries[at].rules.insert(filed),
            Err(at) => entries.insert(at, Entry { hash, rules: Posting::One(filed) }),
        }
        *bucket = Some(entries.into());
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u64) {
        let bucket = self.bucket(hash);
        let mut entries = bucket.as_deref().map(<[Entry]>::to_vec).unwrap_or_default();
        let Ok(at) = entries.binary_search_by_key(&hash, |entry| entry.hash) else {
            return;
        };
        let is_empty = match &mut entries[at].rules {
            Posting::One(filed) => filed.number == number,
            Posting::Many(rules) => {
                rules.remove(number, |filed| filed.key() == number);
                rules.len() == 0
            }
        };
        if is_empty {
            entries.remove(at);
        }
        *bucket = if entries.is_empty() { None } else { Some(entries.into()) };
    }

    fn bucket(&mut self, hash: u64) -> &mut Bucket {
        let [top, middle] = place(hash);
        &mut Arc::make_mut(&mut Arc::make_mut(&mut self.top)[top])[middle]
    }
}

fn place(hash: u64) -> [usize; 2] {
    [(hash >> 56) as usize, (hash >> 48) as usize % WAYS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::rule::Rule;
    use crate::{Options, Pattern};

    /// *Scenario*: changes after a clone, in many places, with rules that share a hash. *Guarantees*: the clone keeps what it had.
    #[test]
    fn a_clone_does_not_change() {
        let pattern = Pattern::compile("{}", &Options::default()).expect("the pattern is well formed");
        let filed = |number| Filed { number, rule: Rule::new("r", pattern.logic()) };
        let numbers = |table: &Table, hash| {
            let mut numbers = Vec::new();
            table.visit(hash, |filed| numbers.push(filed.number));
            numbers
        };
        let mut table = Table::default();
        let mut slots = Slots::default();
        let hashes: Vec<u64> = (0..2_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for (number, hash) in (0..).zip(&hashes) {
            table.insert(*hash, filed(number));
            table.insert(*hash, filed(number + 1));
            *slots.slot(number as u32 * 100) = number;
        }
        let (old_table, old_slots) = (table.clone(), slots.clone());
        for (number, hash) in (0..).zip(&hashes) {
            table.remove(*hash, number);
            *slots.slot(number as u32 * 100) = 7;
        }
        for (number, hash) in (0..).zip(&hashes) {
            assert_eq!((numbers(&old_table, *hash), old_table.count(*hash)), (vec![number, number + 1], 2));
            assert_eq!((numbers(&table, *hash), table.count(*hash)), (vec![number + 1], 1));
            assert_eq!((old_slots.get(number as u32 * 100), slots.get(number as u32 * 100)), (Some(&number), Some(&7)));
            table.remove(*hash, number + 1);
            assert_eq!(table.count(*hash), 0);
        }
    }
}
