//! The one compiler of patterns and transforms, for validation and for evaluation.

use rocketbridge_model::PatternDialect;
use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::validate::{Checks, Fault};
use rocketbridge_pattern::json::{EqualKeys, equal_keys};
use rocketbridge_pattern::{self as pattern, Dialect, Limits, Options, Pattern};
use rocketbridge_transform::{self as transform, Form, Part, Transform};

/// Compiles what definitions say. Two compilers with the same limits accept the same texts.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    limits: Limits,
}

impl Compiler {
    /// Compiles patterns within these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// How patterns of a dialect are compiled.
    pub fn options(&self, dialect: PatternDialect) -> Options {
        let dialect = match dialect {
            PatternDialect::Default => Dialect::Default,
            PatternDialect::Alibaba => Dialect::Alibaba,
        };
        Options { dialect, limits: self.limits.clone() }
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    /// The text is no pattern of the dialect, or exceeds a limit.
    pub fn compile_pattern(&self, text: &str, dialect: PatternDialect) -> Result<Pattern, pattern::Error> {
        Pattern::compile(text, &self.options(dialect))
    }

    /// Compiles a parameter of a target. A definition cannot tell an empty value from none: CONSTANT takes both as the empty text.
    ///
    /// # Errors
    /// Form, value or template is not what the form needs.
    pub fn compile_transform(&self, parameter: &TargetParameter) -> Result<Transform, transform::Error> {
        let template = (!parameter.template.is_empty()).then_some(parameter.template.as_str());
        Transform::compile(&parameter.form, Some(&parameter.value), template)
    }
}

impl Checks for Compiler {
    fn pattern(&self, text: &str, dialect: PatternDialect) -> Result<(), Fault> {
        self.compile_pattern(text, dialect).map_err(|error| in_pattern(&error))?;
        refuse_equal_keys(text, "", &found_in(text))
    }

    fn transform(&self, parameter: &TargetParameter) -> Result<(), Fault> {
        let transform = self.compile_transform(parameter).map_err(|error| in_transform(&error))?;
        if transform.form() == Form::Template {
            refuse_equal_keys(&parameter.value, "value", &found_in(&parameter.value))?;
        }
        refuse_equal_keys(&parameter.template, "template", transform.equal_keys())
    }
}

/// The equal keys of a JSON text. What is malformed was refused by the compiler.
fn found_in(text: &str) -> Vec<EqualKeys> {
    equal_keys(text).unwrap_or_default()
}

/// New texts must not say a thing twice. Those that are stored compile as they did: of equal keys the last counts, and a template writes both.
fn refuse_equal_keys(text: &str, place: &str, found: &[EqualKeys]) -> Result<(), Fault> {
    let Some(&EqualKeys { ref path, first, second }) = found.first() else { return Ok(()) };
    let (first, second) = (position(text, first), position(text, second));
    Err(Fault {
        place: if place.is_empty() { path.clone() } else { format!("{place}.{path}") },
        found: format!("the key twice, at {first} and at {second}"),
        rule: "allowed: each key once in an object".to_owned(),
        fix: Some("remove one of the two".to_owned()),
    })
}

/// Line and column of a byte of a text, both from 1, the column in characters.
fn position(text: &str, byte: usize) -> String {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    format!("line {}, column {}", 1 + before.matches('\n').count(), 1 + line.chars().count())
}

/// The whole text is the field itself; anything else a JSON path below it.
fn in_pattern(error: &pattern::Error) -> Fault {
    let raise = |limit| format!("write a smaller pattern, or raise pattern.{limit} in the configuration of controllers and filters");
    Fault {
        place: if error.path() == "$" { String::new() } else { error.path().to_owned() },
        found: error.found().to_owned(),
        rule: format!("allowed: {}", error.allowed()),
        fix: error.suggestion().map(str::to_owned).or_else(|| error.exceeded().map(raise)),
    }
}

fn in_transform(error: &transform::Error) -> Fault {
    let place = match error.part() {
        Part::Form => "form",
        Part::Value => "value",
        Part::Template => "template",
    };
    Fault {
        place: place.to_owned(),
        found: error.found().to_owned(),
        rule: format!("allowed: {}", error.rule()),
        fix: error.suggestion().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a pattern that only one dialect knows, and one over a configured limit. *Guarantees*: it is compiled in its dialect; the fault says
    /// which key of the configuration holds the limit.
    #[test]
    fn patterns_are_compiled_in_their_dialect_and_within_the_limits() {
        let compiler = Compiler::new(Limits { wildcard_stars: 2, ..Limits::default() });
        let alibaba = r#"{"a":[{"anything-but":[null,1,"x"]}]}"#;
        assert_eq!(compiler.pattern(alibaba, PatternDialect::Alibaba), Ok(()));
        assert!(compiler.pattern(alibaba, PatternDialect::Default).is_err());
        let stars = r#"{"a":[{"wildcard":"*a*b*"}]}"#;
        assert_eq!(Compiler::default().pattern(stars, PatternDialect::Default), Ok(()));
        let fault = compiler.pattern(stars, PatternDialect::Default).expect_err("three stars");
        assert_eq!((fault.place.as_str(), fault.rule.as_str()), ("$.a[0].wildcard", "allowed: at most 2 (limit wildcard_stars)"));
        assert!(fault.fix.is_some_and(|fix| fix.contains("pattern.wildcard_stars")));
    }

    /// *Scenario*: a misspelt operator deep in a pattern, text that is no JSON, and faults in each part of a transform. *Guarantees*: the fault leads
    /// to the place and says what stands there, what is allowed, and what was meant.
    #[test]
    fn faults_lead_to_their_place() {
        let fault =
            Compiler::default().pattern(r#"{"data":{"body":{"price":[{"prefx":"1"}]}}}"#, PatternDialect::Default).expect_err("misspelt");
        assert_eq!((fault.place.as_str(), fault.found.as_str()), ("$.data.body.price[0].prefx", r#"the unknown operator "prefx""#));
        assert!(fault.rule.starts_with("allowed: exactly, prefix"), "{fault:?}");
        assert_eq!(fault.fix.as_deref(), Some(r#"did you mean "prefix"?"#));
        let fault = Compiler::default().pattern("{", PatternDialect::Default).expect_err("no JSON");
        assert_eq!((fault.place.as_str(), fault.rule.as_str()), ("", "allowed: a JSON object"));

        let fault = |form: &str, value: &str, template: &str| {
            let parameter = TargetParameter { form: form.to_owned(), value: value.to_owned(), template: template.to_owned() };
            Compiler::default().transform(&parameter).expect_err("refused")
        };
        assert_eq!(fault("TEMPLATE", "{}", "${x}").place, "template");
        assert_eq!(fault("TEMPLATE", "[]", "x").place, "value");
        assert_eq!(fault("EXPRESSION", ".a |", "").place, "value");
        assert_eq!(fault("JsonPath", "$", "").place, "form");
    }
    /// *Scenario*: a parameter of the form CONSTANT with no value, as an API message without one has it. *Guarantees*: validation takes it, and the
    /// compiled transform is the empty text; other forms without a value are refused by both.
    #[test]
    fn an_empty_constant_is_taken_by_api_and_filter_alike() {
        let compiler = Compiler::default();
        let constant = TargetParameter { form: "CONSTANT".to_owned(), ..TargetParameter::default() };
        assert_eq!(compiler.transform(&constant), Ok(()));
        let transform = compiler.compile_transform(&constant).expect("the API took it");
        let output = transform.apply(&pattern::JsonEvent::new("{}")).expect("nothing is read");
        assert_eq!(output.into_value().as_deref(), Some(&b""[..]));
        for form in ["JSONPATH", "TEMPLATE", "EXPRESSION"] {
            let parameter = TargetParameter { form: form.to_owned(), ..TargetParameter::default() };
            assert!(compiler.transform(&parameter).is_err() && compiler.compile_transform(&parameter).is_err(), "{form}");
        }
    }

    /// *Scenario*: a pattern, the variables of a template, and templates with a key written twice. *Guarantees*: validation refuses them with both places,
    /// counted in what was written; what is stored already still compiles as it did; a text that only looks like JSON is none.
    #[test]
    fn a_key_that_occurs_twice_is_refused_with_both_places() {
        let compiler = Compiler::default();
        let twice = "{\"data\": {\"topic\": [\"a\"],\n  \"topic\": [\"b\"]}}";
        let fault = compiler.pattern(twice, PatternDialect::Default).expect_err("twice");
        assert_eq!(fault.place, "$.data.topic");
        assert_eq!(fault.found, "the key twice, at line 1, column 11 and at line 2, column 3");
        let stored = compiler.compile_pattern(twice, PatternDialect::Default).expect("stored definitions go on");
        assert_eq!(stored.matches(&pattern::JsonEvent::new(r#"{"data":{"topic":"b"}}"#)), Ok(true));

        let template =
            TargetParameter { form: "TEMPLATE".to_owned(), value: r#"{"x":"1","x":"2"}"#.to_owned(), template: "${x}".to_owned() };
        let fault = compiler.transform(&template).expect_err("twice");
        assert_eq!(
            (fault.place.as_str(), fault.found.as_str()),
            ("value.$.x", "the key twice, at line 1, column 2 and at line 1, column 10")
        );
        let output = compiler.compile_transform(&template).expect("stored").apply(&pattern::JsonEvent::new("{}"));
        assert_eq!(output.expect("applies").into_value().as_deref(), Some(&b"2"[..]));

        let refused = |text: &str| {
            let value = r#"{"long.name":"$.x","o":"$.o"}"#.to_owned();
            let parameter = TargetParameter { form: "TEMPLATE".to_owned(), value, template: text.to_owned() };
            assert!(compiler.compile_transform(&parameter).is_ok(), "what is stored goes on: {text}");
            compiler.transform(&parameter).err().map(|fault| (fault.place, fault.found))
        };
        for (text, place, found) in [
            (r#"{"a":1,"a":2}"#, "template.$.a", "the key twice, at line 1, column 2 and at line 1, column 8"),
            (
                "{\"a\": ${long.name}, \"é${long.name}\": 1,\n \"a\": 2}",
                "template.$.a",
                "the key twice, at line 1, column 2 and at line 2, column 2",
            ),
            (r#"[{"b":{"a":"${long.name}","\u0061":$${}}]"#, "", ""),
            (
                r#"[{"b":{"a":"$${x}","\u0061":${long.name}}}]"#,
                "template.$[0].b.a",
                "the key twice, at line 1, column 8 and at line 1, column 20",
            ),
            (
                r#"{"EB_SYS_EMBED_OBJECT":"${long.name}","EB_SYS_EMBED_OBJECT":"${o}"}"#,
                "template.$.EB_SYS_EMBED_OBJECT",
                "the key twice, at line 1, column 2 and at line 1, column 39",
            ),
            (r#"{"a":1,"b":{"a":2}}"#, "", ""),
            (r#"{"a":1,"a":2} and more"#, "", ""),
            (r#"{"a":"\${long.name}"x","a":1}"#, "", ""),
        ] {
            let expected = (!place.is_empty()).then(|| (place.to_owned(), found.to_owned()));
            assert_eq!(refused(text), expected, "{text}");
        }
    }
}
