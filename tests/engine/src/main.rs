//! Figures of the filter engine, on one core, as ratios to other engines and floors of the same run.
//!
//! What is compared: `quamina` (it reads what its patterns need, and does not look at the rest), `serde_json`'s `IgnoredAny` (it checks the
//! whole text, and reads nothing) and `sonic-rs` (it finds five values, and checks nothing). This engine answers two questions. *Checked*:
//! the text of a whole event; malformed text is an error wherever it is. *Body*: the same text as the body of a RocketMQ message, as the filter
//! service sees it; what no pattern reads is checked only if a rule matches, which gives the same answers.

mod events;
mod five;
mod floors;
mod many;
mod memory;
mod rules;
mod timing;
mod transforms;
mod updates;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() {
    let number = |name: &str, default: usize| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, most) = (number("BENCH_EVENTS", 200_000), number("BENCH_RULES", 1_000_000));
    let lots = events::lots(count);
    let cloud = events::cloud_events(count);
    let mean = |events: &[String]| events.iter().map(String::len).sum::<usize>() / events.len();
    println!("{count} lots of {} bytes, {count} CloudEvents of {} bytes; times are the least of three passes", mean(&lots), mean(&cloud));
    floors::show("lots", &lots, floors::LOT_PATHS);
    floors::show("CloudEvents", &cloud, floors::CLOUD_EVENT_PATHS);
    five::show("lots", &lots, &rules::ON_LOTS);
    five::show("CloudEvents", &cloud, &rules::ON_CLOUD_EVENTS);
    many::show(&cloud, most);
    updates::show(&cloud, most.min(100_000));
    transforms::show(&cloud);
}
