//! Array consistency: whether leaves can be chosen, one for each field of a combination, that do not come from different
//! elements of one array.
//!
//! The places of an event's leaves form a tree. For an event without repeated keys, all leaves of one field that stand in the same
//! element go through the same next array, so fields fall into groups by that array, groups are independent, and in each group
//! some element must serve all of its fields: the search descends the tree once. Only repeated keys can lead one field
//! through two arrays; then combinations are tried, under a budget.
//!
//! An absent field must have no leaf that is consistent with the chosen ones. That depends on nothing but the event, not on the
//! order of field names as in event-ruler.

use smallvec::SmallVec;

use crate::leaves::{Array, Place};
use crate::matching::Matching;
use crate::view::EventError;

/// What a combination asks of one field: places of leaves, in document order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'p> {
    /// Leaves that satisfy the field; or all leaves of a field that must be absent.
    pub(crate) places: &'p [Place],
    /// Whether the field must be absent.
    pub(crate) absent: bool,
}

type Terms<'p> = SmallVec<[Term<'p>; 8]>;

/// Whether all `terms` can be satisfied together.
pub(crate) fn satisfiable(terms: &[Term<'_>], matching: &Matching<'_, '_>) -> Result<bool, EventError> {
    inside(terms, Place::TOP, matching)
}

/// The same, all places being inside of the element `around`.
fn inside(terms: &[Term<'_>], around: Place, matching: &Matching<'_, '_>) -> Result<bool, EventError> {
    let mut open = Terms::new();
    let mut needed = false;
    for term in terms {
        let here = term.places.contains(&around);
        match (term.absent, here, term.places.is_empty()) {
            (false, _, true) | (true, true, _) => return Ok(false),
            (false, true, _) | (true, _, true) => {}
            (absent, false, false) => {
                needed |= !absent;
                open.push(*term);
            }
        }
    }
    if !needed {
        // Leaves of absent fields that are left would be consistent with whatever was chosen.
        return Ok(open.is_empty());
    }
    let depth = matching.leaves.depth(around) + 1;
    let array = |place: Place| matching.leaves.array(matching.leaves.ancestor(place, depth));
    if open.iter().any(|term| !term.absent && array(term.places[0]) != array(term.places[term.places.len() - 1])) {
        return combinations(&open, &mut Terms::new(), &mut SmallVec::new(), matching);
    }
    let mut arrays: SmallVec<[Option<Array>; 4]> = open.iter().filter(|term| !term.absent).map(|term| array(term.places[0])).collect();
    arrays.dedup();
    arrays.sort_unstable();
    arrays.dedup();
    if open.iter().filter(|term| term.absent).any(|term| term.places.iter().any(|&place| !arrays.contains(&array(place)))) {
        return Ok(false);
    }
    for wanted in arrays {
        let group: Terms<'_> = open
            .iter()
            .map(|term| Term { places: run(term.places, |place| array(place).cmp(&wanted)), absent: term.absent })
            .filter(|term| !term.places.is_empty())
            .collect();
        if !some_element(&group, depth, matching)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether one element, `depth` arrays deep, serves all terms. All places are in the same array at that depth.
fn some_element(group: &[Term<'_>], depth: u32, matching: &Matching<'_, '_>) -> Result<bool, EventError> {
    let element = |place: Place| matching.leaves.ancestor(place, depth);
    let Some(guide) = group.iter().filter(|term| !term.absent).min_by_key(|term| term.places.len()) else {
        return Ok(true);
    };
    for chunk in guide.places.chunk_by(|&one, &next| element(one) == element(next)) {
        let chosen = element(chunk[0]);
        let terms: Terms<'_> =
            group.iter().map(|term| Term { places: run(term.places, |place| element(place).cmp(&chosen)), absent: term.absent }).collect();
        if inside(&terms, chosen, matching)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The run of places that compare equal. Document order makes places ascend by array and by element.
fn run(places: &[Place], compare: impl Fn(Place) -> std::cmp::Ordering) -> &[Place] {
    let start = places.partition_point(|&place| compare(place).is_lt());
    let length = places[start..].partition_point(|&place| compare(place).is_eq());
    &places[start..start + length]
}

/// Tries every choice of one place for each term that is not absent.
fn combinations<'p>(
    terms: &[Term<'p>],
    absent: &mut Terms<'p>,
    chosen: &mut SmallVec<[Place; 8]>,
    matching: &Matching<'_, '_>,
) -> Result<bool, EventError> {
    let consistent = |place: Place, chosen: &[Place]| chosen.iter().all(|&other| matching.leaves.consistent(place, other));
    let Some((first, rest)) = terms.split_first() else {
        return Ok(!absent.iter().any(|term| term.places.iter().any(|&place| consistent(place, chosen))));
    };
    if first.absent {
        absent.push(*first);
        let found = combinations(rest, absent, chosen, matching);
        absent.pop();
        return found;
    }
    for &place in first.places {
        matching.spend()?;
        if consistent(place, chosen) {
            chosen.push(place);
            let found = combinations(rest, absent, chosen, matching)?;
            chosen.pop();
            if found {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
