//! How a stream runs.

use std::time::Duration;

use super::findings::Findings;
use super::{References, choice, dead_letter};
use crate::resolved::{RetrySettings, RetryStrategy, RocketMqConnection, RunSettings};
use crate::stream::{BatchWindow, RunOptions};

/// Shards unless told otherwise.
const SHARDS: u32 = 4;
/// More shards than this cost more than they bring.
const MOST_SHARDS: u32 = 64;
/// Events in one group of deliveries unless told otherwise: within the 128 to 512 that sessions work well with.
const GROUP: u32 = 256;
/// Wait for a group to fill unless told otherwise: too short to be noticed.
const LINGER: Duration = Duration::from_millis(1);
/// Most events in a group (`BatchWindow.CountBasedWindow`).
const MOST_IN_GROUP: u32 = 10_000;
/// Longest wait for a group to fill, seconds (`BatchWindow.TimeBasedWindow`).
const LONGEST_WAIT: u32 = 15;
/// Retries of `BACKOFF_RETRY`.
const BACKOFF_ATTEMPTS: u32 = 3;
/// Retries of `EXPONENTIAL_DECAY_RETRY`: about a day.
const DECAY_ATTEMPTS: u32 = 176;

/// Reads the run options; a default takes the place of a missing or wrong value.
///
/// `connections` are the stream's own, the target's first; `source` is what dead letters must not flow back into.
pub(super) fn read(
    options: &RunOptions,
    references: &dyn References,
    connections: &[&RocketMqConnection],
    source: Option<(&RocketMqConnection, &str)>,
    findings: &mut Findings,
) -> Option<RunSettings> {
    let shards = at_least_one("run_options.maximum_tasks", options.maximum_tasks, "leave it out for the default, 4", findings);
    let throttling = at_least_one("run_options.throttling", options.throttling, "leave it out for no limit", findings);
    choice::one_of("run_options.errors_tolerance", &options.errors_tolerance, &["NONE", "ALL"], findings);
    choice::one_of("run_options.mode", &options.mode, &["RULE", "MIRROR"], findings);
    choice::one_of("run_options.loop_guard", &options.loop_guard, &["ON", "OFF"], findings);
    let (batch_count, batch_linger) = window(options.batch_window.as_ref(), findings);
    let retry = retry(options, findings);
    let dead_letter = match &options.dead_letter_queue {
        Some(queue) => dead_letter::read(queue, references, connections, source, findings),
        None => None,
    };
    Some(RunSettings {
        shards: shards.unwrap_or(SHARDS).min(MOST_SHARDS),
        throttling,
        tolerate_errors: options.errors_tolerance == "ALL",
        batch_count,
        batch_linger,
        retry,
        dead_letter,
    })
}

fn at_least_one(field: &str, number: Option<u32>, fix: &str, findings: &mut Findings) -> Option<u32> {
    if number == Some(0) {
        findings.add(field, "0", "at least 1 is needed", fix);
        return None;
    }
    number
}

fn window(window: Option<&BatchWindow>, findings: &mut Findings) -> (u32, Duration) {
    let Some(window) = window else { return (GROUP, LINGER) };
    let count = window.count_based_window.unwrap_or(GROUP);
    if !(1..=MOST_IN_GROUP).contains(&count) {
        let field = "run_options.batch_window.count_based_window";
        findings.add(field, &count.to_string(), "1 to 10000 events are allowed", format!("write {}", count.clamp(1, MOST_IN_GROUP)));
    }
    let seconds = window.time_based_window;
    if let Some(seconds) = seconds.filter(|seconds| *seconds > LONGEST_WAIT) {
        let field = "run_options.batch_window.time_based_window";
        findings.add(field, &seconds.to_string(), "0 to 15 seconds are allowed", format!("write {LONGEST_WAIT}"));
    }
    (count, seconds.map_or(LINGER, |seconds| Duration::from_secs(seconds.into())))
}

fn retry(options: &RunOptions, findings: &mut Findings) -> RetrySettings {
    let strategy = options.retry_strategy.clone().unwrap_or_default();
    let field = "run_options.retry_strategy";
    let words = &["BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"];
    choice::one_of(&format!("{field}.push_retry_strategy"), &strategy.push_retry_strategy, words, findings);
    let age = &format!("{field}.maximum_event_age_in_seconds");
    let maximum_age = at_least_one(age, strategy.maximum_event_age_in_seconds, "leave it out for no limit", findings);
    let (kind, attempts) = match strategy.push_retry_strategy.as_str() {
        "EXPONENTIAL_DECAY_RETRY" => (RetryStrategy::ExponentialDecay, DECAY_ATTEMPTS),
        _ => (RetryStrategy::Backoff, BACKOFF_ATTEMPTS),
    };
    RetrySettings {
        strategy: kind,
        attempts: strategy.maximum_retry_attempts.unwrap_or(attempts),
        maximum_age: maximum_age.map(|seconds| Duration::from_secs(seconds.into())),
    }
}
