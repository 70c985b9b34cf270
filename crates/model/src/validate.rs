//! The rules of definitions.
//!
//! [`stream`], [`connection`], [`network`] and [`route`] return all violations at once, each with the path of its field in snake_case, what was
//! found there (never a secret), the rule and the fix. [`resolve`] applies the same rules and follows every reference, so that the
//! stream it returns may run. Rules and defaults are those of `CreateEventStreaming` of Alibaba Cloud EventBridge (API version 2020-04-01)
//! and of Apache RocketMQ's `TopicValidator`.
//!
//! Lengths are held against [`crate::limits`] first, so that everything behind them is small. What is stored already is not measured again: a
//! definition does not stop because a limit is new.
//!
//! Nothing here reads a clock, dials, or compiles a pattern: the caller passes [`References`] and [`Checks`]. What this version does not
//! support (functions) is refused explicitly, never ignored.

mod choice;
mod connection;
mod credentials;
mod dead_letter;
mod endpoint;
mod fault;
mod findings;
mod instance;
mod length;
mod mirror;
mod name;
mod network;
mod placement;
mod progress;
mod protocol;
mod route;
mod run;
mod secret;
mod security_group;
mod sink;
mod source;
mod suggest;
mod tls;

use std::collections::HashSet;

use crate::connection::ConnectionDefinition;
use crate::dialect::PatternDialect;
use crate::network::NetworkDefinition;
use crate::record::StreamRecord;
use crate::resolved;
use crate::route::RouteDefinition;
use crate::stream::{StreamDefinition, TargetParameter};
use crate::violation::Violation;
use findings::Findings;

pub use endpoint::{endpoint, proxy};
pub use fault::Fault;
pub use progress::{Moved, newly_shared, shared_progress, shares_progress};
pub use suggest::nearest;

/// What a definition may refer to.
pub trait References {
    /// The connections there are.
    fn connections(&self) -> Box<dyn Iterator<Item = &ConnectionDefinition> + '_>;

    /// The networks there are.
    fn networks(&self) -> Box<dyn Iterator<Item = &NetworkDefinition> + '_>;

    /// The connection of a name.
    fn connection(&self, name: &str) -> Option<&ConnectionDefinition> {
        self.connections().find(|connection| connection.name == name)
    }

    /// The network of a name.
    fn network(&self, name: &str) -> Option<&NetworkDefinition> {
        self.networks().find(|network| network.name == name)
    }
}

/// Compiles what definitions contain as text.
pub trait Checks {
    /// Whether a pattern compiles in a dialect. Places are JSON paths into it.
    fn pattern(&self, text: &str, dialect: PatternDialect) -> Result<(), Fault>;

    /// Whether a transform compiles. Places are `form`, `value` and `template`.
    fn transform(&self, parameter: &TargetParameter) -> Result<(), Fault>;
}

/// References in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The connections there are.
    pub connections: Vec<ConnectionDefinition>,
    /// The networks there are.
    pub networks: Vec<NetworkDefinition>,
}

impl References for Known {
    fn connections(&self) -> Box<dyn Iterator<Item = &ConnectionDefinition> + '_> {
        Box::new(self.connections.iter())
    }

    fn networks(&self) -> Box<dyn Iterator<Item = &NetworkDefinition> + '_> {
        Box::new(self.networks.iter())
    }
}

/// Checks a stream. The error holds every violation there is.
pub fn stream(definition: &StreamDefinition, references: &dyn References, checks: &dyn Checks) -> Result<(), Vec<Violation>> {
    let mut findings = measured(definition)?;
    examine(definition, references, checks, &mut findings);
    findings.into_result(())
}

/// Everything but lengths.
fn examine(definition: &StreamDefinition, references: &dyn References, checks: &dyn Checks, findings: &mut Findings) {
    assemble(definition, "", references, checks, findings);
    check_tags(definition, findings);
    source::doubt_timestamp(definition, findings);
}

/// Turns a stored stream into what the data path works from: checked, with references followed and defaults filled in.
///
/// Patterns and transforms are not compiled here: they were compiled before the record was stored, and whoever runs the stream compiles them again.
pub fn resolve(record: &StreamRecord, references: &dyn References) -> Result<resolved::Stream, Vec<Violation>> {
    let mut findings = Findings::default();
    let parts = assemble(&record.definition, &record.uid, references, &CompiledBefore, &mut findings);
    let violations = findings.into_violations();
    match parts {
        Some((source, target, run)) if violations.is_empty() => Ok(resolved::Stream {
            name: record.definition.name.clone(),
            uid: record.uid.clone(),
            revision: record.revision,
            pattern: record.definition.filter_pattern.clone(),
            dialect: PatternDialect::of_word(&record.definition.filter_pattern_dialect).unwrap_or_default(),
            source,
            target,
            run,
        }),
        _ => Err(violations),
    }
}

/// Checks a connection. The error holds every violation there is.
pub fn connection(definition: &ConnectionDefinition, references: &dyn References) -> Result<(), Vec<Violation>> {
    let mut findings = measured(definition)?;
    connection::check(definition, references, &mut findings);
    findings.into_result(())
}

/// Checks a network. The error holds every violation there is.
pub fn network(definition: &NetworkDefinition) -> Result<(), Vec<Violation>> {
    let mut findings = measured(definition)?;
    network::read(definition, &mut findings);
    findings.into_result(())
}

/// Checks a route. The error holds every violation there is.
pub fn route(definition: &RouteDefinition, references: &dyn References, checks: &dyn Checks) -> Result<(), Vec<Violation>> {
    let mut findings = measured(definition)?;
    route::check(definition, references, checks, &mut findings);
    findings.into_result(())
}

/// Refuses a definition with texts or lists that are too long, before anything looks at them.
///
/// # Errors
///
/// The violations of length.
pub fn length(definition: &impl serde::Serialize) -> Result<(), Vec<Violation>> {
    measured(definition).map(drop)
}

fn measured(definition: &impl serde::Serialize) -> Result<Findings, Vec<Violation>> {
    let mut findings = Findings::default();
    length::check(definition, &mut findings);
    if findings.count() > 0 { Err(findings.into_violations()) } else { Ok(findings) }
}

/// Accepts every text: all were compiled before the record was stored.
struct CompiledBefore;

impl Checks for CompiledBefore {
    fn pattern(&self, _text: &str, _dialect: PatternDialect) -> Result<(), Fault> {
        Ok(())
    }

    fn transform(&self, _parameter: &TargetParameter) -> Result<(), Fault> {
        Ok(())
    }
}

type Parts = (resolved::RocketMqSource, resolved::RocketMqTarget, resolved::RunSettings);

/// Reads every part, so that every violation is found; the parts are there only when each could be made.
fn assemble(
    definition: &StreamDefinition,
    uid: &str,
    references: &dyn References,
    checks: &dyn Checks,
    findings: &mut Findings,
) -> Option<Parts> {
    name::resource("name", &definition.name, findings);
    check_pattern(definition, checks, findings);
    check_transforms(definition, findings);
    let source = source::read(definition, uid, references, findings);
    let target = sink::read(&definition.sink, references, checks, findings).map(|target| resolved::RocketMqTarget {
        mirror: definition.run_options.mode == mirror::MIRROR,
        loop_guard: definition.run_options.loop_guard != "OFF",
        ..target
    });
    mirror::check(definition, source.as_ref(), target.as_ref(), findings);
    let (connections, topics) = match (&source, &target) {
        (Some(source), Some(target)) => {
            refuse_loop(source, target, findings);
            (vec![&target.connection, &source.connection], Some((&source.connection, source.topic.as_str())))
        }
        (Some(source), None) => (vec![&source.connection], Some((&source.connection, source.topic.as_str()))),
        (None, Some(target)) => (vec![&target.connection], None),
        (None, None) => (Vec::new(), None),
    };
    let run = run::read(&definition.run_options, references, &connections, topics, findings);
    Some((source?, target?, run?))
}

fn check_pattern(definition: &StreamDefinition, checks: &dyn Checks, findings: &mut Findings) {
    let pattern = definition.filter_pattern.as_str();
    let word = definition.filter_pattern_dialect.as_str();
    choice::one_of("filter_pattern_dialect", word, PatternDialect::WORDS, findings);
    // The meaning of a pattern in an unknown dialect is unknown, so the pattern is not checked.
    let Some(dialect) = PatternDialect::of_word(word) else { return };
    if pattern.trim().is_empty() {
        findings.add("filter_pattern", pattern, "a pattern is needed", "write {} to match every event");
    } else if let Err(fault) = checks.pattern(pattern, dialect) {
        let fix = match fault.place.as_str() {
            "" => "write a pattern as JSON text; {} matches every event",
            _ => "write what is allowed there; rocketbridge pattern lint checks a pattern without a server",
        };
        findings.add_fault("filter_pattern", fault, fix);
    }
}

fn check_tags(definition: &StreamDefinition, findings: &mut Findings) {
    let mut keys = HashSet::new();
    for (index, tag) in definition.tags.iter().enumerate() {
        let field = format!("tags[{index}].key");
        if tag.key.is_empty() {
            findings.add(field, "", "a label needs a key", "write a key, or remove the label");
        } else if !keys.insert(tag.key.as_str()) {
            findings.add(field, &tag.key, "each label key may be used once", "remove one of the two");
        }
    }
}

fn check_transforms(definition: &StreamDefinition, findings: &mut Findings) {
    for (index, transform) in definition.transforms.iter().enumerate() {
        findings.add(
            format!("transforms[{index}].arn"),
            &transform.arn,
            "this version does not support functions",
            "remove the transform; body, properties, keys and tags of the sink can be made with JSONPATH or TEMPLATE",
        );
    }
}

/// A stream that delivers into the topic it reads would route each message for ever.
fn refuse_loop(source: &resolved::RocketMqSource, target: &resolved::RocketMqTarget, findings: &mut Findings) {
    if instance::same_topic((&source.connection, &source.topic), (&target.connection, &target.topic)) {
        findings.add(
            "sink.sink_rocketmq_parameters.topic",
            &target.topic,
            "source and target are the same topic of the same instance, so every message would be routed for ever",
            "choose another topic, or another instance",
        );
    }
}

#[cfg(test)]
mod tests;
