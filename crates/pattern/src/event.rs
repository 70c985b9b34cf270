//! An event that is the text of one JSON object.

use crate::json::Reader;
use crate::leaves::Leaves;
use crate::paths::Paths;
use crate::view::{EventError, View};

/// View over the text of a whole JSON event. Malformed JSON anywhere is an error, also in parts no pattern reads, also after the
/// end of the object.
#[derive(Debug, Clone, Copy)]
pub struct JsonEvent<'a> {
    text: &'a str,
}

impl<'a> JsonEvent<'a> {
    /// An event of this text. Nothing is read yet.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }
}

impl View for JsonEvent<'_> {
    fn read<'e>(&'e self, paths: &Paths, leaves: &mut Leaves<'e>) -> Result<(), EventError> {
        if Reader::new(self.text).peek() != Some(b'{') {
            // What is malformed is said to be so; `[1]` is only not an object.
            let mut reader = Reader::new(self.text);
            reader.skip(0).and_then(|()| reader.end()).map_err(EventError::Malformed)?;
            return Err(EventError::NotAnObject);
        }
        leaves.push_json(paths, Paths::ROOT, self.text).map_err(EventError::Malformed)
    }
}
