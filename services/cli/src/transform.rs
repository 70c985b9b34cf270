//! `rocketbridge transform`: tries transforms, without a server.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Subcommand;
use rocketbridge_pattern::JsonEvent;
use rocketbridge_transform::{Output, Transform};

use crate::failure::Failure;
use crate::output::Console;
use crate::pattern::argument;
use sample::Sample;

mod sample;

/// What `transform` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Print what a transform makes of an event; exit status 1 if it is refused, cannot be applied, or finds nothing
    Test {
        /// The event: JSON text, or a file
        #[arg(long, value_name = "JSON|FILE", required_unless_present = "body")]
        event: Option<String>,
        /// The body of the RocketMQ message, any bytes; in place of the event's data.body
        #[arg(long, value_name = "FILE")]
        body: Option<PathBuf>,
        /// ORIGINAL, JSONPATH, CONSTANT, TEMPLATE or EXPRESSION
        #[arg(long)]
        form: String,
        /// A path of JSONPATH, a text of CONSTANT, the variables of TEMPLATE, a jq program of EXPRESSION
        #[arg(long)]
        value: Option<String>,
        /// The template of TEMPLATE
        #[arg(long)]
        template: Option<String>,
    },
}

/// Does what the verb says. The value is printed as it is, with a line end behind it on a terminal.
pub fn run(verb: &Verb, console: &mut Console<'_>) -> Result<(), Failure> {
    let Verb::Test { event, body, form, value, template } = verb;
    let event = event.as_deref().map(argument).transpose()?;
    let transform = Transform::compile(form, value.as_deref(), template.as_deref());
    let transform = transform.map_err(|error| Failure::Failed(format!("the transform is refused: {error}")))?;
    let event = event.as_deref().unwrap_or("{}");
    let output = match body {
        Some(file) => {
            let body = std::fs::read(file).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
            let sample = Sample::read(event, Bytes::from(body)).map_err(Failure::Failed)?;
            transform.apply(&sample.event())
        }
        None => transform.apply(&JsonEvent::new(event)),
    };
    match output.map_err(|error| Failure::Failed(error.to_string()))? {
        Output::Value(bytes) => console.bytes(&bytes)?,
        Output::Absent => return Err(Failure::Failed("the event has nothing there".into())),
    }
    if console.is_live() {
        console.result("\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":"m1","source":"acs:mq","data":{"topic":"orders","systemProperties":{"KEYS":"k1","TAGS":"paid"},
        "userProperties":{"colour":"red"},"queueId":3,"body":{"price":3.10,"items":[{"n":1},{"n":2}]}}}"#;

    fn test(event: Option<&str>, body: Option<&[u8]>, form: &str, value: &str, template: Option<&str>) -> Result<Vec<u8>, Failure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("body");
        if let Some(body) = body {
            std::fs::write(&path, body).expect("a file in it");
        }
        let verb = Verb::Test {
            event: event.map(str::to_owned),
            body: body.map(|_| path),
            form: form.to_owned(),
            value: Some(value.to_owned()),
            template: template.map(str::to_owned),
        };
        let mut results = Vec::new();
        run(&verb, &mut Console::new(&mut results, std::io::sink(), false))?;
        Ok(results)
    }

    fn text(result: Result<Vec<u8>, Failure>) -> String {
        String::from_utf8(result.unwrap_or_else(|failure| panic!("{failure}"))).expect("text")
    }

    /// *Scenario:* each form on the text of an event. *Guarantees:* what a target would get, and nothing more.
    #[test]
    fn every_form_is_tried() {
        let of_event = |form: &str, value: &str, template: Option<&str>| text(test(Some(EVENT), None, form, value, template));
        assert_eq!(of_event("ORIGINAL", "", None), EVENT);
        assert_eq!(of_event("JSONPATH", "$.data.body.items[-1]", None), r#"{"n":2}"#);
        assert_eq!(of_event("CONSTANT", "any text", None), "any text");
        let variables = r#"{"user":"$.data.userProperties","price":"$.data.body.price"}"#;
        let template = r#"{"EB_SYS_EMBED_OBJECT":"${user}","price":${price}}"#;
        assert_eq!(of_event("TEMPLATE", variables, Some(template)), r#"{"colour":"red","price":3.10}"#);
        assert_eq!(of_event("EXPRESSION", "{total: (.data.body.items | map(.n) | add)}", None), r#"{"total":3}"#);
    }

    /// *Scenario:* a body of bytes that are no text, alone and with an event. *Guarantees:* the same bytes where no form reads them; the message's
    /// properties are the event's.
    #[test]
    fn a_body_may_be_any_bytes() {
        let bytes = &[0, 159, 146, 150, 255][..];
        assert_eq!(test(None, Some(bytes), "JSONPATH", "$.data.body", None).expect("applies"), bytes);
        let whole = text(test(Some(EVENT), Some(bytes), "ORIGINAL", "", None));
        let expected = concat!(
            r#"{"id":"m1","source":"acs:mq","data":{"topic":"orders","systemProperties":{"KEYS":"k1","TAGS":"paid"},"#,
            r#""userProperties":{"colour":"red"},"queueId":3,"bodyEncoding":"base64","body":"AJ+Slv8="}}"#
        );
        assert_eq!(whole, expected);
        assert_eq!(text(test(Some(EVENT), Some(b"{\"a\":1}"), "EXPRESSION", ".data.body.a + .data.queueId", None)), "4");
    }

    #[test]
    fn what_is_refused_fails_or_is_absent_ends_with_status_1() {
        for (event, body, form, value, expected) in [
            (Some(EVENT), None, "JsonPath", "$", "the transform is refused: Form: found \"JsonPath\""),
            (Some(EVENT), None, "JSONPATH", "$.data.none", "the event has nothing there"),
            (Some("{"), None, "JSONPATH", "$.data", "cannot apply $.data at $: malformed JSON at byte 1"),
            (Some(EVENT), None, "EXPRESSION", ".id + 1", "cannot apply .id + 1 at the program: cannot calculate a string + a number"),
            (Some("[]"), Some(&b"x"[..]), "ORIGINAL", "", "the event is not a JSON object"),
            (
                Some(r#"{"data":{"queueId":[1]}}"#),
                Some(b"x"),
                "ORIGINAL",
                "",
                "data.queueId: found [1]; a field of a message is text or a whole number",
            ),
        ] {
            let failure = test(event, body, form, value, None).expect_err(expected);
            assert!(failure.status() == 1 && failure.to_string().starts_with(expected), "{failure}");
        }
    }
}
