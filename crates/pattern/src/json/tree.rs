//! A JSON document with number texts kept and the last of equal keys kept: what a pattern text is read into.

use super::{Malformed, Reader};

/// One value of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// The number's text, as it was written.
    Number(String),
    String(String),
    Array(Vec<Tree>),
    /// Members in order of writing. Of equal keys the last one counts, at the place of the first.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads the whole of `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let tree = Self::read(&mut reader, 0)?;
        reader.end()?;
        Ok(tree)
    }

    /// What it is and, shortened, how it was written: for error messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => format!("the number {}", shorten(text)),
            Self::String(text) => format!("the string {:?}", shorten(text)),
            Self::Array(elements) if elements.is_empty() => "an empty list".to_owned(),
            Self::Array(_) => "a list".to_owned(),
            Self::Object(members) => match members.as_slice() {
                [] => "an empty object".to_owned(),
                [(key, _)] => format!("an object with the key {:?}", shorten(key)),
                [(key, _), ..] => format!("an object with {} keys, the first {:?}", members.len(), shorten(key)),
            },
        }
    }

    fn read(reader: &mut Reader<'_>, depth: u32) -> Result<Self, Malformed> {
        Ok(match reader.peek() {
            Some(b'"') => Self::String(reader.string()?.decode().into_owned()),
            Some(b'{') => {
                reader.open(depth)?;
                Self::Object(if reader.take(b'}') { Vec::new() } else { members(reader, depth)? })
            }
            Some(b'[') => {
                reader.open(depth)?;
                let mut elements = Vec::new();
                if !reader.take(b']') {
                    loop {
                        elements.push(Self::read(reader, depth + 1)?);
                        if !reader.next_element()? {
                            break;
                        }
                    }
                }
                Self::Array(elements)
            }
            Some(b't') => reader.word("true").map(|()| Self::Bool(true))?,
            Some(b'f') => reader.word("false").map(|()| Self::Bool(false))?,
            Some(b'n') => reader.word("null").map(|()| Self::Null)?,
            _ => Self::Number(reader.number()?.to_owned()),
        })
    }
}

fn members(reader: &mut Reader<'_>, depth: u32) -> Result<Vec<(String, Tree)>, Malformed> {
    let mut members: Vec<(String, Tree)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    loop {
        let key = reader.string()?.decode().into_owned();
        reader.expect(b':', "expected a colon")?;
        let value = Tree::read(reader, depth + 1)?;
        match places.get(&key) {
            Some(&place) => members[place] = (key, value),
            None => {
                places.insert(key.clone(), members.len());
                members.push((key, value));
            }
        }
        if !reader.next_member()? {
            return Ok(members);
        }
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a key written twice. *Guarantees*: the last value counts.
    #[test]
    fn the_last_of_equal_keys_counts() {
        let tree = Tree::parse(r#"{"a":1,"b":2,"a":3.0}"#).expect("the text is well formed");
        assert_eq!(
            tree,
            Tree::Object(vec![("a".to_owned(), Tree::Number("3.0".to_owned())), ("b".to_owned(), Tree::Number("2".to_owned()))])
        );
    }
}
