//! Rules as they are written down: a name and a pattern each.

use std::borrow::Cow;
use std::fmt;

use rocketbridge_codec::text::yaml;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A rule of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its name. Nothing here asks names to be unique.
    pub(super) name: String,
    /// Its pattern, JSON text.
    pub(super) pattern: String,
}

#[derive(Deserialize)]
struct Element<'t> {
    #[serde(borrow)]
    name: Cow<'t, str>,
    #[serde(borrow)]
    pattern: &'t RawValue,
}

/// The members of an object in their order, also those of the same name.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl Rule {
    /// The rules of a list of `{"name", "pattern"}`, each pattern JSON text or an object. The error says what is not such a list.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, String> {
        let elements: Vec<Element<'_>> =
            serde_json::from_str(text).map_err(|error| format!("a list of {{name, pattern}} is needed: {error}"))?;
        elements.into_iter().map(|element| Self::new(element.name.into_owned(), element.pattern)).collect()
    }

    /// The rules of a file, JSON or YAML: a list of `{name, pattern}`, or a map of names to patterns.
    pub(super) fn file(text: &str) -> Result<Vec<Self>, String> {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            if text.trim_start().starts_with(['{', '[']) {
                return Err(format!("the rules are not JSON: {error}"));
            }
            return Self::yaml(text);
        }
        Self::json(text)
    }

    fn json(text: &str) -> Result<Vec<Self>, String> {
        if !text.trim_start().starts_with('{') {
            return Self::list(text);
        }
        let Members(members) = serde_json::from_str(text).map_err(|error| format!("a map of names to patterns is needed: {error}"))?;
        members.into_iter().map(|(name, pattern)| Self::new(name, pattern)).collect()
    }

    /// The rules of a text of YAML, its one document.
    fn yaml(text: &str) -> Result<Vec<Self>, String> {
        let mut documents = yaml::documents(text);
        let first = if documents.len() == 1 { documents.pop() } else { None };
        let node = first.ok_or("the rules are neither JSON nor YAML: one document is needed")?.map_err(|(_, faults)| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            format!("the rules are neither JSON nor YAML: {}", faults.join("; "))
        })?;
        Self::json(&node.to_json().map_err(|fault| format!("the rules: {fault}; write it as JSON does, or in quotes"))?)
    }

    fn new(name: String, pattern: &RawValue) -> Result<Self, String> {
        match characters(pattern.get()) {
            Ok(pattern) => Ok(Self { name, pattern: pattern.into_owned() }),
            Err(error) => Err(format!("rule {name}: the pattern is not text: {error}")),
        }
    }
}

/// The characters of a JSON string; the text of any other value as it is. Half a pair of surrogates is an error: no text has it.
pub(super) fn characters(value: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    if value.starts_with('"') { serde_json::from_str::<String>(value).map(Cow::Owned) } else { Ok(Cow::Borrowed(value)) }
}

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of names to patterns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario:* the same rules as a list and as a map, patterns as text and as objects, in JSON and YAML. *Guarantees:* all mean the same, in the order
    /// in which they stand.
    #[test]
    fn rules_are_read_in_every_form() {
        let rule = |name: &str, pattern: &str| Rule { name: name.to_owned(), pattern: pattern.to_owned() };
        let expected = vec![rule("b", r#"{"x":[1.50]}"#), rule("a", "{}")];
        for text in [
            r#"[{"name":"b","pattern":"{\"x\":[1.50]}"},{"pattern":{},"name":"a"}]"#,
            r#" {"b":{"x":[1.50]},"a":"{}"}"#,
            "b: '{\"x\":[1.50]}'\na: {}\n",
            "- {name: b, pattern: '{\"x\":[1.50]}'}\n- name: a\n  pattern: {}\n",
        ] {
            assert_eq!(Rule::file(text), Ok(expected.clone()), "{text}");
        }
        let long = "a: {x: [12345678901234567890123, 1.50, 3.0e2, 1e400]}\n";
        assert_eq!(Rule::file(long), Ok(vec![rule("a", r#"{"x":[12345678901234567890123,1.50,3.0e2,1e400]}"#)]));
        for (text, expected) in [
            (
                "a: {x: [1], x: [2]}",
                "the rules are neither JSON nor YAML: a.x: the key occurs twice, at line 1, column 5 and at line 1, column 13",
            ),
            ("a: {x: [0x10]}", "the rules: 0x10 at line 1, column 9 is not a JSON number"),
            ("[", "the rules are not JSON"),
            ("a: [", "the rules are neither JSON nor YAML"),
            ("[{\"name\":\"a\"}]", "a list of {name, pattern} is needed: missing field `pattern`"),
            ("5", "a list of {name, pattern} is needed"),
            (r#"{"a":"\ud800"}"#, "rule a: the pattern is not text"),
        ] {
            let error = Rule::file(text).expect_err(text);
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
