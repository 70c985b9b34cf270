//! Where another engine would answer otherwise than this one: for people who move rules over with open eyes.
//!
//! In the default dialect the other engine is AWS EventBridge (event-ruler), in the dialect `alibaba` the hosted product. The differences are
//! those of docs/patterns.md. Nothing here changes what a pattern means.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::compile::place::JsonPath;
use crate::json::Tree;
use crate::number::{Number, double};
use crate::options::Dialect;

/// A place of a pattern that another engine understands otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The place as a JSON path, such as `$.data.body.address[0]`.
    pub path: String,
    /// The other engine.
    pub engine: &'static str,
    /// What is answered here.
    pub here: String,
    /// What the other engine answers.
    pub there: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: here {}; {} {}", self.path, self.here, self.engine, self.there)
    }
}

const AWS: &str = "AWS EventBridge";
const HOSTED: &str = "Alibaba Cloud EventBridge";

/// What the other engine of the dialect answers otherwise, in the order of the text. None for a text that is no JSON object.
#[must_use]
pub fn differences(text: &str, dialect: Dialect) -> Vec<Difference> {
    let Ok(Tree::Object(members)) = Tree::parse(text) else { return Vec::new() };
    let mut search = Search { dialect, found: Vec::new() };
    let root = JsonPath::root();
    search.fields(&members, &root, false);
    search.found
}

struct Search {
    dialect: Dialect,
    found: Vec<Difference>,
}

impl Search {
    fn add(&mut self, at: &JsonPath<'_>, engine: &'static str, here: impl Into<String>, there: impl Into<String>) {
        self.found.push(Difference { path: at.to_string(), engine, here: here.into(), there: there.into() });
    }

    fn is_aws(&self) -> bool {
        self.dialect == Dialect::Default
    }

    /// `beside` says whether other fields stand around these.
    fn fields(&mut self, members: &[(String, Tree)], at: &JsonPath<'_>, beside: bool) {
        let beside = beside || members.len() > 1;
        for (key, value) in members {
            let place = at.key(key);
            match value {
                Tree::Array(alternatives) if key == "$or" => self.or(alternatives, members, &place),
                Tree::Array(elements) => self.conditions(elements, &place, beside),
                Tree::Object(below) => self.fields(below, &place, beside),
                _ => {}
            }
        }
    }

    fn or(&mut self, alternatives: &[Tree], around: &[(String, Tree)], at: &JsonPath<'_>) {
        if !self.is_aws() {
            self.add(at, HOSTED, "one of the objects must match", "has no $or");
        }
        let mut outer = HashSet::new();
        for (key, value) in around.iter().filter(|(key, _)| key != "$or") {
            names(key, value, &mut outer);
        }
        for (index, alternative) in alternatives.iter().enumerate() {
            let place = at.index(index);
            let Tree::Object(members) = alternative else { continue };
            if self.is_aws() {
                let mut inner = HashSet::new();
                members.iter().for_each(|(key, value)| names(key, value, &mut inner));
                let mut both: Vec<&String> = inner.intersection(&outer).collect();
                both.sort_unstable();
                for name in both {
                    let here = format!("the conditions on {name} beside $or and in it must both hold");
                    self.add(&place, AWS, here, "lets those in $or replace those beside it");
                }
            }
            self.fields(members, &place, around.len() > 1);
        }
    }

    fn conditions(&mut self, elements: &[Tree], at: &JsonPath<'_>, beside: bool) {
        for (index, element) in elements.iter().enumerate() {
            let place = at.index(index);
            match element {
                Tree::Object(members) => {
                    for (name, operand) in members {
                        self.operator(name, operand, &place, beside);
                    }
                }
                value => self.value(value, &place),
            }
        }
    }

    fn operator(&mut self, name: &str, operand: &Tree, at: &JsonPath<'_>, beside: bool) {
        let place = at.key(name);
        let is_known = match self.dialect {
            Dialect::Default => !matches!(name, "contains" | "regexp" | "all-of" | "field"),
            Dialect::Alibaba => matches!(name, "prefix" | "suffix" | "contains" | "anything-but" | "numeric" | "exists" | "cidr"),
        };
        let engine = if self.is_aws() { AWS } else { HOSTED };
        if !is_known {
            self.add(&place, engine, format!("{name} is served"), format!("has no {name}"));
        }
        match (name, operand) {
            ("cidr", Tree::String(range)) => self.cidr(range, &place),
            ("exists", Tree::Bool(false)) if self.is_aws() && beside => self.add(
                &place,
                AWS,
                "in arrays it asks for an element that has the other fields and not this one",
                "answers by the order of the fields' names where the event has arrays",
            ),
            ("equals-ignore-case", text) => self.case(text, &place),
            ("prefix" | "suffix", Tree::Object(inner)) => self.inside(inner, &place),
            ("anything-but", Tree::Object(inner)) => self.inside(inner, &place),
            ("anything-but", Tree::Array(values)) => {
                for (index, value) in values.iter().enumerate() {
                    self.value(value, &place.index(index));
                }
            }
            ("anything-but" | "exactly", value) => self.value(value, &place),
            ("numeric", Tree::Array(parts)) => self.numeric(parts, &place),
            ("all-of", Tree::Array(conditions)) => self.conditions(conditions, &place, beside),
            _ => {}
        }
    }

    /// The operator inside `anything-but`, `prefix` or `suffix`.
    fn inside(&mut self, members: &[(String, Tree)], at: &JsonPath<'_>) {
        for (name, operand) in members {
            let place = at.key(name);
            let is_known = match self.dialect {
                Dialect::Default => matches!(name.as_str(), "prefix" | "suffix" | "equals-ignore-case" | "wildcard"),
                Dialect::Alibaba => matches!(name.as_str(), "prefix" | "suffix"),
            };
            if !is_known {
                let engine = if self.is_aws() { AWS } else { HOSTED };
                self.add(&place, engine, format!("{name} is served here"), format!("takes no {name} there"));
            }
            match (name.as_str(), operand) {
                ("equals-ignore-case", text) => self.case(text, &place),
                ("prefix" | "suffix", Tree::Object(inner)) => self.inside(inner, &place),
                _ => {}
            }
        }
    }

    fn value(&mut self, value: &Tree, at: &JsonPath<'_>) {
        if !self.is_aws() {
            return;
        }
        match value {
            Tree::String(text) if is_address(text) => {
                let there = "reads it as an address, so that other ways to write that address match as well";
                self.add(at, AWS, format!("{text:?} is only that text"), there);
            }
            Tree::Number(text) if !is_shortest(text) => {
                self.add(
                    at,
                    AWS,
                    format!("{text} is compared by value, digit by digit"),
                    "compares it as text: only the same digits match",
                );
            }
            _ => {}
        }
    }

    fn case(&mut self, operand: &Tree, at: &JsonPath<'_>) {
        let has_case = |text: &str| {
            let beyond = |character: char| u32::from(character) > 0xffff;
            text.chars().any(|character| beyond(character) && (character.is_uppercase() || character.is_lowercase()))
        };
        match operand {
            Tree::String(text) if self.is_aws() && has_case(text) => {
                self.add(at, AWS, "case is ignored in all of Unicode", "ignores case in the basic plane only");
            }
            Tree::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    self.case(element, &at.index(index));
                }
            }
            _ => {}
        }
    }

    fn cidr(&mut self, range: &str, at: &JsonPath<'_>) {
        let (address, bits) = match range.split_once('/') {
            Some((address, bits)) => (address, bits.parse::<u32>().ok()),
            None => (range, None),
        };
        let is_v4 = address.parse::<Ipv4Addr>().is_ok();
        if !self.is_aws() {
            if !is_v4 {
                self.add(at, HOSTED, "IPv6 addresses have ranges too", "knows IPv4 only");
            }
            return;
        }
        match bits {
            None => self.add(at, AWS, "one address is a range too", "takes no address without a mask"),
            Some(0) if is_v4 => self.add(at, AWS, "IPv6 addresses never match a range of IPv4", "also matches IPv6 addresses such as ::1"),
            Some(32) if is_v4 => self.add(at, AWS, "/32 is one address", "takes masks up to /31"),
            Some(128) if !is_v4 => self.add(at, AWS, "/128 is one address", "takes masks up to /127"),
            Some(_) => {}
        }
    }

    fn numeric(&mut self, parts: &[Tree], at: &JsonPath<'_>) {
        for (index, part) in parts.iter().enumerate() {
            let place = at.index(index);
            match part {
                Tree::String(sign) if sign == "!=" && self.is_aws() => {
                    self.add(&place, AWS, "!= is served", "has no != for numbers; anything-but is its way");
                }
                Tree::Object(_) => {
                    let engine = if self.is_aws() { AWS } else { HOSTED };
                    self.add(&place, engine, "a number may be compared with another field", "compares with numbers only");
                }
                _ => {}
            }
        }
    }
}

/// The names of all fields of a member, dots between keys.
fn names(key: &str, value: &Tree, found: &mut HashSet<String>) {
    match value {
        Tree::Object(members) => members.iter().for_each(|(below, value)| names(&format!("{key}.{below}"), value, found)),
        Tree::Array(_) => drop(found.insert(key.to_owned())),
        _ => {}
    }
}

/// Whether event-ruler takes a text for an address. It reads four numbers with dots, so that versions are caught too.
fn is_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 4 && parts.iter().all(is_number)) || text.parse::<Ipv6Addr>().is_ok()
}

/// Whether a number is one that its double gives back. Others are compared by their text in event-ruler.
fn is_shortest(text: &str) -> bool {
    let number = double(text);
    number.is_finite() && crate::number::equal(&number.to_string(), text, Number::new(text).digits())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, dialect: Dialect) -> Vec<String> {
        differences(text, dialect).iter().map(ToString::to_string).collect()
    }

    /// *Scenario*: a pattern for each documented difference to AWS EventBridge, and the same without it. *Guarantees*: one warning with its place for the
    /// first, none for the second.
    #[test]
    fn each_documented_difference_to_aws_is_found() {
        for (text, path) in [
            (r#"{"a":["10.0.0.1"]}"#, "$.a[0]"),
            (r#"{"a":["1.2.3.4"]}"#, "$.a[0]"),
            (r#"{"a":["2001:db8::1"]}"#, "$.a[0]"),
            (r#"{"a":[{"anything-but":["x","10.0.0.1"]}]}"#, "$.a[0].anything-but[1]"),
            (r#"{"a":[0.1000000000000000055]}"#, "$.a[0]"),
            (r#"{"a":[12345678901234567891]}"#, "$.a[0]"),
            (r#"{"a":[1e400]}"#, "$.a[0]"),
            (r#"{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}"#, "$.$or[0]"),
            (r#"{"d":{"a":[1]},"$or":[{"d":{"b":[2]}},{"d":{"a":[3]}}]}"#, "$.$or[1]"),
            (r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#, "$.a[0].cidr"),
            (r#"{"a":[{"cidr":"10.0.0.1/32"}]}"#, "$.a[0].cidr"),
            (r#"{"a":[{"cidr":"10.0.0.1"}]}"#, "$.a[0].cidr"),
            (r#"{"a":[{"cidr":"2001:db8::1/128"}]}"#, "$.a[0].cidr"),
            (r#"{"a":[{"equals-ignore-case":"𐐀"}]}"#, "$.a[0].equals-ignore-case"),
            (r#"{"a":[{"prefix":{"equals-ignore-case":"𐐀"}}]}"#, "$.a[0].prefix.equals-ignore-case"),
            (r#"{"l":{"a":[1],"b":[{"exists":false}]}}"#, "$.l.b[0].exists"),
            (r#"{"a":[{"contains":"x"}]}"#, "$.a[0].contains"),
            (r#"{"a":[{"regexp":"x"}]}"#, "$.a[0].regexp"),
            (r#"{"a":[{"all-of":[{"prefix":"x"}]}]}"#, "$.a[0].all-of"),
            (r#"{"a":[{"field":"$.b"}]}"#, "$.a[0].field"),
            (r#"{"a":[{"numeric":["!=",1]}]}"#, "$.a[0].numeric[0]"),
            (r#"{"a":[{"numeric":["<",{"field":"$.b"}]}]}"#, "$.a[0].numeric[1]"),
            (r#"{"a":[{"anything-but":{"cidr":"10.0.0.0/8"}}]}"#, "$.a[0].anything-but.cidr"),
        ] {
            let paths: Vec<String> = differences(text, Dialect::Default).into_iter().map(|difference| difference.path).collect();
            assert_eq!(paths, [path], "{text}");
        }
        for text in [
            r#"{"a":["x",1,1.5,-3e2,"10.0.0","v1.2.3.4",null,true,{"exists":true}]}"#,
            "{}",
            r#"{"a":[{"exists":false}]}"#,
            r#"{"a":[1],"$or":[{"b":[2]},{"c":[3]}]}"#,
            r#"{"a":[{"cidr":"10.0.0.0/8"},{"cidr":"2001:db8::/32"},{"numeric":[">",0,"<=",5]},{"wildcard":"*x"}]}"#,
            r#"{"a":[{"prefix":{"equals-ignore-case":"é"}},{"anything-but":{"wildcard":["*x"]}},{"exactly":"x"}]}"#,
        ] {
            assert_eq!(found(text, Dialect::Default), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn each_addition_to_the_hosted_product_is_found() {
        for (text, path) in [
            (r#"{"a":[{"wildcard":"*x"}]}"#, "$.a[0].wildcard"),
            (r#"{"a":[{"regexp":"x"}]}"#, "$.a[0].regexp"),
            (r#"{"a":[{"equals-ignore-case":"x"}]}"#, "$.a[0].equals-ignore-case"),
            (r#"{"a":[{"anything-but":{"contains":"x"}}]}"#, "$.a[0].anything-but.contains"),
            (r#"{"$or":[{"a":[1]},{"b":[2]}]}"#, "$.$or"),
            (r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, "$.a[0].cidr"),
        ] {
            let paths: Vec<String> = differences(text, Dialect::Alibaba).into_iter().map(|difference| difference.path).collect();
            assert_eq!(paths, [path], "{text}");
        }
        let plain = r#"{"a":["10.0.0.1",300,{"prefix":"x"},{"suffix":"x"},{"contains":"x"},{"anything-but":[null,1]},{"exists":false}]}"#;
        assert_eq!(found(plain, Dialect::Alibaba), Vec::<String>::new());
        assert!(
            found("{}", Dialect::Alibaba).is_empty()
                && found("[1]", Dialect::Default).is_empty()
                && found("{", Dialect::Default).is_empty()
        );
    }

    #[test]
    fn a_difference_says_what_is_answered_here_and_there() {
        assert_eq!(
            found(r#"{"a":["10.0.0.1"]}"#, Dialect::Default),
            [concat!(
                "$.a[0]: here \"10.0.0.1\" is only that text; ",
                "AWS EventBridge reads it as an address, so that other ways to write that address match as well"
            )]
        );
    }
}
