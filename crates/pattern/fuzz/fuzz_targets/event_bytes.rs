//! Any bytes as an event, as a message's body, and as its properties: an answer or an error, without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketbridge_pattern::{Fixed, JsonEvent, Message, Options, Pattern, Properties};

const PATTERN: &str =
    r#"{"a":{"b":["x",{"numeric":[">",1]}],"c":[{"exists":false}]},"$or":[{"d":[1]},{"e":{"f":[{"wildcard":"*a*b*"}]}}]}"#;
const ON_BODY: &str = r#"{"data":{"body":{"a":[{"prefix":"x"}],"b":{"c":[1]}},"userProperties":{"p":["v"]}}}"#;

fuzz_target!(|bytes: &[u8]| {
    let compile = |text| Pattern::compile(text, &Options::default()).expect("the pattern is well formed");
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = compile(PATTERN).matches(&JsonEvent::new(text));
    }
    let fixed = Fixed::default();
    let message = Message { topic: "t", properties: Properties::new(bytes), body: bytes, envelope: &fixed };
    assert!(compile(ON_BODY).matches(&message).is_ok(), "a message can always be read");
});
