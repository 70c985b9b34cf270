//! The variables of a template: `{"name": "$.path"}`, or a constant in place of the path.

use serde_json::Value;

use crate::error::{ApplyError, Error, Part};
use crate::path::Path;
use crate::source::{Found, Source};

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
    let tree = serde_json::from_str(text)
        .map_err(|error| Error::new(Part::Value, format!("malformed JSON at column {}", error.column()), RULE))?;
    let Value::Object(members) = tree else {
        return Err(Error::new(Part::Value, "JSON that is not an object", RULE));
    };
    members
        .into_iter()
        .map(|(name, value)| {
            if !is_name(&name) {
                return Err(Error::new(Part::Value, format!("the variable {name:?}"), "names of letters, digits, _, - and ."));
            }
            let Value::String(text) = value else {
                return Err(Error::new(Part::Value, format!("something other than a string for the variable {name:?}"), RULE)
                    .fix("put the value in quotes"));
            };
            if text.contains("${") {
                return Err(Error::new(Part::Value, format!("a variable inside the variable {name:?}"), "variables do not nest"));
            }
            let origin = if text.starts_with('$') { Origin::Path(Path::parse(&text)?) } else { Origin::Constant(text) };
            Ok(Variable { name, origin })
        })
        .collect()
}

/// Whether a variable can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

impl Variable {
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

    pub(crate) fn find<'e>(&'e self, event: &'e impl Source) -> Result<Option<Found<'e>>, ApplyError> {
        match &self.origin {
            Origin::Path(path) => event.find(path),
            Origin::Constant(text) => Ok(Some(Found::Text(text.as_str().into()))),
        }
    }
}
