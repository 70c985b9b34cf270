//! The pattern language, case by case, in both dialects.

use rocketbridge_pattern::{Dialect, EventError, JsonEvent, Limits, Options, Pattern};

fn compile(pattern: &str, dialect: Dialect) -> Result<Pattern, rocketbridge_pattern::Error> {
    Pattern::compile(pattern, &Options { dialect, limits: Limits::default() })
}

fn check(dialect: Dialect, cases: &[(&str, &str, bool)]) {
    for (pattern, event, expected) in cases {
        let compiled = compile(pattern, dialect).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        assert_eq!(compiled.matches(&JsonEvent::new(event)), Ok(*expected), "{pattern} {event}");
    }
}

/// *Scenario*: every condition on values that meet it and values that do not. *Guarantees*: the table of `README.md`.
#[test]
fn conditions() {
    check(
        Dialect::Default,
        &[
            ("{}", r#"{"a":1}"#, true),
            (r#"{"a":["x"]}"#, r#"{"a":"x"}"#, true),
            (r#"{"a":["1"]}"#, r#"{"a":1}"#, false),
            (r#"{"a":[""]}"#, r#"{"a":""}"#, true),
            (r#"{"a":[null]}"#, r#"{"a":null}"#, true),
            (r#"{"a":[null]}"#, r#"{}"#, false),
            (r#"{"a":[true]}"#, r#"{"a":"true"}"#, false),
            (r#"{"a":[300]}"#, r#"{"a":3.0e2}"#, true),
            (r#"{"a":[0.1]}"#, r#"{"a":0.1000000000000000055}"#, false),
            (r#"{"a":[{"exactly":"x"}]}"#, r#"{"a":"x"}"#, true),
            (r#"{"a":[{"prefix":"ab"}]}"#, r#"{"a":"abc"}"#, true),
            (r#"{"a":[{"suffix":"bc"}]}"#, r#"{"a":"abc"}"#, true),
            (r#"{"a":[{"prefix":{"equals-ignore-case":"AB"}}]}"#, r#"{"a":"abc"}"#, true),
            (r#"{"a":[{"suffix":{"equals-ignore-case":"BC"}}]}"#, r#"{"a":"abd"}"#, false),
            (r#"{"a":[{"equals-ignore-case":"𐐀x"}]}"#, r#"{"a":"𐐨X"}"#, true),
            (r#"{"a":[{"contains":"b"}]}"#, r#"{"a":"abc"}"#, true),
            (r#"{"a":[{"wildcard":"a*\\*"}]}"#, r#"{"a":"abc*"}"#, true),
            (r#"{"a":[{"regexp":"[a-c]+"}]}"#, r#"{"a":"abcd"}"#, false),
            (r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":null}"#, true),
            (r#"{"a":[{"anything-but":"x"}]}"#, r#"{}"#, false),
            (r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":["x","z"]}"#, true),
            (r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":["x","y"]}"#, false),
            (r#"{"a":[{"anything-but":[1,2]}]}"#, r#"{"a":1.0}"#, false),
            (r#"{"a":[{"anything-but":{"prefix":["a","b"]}}]}"#, r#"{"a":"bx"}"#, false),
            (r#"{"a":[{"anything-but":{"prefix":{"equals-ignore-case":"A"}}}]}"#, r#"{"a":"ax"}"#, false),
            (r#"{"a":[{"anything-but":{"cidr":"10.0.0.0/8"}}]}"#, r#"{"a":"11.0.0.1"}"#, true),
            (r#"{"a":[{"numeric":["!=",5]}]}"#, r#"{"a":5.0}"#, false),
            (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5}"#, true),
            (r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":"3"}"#, false),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":null}"#, true),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":{"b":1}}"#, false),
            (r#"{"a":[{"exists":false}]}"#, r#"{"a":[]}"#, true),
            (r#"{"a":[{"exists":false},"x"]}"#, r#"{"a":"x"}"#, true),
            (r#"{"a":[{"exists":false},"x"]}"#, r#"{"a":"y"}"#, false),
            (r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#, r#"{"a":"::1"}"#, false),
            (r#"{"a":["10.0.0.1"]}"#, r#"{"a":"10.0.0.01"}"#, false),
            (r#"{"a":[{"all-of":[{"prefix":"a"},{"suffix":"c"}]}]}"#, r#"{"a":"abc"}"#, true),
            (r#"{"a":[{"all-of":[{"prefix":"a"},{"suffix":"c"}]}]}"#, r#"{"a":["ab","bc"]}"#, false),
            (r#"{"a":[{"all-of":[{"anything-but":[1]},{"anything-but":["x"]}]}]}"#, r#"{"a":1}"#, false),
            (r#"{"a":[{"field":"$.b.c"}]}"#, r#"{"a":2.0,"b":{"c":2}}"#, true),
            (r#"{"a":[{"field":"$.b"}]}"#, r#"{"a":"2","b":2}"#, false),
            (r#"{"a":[{"field":"$.b"}]}"#, r#"{"a":1}"#, false),
            (r#"{"a":[{"numeric":["<",{"field":"$.b"}]}]}"#, r#"{"a":1,"b":2}"#, true),
            (r#"{"a":[{"numeric":[">",0,"<",{"field":"$['b']"}]}]}"#, r#"{"a":-1,"b":2}"#, false),
        ],
    );
}

/// *Scenario*: many alternatives of one field. *Guarantees*: a set of texts and other conditions beside it behave as a list.
#[test]
fn many_alternatives() {
    let texts: Vec<String> = (0..100).map(|index| format!("\"v{index}\"")).collect();
    let list = texts.join(",");
    check(
        Dialect::Default,
        &[
            (&format!(r#"{{"a":[{list},7]}}"#), r#"{"a":"v99"}"#, true),
            (&format!(r#"{{"a":[{list},7]}}"#), r#"{"a":7}"#, true),
            (&format!(r#"{{"a":[{list},7]}}"#), r#"{"a":"v100"}"#, false),
            (&format!(r#"{{"a":[{{"anything-but":[{list}]}}]}}"#), r#"{"a":"v5"}"#, false),
            (&format!(r#"{{"a":[{{"anything-but":[{list}]}}]}}"#), r#"{"a":5}"#, true),
        ],
    );
}

/// *Scenario*: arrays of objects, nested and separate, with absent and compared fields. *Guarantees*: elements of one array do not combine.
#[test]
fn arrays() {
    let both = r#"{"a":{"x":[1],"y":[2]}}"#;
    let without = r#"{"a":{"x":[1],"y":[{"exists":false}]}}"#;
    let reverse = r#"{"a":{"y":[1],"x":[{"exists":false}]}}"#;
    let compared = r#"{"a":{"x":[{"numeric":[">",{"field":"$.a.y"}]}]}}"#;
    check(
        Dialect::Default,
        &[
            (both, r#"{"a":[{"x":1},{"y":2}]}"#, false),
            (both, r#"{"a":[{"x":1,"y":3},{"x":1,"y":2}]}"#, true),
            (both, r#"{"a":[[{"x":1}],[{"y":2}]]}"#, false),
            (both, r#"{"a":[{"x":[0,1],"y":[2,3]}]}"#, true),
            (r#"{"a":{"x":[1]},"b":{"y":[2]}}"#, r#"{"a":[{"x":0},{"x":1}],"b":[{"y":2},{"y":0}]}"#, true),
            (r#"{"a":{"i":{"p":[1],"q":[2]},"x":[3]}}"#, r#"{"a":[{"i":[{"p":1,"q":2}],"x":0},{"i":[{"p":1},{"q":2}],"x":3}]}"#, false),
            (r#"{"a":{"i":{"p":[1],"q":[2]},"x":[3]}}"#, r#"{"a":[{"i":[{"p":1},{"p":1,"q":2}],"x":3}]}"#, true),
            (without, r#"{"a":[{"x":1,"y":0},{"x":1}]}"#, true),
            (without, r#"{"a":[{"x":1,"y":0},{"x":2}]}"#, false),
            (reverse, r#"{"a":[{"y":1,"x":0},{"y":1}]}"#, true),
            (reverse, r#"{"a":[{"y":1,"x":0},{"y":2}]}"#, false),
            (r#"{"b":[1],"a":{"x":[{"exists":false}]}}"#, r#"{"b":1,"a":[{"y":1},{"x":1}]}"#, false),
            (compared, r#"{"a":[{"x":2,"y":3},{"x":0,"y":1}]}"#, false),
            (compared, r#"{"a":[{"x":2,"y":3},{"x":2,"y":1}]}"#, true),
            // Repeated keys: every value is a candidate, also in two arrays under one name.
            (r#"{"a":["x"]}"#, r#"{"a":"x","a":"y"}"#, true),
            (both, r#"{"a":[{"x":1}],"a":[{"y":2}]}"#, true),
            (both, r#"{"a":[{"x":1}],"a.y":2}"#, true),
            (r#"{"a.b":[1]}"#, r#"{"a":{"b":1}}"#, true),
            (r#"{"a":{"b":[1]}}"#, r#"{"a.b":1}"#, true),
        ],
    );
}

/// *Scenario*: `$or` at any level, beside fields and nested. *Guarantees*: one of its objects holds together with everything around it.
#[test]
fn alternatives_of_objects() {
    let pattern = r#"{"a":[1],"$or":[{"b":[1]},{"c":{"$or":[{"d":[1]},{"e":[{"exists":false}],"f":[2]}]}}]}"#;
    check(
        Dialect::Default,
        &[
            (pattern, r#"{"a":1,"b":1}"#, true),
            (pattern, r#"{"b":1}"#, false),
            (pattern, r#"{"a":1,"c":{"d":1}}"#, true),
            (pattern, r#"{"a":1,"c":{"f":2}}"#, true),
            (pattern, r#"{"a":1,"c":{"e":0,"f":2}}"#, false),
            (r#"{"n":["a","b"],"$or":[{"n":[{"anything-but":"a"}]},{"c":["x"]}]}"#, r#"{"n":"c"}"#, false),
        ],
    );
}

/// *Scenario*: values of other types, and paths that are there without a value. *Guarantees*: the `alibaba` dialect's rules.
#[test]
fn alibaba() {
    check(
        Dialect::Alibaba,
        &[
            (r#"{"a":["300"]}"#, r#"{"a":300}"#, true),
            (r#"{"a":[300]}"#, r#"{"a":300.0}"#, false),
            (r#"{"a":[true]}"#, r#"{"a":"true"}"#, true),
            (r#"{"a":[null]}"#, r#"{"a":"null"}"#, false),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":null}"#, true),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":{}}"#, true),
            (r#"{"a":[{"exists":true}]}"#, r#"{"a":[]}"#, true),
            (r#"{"a":[{"exists":false}]}"#, r#"{"a":{"b":1}}"#, false),
            (r#"{"a":[{"anything-but":[null,1,"x",true]}]}"#, r#"{"a":null}"#, false),
            (r#"{"a":[{"anything-but":[null,1,"x",true]}]}"#, r#"{"a":2}"#, true),
            (r#"{"a":[{"contains":"x"}]}"#, r#"{"a":"yxy"}"#, true),
            (r#"{"a":[{"numeric":["=",1.00000001]}]}"#, r#"{"a":1}"#, true),
        ],
    );
}

/// *Scenario*: patterns with one fault each. *Guarantees*: the place, what was found, what is allowed, and the mending, in one line.
#[test]
fn errors_name_their_place() {
    let operators =
        "exactly, prefix, suffix, contains, equals-ignore-case, wildcard, regexp, anything-but, numeric, exists, cidr, all-of, field";
    for (pattern, expected) in [
        (
            r#"{"data":{"body":{"price":[{"numeric":["==",3]}]}}}"#,
            r#"$.data.body.price[0].numeric[0]: found the string "=="; allowed: =, !=, <, <=, > or >=; write "=""#.to_owned(),
        ),
        (r#"{"a b":[{"prefx":"x"}]}"#, format!(r#"$["a b"][0].prefx: found the unknown operator "prefx"; allowed: {operators}; did you mean "prefix"?"#)),
        (r#"{"a":"x"}"#, r#"$.a: found the string "x"; allowed: a list of values and conditions, or an object of fields; put the value in a list: [ … ]"#.to_owned()),
        (r#"{"$or":[{"a":[1]},{}]}"#, "$.$or[1]: found an empty object; allowed: an object of fields".to_owned()),
        (r#"{"a":[1}"#, "$: found malformed JSON at byte 7: expected a comma or the end of the array; allowed: a JSON object".to_owned()),
        (
            r#"{"a":[{"anything-but":{"prefix":["x",""]}}]}"#,
            r#"$.a[0].anything-but.prefix[1]: found an empty string; allowed: a string with at least one character"#.to_owned(),
        ),
    ] {
        let error = compile(pattern, Dialect::Default).expect_err(pattern);
        assert_eq!(error.to_string(), expected);
    }
}

/// *Scenario*: patterns made to be costly. *Guarantees*: refused by a named limit.
#[test]
fn hostile_patterns_are_refused_by_a_named_limit() {
    let nested = (0..200).fold("[1]".to_owned(), |inner, _| format!(r#"{{"a":{inner}}}"#));
    let or = |count: usize| {
        let objects: Vec<String> = (0..count).map(|index| format!(r#"{{"f{index}":[1]}}"#)).collect();
        format!("[{}]", objects.join(","))
    };
    let product = format!(r#"{{"a":{{"$or":{0}}},"b":{{"$or":{0}}},"c":{{"$or":{0}}}}}"#, or(11));
    let deep = (0..20).fold(r#""x":[1]"#.to_owned(), |inner, level| {
        format!(r#""n{level}":{{"$or":[{{{inner}}},{{"y":[1],"$or":[{{"p":[1]}},{{"q":[1]}}]}}]}},"$or":[{{"r":[1]}},{{"s":[1]}}]"#)
    });
    let stars = "*a".repeat(65);
    let values = vec!["1"; 10_001].join(",");
    let regexps = vec![r#"{"regexp":"a"}"#; 33].join(",");
    for (pattern, limit) in [
        (nested, "depth"),
        (product, "combinations"),
        (format!("{{{deep}}}"), "combinations"),
        (format!(r#"{{"a":[{{"wildcard":"{stars}"}}]}}"#), "wildcard_stars"),
        (format!(r#"{{"a":[{values}]}}"#), "conditions"),
        (format!(r#"{{"a":["{}"]}}"#, "x".repeat(300_000)), "text_bytes"),
        (format!(r#"{{"a":[{{"wildcard":"{}"}}]}}"#, "x".repeat(5_000)), "operand_bytes"),
        (format!(r#"{{"a":[{regexps}]}}"#), "regexps"),
        (r#"{"a":[{"regexp":"((a{100}){100}){100}"}]}"#.to_owned(), "regexp_program_bytes"),
        (r#"{"a":[{"regexp":"a{1001}"}]}"#.to_owned(), "regexp_repeat"),
    ] {
        let error = compile(&pattern, Dialect::Default).expect_err(limit);
        assert_eq!(error.exceeded(), Some(limit), "{error}");
    }
}

/// *Scenario*: accepted patterns and events made to be costly together. *Guarantees*: an answer, or an error that says why, in a bounded number of steps.
#[test]
fn hostile_events_take_bounded_time() {
    let wildcards: Vec<String> = ('a'..='j').map(|letter| format!(r#"{{"wildcard":"*a*a*{letter}*{letter}*a*N*"}}"#)).collect();
    let event = format!(r#"{{"f":"{}"}}"#, "a".repeat(200_000));
    check(Dialect::Default, &[(&format!(r#"{{"f":[{}]}}"#, wildcards.join(",")), &event, false)]);

    // Every element has all but one of the fields: each is tried once.
    let elements: Vec<String> = (0..20_000).map(|index| format!(r#"{{"f{}":1,"g":[{{"h":1}},{{"i":1}}]}}"#, index % 4)).collect();
    let event = format!(r#"{{"a":[{}]}}"#, elements.join(","));
    check(
        Dialect::Default,
        &[(r#"{"a":{"f0":[1],"g":{"h":[1],"i":[1]}}}"#, &event, false), (r#"{"a":{"f0":[1],"f1":[1]}}"#, &event, false)],
    );

    // Repeated keys need combinations.
    let arrays: Vec<String> = (0..12).map(|index| format!(r#""a":[{{"f{index}":1}},{{"f{}":1}}]"#, (index + 1) % 12)).collect();
    let event = format!("{{{}}}", vec![arrays.join(","); 6].join(","));
    let fields: Vec<String> = (0..12).map(|index| format!(r#""f{index}":[1]"#)).collect();
    let pattern =
        compile(&format!(r#"{{"a":{{{},"f99":[{{"exists":false}}],"z":[{{"exists":false}}]}}}}"#, fields.join(",")), Dialect::Default)
            .expect("the pattern is well formed");
    assert_eq!(pattern.matches(&JsonEvent::new(&event)), Ok(true));

    let values: Vec<String> = (0..2_000).map(|value| value.to_string()).collect();
    let event = format!(r#"{{"a":[{0}],"b":["{1}"]}}"#, values.join(","), values.join("\",\""));
    let pattern = compile(r#"{"a":[{"field":"$.b"}]}"#, Dialect::Default).expect("the pattern is well formed");
    assert_eq!(pattern.matches(&JsonEvent::new(&event)), Err(EventError::Ambiguous { limit: 100_000 }));
}

/// *Scenario*: events that are no JSON objects, malformed also where no pattern looks. *Guarantees*: an error, never an answer.
#[test]
fn malformed_events_are_errors() {
    let pattern = compile(r#"{"a":[1]}"#, Dialect::Default).expect("the pattern is well formed");
    for event in ["", "x", r#"{"a":1"#, r#"{"a":1,"b":[1,]}"#, r#"{"a":1} x"#, r#"{"b":"\q","a":1}"#, r#"{"b":01,"a":1}"#] {
        assert!(matches!(pattern.matches(&JsonEvent::new(event)), Err(EventError::Malformed(_))), "{event}");
    }
    assert_eq!(pattern.matches(&JsonEvent::new("[1]")), Err(EventError::NotAnObject));
}

/// *Scenario*: what other engines accept or read otherwise. *Guarantees*: the deliberate differences of `README.md` that no other case here shows.
#[test]
fn deliberate_differences() {
    for refused in [r#"{"a":[1]} x"#, r#"{"$or":["a","b"]}"#, r#"{"$or":[{"a":[1]}]}"#, r#"{"$or":{"a":[1]}}"#] {
        assert!(compile(refused, Dialect::Default).is_err(), "{refused}");
    }
    check(
        Dialect::Default,
        &[
            (r#"{"a":["\ud800x"]}"#, "{\"a\":\"\u{fffd}x\"}", true),
            (r#"{"a":["1.0"]}"#, r#"{"a":"1.00"}"#, false),
            (r#"{"a":[{"cidr":"10.0.0.1/32"}]}"#, r#"{"a":"10.0.0.1"}"#, true),
            (r#"{"a":[{"cidr":"::1/128"}]}"#, r#"{"a":"::1"}"#, true),
            (r#"{"a":[0.1000000000000000055]}"#, r#"{"a":0.10000000000000000550}"#, true),
        ],
    );
}
