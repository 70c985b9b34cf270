//! From a pattern's text to its compiled form, with errors that name their place.
//!
//! An object becomes a conjunction over its fields, a `$or` a disjunction over its objects; [`formula`] multiplies that out into
//! combinations of fields. A field's list becomes conditions in [`conditions`].

mod conditions;
mod formula;
mod operand;
pub(crate) mod place;

use crate::condition::Condition;
use crate::error::Error;
use crate::field::{Ask, Field};
use crate::json::Tree;
use crate::operator::OPERATORS;
use crate::options::{Dialect, Options};
use crate::paths::{Node, Paths};
use formula::Formula;
use place::JsonPath;

/// What [`Pattern`](crate::Pattern) is made of.
pub(crate) struct Compiled {
    pub(crate) paths: Paths,
    pub(crate) fields: Vec<Field>,
    /// Where in the text each field stands.
    pub(crate) places: Vec<Box<str>>,
    /// Each combination is a list of indexes of fields. None at all match no event; an empty one matches every event.
    pub(crate) combinations: Vec<Box<[u32]>>,
}

/// The parts grow while the text is read.
struct Compiler<'o> {
    options: &'o Options,
    paths: Paths,
    fields: Vec<Field>,
    places: Vec<Box<str>>,
    conditions: usize,
    regexps: usize,
}

const OR: &str = "$or";

/// Compiles `text`.
pub(crate) fn compile(text: &str, options: &Options) -> Result<Compiled, Error> {
    let root = JsonPath::root();
    if text.len() > options.limits.text_bytes {
        return Err(Error::limit(root.to_string(), "text_bytes", format_args!("{} bytes", text.len()), options.limits.text_bytes));
    }
    let tree = Tree::parse(text).map_err(|fault| Error::new(root.to_string(), fault.to_string(), "a JSON object"))?;
    let Tree::Object(members) = &tree else {
        return Err(Error::new(root.to_string(), tree.describe(), "a JSON object of fields").fix("write {\"field\": [\"value\"]}"));
    };
    let mut compiler = Compiler { options, paths: Paths::default(), fields: Vec::new(), places: Vec::new(), conditions: 0, regexps: 0 };
    let formula = compiler.object(members, Paths::ROOT, &root, false)?;
    let count = formula.combinations();
    if count > options.limits.combinations {
        return Err(Error::limit(
            root.to_string(),
            "combinations",
            format_args!("{count} combinations of alternatives"),
            options.limits.combinations,
        ));
    }
    Ok(Compiled { paths: compiler.paths, fields: compiler.fields, places: compiler.places, combinations: formula.expand() })
}

impl Compiler<'_> {
    fn object(&mut self, members: &[(String, Tree)], node: Node, at: &JsonPath<'_>, inside_or: bool) -> Result<Formula, Error> {
        if at.depth() > self.options.limits.depth {
            return Err(Error::limit(
                at.to_string(),
                "depth",
                format_args!("{} objects inside each other", at.depth()),
                self.options.limits.depth,
            ));
        }
        let mut all = Vec::with_capacity(members.len());
        for (key, value) in members {
            let place = at.key(key);
            if key == OR {
                all.push(self.or(value, node, &place)?);
                continue;
            }
            if inside_or && OPERATORS.contains(&key.as_str()) {
                return Err(Error::new(
                    place.to_string(),
                    format!("the operator {key:?} where a field's name belongs"),
                    "objects of fields in $or",
                )
                .fix(format!("name the field: {{\"field\": [{{\"{key}\": …}}]}}")));
            }
            let child = self.paths.insert(node, key);
            all.push(self.field(value, child, &place)?);
        }
        Ok(Formula::All(all))
    }

    fn field(&mut self, value: &Tree, node: Node, at: &JsonPath<'_>) -> Result<Formula, Error> {
        let allowed = "a list of values and conditions, or an object of fields";
        match value {
            Tree::Object(members) if !members.is_empty() => self.object(members, node, at, false),
            Tree::Array(elements) if !elements.is_empty() => self.list(elements, node, at),
            Tree::Object(_) => {
                Err(Error::new(at.to_string(), "an empty object", allowed).fix("leave the field out, or ask for something in it"))
            }
            Tree::Array(_) => Err(Error::new(at.to_string(), "an empty list", "at least one value or condition")
                .fix("leave the field out to accept every value")),
            scalar => Err(Error::new(at.to_string(), scalar.describe(), allowed).fix("put the value in a list: [ … ]")),
        }
    }

    fn or(&mut self, value: &Tree, node: Node, at: &JsonPath<'_>) -> Result<Formula, Error> {
        let allowed = "a list of at least two objects of fields";
        let Tree::Array(alternatives) = value else {
            return Err(Error::new(at.to_string(), value.describe(), allowed));
        };
        if alternatives.len() < 2 {
            return Err(Error::new(at.to_string(), format!("a list of {}", alternatives.len()), allowed)
                .fix("without alternatives, write the fields without $or"));
        }
        let mut any = Vec::with_capacity(alternatives.len());
        for (index, alternative) in alternatives.iter().enumerate() {
            let place = at.index(index);
            match alternative {
                Tree::Object(members) if !members.is_empty() => any.push(self.object(members, node, &place, true)?),
                other => {
                    return Err(Error::new(place.to_string(), other.describe(), "an object of fields"));
                }
            }
        }
        Ok(Formula::Any(any))
    }

    /// A field's list: one of its conditions must hold.
    fn list(&mut self, elements: &[Tree], node: Node, at: &JsonPath<'_>) -> Result<Formula, Error> {
        let mut conditions = Vec::with_capacity(elements.len());
        let mut absent = false;
        for (index, element) in elements.iter().enumerate() {
            let place = at.index(index);
            self.count_condition(&place)?;
            match self.element(element, &place)? {
                Some(condition) => {
                    if matches!(condition, Condition::Present) {
                        self.paths.want_composites(node);
                    }
                    conditions.push(condition);
                }
                None => absent = true,
            }
        }
        self.paths.want(node);
        let mut any = Vec::new();
        if absent {
            let alibaba = self.options.dialect == Dialect::Alibaba;
            if alibaba {
                self.paths.want_composites(node);
            }
            self.paths.want_absences();
            any.push(self.add(node, Ask::Absent { composites: alibaba }, at));
        }
        if !conditions.is_empty() {
            any.push(self.add(node, Ask::OneOf(conditions::merge(conditions)), at));
        }
        Ok(Formula::Any(any))
    }

    fn add(&mut self, node: Node, ask: Ask, at: &JsonPath<'_>) -> Formula {
        self.fields.push(Field { node, ask });
        self.places.push(at.to_string().into());
        Formula::Field(u32::try_from(self.fields.len() - 1).expect("the limit of conditions is far below 2^32"))
    }

    fn count_condition(&mut self, at: &JsonPath<'_>) -> Result<(), Error> {
        self.conditions += 1;
        if self.conditions > self.options.limits.conditions {
            return Err(Error::limit(at.to_string(), "conditions", "more conditions", self.options.limits.conditions));
        }
        Ok(())
    }
}
