//! One line of the input, taken apart without building it as a document.

use rocketbridge_pattern::json::{Malformed, Reader};

/// The parts of a line as they stand in it: JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'l> {
    /// What the answer is to carry; `null` if there is none.
    pub(super) id: &'l str,
    /// The event.
    pub(super) event: &'l str,
    /// What is asked of it.
    pub(super) asked: Asked<'l>,
}

/// What is asked of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked<'l> {
    /// Whether it matches this pattern.
    Pattern(&'l str),
    /// Which rules of this list it matches.
    Rules(&'l str),
}

#[derive(Default)]
struct Members<'l> {
    id: Option<&'l str>,
    event: Option<&'l str>,
    pattern: Option<&'l str>,
    rules: Option<&'l str>,
}

impl<'l> Line<'l> {
    /// Reads a line. `known` is the text of an array that is likely to be its rules: where it stands, it is compared and not read again.
    /// The error says what is no such line.
    pub(super) fn read(text: &'l str, known: &str) -> Result<Self, String> {
        // A reader that was set behind the known text counts bytes from there: what is malformed is read again to say where.
        let members = members(text, known).or_else(|_| members(text, "")).map_err(|fault| fault.to_string())?;
        let asked = match (members.pattern, members.rules) {
            (Some(pattern), None) => Asked::Pattern(pattern),
            (None, Some(rules)) => Asked::Rules(rules),
            _ => return Err("either a pattern or rules are needed".to_owned()),
        };
        let event = members.event.ok_or("an event is needed")?;
        Ok(Self { id: members.id.unwrap_or("null"), event, asked })
    }
}

/// The members that mean something. Of equal names the last counts; `null` is no pattern and no rules.
fn members<'l>(text: &'l str, known: &str) -> Result<Members<'l>, Malformed> {
    let mut members = Members::default();
    let mut reader = Reader::new(text);
    let mut begin = 0;
    if reader.peek() != Some(b'{') {
        return Err(reader.malformed("expected an object"));
    }
    reader.open(0)?;
    let mut more = !reader.take(b'}');
    while more {
        let key = reader.string()?.decode();
        reader.expect(b':', "expected a colon")?;
        reader.peek();
        let start = begin + reader.position();
        // An array ends where its text ends, so a value that begins with the text of an array is that array.
        if key == "rules" && !known.is_empty() && text[start..].starts_with(known) {
            begin = start + known.len();
            reader = Reader::new(&text[begin..]);
        } else {
            reader.skip(1)?;
        }
        let value = &text[start..begin + reader.position()];
        let given = (value != "null").then_some(value);
        match &*key {
            "id" => members.id = Some(value),
            "event" => members.event = Some(value),
            "pattern" => members.pattern = given,
            "rules" => members.rules = given,
            _ => {}
        }
        more = reader.next_member()?;
    }
    reader.end()?;
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario:* lines in any order and form, with the rules known or not. *Guarantees:* the parts as they stand, and the same whether or not the rules
    /// were known.
    #[test]
    fn a_line_is_taken_apart() {
        for known in ["", "[]", r#"[{"name":"a"}]"#] {
            let line = Line::read(r#" {"rules": [{"name":"a"}] , "id": {"x":[1.50]}, "event": "{}", "expect": ["a"]} "#, known);
            let expected = Line { id: r#"{"x":[1.50]}"#, event: "\"{}\"", asked: Asked::Rules(r#"[{"name":"a"}]"#) };
            assert_eq!(line, Ok(expected), "{known}");
            let line = Line::read(r#"{"event":"a","event":"b","pattern":"{}","rules":null}"#, known);
            assert_eq!(line, Ok(Line { id: "null", event: "\"b\"", asked: Asked::Pattern("\"{}\"") }));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for (text, expected) in [
            ("hello", "malformed JSON at byte 0: expected an object"),
            (r#"{"event":"{}"}"#, "either a pattern or rules are needed"),
            (r#"{"event":"{}","pattern":"{}","rules":[]}"#, "either a pattern or rules are needed"),
            (r#"{"pattern":"{}"}"#, "an event is needed"),
            (r#"{"rules":[] "event":1}"#, "malformed JSON at byte 12: expected a comma or the end of the object"),
            (r#"{"rules":[]} x"#, "malformed JSON at byte 13: nothing may follow the value"),
        ] {
            assert_eq!(Line::read(text, "[]"), Err(expected.to_owned()), "{text}");
        }
    }
}
