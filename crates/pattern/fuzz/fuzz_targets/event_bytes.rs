//! Any bytes as an event, as a message's body, and as its properties: an answer or an error, without a panic; and an error where an
//! independent reader finds one, and nowhere else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketbridge_pattern::{EventError, Fixed, JsonEvent, Message, Options, Pattern, Properties};

const PATTERN: &str =
    r#"{"a":{"b":["x",{"numeric":[">",1]}],"c":[{"exists":false}]},"$or":[{"d":[1]},{"e":{"f":[{"wildcard":"*a*b*"}]}}]}"#;
const ON_BODY: &str = r#"{"data":{"body":{"a":[{"prefix":"x"}],"b":{"c":[1]}},"userProperties":{"p":["v"]}}}"#;

fuzz_target!(|bytes: &[u8]| {
    let compile = |text| Pattern::compile(text, &Options::default()).expect("the pattern is well formed");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let answer = compile(PATTERN).matches(&JsonEvent::new(text));
        // The other reader gives up earlier where text is nested deeply.
        if text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() < 100 {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(rocketbridge_pattern::json::is_json(text), is_json);
            let is_object = is_json && text.trim_ascii_start().starts_with('{');
            assert!(matches!((&answer, is_object), (Ok(_) | Err(EventError::Ambiguous { .. }), true) | (Err(_), false)), "{answer:?}");
        }
    }
    let fixed = Fixed::default();
    let message = Message { topic: "t", properties: Properties::new(bytes), body: bytes, envelope: &fixed };
    assert!(compile(ON_BODY).matches(&message).is_ok(), "a message can always be read");
});
