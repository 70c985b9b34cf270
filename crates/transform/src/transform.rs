//! A compiled transform.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_pattern::json::EqualKeys;

use crate::error::{ApplyError, Error, Part};
use crate::expression::Expression;
use crate::form::Form;
use crate::output::Output;
use crate::path::Path;
use crate::source::{Found, Readable};
use crate::stop::Stop;
use crate::template::Template;

/// Makes a target's parameter of an event. It can be shared between threads.
#[derive(Debug, Clone)]
pub struct Transform {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Original(Path),
    JsonPath(Path),
    Constant(Bytes),
    Template(Box<Template>),
    Expression(Box<Expression>),
}

impl Transform {
    /// Compiles a parameter's `Form`, `Value` and `Template`.
    ///
    /// # Errors
    /// One of the three is not what the form asks for.
    pub fn compile(form: &str, value: Option<&str>, template: Option<&str>) -> Result<Self, Error> {
        let form = Form::parse(form)?;
        let required = |rule: &str| value.ok_or_else(|| Error::new(Part::Value, "nothing", format!("{} needs {rule}", form.name())));
        let kind = match form {
            Form::Original => Kind::Original(Path::parse("$")?),
            Form::JsonPath => Kind::JsonPath(Path::parse(required("a path, such as $.data.body")?)?),
            Form::Constant => Kind::Constant(Bytes::copy_from_slice(required("a text, which may be empty")?.as_bytes())),
            Form::Template => Kind::Template(Box::new(Template::compile(value, template)?)),
            Form::Expression => Kind::Expression(Box::new(Expression::compile(value)?)),
        };
        Ok(Self { kind })
    }

    /// The parameter for one event.
    ///
    /// # Errors
    /// The event cannot be read, or the form cannot be applied to what is in it.
    pub fn apply(&self, event: &impl Readable) -> Result<Output, ApplyError> {
        self.apply_unless(event, &Stop::NEVER).map(|output| output.expect("nobody sets this flag"))
    }

    /// The parameter for one event; `None` if `stop` was set before it was made. Only expressions look at it while they run, every 4,096
    /// of their 200,000 steps: the other forms take time in proportion to the event.
    ///
    /// # Errors
    /// As [`Transform::apply`].
    pub fn apply_unless(&self, event: &impl Readable, stop: &Stop) -> Result<Option<Output>, ApplyError> {
        let output = match &self.kind {
            _ if stop.is_set() => return Ok(None),
            Kind::Constant(bytes) => Output::Value(bytes.clone()),
            Kind::Template(template) => template.apply(event)?,
            Kind::Expression(expression) => return expression.apply(event, stop),
            Kind::Original(path) | Kind::JsonPath(path) => event.find(path)?.map_or(Output::Absent, |found| Output::Value(bytes(found))),
        };
        Ok(Some(output))
    }

    /// The path, if the form is JSONPATH: callers need not apply a transform that copies what the target would copy itself.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match &self.kind {
            Kind::JsonPath(path) => Some(path.as_str()),
            _ => None,
        }
    }

    /// Whether applying it reads the value at a path of the event, or anything in it: a source can spare itself what nothing reads.
    #[must_use]
    pub fn reads(&self, path: &[&str]) -> bool {
        match &self.kind {
            Kind::Constant(_) => false,
            Kind::Original(read) | Kind::JsonPath(read) => read.meets(path),
            Kind::Template(template) => template.paths().any(|read| read.meets(path)),
            Kind::Expression(_) => true,
        }
    }

    /// The keys that occur twice in one object of a TEMPLATE that is JSON; their places count in the template's text. Whoever takes new definitions
    /// refuses them: what a target would make of the JSON is unknown.
    #[must_use]
    pub fn equal_keys(&self) -> &[EqualKeys] {
        match &self.kind {
            Kind::Template(template) => template.equal_keys(),
            _ => &[],
        }
    }

    /// The form.
    #[must_use]
    pub fn form(&self) -> Form {
        match &self.kind {
            Kind::Original(_) => Form::Original,
            Kind::JsonPath(_) => Form::JsonPath,
            Kind::Constant(_) => Form::Constant,
            Kind::Template(_) => Form::Template,
            Kind::Expression(_) => Form::Expression,
        }
    }
}

/// A value as a target gets it: a string as its characters, a body as it is, everything else as JSON.
fn bytes(found: Found<'_>) -> Bytes {
    match found {
        Found::Text(text) | Found::Json(text) => match text {
            Cow::Borrowed(text) => Bytes::copy_from_slice(text.as_bytes()),
            Cow::Owned(text) => text.into(),
        },
        Found::Part(bytes) | Found::Body(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use rocketbridge_pattern::{Fixed, JsonEvent, Message, Properties, Scalar};

    use super::*;
    use crate::event::Event;

    const WIRE: &[u8] = b"KEYS\x01k1\x02TAGS\x01t1\x02CONSUME_START_TIME\x011628577790396\x02colour\x01red \"x\"\x02a.b\x01dotted\x02";

    fn fixed() -> Fixed<'static> {
        Fixed {
            attributes: &[("id", "m1"), ("source", "acs:mq"), ("specversion", "1.0"), ("type", "mq:Topic:SendMessage")],
            fields: &[("brokerName", Scalar::Text(Cow::Borrowed("b0"))), ("queueId", Scalar::Integer(3))],
        }
    }

    fn apply(form: &str, value: &str, body: &Bytes) -> Output {
        let fixed = fixed();
        let message = Message { topic: "orders", properties: Properties::new(WIRE), body, envelope: &fixed };
        let transform = Transform::compile(form, Some(value), None).expect("the transform is well formed");
        transform.apply(&Event::new(message, body)).expect("the event can be read")
    }

    fn text(output: Output) -> Option<String> {
        output.into_value().map(|bytes| String::from_utf8(bytes.to_vec()).expect("the output is text"))
    }

    /// *Scenario*: paths to everything a message has. *Guarantees*: strings as characters, other values as JSON, absent if not there.
    #[test]
    fn jsonpath_finds_what_a_message_has() {
        let body = Bytes::from_static(br#"{"price": 3.10, "items": [{"name": "caf\u00e9"}], "no": null}"#);
        for (path, expected) in [
            ("$.id", Some("m1")),
            ("$.missing", None),
            ("$.data.topic", Some("orders")),
            ("$.data.queueId", Some("3")),
            ("$.data.brokerName", Some("b0")),
            ("$.data.systemProperties.KEYS", Some("k1")),
            ("$.data.systemProperties.colour", None),
            ("$.data.userProperties.colour", Some("red \"x\"")),
            ("$.data.userProperties['a.b']", Some("dotted")),
            ("$.data.userProperties", Some(r#"{"colour":"red \"x\"","a.b":"dotted"}"#)),
            ("$.data.systemProperties", Some(r#"{"KEYS":"k1","TAGS":"t1","CONSUME_START_TIME":1628577790396}"#)),
            ("$.data.body.price", Some("3.10")),
            ("$.data.body.items[0].name", Some("café")),
            ("$.data.body.items", Some(r#"[{"name": "caf\u00e9"}]"#)),
            ("$.data.body.no", Some("null")),
            ("$.data.body.none", None),
        ] {
            assert_eq!(text(apply("JSONPATH", path, &body)).as_deref(), expected, "{path}");
        }
    }

    /// *Scenario*: each form, reading the body, what holds it, and other things. *Guarantees*: it is said whether the body is read.
    #[test]
    fn what_is_read_is_known() {
        let reads = |form: &str, value: &str, template: Option<&str>| {
            let value = (!value.is_empty()).then_some(value);
            Transform::compile(form, value, template).expect("the transform is well formed").reads(&["data", "body"])
        };
        for path in ["$", "$.data", "$.data.body", "$['data']['body'][0].x"] {
            assert!(reads("JSONPATH", path, None), "{path}");
        }
        for path in ["$.id", "$.data.topic", "$.data.bodyX", "$.body"] {
            assert!(!reads("JSONPATH", path, None), "{path}");
        }
        assert!(reads("ORIGINAL", "", None) && reads("EXPRESSION", ".id", None) && !reads("CONSTANT", "x", None));
        assert!(
            reads("TEMPLATE", r#"{"a":"$.id","b":"$.data.body.x"}"#, Some("${a} ${b}"))
                && !reads("TEMPLATE", r#"{"a":"$.id"}"#, Some("${a}"))
        );
    }

    /// *Scenario*: `$.data.body` of a body that is not even text. *Guarantees*: the same bytes, at the same address.
    #[test]
    fn a_body_passes_through_untouched() {
        let body = Bytes::from(vec![0, 159, 146, 150, 255]);
        let Output::Value(passed) = apply("JSONPATH", "$.data.body", &body) else { panic!("the body is there") };
        assert_eq!((passed.as_ptr(), &passed), (body.as_ptr(), &body));
        assert_eq!(apply("JSONPATH", "$.data.body.x", &body), Output::Absent);
        assert_eq!(text(apply("CONSTANT", "", &body)).as_deref(), Some(""));
    }

    /// *Scenario*: the whole event with a body that is JSON, text, or neither. *Guarantees*: the documented shape, and valid JSON.
    #[test]
    fn original_is_the_whole_event() {
        let start = concat!(
            r#"{"id":"m1","source":"acs:mq","specversion":"1.0","type":"mq:Topic:SendMessage","data":{"topic":"orders","#,
            r#""systemProperties":{"KEYS":"k1","TAGS":"t1","CONSUME_START_TIME":1628577790396},"#,
            r#""userProperties":{"colour":"red \"x\"","a.b":"dotted"},"brokerName":"b0","queueId":3,"#
        );
        for (body, end) in [
            (&b" {\"a\": 1.0} "[..], r#""body":{"a": 1.0}}}"#),
            (b"TEST\x01", "\"body\":\"TEST\\u0001\"}}"),
            (b"\xff", r#""bodyEncoding":"base64","body":"/w=="}}"#),
            (b"", r#""body":""}}"#),
        ] {
            let whole = text(apply("ORIGINAL", "", &Bytes::copy_from_slice(body))).expect("the event is there");
            assert_eq!(whole, format!("{start}{end}"));
            assert!(serde_json::from_str::<serde_json::Value>(&whole).is_ok());
        }
    }

    /// *Scenario*: the text of a whole event as the source. *Guarantees*: the same rules; malformed text is an error that names no value.
    #[test]
    fn the_text_of_an_event_is_a_source() {
        let transform = Transform::compile("JSONPATH", Some("$.data.body"), None).expect("the transform is well formed");
        assert_eq!(transform.path(), Some("$.data.body"));
        let output = transform.apply(&JsonEvent::new(r#"{"data": {"body": "TEST"}}"#));
        assert_eq!(output, Ok(Output::Value(Bytes::from_static(b"TEST"))));
        let error = transform.apply(&JsonEvent::new(r#"{"data": {"body": secret}}"#)).expect_err("the event is malformed");
        assert_eq!(
            error.to_string(),
            "cannot apply $.data.body at $: malformed JSON at byte 18: expected a value, in an event of 26 bytes"
        );
    }

    /// *Scenario*: parameters that are no transforms. *Guarantees*: the error names the part, the rule and, where it can, the fix.
    #[test]
    fn errors_name_the_part() {
        let error = |form: &str, value: Option<&str>| Transform::compile(form, value, None).expect_err("it is refused").to_string();
        assert_eq!(
            error("JsonPath", None),
            r#"Form: found "JsonPath"; rule: ORIGINAL, JSONPATH, CONSTANT, TEMPLATE or EXPRESSION; did you mean "JSONPATH"?"#
        );
        assert_eq!(error("JSONPATH", None), "Value: found nothing; rule: JSONPATH needs a path, such as $.data.body");
        assert_eq!(
            error("JSONPATH", Some("data.body")),
            r#"Value: found "data.body"; rule: a path of names and indexes that starts with $, such as $.data.body.items[0]; write "$.data.body""#
        );
    }
}
