//! TEMPLATE: a text with `${variables}`.
//!
//! `Value` is a JSON object, as a string, that gives each variable a path (`"$.data.topic"`) or a constant text. A template that is
//! a JSON object or array stays one whatever the event holds: inside quotes a variable is escaped, outside it becomes a JSON
//! value (a string in quotes, `null` if absent). In any other template a variable is its characters, nothing if absent. `$${`
//! stands for `${`.
//!
//! In a template that is an object, the member `"EB_SYS_EMBED_OBJECT": "${variable}"` is replaced by the members of the variable's
//! object; members that the template names itself win. A variable of that name that such a template does not mention is embedded as
//! well, behind its own members.

mod parse;
mod variables;

use bytes::Bytes;

use crate::error::{ApplyError, Error, Part};
use crate::output::{Output, Writer};
use crate::path::Path;
use crate::source::{Found, Readable};
use parse::{Layout, Segment};
use rocketbridge_pattern::json::{EqualKeys, Reader};
use variables::{Variable, parse_variables};

/// The name of the member that is replaced by an object's members.
pub(crate) const EMBED: &str = "EB_SYS_EMBED_OBJECT";
/// Characters of `Value` and of `Template`.
const MOST_CHARACTERS: usize = 10_240;

/// A compiled template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    variables: Vec<Variable>,
    layout: Layout,
    equal_keys: Vec<EqualKeys>,
}

impl Template {
    pub(crate) fn compile(value: Option<&str>, template: Option<&str>) -> Result<Self, Error> {
        let template = template.ok_or_else(|| Error::new(Part::Template, "nothing", "TEMPLATE needs a text with ${variables}"))?;
        let value = value.unwrap_or_default();
        for (part, text) in [(Part::Value, value), (Part::Template, template)] {
            let characters = text.chars().count();
            if characters > MOST_CHARACTERS {
                return Err(Error::new(part, format!("{characters} characters"), format!("at most {MOST_CHARACTERS} characters")));
            }
        }
        let variables = parse_variables(value)?;
        let layout = Layout::parse(template, &variables)?;
        let equal_keys = parse::equal_keys(template, &variables)?;
        Ok(Self { variables, layout, equal_keys })
    }

    pub(crate) fn apply(&self, event: &impl Readable) -> Result<Output, ApplyError> {
        let values = self.variables.iter().map(|variable| variable.find(event)).collect::<Result<Vec<_>, _>>()?;
        let rendering = Rendering { variables: &self.variables, values };
        let mut out = Writer::default();
        match &self.layout {
            Layout::Flat(segments) => rendering.segments(segments, &mut out)?,
            Layout::Object(members) => rendering.object(members, &mut out)?,
        }
        Ok(Output::Value(Bytes::from(out.into_bytes())))
    }
}

impl Template {
    /// The paths of its variables.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.variables.iter().filter_map(Variable::path)
    }

    /// The keys that its text has twice in one object, if it is JSON.
    pub(crate) fn equal_keys(&self) -> &[EqualKeys] {
        &self.equal_keys
    }
}

/// One event's values, while they are written.
struct Rendering<'t, 'e> {
    variables: &'t [Variable],
    values: Vec<Option<Found<'e>>>,
}

impl Rendering<'_, '_> {
    fn segments(&self, segments: &[Segment], out: &mut Writer) -> Result<(), ApplyError> {
        segments.iter().try_for_each(|segment| {
            match segment {
                Segment::Literal(text) => out.push(text.as_bytes()),
                Segment::Characters(variable) => self.values[*variable].iter().for_each(|found| out.push(found.as_bytes())),
                Segment::Escaped(variable) => self.values[*variable].iter().for_each(|found| out.escaped(&found.as_text())),
                Segment::Value(variable) => match &self.values[*variable] {
                    Some(found) => found.write_json(out),
                    None => out.push(b"null"),
                },
            }
            self.bounded(out)
        })
    }

    fn object(&self, members: &[parse::ObjectMember], out: &mut Writer) -> Result<(), ApplyError> {
        out.push(b"{");
        let mut written = 0;
        for member in members {
            match member {
                parse::ObjectMember::Own { key, value } => {
                    out.push(if written == 0 { b"" } else { b"," });
                    out.string(key);
                    out.push(b":");
                    self.segments(value, out)?;
                    written += 1;
                }
                parse::ObjectMember::Embedded(variable) => written += self.embed(*variable, members, written, out)?,
            }
        }
        out.push(b"}");
        self.bounded(out)
    }

    /// Writes the members of a variable's object, but for those the template has itself, and says how many.
    fn embed(&self, variable: usize, own: &[parse::ObjectMember], already: usize, out: &mut Writer) -> Result<usize, ApplyError> {
        let Some(found) = &self.values[variable] else {
            return Ok(0);
        };
        let text = found.as_text();
        let mut reader = Reader::new(&text);
        if matches!(found, Found::Text(_)) || reader.peek() != Some(b'{') {
            return Err(self.fault(variable, format!("{EMBED} needs an object, found {}", found.shape())));
        }
        let mut written = 0;
        let malformed = |_| self.fault(variable, format!("{EMBED} needs an object, found {}", found.shape()));
        reader.open(0).map_err(malformed)?;
        let mut more = !reader.take(b'}');
        while more {
            let key = reader.string().map_err(malformed)?;
            reader.expect(b':', "expected a colon").map_err(malformed)?;
            reader.peek();
            let start = reader.position();
            reader.skip(1).map_err(malformed)?;
            let is_own = own.iter().any(|member| matches!(member, parse::ObjectMember::Own { key: own, .. } if *own == key.decode()));
            if !is_own {
                out.push(if already + written == 0 { b"" } else { b"," });
                out.string(&key.decode());
                out.push(b":");
                out.push(reader.since(start).as_bytes());
                written += 1;
            }
            more = reader.next_member().map_err(malformed)?;
        }
        reader.end().map_err(malformed)?;
        self.bounded(out)?;
        Ok(written)
    }

    fn bounded(&self, out: &Writer) -> Result<(), ApplyError> {
        if out.is_over_limit() {
            return Err(ApplyError {
                expression: "TEMPLATE".to_owned(),
                place: "the output".to_owned(),
                what: format!("it is over {} bytes", Writer::LIMIT),
            });
        }
        Ok(())
    }

    fn fault(&self, variable: usize, what: String) -> ApplyError {
        let variable = &self.variables[variable];
        ApplyError { expression: format!("${{{}}}", variable.name()), place: variable.place(), what }
    }
}
