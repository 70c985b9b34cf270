//! A compiled pattern.

use smallvec::SmallVec;

use crate::compile::{Compiled, compile};
use crate::condition::Condition;
use crate::error::Error;
use crate::field::{Ask, Field, Found, Places};
use crate::join::{Term, satisfiable};
use crate::leaves::{Leaves, Place};
use crate::matching::Matching;
use crate::options::Options;
use crate::paths::{Node, Paths};
use crate::view::{EventError, View, evaluate};

/// A pattern, compiled once and matched often. It can be shared between threads.
#[derive(Debug, Clone)]
pub struct Pattern {
    paths: Paths,
    logic: Logic,
    /// Where in the pattern's text each field stands.
    places: Box<[Box<str>]>,
}

/// A pattern without its paths: what is asked of leaves.
#[derive(Debug, Clone)]
pub(crate) struct Logic {
    pub(crate) fields: Box<[Field]>,
    combinations: Combinations,
    combinations_tried: u32,
}

/// Fields that must be satisfied together; the pattern matches if one combination does.
#[derive(Debug, Clone)]
enum Combinations {
    /// All fields, which are no more than [`ASCENDING`] has numbers.
    All,
    /// Indexes of fields.
    Any(Box<[Box<[u32]>]>),
}

/// Without `$or`, which is most often, the one combination is the start of this.
static ASCENDING: [u32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

impl Pattern {
    /// Compiles a pattern's JSON text. `{}` matches every event.
    ///
    /// # Errors
    /// The text is no pattern, or exceeds a limit.
    pub fn compile(text: &str, options: &Options) -> Result<Self, Error> {
        let Compiled { paths, fields, places, combinations } = compile(text, options)?;
        let combinations = match combinations.as_slice() {
            [all] if ASCENDING.get(..fields.len()) == Some(all) => Combinations::All,
            _ => Combinations::Any(combinations.into()),
        };
        let logic = Logic { fields: fields.into(), combinations, combinations_tried: options.limits.combinations_tried };
        Ok(Self { paths, logic, places: places.into() })
    }

    /// Whether the event matches.
    ///
    /// # Errors
    /// The event cannot be read, or repeats keys so that too many combinations of array elements would have to be tried.
    pub fn matches<V: View + ?Sized>(&self, event: &V) -> Result<bool, EventError> {
        evaluate(event, &self.paths, |leaves| self.logic.matches(leaves), |is_match| *is_match)
    }

    /// Whether the pattern is `{}`: it matches every event, so callers need not evaluate it.
    #[must_use]
    pub fn is_match_all(&self) -> bool {
        self.logic.fields.is_empty()
    }

    /// Whether matching looks at the value at a path of the event, or at anything in it: a view can spare itself what nothing reads.
    #[must_use]
    pub fn reads(&self, path: &[&str]) -> bool {
        let node = path.iter().try_fold(Paths::ROOT, |node, name| self.paths.descend(node, name));
        node.is_some_and(|node| self.paths.is_wanted(node) || self.paths.wants_composites(node) || self.paths.has_children(node))
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(crate) fn logic(&self) -> &Logic {
        &self.logic
    }

    /// Where in the pattern's text each field of the logic stands.
    pub(crate) fn places(&self) -> &[Box<str>] {
        &self.places
    }
}

impl Logic {
    pub(crate) fn matching<'l, 'e>(&self, leaves: &'l Leaves<'e>) -> Matching<'l, 'e> {
        Matching::new(leaves, self.combinations_tried)
    }

    /// Each combination, as indexes of fields.
    pub(crate) fn combinations(&self) -> impl Iterator<Item = &[u32]> {
        let (all, any) = match &self.combinations {
            Combinations::All => (Some(&ASCENDING[..self.fields.len()]), None),
            Combinations::Any(any) => (None, Some(any)),
        };
        all.into_iter().chain(any.into_iter().flatten().map(AsRef::as_ref))
    }

    /// Whether all fields must be satisfied together, and there is no other way.
    pub(crate) fn is_one_combination(&self) -> bool {
        matches!(self.combinations, Combinations::All)
    }

    /// Whether it asks for nothing but values of one field.
    pub(crate) fn is_one_field(&self) -> bool {
        self.is_one_combination() && matches!(&*self.fields, [Field { ask: Ask::OneOf(_), .. }])
    }

    /// Combinations of array elements that are tried.
    pub(crate) fn budget(&self) -> u32 {
        self.combinations_tried
    }

    /// Every node the logic reads, once for each place it is read in.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            nodes.push(field.node);
            if let Ask::OneOf(conditions) = &field.ask {
                nodes.extend(conditions.iter().flat_map(Condition::others));
            }
        }
        nodes
    }

    /// The logic for a trie in which the node `n` of this one is `places[n]`.
    pub(crate) fn relocated(&self, places: &[Node]) -> Self {
        let fields = self.fields.iter().map(|field| Field {
            node: places[field.node.index()],
            ask: match &field.ask {
                Ask::OneOf(conditions) => Ask::OneOf(conditions.iter().map(|condition| condition.relocated(places)).collect()),
                Ask::Absent { composites } => Ask::Absent { composites: *composites },
            },
        });
        Self { fields: fields.collect(), combinations: self.combinations.clone(), combinations_tried: self.combinations_tried }
    }

    /// Whether an event with these leaves matches. They were read by paths whose nodes the fields name.
    pub(crate) fn matches(&self, leaves: &Leaves<'_>) -> Result<bool, EventError> {
        let matching = self.matching(leaves);
        if let (Combinations::All, [field]) = (&self.combinations, &*self.fields) {
            return Ok(match field.first(&matching)? {
                Found::Nowhere => matches!(field.ask, Ask::Absent { .. }),
                Found::At(_) => matches!(field.ask, Ask::OneOf(_)),
            });
        }
        let mut known: SmallVec<[Known; 4]> = SmallVec::from_elem(Known::default(), self.fields.len());
        for combination in self.combinations() {
            if self.combination(combination, &mut known, &matching)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all of these fields can be satisfied together. What is found out of a field is `known` from then on.
    pub(crate) fn combination(&self, fields: &[u32], known: &mut [Known], matching: &Matching<'_, '_>) -> Result<bool, EventError> {
        let (mut in_arrays, mut absent_in_arrays) = (0, false);
        for &index in fields {
            let field = &self.fields[index as usize];
            let first = match known[index as usize].first {
                Some(first) => first,
                None => *known[index as usize].first.insert(field.first(matching)?),
            };
            match (&field.ask, first) {
                (Ask::OneOf(_), Found::Nowhere) | (Ask::Absent { .. }, Found::At(Place::TOP)) => return Ok(false),
                (Ask::OneOf(_), Found::At(Place::TOP)) | (Ask::Absent { .. }, Found::Nowhere) => {}
                (Ask::OneOf(_), Found::At(_)) => in_arrays += 1,
                (Ask::Absent { .. }, Found::At(_)) => absent_in_arrays = true,
            }
        }
        if in_arrays <= 1 && !absent_in_arrays {
            return Ok(true);
        }
        for &index in fields {
            let known = &mut known[index as usize];
            if known.places.is_none() {
                known.places = Some(self.fields[index as usize].places(matching)?);
            }
        }
        let terms: SmallVec<[Term<'_>; 8]> = fields
            .iter()
            .map(|&index| Term {
                places: known[index as usize].places.as_deref().unwrap_or_default(),
                absent: matches!(self.fields[index as usize].ask, Ask::Absent { .. }),
            })
            .collect();
        satisfiable(&terms, matching)
    }
}

/// What was found out of a field and one event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    first: Option<Found>,
    places: Option<Places>,
}
