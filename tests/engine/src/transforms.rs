//! Transforms of events.

use rocketbridge_pattern::JsonEvent;
use rocketbridge_transform::Transform;

use crate::timing::time;

/// A form, its value and its template.
const TRANSFORMS: [(&str, &str, Option<&str>); 5] = [
    ("JSONPATH", "$.data.body.amount", None),
    (
        "TEMPLATE",
        r#"{"customer":"$.data.body.customer","amount":"$.data.body.amount","tag":"$.data.systemProperties.TAGS"}"#,
        Some("customer ${customer} owes ${amount} (${tag})"),
    ),
    (
        "TEMPLATE",
        r#"{"customer":"$.data.body.customer","amount":"$.data.body.amount","properties":"$.data.userProperties"}"#,
        Some(r#"{"customer":"${customer}","amount":${amount},"EB_SYS_EMBED_OBJECT":"${properties}"}"#),
    ),
    ("EXPRESSION", "{customer: .data.body.customer, total: (.data.body.items | map(.price * .quantity) | add)}", None),
    ("ORIGINAL", "", None),
];

/// Prints a row for each.
pub fn show(events: &[String]) {
    let events = &events[..events.len().min(50_000)];
    println!("\n## Transforms, CloudEvents, ns an event");
    for (form, value, template) in TRANSFORMS {
        let transform = Transform::compile(form, Some(value), template).expect("the transform is well formed");
        let timed = time(events, |event| {
            let output = transform.apply(&JsonEvent::new(event)).expect("the transform can be applied");
            output.into_value().map_or(0, |bytes| bytes.len())
        });
        println!("  {form:<12} {:8.0}   {}", timed.nanoseconds, template.unwrap_or(value));
    }
}
