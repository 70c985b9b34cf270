//! Lengths of texts and lists, held against [`crate::limits`] before anything else is looked at, and control characters in names.
//!
//! The definition is walked as serde would write it, so that no field is forgotten, and nothing is copied. Lists that are too long are not walked.

use std::fmt::{self, Display};

use serde::Serialize;
use serde::ser::{Impossible, SerializeSeq, SerializeStruct, Serializer};

use super::findings::Findings;
use crate::limits::{self, Limit};
use crate::printable;

/// Notes every text and list that is too long. Secrets are counted, never shown.
pub(super) fn check(definition: &impl Serialize, findings: &mut Findings) {
    // The walk never fails: what it finds goes to the findings.
    let _ = definition.serialize(&mut Walk { path: String::new(), limit: None, findings });
}

struct Walk<'a> {
    path: String,
    /// That of the field being walked.
    limit: Option<&'static Limit>,
    findings: &'a mut Findings,
}

impl Walk<'_> {
    fn measure(&mut self, text: &str) {
        let Some(limit) = self.limit else { return };
        if limit.is_of_names() && text.contains(printable::is_unsafe) {
            let rule = "control characters are not allowed, nor those that turn the direction of a text";
            self.findings.add(&self.path, text, rule, "remove them");
        }
        let Some(most) = limit.characters else { return };
        // Bytes are at least as many as characters, and counted already.
        if text.len() <= most {
            return;
        }
        let count = text.chars().count();
        if count > most {
            let rule = format!("at most {most} characters are allowed");
            self.findings.add_described(&self.path, format!("{count} characters"), rule, format!("remove {} characters", count - most));
        }
    }
}

/// What serde calls a part of a definition in the API.
fn message(name: &'static str) -> &'static str {
    match name {
        "SecretParameter" => "TargetParameter",
        "TransformDefinition" => "TransformReference",
        "StaticDefinition" => "StaticCredentials",
        "StsDefinition" => "StsCredentials",
        "OidcDefinition" => "OidcCredentials",
        "InstanceRoleDefinition" => "InstanceRoleCredentials",
        "FileDefinition" => "FileCredentials",
        name => name.strip_suffix("Definition").unwrap_or(name),
    }
}

/// A walk has nothing to report.
#[derive(Debug)]
struct Never;

impl Display for Never {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a definition has a shape that is not walked")
    }
}

impl std::error::Error for Never {}

impl serde::ser::Error for Never {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

struct Fields<'w, 'a> {
    walk: &'w mut Walk<'a>,
    message: &'static str,
}

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Never> {
        let before = self.walk.path.len();
        if before > 0 {
            self.walk.path.push('.');
        }
        self.walk.path.push_str(key);
        self.walk.limit = limits::of(self.message, key);
        value.serialize(&mut *self.walk)?;
        self.walk.path.truncate(before);
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

struct Entries<'w, 'a> {
    walk: &'w mut Walk<'a>,
    limit: Option<&'static Limit>,
    index: usize,
    is_skipped: bool,
}

impl SerializeSeq for Entries<'_, '_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        if self.is_skipped {
            return Ok(());
        }
        let before = self.walk.path.len();
        self.walk.path.push_str(&format!("[{}]", self.index));
        self.walk.limit = self.limit;
        value.serialize(&mut *self.walk)?;
        self.walk.path.truncate(before);
        self.index += 1;
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}

macro_rules! nothing_to_measure {
    ($($method:ident: $type:ty),+) => {
        $(fn $method(self, _: $type) -> Result<(), Never> {
            Ok(())
        })+
    };
}

impl<'w, 'a> Serializer for &'w mut Walk<'a> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Entries<'w, 'a>;
    type SerializeTuple = Impossible<(), Never>;
    type SerializeTupleStruct = Impossible<(), Never>;
    type SerializeTupleVariant = Impossible<(), Never>;
    type SerializeMap = Impossible<(), Never>;
    type SerializeStruct = Fields<'w, 'a>;
    type SerializeStructVariant = Impossible<(), Never>;

    nothing_to_measure! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8], serialize_unit_struct: &'static str
    }

    fn serialize_str(self, text: &str) -> Result<(), Never> {
        self.measure(text);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<(), Never> {
        Err(Never)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Entries<'w, 'a>, Never> {
        let limit = self.limit;
        let most = limit.and_then(|limit| limit.entries).unwrap_or(usize::MAX);
        let is_few = self.findings.are_few(&self.path, length.unwrap_or_default(), most);
        Ok(Entries { walk: self, limit, index: 0, is_skipped: !is_few })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Never> {
        Err(Never)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Never> {
        Err(Never)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeTupleVariant, Never> {
        Err(Never)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        Err(Never)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'w, 'a>, Never> {
        Ok(Fields { walk: self, message: message(name) })
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self::SerializeStructVariant, Never> {
        Err(Never)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::connection::{ConnectionDefinition, TlsDefinition};
    use crate::secret::Secret;
    use crate::stream::{StreamDefinition, Tag};
    use crate::validate::{self, Known};

    fn said(definition: &impl Serialize) -> Vec<String> {
        let mut findings = Findings::default();
        check(definition, &mut findings);
        findings.into_violations().iter().map(ToString::to_string).collect()
    }

    /// *Scenario*: texts at and beyond their limits: plain, in a list, secret, in characters of several bytes. *Guarantees*: each that is too long is named with its length
    /// and nothing of it.
    #[test]
    fn texts_are_counted_and_not_shown() {
        let mut connection = ConnectionDefinition {
            name: "n".repeat(127),
            description: "述".repeat(1_025),
            endpoints: vec!["a:1".into(), "b".repeat(300)],
            secret_key: Secret::new("hunter2".repeat(3_000)),
            tls: Some(TlsDefinition { ca: "c".repeat(65_536), ..Default::default() }),
            ..Default::default()
        };
        let expected = [
            "description: found 1025 characters; at most 1024 characters are allowed; remove 1 characters",
            "endpoints[1]: found 300 characters; at most 261 characters are allowed; remove 39 characters",
            "secret_key: found 21000 characters; at most 20000 characters are allowed; remove 1000 characters",
        ];
        assert_eq!(said(&connection), expected);
        connection.description.pop();
        assert_eq!(said(&connection).len(), 2);
    }

    /// *Scenario*: names with an escape sequence, a C1 control and a bidirectional one; a description of several lines. *Guarantees*: the names are refused, and shown escaped; the description
    /// is none.
    #[test]
    fn names_hold_no_control_characters() {
        let tag = |key: &str| Tag { key: key.into(), value: "\u{202e}x".into() };
        let definition =
            StreamDefinition { description: "a\n\tb".into(), tags: vec![tag("a\u{1b}[2J"), tag("b\u{9b}")], ..Default::default() };
        let said = said(&definition);
        let fields: Vec<_> = said.iter().filter_map(|line| line.split(':').next()).collect();
        assert_eq!(fields, ["tags[0].key", "tags[0].value", "tags[1].key", "tags[1].value"]);
        assert!(said[0].starts_with("tags[0].key: found \"a\\u{1b}[2J\"; control characters are not allowed"), "{said:?}");
        assert!(!said.concat().contains(crate::printable::is_unsafe), "{said:?}");
    }

    /// *Scenario*: 150,000 labels of one key, 1 MB of them. *Guarantees*: the list is refused as one, in a moment.
    #[test]
    fn a_list_that_is_too_long_is_not_walked() {
        let tags = vec![Tag { key: "k".into(), value: String::new() }; 150_000];
        let definition = StreamDefinition { name: "s".into(), tags, ..Default::default() };
        let before = Instant::now();
        assert_eq!(said(&definition), ["tags: found \"150000 entries\"; at most 64 are allowed; remove 149936"]);
        let known = Known::default();
        let refused = validate::stream(&definition, &known, &validate::tests::NoCompiler).expect_err("too long");
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
    }
}
