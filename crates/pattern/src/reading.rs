//! From JSON text to leaves: what of a text is checked when, and what becomes of one that is malformed.

use crate::json::{Malformed, Reader, Rest, container_end, walk};
use crate::leaves::Leaves;
use crate::paths::{Node, Paths};

impl<'e> Leaves<'e> {
    /// Reads the JSON text that is the event's value at `node` and adds its wanted leaves; none, if the text is malformed.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn push_json(&mut self, paths: &Paths, node: Node, text: &'e str) -> Result<(), Malformed> {
        self.walk(paths, node, text, Rest::Checked)
    }

    /// The same without a look at what no path leads into, if the answer can be taken back: see [`Leaves::hold`].
    ///
    /// # Errors
    /// As [`Leaves::push_json`], but of malformed text there may be leaves and no error.
    pub(crate) fn push_part_of_json(&mut self, paths: &Paths, node: Node, text: &'e str) -> Result<(), Malformed> {
        // Less may be there than is found, never more: so only what is found may be asked for, and nothing of the text as a whole.
        if self.is_certain() || paths.wants_absences() || paths.is_wanted(node) || paths.wants_composites(node) {
            return self.push_json(paths, node, text);
        }
        self.walk(paths, node, text, Rest::Passed)
    }

    /// Whether a match that was found in these leaves holds: if not, they were of a malformed text, and must be read again as [`Leaves::certain`].
    ///
    /// Most events match nothing; of those, nobody needs to know whether what was not read is well formed.
    pub(crate) fn hold(&self) -> bool {
        self.doubts().iter().all(|passed| container_end(passed.text, passed.start, passed.depth) == Some(passed.end))
    }

    fn walk(&mut self, paths: &Paths, node: Node, text: &'e str, rest: Rest) -> Result<(), Malformed> {
        let extent = self.extent();
        if walk(text, rest, paths, node, self) {
            return Ok(());
        }
        self.rewind(extent);
        let mut reader = Reader::new(text);
        reader.skip(0)?;
        reader.end()?;
        Err(Malformed { at: 0, what: "a quick reader and a careful one disagree" })
    }
}
