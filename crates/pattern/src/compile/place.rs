//! Where in a pattern's text something stands, as a JSON path.

use std::fmt;

/// A chain of steps from the root, written out only for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonPath<'a> {
    around: Option<&'a JsonPath<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> JsonPath<'a> {
    pub(crate) fn root() -> Self {
        Self { around: None, step: Step::Root }
    }

    pub(crate) fn key<'b>(&'b self, key: &'b str) -> JsonPath<'b> {
        JsonPath { around: Some(self), step: Step::Key(key) }
    }

    pub(crate) fn index(&self, index: usize) -> JsonPath<'_> {
        JsonPath { around: Some(self), step: Step::Index(index) }
    }

    /// Steps by keys from the root.
    pub(crate) fn depth(&self) -> usize {
        let own = usize::from(matches!(self.step, Step::Key(_)));
        own + self.around.map_or(0, JsonPath::depth)
    }
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(around) = self.around {
            write!(f, "{around}")?;
        }
        match self.step {
            Step::Root => f.write_str("$"),
            Step::Key(key) if is_plain(key) => write!(f, ".{key}"),
            Step::Key(key) => write!(f, "[{key:?}]"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '$'))
}
