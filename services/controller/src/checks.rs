//! The compilers of patterns and transforms, for validation.

use rocketbridge_model::PatternDialect;
use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::validate::{Checks, Fault};
use rocketbridge_pattern::{self as pattern, Dialect, Limits, Options, Pattern};
use rocketbridge_transform::{self as transform, Part, Transform};

/// Compiles as filters with the same limits do.
#[derive(Clone, Debug, Default)]
pub struct Compilers {
    /// How large patterns may be.
    pub limits: Limits,
}

impl Checks for Compilers {
    fn pattern(&self, text: &str, dialect: PatternDialect) -> Result<(), Fault> {
        let dialect = match dialect {
            PatternDialect::Default => Dialect::Default,
            PatternDialect::Alibaba => Dialect::Alibaba,
        };
        let options = Options { dialect, limits: self.limits.clone() };
        Pattern::compile(text, &options).map(drop).map_err(|error| in_pattern(&error))
    }

    fn transform(&self, parameter: &TargetParameter) -> Result<(), Fault> {
        let template = (!parameter.template.is_empty()).then_some(parameter.template.as_str());
        Transform::compile(&parameter.form, Some(&parameter.value), template).map(drop).map_err(|error| in_transform(&error))
    }
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
        let compilers = Compilers { limits: Limits { wildcard_stars: 2, ..Limits::default() } };
        let alibaba = r#"{"a":[{"anything-but":[null,1,"x"]}]}"#;
        assert_eq!(compilers.pattern(alibaba, PatternDialect::Alibaba), Ok(()));
        assert!(compilers.pattern(alibaba, PatternDialect::Default).is_err());
        let stars = r#"{"a":[{"wildcard":"*a*b*"}]}"#;
        assert_eq!(Compilers::default().pattern(stars, PatternDialect::Default), Ok(()));
        let fault = compilers.pattern(stars, PatternDialect::Default).expect_err("three stars");
        assert_eq!((fault.place.as_str(), fault.rule.as_str()), ("$.a[0].wildcard", "allowed: at most 2 (limit wildcard_stars)"));
        assert!(fault.fix.is_some_and(|fix| fix.contains("pattern.wildcard_stars")));
    }

    /// *Scenario*: a misspelt operator deep in a pattern, text that is no JSON, and faults in each part of a transform. *Guarantees*: the fault leads
    /// to the place and says what stands there, what is allowed, and what was meant.
    #[test]
    fn faults_lead_to_their_place() {
        let fault =
            Compilers::default().pattern(r#"{"data":{"body":{"price":[{"prefx":"1"}]}}}"#, PatternDialect::Default).expect_err("misspelt");
        assert_eq!((fault.place.as_str(), fault.found.as_str()), ("$.data.body.price[0].prefx", r#"the unknown operator "prefx""#));
        assert!(fault.rule.starts_with("allowed: exactly, prefix"), "{fault:?}");
        assert_eq!(fault.fix.as_deref(), Some(r#"did you mean "prefix"?"#));
        let fault = Compilers::default().pattern("{", PatternDialect::Default).expect_err("no JSON");
        assert_eq!((fault.place.as_str(), fault.rule.as_str()), ("", "allowed: a JSON object"));

        let fault = |form: &str, value: &str, template: &str| {
            let parameter = TargetParameter { form: form.to_owned(), value: value.to_owned(), template: template.to_owned() };
            Compilers::default().transform(&parameter).expect_err("refused")
        };
        assert_eq!(fault("TEMPLATE", "{}", "${x}").place, "template");
        assert_eq!(fault("TEMPLATE", "[]", "x").place, "value");
        assert_eq!(fault("EXPRESSION", ".a |", "").place, "value");
        assert_eq!(fault("JsonPath", "$", "").place, "form");
    }
}
