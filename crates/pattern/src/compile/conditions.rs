//! Elements of a field's list: values, and operators with their operands.

use super::operand::{self, ascending};
use super::{Compiler, JsonPath};
use crate::condition::{Bound, Comparison, Condition, Range, Relation};
use crate::error::Error;
use crate::json::Tree;
use crate::number::Number;
use crate::operator::{NEGATABLE, NEGATABLE_ALIBABA, OPERATORS, meant};
use crate::options::Dialect;

/// From this many texts on, a search is faster than comparing one by one.
const MANY: usize = 8;

/// Puts many exact texts into one sorted list.
pub(super) fn merge(conditions: Vec<Condition>) -> Box<[Condition]> {
    if conditions.iter().filter(|condition| matches!(condition, Condition::Text(_))).count() < MANY {
        return conditions.into();
    }
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Text(text) => texts.push(text),
            other => others.push(other),
        }
    }
    texts.sort_unstable();
    texts.dedup();
    others.insert(0, Condition::AnyText(texts.into()));
    others.into()
}

impl Compiler<'_> {
    fn is_alibaba(&self) -> bool {
        self.options.dialect == Dialect::Alibaba
    }

    /// One element; none for `{"exists": false}`, which is not about a value.
    pub(super) fn element(&mut self, element: &Tree, at: &JsonPath<'_>) -> Result<Option<Condition>, Error> {
        match element {
            Tree::Object(members) => {
                let (name, operand) = operand::only(members, at)?;
                if name == "exists" {
                    return match operand {
                        Tree::Bool(true) if self.is_alibaba() => Ok(Some(Condition::Present)),
                        Tree::Bool(true) => Ok(Some(Condition::Exists)),
                        Tree::Bool(false) => Ok(None),
                        other => Err(Error::new(at.key(name).to_string(), other.describe(), "true or false")),
                    };
                }
                self.operator(name, operand, at).map(Some)
            }
            Tree::Array(_) => Err(Error::new(at.to_string(), element.describe(), "a value or a condition")
                .fix("lists do not nest: write the values side by side")),
            scalar => Ok(Some(self.exact(scalar))),
        }
    }

    fn exact(&self, scalar: &Tree) -> Condition {
        match scalar {
            Tree::Null => Condition::Null,
            Tree::Bool(value) if self.is_alibaba() => Condition::Untyped(value.to_string().into()),
            Tree::Bool(value) => Condition::Bool(*value),
            Tree::Number(text) | Tree::String(text) if self.is_alibaba() => Condition::Untyped(text.as_str().into()),
            Tree::Number(text) => Condition::Number(Number::new(text)),
            Tree::String(text) => Condition::Text(text.as_str().into()),
            Tree::Array(_) | Tree::Object(_) => unreachable!("callers pass scalars"),
        }
    }

    fn operator(&mut self, name: &str, operand: &Tree, at: &JsonPath<'_>) -> Result<Condition, Error> {
        let place = at.key(name);
        match name {
            "exactly" => Ok(match operand::text(operand, &place)? {
                text if self.is_alibaba() => Condition::Untyped(text.into()),
                text => Condition::Text(text.into()),
            }),
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard" | "contains" | "regexp" | "cidr" => {
                self.text_operator(name, operand, &place, self.is_alibaba())
            }
            "anything-but" => self.anything_but(operand, &place),
            "numeric" => self.numeric(operand, &place),
            "all-of" => self.all_of(operand, &place),
            "field" => self.comparison(operand, Relation::Same, &place),
            "exists" => Err(Error::new(place.to_string(), "exists inside another condition", "conditions on the value")
                .fix("a value that meets any other condition exists")),
            unknown => Err(operand::unknown(unknown, &OPERATORS, at, meant(unknown, &OPERATORS))),
        }
    }

    fn anything_but(&mut self, operand: &Tree, at: &JsonPath<'_>) -> Result<Condition, Error> {
        let negatable: &[&str] = if self.is_alibaba() { &NEGATABLE_ALIBABA } else { &NEGATABLE };
        let excluded = match operand {
            Tree::Object(members) => {
                let (name, operand) = operand::only(members, at)?;
                if !negatable.contains(&name) {
                    return Err(operand::unknown(name, negatable, at, meant(name, negatable)));
                }
                let place = at.key(name);
                match operand {
                    Tree::Array(elements) if !elements.is_empty() => {
                        let mut excluded = Vec::with_capacity(elements.len());
                        for (index, element) in elements.iter().enumerate() {
                            let place = place.index(index);
                            self.count_condition(&place)?;
                            excluded.push(self.text_operator(name, element, &place, true)?);
                        }
                        excluded
                    }
                    single => vec![self.text_operator(name, single, &place, true)?],
                }
            }
            Tree::Array(elements) if elements.is_empty() => {
                return Err(Error::new(at.to_string(), "an empty list", "at least one value"));
            }
            Tree::Array(elements) => {
                let mut excluded = Vec::with_capacity(elements.len());
                for (index, element) in elements.iter().enumerate() {
                    let place = at.index(index);
                    self.count_condition(&place)?;
                    excluded.push(self.excluded_value(element, &place)?);
                }
                let first_is_text = matches!(elements[0], Tree::String(_));
                if let Some(index) = elements.iter().position(|element| matches!(element, Tree::String(_)) != first_is_text)
                    && !self.is_alibaba()
                {
                    return Err(Error::new(
                        at.index(index).to_string(),
                        elements[index].describe(),
                        "only strings or only numbers in one list",
                    )
                    .fix("use all-of with one anything-but for each type"));
                }
                excluded
            }
            scalar => vec![self.excluded_value(scalar, at)?],
        };
        Ok(Condition::Not(merge(excluded)))
    }

    fn excluded_value(&self, value: &Tree, at: &JsonPath<'_>) -> Result<Condition, Error> {
        match value {
            Tree::String(_) | Tree::Number(_) => Ok(self.exact(value)),
            Tree::Null | Tree::Bool(_) if self.is_alibaba() => Ok(self.exact(value)),
            other => Err(Error::new(
                at.to_string(),
                other.describe(),
                "a string, a number, a list of strings, a list of numbers, or one condition on text",
            )),
        }
    }

    fn all_of(&mut self, operand: &Tree, at: &JsonPath<'_>) -> Result<Condition, Error> {
        let allowed = "a list of at least two conditions";
        let Tree::Array(elements) = operand else {
            return Err(Error::new(at.to_string(), operand.describe(), allowed));
        };
        if elements.len() < 2 {
            return Err(Error::new(at.to_string(), operand.describe(), allowed));
        }
        let mut all = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let place = at.index(index);
            self.count_condition(&place)?;
            if let Tree::Object(members) = element
                && members.first().is_some_and(|(name, _)| name == "all-of")
            {
                return Err(Error::new(place.to_string(), "all-of inside all-of", "conditions").fix("write the conditions side by side"));
            }
            match self.element(element, &place)? {
                Some(condition) => all.push(condition),
                None => {
                    return Err(Error::new(place.to_string(), "exists false", "conditions on a value"));
                }
            }
        }
        Ok(Condition::All(all.into()))
    }

    fn comparison(&mut self, operand: &Tree, relation: Relation, at: &JsonPath<'_>) -> Result<Condition, Error> {
        let written = operand::text(operand, at)?;
        let Some(names) = operand::field_path(written) else {
            return Err(Error::new(at.to_string(), operand.describe(), "the path of a field").fix("write it as \"$.data.limit\""));
        };
        let other = names.iter().fold(crate::paths::Paths::ROOT, |node, name| self.paths.insert(node, name));
        self.paths.want(other);
        Ok(Condition::Compare(Box::new(Comparison { other, field: written.into(), relation })))
    }

    fn numeric(&mut self, operand: &Tree, at: &JsonPath<'_>) -> Result<Condition, Error> {
        let allowed = "a sign and a number, or a lower and then an upper bound, such as [\">\", 0, \"<=\", 5]";
        let Tree::Array(elements) = operand else {
            return Err(Error::new(at.to_string(), operand.describe(), allowed));
        };
        if !matches!(elements.len(), 2 | 4) {
            return Err(Error::new(at.to_string(), format!("a list of {}", elements.len()), allowed));
        }
        let mut conditions = Vec::new();
        let mut bounds = Vec::new();
        let mut signs = Vec::new();
        for (index, pair) in elements.chunks(2).enumerate() {
            let sign = at.index(index * 2);
            let Some(bound) = (match &pair[0] {
                Tree::String(text) => Bound::parse(text),
                _ => None,
            }) else {
                let fix = if pair[0] == Tree::String("==".to_owned()) { "write \"=\"" } else { "put the sign before its number" };
                return Err(Error::new(sign.to_string(), pair[0].describe(), "=, !=, <, <=, > or >=").fix(fix));
            };
            signs.push(bound);
            let place = at.index(index * 2 + 1);
            match &pair[1] {
                Tree::Number(text) => bounds.push((bound, self.bound(text, &place)?)),
                Tree::Object(members) if members.len() == 1 && members[0].0 == "field" => {
                    conditions.push(self.comparison(&members[0].1, Relation::Numeric(bound), &place.key("field"))?);
                }
                other => {
                    return Err(Error::new(place.to_string(), other.describe(), "a number, or {\"field\": \"$.path\"}"));
                }
            }
        }
        if let [lower, upper] = signs[..] {
            if !lower.is_lower() || !upper.is_upper() {
                return Err(Error::new(at.to_string(), format!("{} and then {}", lower.sign(), upper.sign()), allowed));
            }
            if let [(_, least), (_, most)] = &bounds[..]
                && !ascending(least, most)
            {
                return Err(Error::new(
                    at.to_string(),
                    format!("{} to {}", least.text(), most.text()),
                    "a lower bound that is less than the upper",
                ));
            }
        }
        if !bounds.is_empty() {
            let tolerance = if self.is_alibaba() { 1e-7 } else { 0.0 };
            conditions.push(Condition::Numeric(Box::new(Range { bounds, tolerance })));
        }
        Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions.into()) })
    }

    fn bound(&self, text: &str, at: &JsonPath<'_>) -> Result<Number, Error> {
        const ALIBABA_LARGEST: f64 = 1e9;
        let number = Number::new(text);
        if !number.fits_double() {
            return Err(Error::new(at.to_string(), format!("the number {text}"), "a number in the range of doubles"));
        }
        if self.is_alibaba() && number.double().abs() > ALIBABA_LARGEST {
            return Err(Error::new(at.to_string(), format!("the number {text}"), "-1e9 to 1e9, in the alibaba dialect"));
        }
        Ok(number)
    }
}
