//! A sorted list that can be shared: a clone costs one reference count, and a change copies one chunk and the list of chunks.

use std::sync::Arc;

/// Items of a chunk, at most.
const CHUNK: usize = 128;

/// Items in ascending order of their keys; several may have one key.
#[derive(Debug)]
pub(crate) struct Sequence<T> {
    chunks: Arc<Vec<Chunk<T>>>,
    length: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    /// Of the first item.
    least: u64,
    items: Arc<Vec<T>>,
}

/// What an item is sorted by.
pub(crate) trait Keyed {
    /// The key.
    fn key(&self) -> u64;
}

impl<T> Clone for Sequence<T> {
    fn clone(&self) -> Self {
        Self { chunks: Arc::clone(&self.chunks), length: self.length }
    }
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Self { least: self.least, items: Arc::clone(&self.items) }
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self { chunks: Arc::default(), length: 0 }
    }
}

impl<T: Keyed + Clone> Sequence<T> {
    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// All items.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.items.iter())
    }

    /// Adds an item, behind those with its key.
    pub(crate) fn insert(&mut self, item: T) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let key = item.key();
        self.length += 1;
        let place = chunks.partition_point(|chunk| chunk.least <= key).saturating_sub(1);
        let Some(chunk) = chunks.get_mut(place) else {
            chunks.push(Chunk { least: key, items: Arc::new(vec![item]) });
            return;
        };
        let items = Arc::make_mut(&mut chunk.items);
        let at = items.partition_point(|known| known.key() <= key);
        items.insert(at, item);
        chunk.least = items[0].key();
        if items.len() > CHUNK {
            // Items mostly come in ascending order: then chunks are to be left full.
            let kept = if at + 1 == items.len() { CHUNK } else { CHUNK / 2 };
            let rest = items.split_off(kept);
            chunks.insert(place + 1, Chunk { least: rest[0].key(), items: Arc::new(rest) });
        }
    }

    /// Removes the first item with this key that is the one meant, and gives it back.
    pub(crate) fn remove(&mut self, key: u64, meant: impl Fn(&T) -> bool) -> Option<T> {
        let first = self.chunks.partition_point(|chunk| chunk.least < key).saturating_sub(1);
        let (place, at) =
            self.chunks.iter().enumerate().skip(first).take_while(|(_, chunk)| chunk.least <= key).find_map(|(place, chunk)| {
                let start = chunk.items.partition_point(|item| item.key() < key);
                let at = chunk.items[start..].iter().take_while(|item| item.key() == key).position(&meant)?;
                Some((place, start + at))
            })?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let items = Arc::make_mut(&mut chunks[place].items);
        let removed = items.remove(at);
        self.length -= 1;
        match items.first() {
            Some(first) => chunks[place].least = first.key(),
            None => drop(chunks.remove(place)),
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u64, u32) {
        fn key(&self) -> u64 {
            self.0
        }
    }

    /// *Scenario*: items in ascending, descending and mixed order, some with equal keys; changes after a clone. *Guarantees*: the order of keys,
    /// each item found and removed once, and the clone keeps what it had.
    #[test]
    fn items_are_in_order_and_clones_do_not_change() {
        let mut sequence = Sequence::default();
        let keys = |index: u32| u64::from(index.wrapping_mul(2_654_435_761) % 700);
        for index in 0..3_000 {
            sequence.insert((keys(index), index));
        }
        let old = sequence.clone();
        assert!(sequence.iter().map(|item| item.0).is_sorted());
        for index in (0..3_000).rev() {
            assert_eq!(sequence.remove(keys(index), |item| item.1 == index), Some((keys(index), index)));
            assert_eq!(sequence.remove(keys(index), |item| item.1 == index), None);
        }
        assert_eq!((sequence.len(), sequence.iter().count(), old.len(), old.iter().count()), (0, 0, 3_000, 3_000));
    }
}
