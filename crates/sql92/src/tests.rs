use proptest::prelude::*;

use super::*;

fn matches(text: &str, properties: &[(&str, &str)]) -> bool {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.matches(|name| properties.iter().find(|(known, _)| *known == name).map(|(_, value)| Cow::Owned((*value).to_owned())))
}

fn refusal(text: &str) -> String {
    Filter::parse(text).expect_err(text).to_string()
}

/// *Scenario*: each form of the language, held against one message. *Guarantees*: the answers of Apache RocketMQ 5.3.3.
#[test]
fn each_form_answers_as_a_broker_does() {
    let message =
        [("a", "3"), ("price", "3.5"), ("TAGS", "x"), ("city", "Hangzhou"), ("t", "true"), ("quote", "it's"), ("big", "3000000000")];
    let cases = [
        ("a = 3", true),
        ("a = '3'", true),
        ("a <> 4", true),
        ("a > 2 AND a >= 3 AND a < 4 AND a <= 3", true),
        ("a > 2.5", true),
        ("price > 3.4", true),
        // Beside a whole number a text is read as a whole number.
        ("price > 3", false),
        ("price > 3 OR a = 3", false),
        ("a = 3 OR price > 3", true),
        ("big > 5", false),
        ("big > 2999999999", true),
        ("a BETWEEN 1 AND 5", true),
        ("a NOT BETWEEN 1 AND 5", false),
        ("a NOT BETWEEN 4 AND 5", true),
        ("a BETWEEN -5 AND +3", true),
        ("city IN ('Hangzhou', 'Beijing')", true),
        ("city NOT IN ('Hangzhou')", false),
        ("none IN ('a')", false),
        ("none NOT IN ('a')", false),
        ("none IS NULL AND a IS NOT NULL", true),
        ("none = 3", false),
        ("NOT (none = 3)", false),
        ("none = 3 OR a = 3", true),
        ("none <> 3", false),
        ("a = none", false),
        ("a <> none", true),
        ("city CONTAINS 'zh' AND city STARTSWITH 'Hang' AND city ENDSWITH 'ou'", true),
        ("city NOT CONTAINS 'zh'", false),
        ("none NOT CONTAINS 'zh'", false),
        ("city CONTAINS ''", false),
        ("t = TRUE", true),
        ("city = FALSE", true),
        ("TRUE = t", false),
        ("(a = 3) = TRUE", true),
        ("(a = 3) = 1", false),
        ("TRUE", true),
        ("NULL", false),
        ("t", false),
        ("NOT t", true),
        ("NOT none", false),
        ("quote = 'it''s'", true),
        ("TAGS = 'x' and A is null", true),
        ("-a = -3", false),
        ("price >= a", true),
        ("city > a", false),
        ("city = a", false),
        ("a = 3 -- why\n AND /* not */ price = '3.5'", true),
    ];
    for (text, expected) in cases {
        assert_eq!(matches(text, &message), expected, "{text}");
    }
}

/// *Scenario*: texts that are no filters. *Guarantees*: the error says where, what was found, and what to write.
#[test]
fn errors_say_where_and_what_to_write() {
    let cases = [
        ("", "at character 1: expected a property, a number, a text or (, found the end"),
        ("a >", "at character 4: expected a property, a number, a text or (, found the end"),
        ("a > 3 b", "at character 7: expected the end, AND or OR, found b"),
        ("a == 3", "at character 4: expected a property, a number, a text or (, found ="),
        ("a LIKE 'x%'", "at character 3: expected the end, AND or OR, found LIKE; there is no LIKE, but CONTAINS, STARTSWITH and ENDSWITH"),
        ("a = \"x\"", "at character 5: found '\"', which begins nothing; texts stand between apostrophes: 'a'"),
        ("a != 3", "at character 3: found '!', which begins nothing; write <> for not equal, and NOT for not"),
        ("ä = 3", "at character 1: found 'ä', which begins nothing; names of properties have letters a to z, digits, _ and $"),
        ("a = 'x", "at character 5: a text begins here and does not end; close it with an apostrophe, and write two for one inside"),
        ("a > 'x'", "at character 5: a text has no order; only numbers and properties stand beside >, >=, <, <= and BETWEEN"),
        ("NOT a > 3", "at character 1: a truth value has no order; NOT and comparisons need parentheses here, as in NOT (a > 3)"),
        ("a = NULL", "at character 5: NULL equals nothing; write IS NULL or IS NOT NULL"),
        ("TRUE = 1", "at character 1: a truth value is never equal to a number or a text"),
        ("a BETWEEN 5 AND 1", "at character 11: the first bound of BETWEEN is above the second; write the lower one first"),
        ("3 IN ('a')", "at character 1: only a property stands before IN"),
        ("a IN (1)", "at character 7: expected a text between apostrophes, found 1"),
        ("a = 007", "at character 5: found 007; whole numbers do not begin with 0"),
        (
            "a=3AND(b=1)",
            "at character 3: found 3 and a letter behind it; a name does not begin with a digit, and a text stands between apostrophes",
        ),
        ("a = 0.0", "at character 5: found 0.0; brokers refuse it: write 0"),
        ("a = 1e999", "at character 5: found 1e999; the greatest number is 1.7976931348623157e308"),
        ("a = 9223372036854775808", "at character 5: found 9223372036854775808; the greatest whole number is 9223372036854775807"),
        ("3", "at character 1: a number or a text alone is neither true nor false; compare it with something"),
        ("a = 1 OR 'x'", "at character 10: a number or a text alone is neither true nor false; compare it with something"),
        (
            "in = 3",
            "at character 1: expected a property, a number, a text or (, found in; it is a word of the language and names no property",
        ),
        ("a = 1 /* b", "at character 7: a comment begins here and does not end; close it with */"),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(text), expected);
    }
    assert!(refusal(&format!("{}a = 1{}", "(".repeat(DEPTH), ")".repeat(DEPTH))).contains("nested more than 64 deep"));
    assert!(refusal(&"a = 1 OR ".repeat(LENGTH / 8)).contains("10240 are allowed"));
    assert!(matches(&format!("{}a = 1", "a = 2 OR ".repeat(1_000)), &[("a", "1")]), "a long chain is no deep nesting");
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("TRUE".to_owned()),
        Just("FALSE".to_owned()),
        Just("NULL".to_owned()),
        ("[a-d]", 0..4_i32).prop_map(|(name, number)| format!("{name} = {number}")),
        ("[a-d]", 0..4_i32).prop_map(|(name, number)| format!("{name} > {number}")),
        "[a-d]".prop_map(|name| format!("{name} IS NULL")),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) AND ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) OR ({right})")),
            inner.prop_map(|of| format!("NOT ({of})")),
        ]
    })
}

fn message() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop::sample::subsequence(vec![("a", "0"), ("b", "1"), ("c", "2"), ("d", "3")], 0..=4)
}

proptest! {
    /// *Scenario*: any texts, also such that are nearly filters. *Guarantees*: reading ends with a filter or an error within the text, and never otherwise.
    #[test]
    fn any_text_is_read_to_an_end(text in "([a-c]|[0-9.]|'|\\(|\\)|<|>|=|-| |AND|OR|NOT|IN|BETWEEN|é|/\\*){0,24}") {
        if let Err(error) = Filter::parse(&text) {
            prop_assert!(error.character <= text.chars().count() + 1);
        }
    }

    /// *Scenario*: any filters and messages. *Guarantees*: the laws of De Morgan and of double negation hold for what is true, false and open alike.
    #[test]
    fn three_valued_logic_keeps_its_laws(left in expression(), right in expression(), message in message()) {
        let same = |one: &str, other: &str| {
            let negated = |text: &str| format!("NOT ({text})");
            matches(one, &message) == matches(other, &message) && matches(&negated(one), &message) == matches(&negated(other), &message)
        };
        let laws = [
            (format!("NOT (({left}) AND ({right}))"), format!("NOT ({left}) OR NOT ({right})")),
            (format!("NOT (({left}) OR ({right}))"), format!("NOT ({left}) AND NOT ({right})")),
            (format!("NOT (NOT ({left}))"), left.clone()),
            (format!("({left}) AND ({right})"), format!("({right}) AND ({left})")),
        ];
        for (one, other) in laws {
            prop_assert!(same(&one, &other), "{one} and {other}");
        }
    }
}
