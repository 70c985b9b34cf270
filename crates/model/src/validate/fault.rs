//! What a compiler finds wrong with a text of a definition.

/// Where in the text, what stands there, what is allowed, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The place below the checked field, such as `$.data.body.price[0].prefx` or `template`; empty for the field as a whole.
    pub place: String,
    /// What stands there, in words.
    pub found: String,
    /// What is allowed.
    pub rule: String,
    /// What to write instead, if there is a good guess.
    pub fix: Option<String>,
}

impl Fault {
    /// The path of the place: the checked field's, and on into it.
    pub(super) fn field(&self, checked: &str) -> String {
        if self.place.is_empty() { checked.to_owned() } else { format!("{checked}.{}", self.place) }
    }
}
