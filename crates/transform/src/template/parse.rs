//! A template's text, taken apart once.

use rocketbridge_pattern::json::{self, EqualKeys, Malformed, Reader};

use super::EMBED;
use super::variables::{Variable, is_name};
use crate::error::{Error, Part};

/// What is written for an event.
#[derive(Debug, Clone)]
pub(crate) enum Layout {
    /// The template's text with values in it.
    Flat(Vec<Segment>),
    /// An object with embedded members.
    Object(Vec<ObjectMember>),
}

/// A part of the text. Variables are indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(String),
    /// The value's characters.
    Characters(usize),
    /// The same, between the quotes of a JSON string.
    Escaped(usize),
    /// The value as JSON.
    Value(usize),
}

/// A member of an object with embedded members.
#[derive(Debug, Clone)]
pub(crate) enum ObjectMember {
    Own { key: String, value: Vec<Segment> },
    Embedded(usize),
}

/// A piece of the text before it is known whether the text is JSON.
enum Piece<'t> {
    Text(&'t str),
    /// A `$${`, which stands for `${`.
    Escape,
    Variable {
        index: usize,
        quoted: bool,
    },
}

/// Stands for an unquoted variable while the text is checked to be JSON.
const STAND_IN: &str = "null";

impl Layout {
    pub(crate) fn parse(template: &str, variables: &[Variable]) -> Result<Self, Error> {
        let pieces = pieces(template, variables)?;
        if as_json(template, &pieces, variables).is_none() {
            if template.contains(EMBED) {
                return Err(Error::new(
                    Part::Template,
                    format!("{EMBED} in a text that is not JSON"),
                    format!("a JSON object with {EMBED} as a member"),
                ));
            }
            return Ok(Self::Flat(segments(&pieces, false)));
        }
        let is_object = template.trim_start().starts_with('{');
        let unmentioned = variables.iter().position(|variable| variable.name() == EMBED).filter(|_| is_object && !template.contains(EMBED));
        if unmentioned.is_none() && !template.contains(EMBED) {
            return Ok(Self::Flat(segments(&pieces, true)));
        }
        object(template, variables, unmentioned)
    }
}

/// The keys that occur twice in one object of a template that is JSON; their places count in the template. None in other templates.
pub(crate) fn equal_keys(template: &str, variables: &[Variable]) -> Result<Vec<EqualKeys>, Error> {
    let json = as_json(template, &pieces(template, variables)?, variables);
    Ok(json.and_then(|json| json::equal_keys(&json).ok()).unwrap_or_default())
}

/// Finds variables, and whether each stands inside a JSON string, should the text be JSON.
fn pieces<'t>(template: &'t str, variables: &[Variable]) -> Result<Vec<Piece<'t>>, Error> {
    let mut pieces = Vec::new();
    let mut quoted = false;
    let mut start = 0;
    let mut at = 0;
    while let Some(&byte) = template.as_bytes().get(at) {
        let rest = &template[at..];
        if rest.starts_with("$${") {
            pieces.push(Piece::Text(&template[start..at]));
            pieces.push(Piece::Escape);
            at += 3;
            start = at;
        } else if let Some(tail) = rest.strip_prefix("${") {
            let Some((name, _)) = tail.split_once('}') else {
                return Err(
                    Error::new(Part::Template, format!("${{ without }} at byte {at}"), "${name}").fix("write $${ for the characters ${")
                );
            };
            if name.contains("${") {
                return Err(Error::new(Part::Template, format!("a variable inside a variable at byte {at}"), "variables do not nest"));
            }
            let Some(index) = variables.iter().position(|variable| variable.name() == name) else {
                let known: Vec<&str> = variables.iter().map(Variable::name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let what = if is_name(name) {
                    format!("the unknown variable {name:?}")
                } else {
                    format!("a malformed variable name at byte {at}")
                };
                return Err(Error::new(Part::Template, what, format!("variables that Value defines: {known}")));
            };
            pieces.push(Piece::Text(&template[start..at]));
            pieces.push(Piece::Variable { index, quoted });
            at += name.len() + 3;
            start = at;
        } else {
            match byte {
                b'"' => quoted = !quoted,
                // In JSON it takes the next character with it, and that is no $; in other text it means nothing.
                b'\\' if quoted && !rest[1..].starts_with('$') => at += 1,
                _ => {}
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
            while !template.is_char_boundary(at) && at < template.len() {
                at += 1;
            }
        }
    }
    pieces.push(Piece::Text(&template[start..]));
    Ok(pieces)
}

/// The template with [`STAND_IN`]s, if that makes it a JSON object or array. It is byte for byte as long, so that places in it are places in
/// the template: a variable between quotes stays, since its name holds nothing that JSON would take for something else.
fn as_json(template: &str, pieces: &[Piece<'_>], variables: &[Variable]) -> Option<String> {
    if !template.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let width = |index: usize| variables[index].name().len() + "${}".len();
    let text: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Escape => "$${".to_owned(),
            Piece::Variable { index, quoted: true } => format!("${{{}}}", variables[*index].name()),
            Piece::Variable { index, quoted: false } => format!("{STAND_IN:width$}", width = width(*index)),
        })
        .collect();
    json::is_json(&text).then_some(text)
}

fn segments(pieces: &[Piece<'_>], json: bool) -> Vec<Segment> {
    let mut segments = Vec::new();
    for piece in pieces {
        let literal = match piece {
            Piece::Text(text) => text,
            Piece::Escape => "${",
            Piece::Variable { index, quoted } => {
                segments.push(match (json, quoted) {
                    (false, _) => Segment::Characters(*index),
                    (true, true) => Segment::Escaped(*index),
                    (true, false) => Segment::Value(*index),
                });
                continue;
            }
        };
        match segments.last_mut() {
            Some(Segment::Literal(text)) => text.push_str(literal),
            _ if literal.is_empty() => {}
            _ => segments.push(Segment::Literal(literal.to_owned())),
        }
    }
    segments
}

/// The members of a template with [`EMBED`], or with a variable to embed that it does not mention. Unquoted variables would be in the
/// reader's way, so they stand as marked strings.
fn object(template: &str, variables: &[Variable], unmentioned: Option<usize>) -> Result<Layout, Error> {
    let rule = || format!("a JSON object with \"{EMBED}\": \"${{variable}}\" as a member of its own");
    let fault = |fault: Malformed| Error::new(Part::Template, fault.to_string(), rule());
    let marked = quote_variables(&pieces(template, variables)?, variables);
    let mut reader = Reader::new(&marked);
    if reader.peek() != Some(b'{') {
        return Err(Error::new(Part::Template, "a JSON array", rule()));
    }
    reader.open(0).map_err(fault)?;
    let mut members = Vec::new();
    let mut more = !reader.take(b'}');
    while more {
        let key = reader.string().map_err(fault)?.decode().into_owned();
        reader.expect(b':', "expected a colon").map_err(fault)?;
        reader.peek();
        let start = reader.position();
        reader.skip(1).map_err(fault)?;
        let value = member_value(reader.since(start), variables)?;
        members.push(if key == EMBED {
            match value.as_slice() {
                [Segment::Value(variable)] => ObjectMember::Embedded(*variable),
                [Segment::Literal(open), Segment::Escaped(variable), Segment::Literal(close)] if open == "\"" && close == "\"" => {
                    ObjectMember::Embedded(*variable)
                }
                _ => {
                    return Err(Error::new(Part::Template, format!("{EMBED} with something other than one variable"), rule()));
                }
            }
        } else {
            if key.contains("${") {
                let rule = format!("names without variables beside {EMBED}");
                return Err(Error::new(Part::Template, format!("a variable in the name {key:?}"), rule));
            }
            ObjectMember::Own { key, value }
        });
        more = reader.next_member().map_err(fault)?;
    }
    members.extend(unmentioned.map(ObjectMember::Embedded));
    if !members.iter().any(|member| matches!(member, ObjectMember::Embedded(_))) {
        return Err(Error::new(Part::Template, format!("{EMBED} elsewhere than as a member of the whole object"), rule()));
    }
    Ok(Layout::Object(members))
}

/// Marks a string that was an unquoted variable.
const MARK: char = '\u{f8ff}';

fn quote_variables(pieces: &[Piece<'_>], variables: &[Variable]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Escape => "$${".to_owned(),
            Piece::Variable { index, quoted: true } => format!("${{{}}}", variables[*index].name()),
            Piece::Variable { index, quoted: false } => format!("\"{MARK}${{{}}}{MARK}\"", variables[*index].name()),
        })
        .collect()
}

fn member_value(text: &str, variables: &[Variable]) -> Result<Vec<Segment>, Error> {
    let text = text.replace(&format!("\"{MARK}${{"), "${").replace(&format!("}}{MARK}\""), "}");
    Ok(segments(&pieces(&text, variables)?, true))
}
