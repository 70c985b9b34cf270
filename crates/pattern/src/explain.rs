//! Why an event matches a pattern, or how far it is from it.
//!
//! Each combination of a pattern's `$or` is told with all of its fields: which value satisfied it, which values did not, or where
//! the path ended; and, if every field was satisfied but not together, which two fields are in different elements of one array.
//! Explaining reads the event more than once: it is for people, not for the data path.

use std::fmt;

use crate::field::{Ask, Field, Places};
use crate::leaves::{Leaf, Leaves, Place, Value};
use crate::matching::Matching;
use crate::paths::{Node, Paths};
use crate::pattern::{Known, Logic, Pattern};
use crate::view::{EventError, View};

/// What became of one pattern and one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the event matches.
    pub matched: bool,
    /// The combinations of the pattern, those nearest to a match first.
    pub combinations: Vec<Combination>,
}

/// Fields that had to be satisfied together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combination {
    /// Whether they were.
    pub matched: bool,
    /// Each field, in the order of the pattern.
    pub fields: Vec<FieldVerdict>,
    /// Why the fields were not satisfied together though each was alone.
    pub conflict: Option<String>,
}

/// What became of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldVerdict {
    /// Where in the pattern it stands.
    pub at: String,
    /// What it asked, as written in patterns; several alternatives are joined by "or".
    pub asked: String,
    /// Whether it was satisfied.
    pub satisfied: bool,
    /// The value that did, the values that did not, or where the path ended.
    pub because: String,
}

/// Places of a field that are compared with those of another, at most.
const COMPARED: usize = 1_000;
/// Values that are shown of a field, at most.
const SHOWN: usize = 4;
/// Characters that are shown of a value, at most.
const SHOWN_CHARACTERS: usize = 60;

impl Pattern {
    /// Says why the event matches, or how far it is from it.
    ///
    /// # Errors
    /// As [`Pattern::matches`].
    pub fn explain<V: View + ?Sized>(&self, event: &V) -> Result<Explanation, EventError> {
        let mut leaves = Leaves::certain();
        event.read(self.paths(), &mut leaves)?;
        let mut everywhere = self.paths().clone();
        everywhere.want_everywhere();
        let mut parts = Leaves::certain();
        event.read(&everywhere, &mut parts)?;

        let logic = self.logic();
        let explaining = Explaining { paths: self.paths(), places: self.places(), logic, leaves: &leaves, parts: &parts };
        let mut combinations = logic.combinations().map(|fields| explaining.combination(fields)).collect::<Result<Vec<_>, _>>()?;
        combinations.sort_by_key(Combination::distance);
        Ok(Explanation { matched: combinations.iter().any(|combination| combination.matched), combinations })
    }
}

/// The rules that an event nearly matches, nearest first, at most `most` of them; those it does match are left out.
///
/// # Errors
/// As [`Pattern::matches`].
pub fn nearest_misses<'r, V: View + ?Sized>(
    rules: impl IntoIterator<Item = (&'r str, &'r Pattern)>,
    event: &V,
    most: usize,
) -> Result<Vec<(&'r str, Explanation)>, EventError> {
    let mut misses = Vec::new();
    for (name, pattern) in rules {
        let explanation = pattern.explain(event)?;
        if !explanation.matched {
            misses.push((name, explanation));
        }
    }
    misses.sort_by(|(one_name, one), (other_name, other)| one.distance().cmp(&other.distance()).then_with(|| one_name.cmp(other_name)));
    misses.truncate(most);
    Ok(misses)
}

impl Explanation {
    /// How far the event is from a match: fields not satisfied in the nearest combination, and of these the share of all, in
    /// thousandths.
    #[must_use]
    pub fn distance(&self) -> (usize, usize) {
        self.combinations.first().map_or((usize::MAX, usize::MAX), Combination::distance)
    }
}

impl Combination {
    fn distance(&self) -> (usize, usize) {
        let missed = self.fields.iter().filter(|field| !field.satisfied).count() + usize::from(self.conflict.is_some());
        (missed, missed * 1_000 / self.fields.len().max(1))
    }
}

struct Explaining<'x, 'e> {
    paths: &'x Paths,
    places: &'x [Box<str>],
    logic: &'x Logic,
    leaves: &'x Leaves<'e>,
    /// Leaves of every path on the way, objects and arrays too.
    parts: &'x Leaves<'e>,
}

impl Explaining<'_, '_> {
    fn combination(&self, indexes: &[u32]) -> Result<Combination, EventError> {
        let matching = self.logic.matching(self.leaves);
        let fields: Vec<(&str, &Field)> =
            indexes.iter().map(|&index| (&*self.places[index as usize], &self.logic.fields[index as usize])).collect();
        let places = fields.iter().map(|(_, field)| field.places(&matching)).collect::<Result<Vec<_>, _>>()?;
        let verdicts = fields
            .iter()
            .zip(&places)
            .map(|((at, field), places)| self.field(at, field, places, &matching))
            .collect::<Result<Vec<_>, _>>()?;
        let mut known = vec![Known::default(); self.logic.fields.len()];
        let matched = self.logic.combination(indexes, &mut known, &matching)?;
        let conflict = (!matched && verdicts.iter().all(|verdict| verdict.satisfied)).then(|| self.conflict(&fields, &places));
        Ok(Combination { matched, fields: verdicts, conflict })
    }

    fn field(&self, at: &str, field: &Field, places: &[Place], matching: &Matching<'_, '_>) -> Result<FieldVerdict, EventError> {
        let verdict = |asked: String, satisfied: bool, because: String| FieldVerdict { at: at.to_owned(), asked, satisfied, because };
        let all: Vec<&Leaf<'_>> = self.leaves.as_slice().iter().filter(|leaf| leaf.node == field.node).collect();
        Ok(match &field.ask {
            Ask::Absent { .. } => {
                // Inside arrays it may still be absent from the elements that count: then the combination says so.
                let present = places.contains(&Place::TOP);
                let because = if all.is_empty() { self.path_ends(field.node) } else { format!("found {}", self.show(&all)) };
                verdict("{\"exists\": false}".to_owned(), !present, because)
            }
            Ask::OneOf(conditions) => {
                let asked = conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                let mut holding = None;
                for leaf in &all {
                    if matching.any(conditions, leaf)? {
                        holding = Some(*leaf);
                        break;
                    }
                }
                match holding {
                    Some(leaf) => verdict(asked, true, format!("found {}", self.show(&[leaf]))),
                    None if all.is_empty() => verdict(asked, false, self.path_ends(field.node)),
                    None => verdict(asked, false, format!("found {}", self.show(&all))),
                }
            }
        })
    }

    /// Which part of the path to `node` the event has.
    fn path_ends(&self, node: Node) -> String {
        let way = self.paths.way(node);
        let name = |length: usize| {
            let names: Vec<&str> = way[..length].iter().map(|(name, _)| name.as_str()).collect();
            if names.is_empty() { "$".to_owned() } else { format!("$.{}", names.join(".")) }
        };
        let has = |wanted: Node| self.parts.as_slice().iter().find(|leaf| leaf.node == wanted);
        let reached = way.iter().rposition(|(_, node)| has(*node).is_some()).map_or(0, |place| place + 1);
        if reached == way.len() {
            return format!("{} has no value: it is an object or an empty array", name(reached));
        }
        let what = match reached.checked_sub(1).and_then(|place| has(way[place].1)).map(|leaf| &leaf.value) {
            Some(Value::Composite) | None => String::new(),
            Some(value) => format!(", which is {}", show(value)),
        };
        format!("the path ends at {}{what}: there is no {:?}", name(reached), way[reached].0)
    }

    fn show(&self, leaves: &[&Leaf<'_>]) -> String {
        let mut shown: Vec<String> =
            leaves.iter().take(SHOWN).map(|leaf| format!("{}{}", show(&leaf.value), self.elements(leaf.place))).collect();
        if leaves.len() > SHOWN {
            shown.push(format!("{} more", leaves.len() - SHOWN));
        }
        shown.join(", ")
    }

    /// The array elements around a place, outermost first.
    fn elements(&self, place: Place) -> String {
        let depth = self.leaves.depth(place);
        if depth == 0 {
            return String::new();
        }
        let indexes = (1..=depth).map(|depth| format!("[{}]", self.leaves.index(self.leaves.ancestor(place, depth))));
        format!(" in element {}", indexes.collect::<String>())
    }

    /// The two fields, or the many, that cannot be combined.
    fn conflict(&self, fields: &[(&str, &Field)], places: &[Places]) -> String {
        let is_absent = |index: usize| matches!(fields[index].1.ask, Ask::Absent { .. });
        for one in 0..fields.len() {
            for other in one + 1..fields.len() {
                let together = |place: &Place| places[other].iter().take(COMPARED).any(|&with| self.leaves.consistent(*place, with));
                if !is_absent(one) && !is_absent(other) && !places[one].iter().take(COMPARED).any(together) {
                    return format!(
                        "{} is satisfied{} and {} only{}: different elements of one array",
                        fields[one].0,
                        self.elements(places[one][0]),
                        fields[other].0,
                        self.elements(places[other][0]),
                    );
                }
            }
        }
        let absent: Vec<&str> =
            (0..fields.len()).filter(|&index| is_absent(index) && !places[index].is_empty()).map(|index| fields[index].0).collect();
        if absent.is_empty() {
            "no choice of array elements satisfies all fields at once".to_owned()
        } else {
            format!("in every element that satisfies the other fields there is a value of {}", absent.join(" or "))
        }
    }
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => shorten(text),
        Value::String(text) => format!("{:?}", shorten(text)),
        Value::Opaque => "bytes that are not text".to_owned(),
        Value::Composite => "an object or an array".to_owned(),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.matched { "the event matches" } else { "the event does not match" })?;
        for (index, combination) in self.combinations.iter().enumerate() {
            if self.combinations.len() > 1 {
                writeln!(f, "alternative {} of {}:", index + 1, self.combinations.len())?;
            }
            for field in &combination.fields {
                writeln!(f, "  {} {} {}: {}", if field.satisfied { "yes" } else { "no " }, field.at, field.asked, field.because)?;
            }
            if let Some(conflict) = &combination.conflict {
                writeln!(f, "  no  together: {conflict}")?;
            }
        }
        Ok(())
    }
}
