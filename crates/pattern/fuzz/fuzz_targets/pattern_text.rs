//! Any text as a pattern: it is refused, or compiled and matched, without a panic and in bounded time.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rocketbridge_pattern::{Dialect, JsonEvent, Limits, Options, Pattern};

const EVENT: &str = r#"{"a":[{"b":"text","c":[1,2.5]},{"b":null}],"d":{"e":true},"f":"10.0.0.1"}"#;

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Default, Dialect::Alibaba] {
        if let Ok(pattern) = Pattern::compile(text, &Options { dialect, limits: Limits::default() }) {
            let _ = pattern.matches(&JsonEvent::new(EVENT));
            let _ = pattern.explain(&JsonEvent::new(EVENT));
        }
    }
});
