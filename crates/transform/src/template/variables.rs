//! The variables of a template: `{"name": "$.path"}`, or a constant in place of the path.

use rocketbridge_pattern::json::{Malformed, Reader};

use crate::error::{ApplyError, Error, Part};
use crate::path::Path;
use crate::source::{Found, Readable};

/// A name and where its value comes from.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    name: String,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Path(Path),
    Constant(String),
}

const RULE: &str = "a JSON object such as {\"name\": \"$.data.topic\"}, its values paths or constant texts";

/// Reads `Value`. An empty text has no variables.
pub(crate) fn parse_variables(text: &str) -> Result<Vec<Variable>, Error> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let malformed = |Malformed { at, what }: Malformed| Error::new(Part::Value, format!("malformed JSON at byte {at}: {what}"), RULE);
    let mut reader = Reader::new(text);
    if reader.peek() != Some(b'{') {
        reader.skip(0).and_then(|()| reader.end()).map_err(malformed)?;
        return Err(Error::new(Part::Value, "JSON that is not an object", RULE));
    }
    reader.open(0).map_err(malformed)?;
    let mut variables: Vec<Variable> = Vec::new();
    let mut more = !reader.take(b'}');
    while more {
        let name = reader.string().map_err(malformed)?.decode().into_owned();
        reader.expect(b':', "expected a colon").map_err(malformed)?;
        if reader.peek() != Some(b'"') {
            reader.skip(1).map_err(malformed)?;
            return Err(Error::new(Part::Value, format!("something other than a string for the variable {name:?}"), RULE)
                .fix("put the value in quotes"));
        }
        let value = reader.string().map_err(malformed)?.decode().into_owned();
        let variable = Variable::new(name, value)?;
        // Of equal names the last counts, as in the definitions that are stored; new ones are refused before they are compiled.
        match variables.iter_mut().find(|known| known.name == variable.name) {
            Some(known) => *known = variable,
            None => variables.push(variable),
        }
        more = reader.next_member().map_err(malformed)?;
    }
    reader.end().map_err(malformed)?;
    Ok(variables)
}

/// Whether a variable can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

impl Variable {
    fn new(name: String, value: String) -> Result<Self, Error> {
        if !is_name(&name) {
            return Err(Error::new(Part::Value, format!("the variable {name:?}"), "names of letters, digits, _, - and ."));
        }
        if value.contains("${") {
            return Err(Error::new(Part::Value, format!("a variable inside the variable {name:?}"), "variables do not nest"));
        }
        let origin = if value.starts_with('$') { Origin::Path(Path::parse(&value)?) } else { Origin::Constant(value) };
        Ok(Self { name, origin })
    }

    /// The path that it is read from, if it is no constant.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::Path(path) => Some(path),
            Origin::Constant(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its path, or that it has none.
    pub(crate) fn place(&self) -> String {
        match &self.origin {
            Origin::Path(path) => path.to_string(),
            Origin::Constant(_) => "a constant".to_owned(),
        }
    }

    pub(crate) fn find<'e>(&'e self, event: &'e impl Readable) -> Result<Option<Found<'e>>, ApplyError> {
        match &self.origin {
            Origin::Path(path) => event.find(path),
            Origin::Constant(text) => Ok(Some(Found::Text(text.as_str().into()))),
        }
    }
}
