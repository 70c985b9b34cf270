//! The JSONPath of transforms: names and indexes, so that it leads to one value or to none.

use std::fmt;

use rocketbridge_pattern::json::{Malformed, Reader};

use crate::error::{Error, Part};

/// A path such as `$.data.body.items[0].name` or `$['data']['user name']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into the member of an object. Of equal keys the last counts.
    Name(String),
    /// Into the element of an array, counted from 0.
    Index(usize),
    /// The same, counted from the end: 1 is the last.
    FromEnd(usize),
}

const MOST_CHARACTERS: usize = 10_240;
const MOST_STEPS: usize = 128;

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// It is no such path. Wildcards, slices, filters and `..` are not allowed: they lead to many values.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fault =
            |found: String| Error::new(Part::Value, found, "a path of names and indexes that starts with $, such as $.data.body.items[0]");
        if text.chars().count() > MOST_CHARACTERS {
            return Err(fault(format!("{} characters", text.chars().count())).fix(format!("use at most {MOST_CHARACTERS}")));
        }
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err(fault(format!("{text:?}")).fix(format!("write \"$.{}\"", text.trim_start_matches('.'))));
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, tail) = next_step(rest).map_err(|what| fault(format!("{what} at byte {} of {text:?}", text.len() - rest.len())))?;
            steps.push(step);
            rest = tail;
        }
        if steps.len() > MOST_STEPS {
            return Err(fault(format!("{} steps", steps.len())).fix(format!("use at most {MOST_STEPS}")));
        }
        Ok(Self { text: text.to_owned(), steps })
    }

    /// Whether it leads to the value at a path of names, into it, or to something that holds it.
    #[must_use]
    pub fn meets(&self, names: &[&str]) -> bool {
        self.steps.iter().zip(names).all(|(step, name)| matches!(step, Step::Name(own) if own == name))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The steps from the whole event.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first step of a path's rest, and what follows it.
fn next_step(rest: &str) -> Result<(Step, &str), &'static str> {
    if let Some(tail) = rest.strip_prefix('.') {
        let end = tail.find(['.', '[']).unwrap_or(tail.len());
        return match &tail[..end] {
            "" => Err("an empty name (.. is not allowed)"),
            "*" => Err("a wildcard"),
            name => Ok((Step::Name(name.to_owned()), &tail[end..])),
        };
    }
    let tail = rest.strip_prefix('[').ok_or("something other than . or [")?;
    if let Some(quote) = tail.chars().next().filter(|quote| matches!(quote, '\'' | '"')) {
        let (name, after) = quoted(&tail[1..], quote)?;
        return Ok((Step::Name(name), after.strip_prefix(']').ok_or("a quoted name without ]")?));
    }
    let (inside, after) = tail.split_once(']').ok_or("[ without ]")?;
    let (from_end, digits) = inside.strip_prefix('-').map_or((false, inside), |digits| (true, digits));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(0) if from_end => Err("an index of -0"),
        Ok(index) if is_number && from_end => Ok((Step::FromEnd(index), after)),
        Ok(index) if is_number => Ok((Step::Index(index), after)),
        _ => Err("something other than one index or one quoted name in brackets"),
    }
}

/// A quoted name, with `\` before a quote or a backslash, and what follows the closing quote.
fn quoted(text: &str, quote: char) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, escaped @ ('\\' | '\'' | '"'))) => name.push(escaped),
                _ => return Err("an unknown escape"),
            },
            end if end == quote => return Ok((name, &text[at + end.len_utf8()..])),
            other => name.push(other),
        }
    }
    Err("a quoted name without an end")
}

/// The text of the value that `steps` lead to in the JSON text `text`; `None` if it is not there. All of `text` is validated.
pub(crate) fn find<'a>(text: &'a str, steps: &[Step]) -> Result<Option<&'a str>, Malformed> {
    find_in(Reader::new(text), steps)
}

fn find_in<'a>(mut reader: Reader<'a>, steps: &[Step]) -> Result<Option<&'a str>, Malformed> {
    let first = reader.peek();
    let Some((step, rest)) = steps.split_first() else {
        let start = reader.position();
        reader.skip(0)?;
        let value = reader.since(start);
        reader.end()?;
        return Ok(Some(value));
    };
    let mut found = None;
    match (first, step) {
        (Some(b'{'), Step::Name(name)) => {
            reader.open(0)?;
            let mut more = !reader.take(b'}');
            while more {
                let key = reader.string()?;
                reader.expect(b':', "expected a colon")?;
                let value = value(&mut reader)?;
                if key.raw == name || (key.escaped && key.decode() == *name) {
                    found = Some(value);
                }
                more = reader.next_member()?;
            }
        }
        (Some(b'['), Step::Index(_) | Step::FromEnd(_)) => {
            reader.open(0)?;
            let mut elements = Vec::new();
            let mut more = !reader.take(b']');
            while more {
                elements.push(value(&mut reader)?);
                more = reader.next_element()?;
            }
            let index = match step {
                Step::Index(index) => Some(*index),
                Step::FromEnd(index) => elements.len().checked_sub(*index),
                Step::Name(_) => None,
            };
            found = index.and_then(|index| elements.get(index).copied());
        }
        _ => reader.skip(0)?,
    }
    reader.end()?;
    found.map_or(Ok(None), |value| find_in(Reader::of_checked(value), rest))
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Malformed> {
    reader.peek();
    let start = reader.position();
    reader.skip(1)?;
    Ok(reader.since(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: names, quoted names, indexes from both ends, in a document. *Guarantees*: the value's own text, or none.
    #[test]
    fn a_path_leads_to_one_value_or_none() {
        let text = r#" {"a": {"b.c": [10, [1.50], {"é\n": null}]}, "x": 1, "x": "last"} "#;
        for (path, expected) in [
            ("$", Some(text.trim())),
            ("$.a['b.c'][0]", Some("10")),
            ("$.a[\"b.c\"][1][0]", Some("1.50")),
            ("$.a['b.c'][-3]", Some("10")),
            ("$.a['b.c'][-4]", None),
            ("$.a['b.c'][3]", None),
            ("$.x", Some("\"last\"")),
            ("$.x.y", None),
            ("$.a[0]", None),
            ("$.a.b.c", None),
        ] {
            let path = Path::parse(path).expect("the path is well formed");
            assert_eq!(find(text, path.steps()), Ok(expected), "{path}");
        }
        let path = Path::parse("$.a").expect("the path is well formed");
        assert!(find(r#"{"a":1,"b":}"#, path.steps()).is_err());
    }

    /// *Scenario*: paths that could lead to many values, or are broken. *Guarantees*: refused.
    #[test]
    fn other_paths_are_refused() {
        for path in ["", "a", "$a", "$.", "$..a", "$.*", "$[*]", "$[0:1]", "$[?(@.a)]", "$['a'", "$['a]", "$[]", "$[+1]", "$[-0]", "$.a[0"]
        {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }
}
