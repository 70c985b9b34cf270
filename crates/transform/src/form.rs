//! The kinds of transform.

use crate::error::{Error, Part};

/// How a parameter is made of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// The whole event as JSON.
    Original,
    /// The value at one path.
    JsonPath,
    /// The same for every event.
    Constant,
    /// A text with variables.
    Template,
    /// A jq program.
    Expression,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 5] = [Self::Original, Self::JsonPath, Self::Constant, Self::Template, Self::Expression];

    /// The name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "ORIGINAL",
            Self::JsonPath => "JSONPATH",
            Self::Constant => "CONSTANT",
            Self::Template => "TEMPLATE",
            Self::Expression => "EXPRESSION",
        }
    }

    /// The form of this name.
    ///
    /// # Errors
    /// There is none; the error suggests one if the name differs in case or punctuation only.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let plain = |name: &str| {
            name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_uppercase()).collect::<String>()
        };
        if let Some(form) = Self::ALL.into_iter().find(|form| form.name() == name) {
            return Ok(form);
        }
        let error = Error::new(Part::Form, format!("{name:?}"), "ORIGINAL, JSONPATH, CONSTANT, TEMPLATE or EXPRESSION");
        Err(match Self::ALL.into_iter().find(|form| form.name() == plain(name)) {
            Some(form) => error.fix(format!("did you mean {:?}?", form.name())),
            None => error,
        })
    }
}
