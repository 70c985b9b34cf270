//! Persistent structures: a clone costs one reference count, and a change copies only the parts on the way to it.

use std::sync::Arc;

/// Children of each of the two upper levels, and slots of a block.
const WAYS: usize = 256;

/// A slot for each number from 0, made as they are needed.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    top: Arc<Vec<Arc<Vec<Block<T>>>>>,
    length: u32,
}

type Block<T> = Arc<Vec<Option<T>>>;

/// Rules by 64-bit hash; several may be under one.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    top: Arc<Vec<Arc<Vec<Bucket>>>>,
}

/// Ascending.
type Bucket = Arc<Vec<Entry>>;

/// A hash and the number of a rule filed under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    hash: u64,
    pub(crate) rule: u32,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { top: Arc::clone(&self.top), length: self.length }
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { top: Arc::default(), length: 0 }
    }
}

impl<T: Clone> Slots<T> {
    /// One more than the largest number used so far.
    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let [top, middle, slot] = split(number);
        self.top.get(top)?.get(middle)?.get(slot)?.as_ref()
    }

    /// The slot, to be changed.
    pub(crate) fn slot(&mut self, number: u32) -> &mut Option<T> {
        let [top, middle, slot] = split(number);
        self.length = self.length.max(number + 1);
        let blocks = Arc::make_mut(grown(Arc::make_mut(&mut self.top), top, Arc::default));
        let block = Arc::make_mut(grown(blocks, middle, Arc::default));
        grown(block, slot, || None)
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

impl Default for Table {
    fn default() -> Self {
        let empty: Arc<Vec<Bucket>> = Arc::new(vec![Bucket::default(); WAYS]);
        Self { top: Arc::new(vec![empty; WAYS]) }
    }
}

impl Table {
    /// The rules filed under `hash`.
    pub(crate) fn get(&self, hash: u64) -> &[Entry] {
        let bucket = &self.top[(hash >> 56) as usize][(hash >> 48) as usize % WAYS];
        let start = bucket.partition_point(|entry| entry.hash < hash);
        let length = bucket[start..].partition_point(|entry| entry.hash == hash);
        &bucket[start..start + length]
    }

    pub(crate) fn insert(&mut self, hash: u64, rule: u32) {
        let entry = Entry { hash, rule };
        let bucket = self.bucket(hash);
        if let Err(place) = bucket.binary_search(&entry) {
            bucket.insert(place, entry);
        }
    }

    pub(crate) fn remove(&mut self, hash: u64, rule: u32) {
        let bucket = self.bucket(hash);
        if let Ok(place) = bucket.binary_search(&Entry { hash, rule }) {
            bucket.remove(place);
        }
    }

    fn bucket(&mut self, hash: u64) -> &mut Vec<Entry> {
        let middle = Arc::make_mut(&mut Arc::make_mut(&mut self.top)[(hash >> 56) as usize]);
        Arc::make_mut(&mut middle[(hash >> 48) as usize % WAYS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: changes after a clone, in many places. *Guarantees*: the clone keeps what it had.
    #[test]
    fn a_clone_does_not_change() {
        let mut table = Table::default();
        let mut slots = Slots::default();
        let hashes: Vec<u64> = (0..2_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for (number, hash) in (0..).zip(&hashes) {
            table.insert(*hash, number);
            table.insert(*hash, number + 1);
            *slots.slot(number * 100) = Some(number);
        }
        let (old_table, old_slots) = (table.clone(), slots.clone());
        for (number, hash) in (0..).zip(&hashes) {
            table.remove(*hash, number);
            *slots.slot(number * 100) = None;
        }
        for (number, hash) in (0..).zip(&hashes) {
            assert_eq!(old_table.get(*hash).iter().map(|entry| entry.rule).collect::<Vec<_>>(), [number, number + 1]);
            assert_eq!(table.get(*hash).iter().map(|entry| entry.rule).collect::<Vec<_>>(), [number + 1]);
            assert_eq!((old_slots.get(number * 100), slots.get(number * 100)), (Some(&number), None));
        }
        assert_eq!(slots.length(), 199_901);
    }
}
