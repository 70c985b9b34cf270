//! Ranges of numbers, found by a number in them.

use std::sync::Arc;

use super::rule::Filed;

/// Ranges of a chunk, at most.
const CHUNK: usize = 64;

/// Ranges in ascending order of their lower ends, in chunks that know how far up they reach: only chunks that reach a number are looked
/// at. A clone costs one reference count, and a change copies one chunk and the list of chunks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intervals {
    chunks: Arc<Vec<Chunk>>,
}

#[derive(Debug, Clone)]
struct Chunk {
    least: f64,
    most: f64,
    items: Arc<Vec<Interval>>,
}

/// A range, its ends included, and the rule that is filed under it.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) filed: Filed,
}

impl Chunk {
    fn new(items: Vec<Interval>) -> Self {
        let least = items.first().map_or(f64::NAN, |interval| interval.least);
        let most = items.iter().map(|interval| interval.most).fold(f64::NEG_INFINITY, f64::max);
        Self { least, most, items: Arc::new(items) }
    }
}

impl Intervals {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The rules whose range has `number` in it.
    pub(crate) fn containing(&self, number: f64) -> impl Iterator<Item = &Filed> {
        let reached = self.chunks.iter().take_while(move |chunk| chunk.least <= number).filter(move |chunk| chunk.most >= number);
        let intervals = reached.flat_map(move |chunk| chunk.items.iter().take_while(move |interval| interval.least <= number));
        intervals.filter(move |interval| interval.most >= number).map(|interval| &interval.filed)
    }

    /// Adds a range.
    pub(crate) fn insert(&mut self, interval: Interval) {
        let chunks = Arc::make_mut(&mut self.chunks);
        let place = chunks.partition_point(|chunk| chunk.least <= interval.least).saturating_sub(1);
        let Some(chunk) = chunks.get(place) else {
            chunks.push(Chunk::new(vec![interval]));
            return;
        };
        let mut items = Vec::clone(&chunk.items);
        items.insert(items.partition_point(|known| known.least <= interval.least), interval);
        let rest = if items.len() > CHUNK { items.split_off(CHUNK / 2) } else { Vec::new() };
        chunks[place] = Chunk::new(items);
        if !rest.is_empty() {
            chunks.insert(place + 1, Chunk::new(rest));
        }
    }

    /// Removes a range of the rule of this number.
    pub(crate) fn remove(&mut self, least: f64, number: u64) {
        let is_it = |interval: &Interval| interval.least == least && interval.filed.number == number;
        let chunks = Arc::make_mut(&mut self.chunks);
        let near = chunks.iter().enumerate().take_while(|(_, chunk)| chunk.least <= least);
        let Some((place, at)) = near.filter_map(|(place, chunk)| Some((place, chunk.items.iter().position(is_it)?))).last() else {
            return;
        };
        let mut items = Vec::clone(&chunks[place].items);
        items.remove(at);
        if items.is_empty() {
            chunks.remove(place);
        } else {
            chunks[place] = Chunk::new(items);
        }
    }
}
