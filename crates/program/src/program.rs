//! A stream's pattern and transforms, compiled.

use std::borrow::Cow;

use bytes::Bytes;
use rocketbridge_compression as compression;
use rocketbridge_model::resolved::{RocketMqTarget, Stream};
use rocketbridge_model::session::{Parameter, ParameterKey};
use rocketbridge_model::{Event, Origin};
use rocketbridge_pattern::Pattern;
use rocketbridge_transform::{Stop, Transform};

use crate::compiler::Compiler;
use crate::view::View;

/// Where the body stands in an event.
const BODY: [&str; 2] = ["data", "body"];

/// A plain body that is more than so many times longer than what is kept of it is let go.
const WASTE: usize = 4;

/// Compiled once per revision; evaluated for every event.
pub struct Program {
    /// `None` when the pattern matches everything: nothing is evaluated.
    pattern: Option<Pattern>,
    /// What the target does not take from the original.
    transforms: Vec<(ParameterKey, Transform)>,
}

/// What becomes of one event.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The pattern does not match.
    Filtered,
    /// It goes to the target with these parameters.
    Matched(Vec<Parameter>),
    /// The pattern matches, but a transform cannot be applied to this event; trying again cannot help.
    Rejected(String),
}

/// The definition does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its pattern.
    #[error("filter_pattern: {0}")]
    Pattern(String),
    /// A parameter of its target.
    #[error("sink.sink_rocketmq_parameters.{parameter}: {reason}")]
    Transform {
        /// The parameter.
        parameter: &'static str,
        /// What is wrong with it, its part first.
        reason: String,
    },
}

impl Program {
    /// Compiles a stream, its pattern in the stream's dialect.
    ///
    /// # Errors
    /// The pattern or a parameter of the target is refused by the compiler.
    pub fn compile(stream: &Stream, compiler: &Compiler) -> Result<Self, Error> {
        let pattern = compiler.compile_pattern(&stream.pattern, stream.dialect).map_err(|error| Error::Pattern(error.to_string()))?;
        let pattern = (!pattern.is_match_all()).then_some(pattern);
        let RocketMqTarget { body, properties, keys, tags, sharding_key, .. } = &stream.target;
        let parameters = [
            (ParameterKey::Body, "body", body),
            (ParameterKey::Properties, "properties", properties),
            (ParameterKey::Keys, "keys", keys),
            (ParameterKey::Tags, "tags", tags),
            (ParameterKey::ShardingKey, "sharding_key", sharding_key),
        ];
        let transforms = parameters
            .into_iter()
            .filter_map(|(key, name, parameter)| Some((key, name, parameter.as_ref()?)))
            .map(|(key, name, parameter)| {
                let transform = compiler.compile_transform(parameter);
                Ok((key, transform.map_err(|error| Error::Transform { parameter: name, reason: error.to_string() })?))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { pattern, transforms })
    }

    fn reads_body(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.reads(&BODY))
            || self.transforms.iter().any(|(_, transform)| transform.reads(&BODY))
    }

    /// Evaluates one event. A body that is compressed and read takes time in proportion to its plain length.
    pub fn evaluate(&self, event: &Event, origin: &Origin) -> Verdict {
        self.evaluate_unless(event, origin, &Stop::NEVER).expect("nobody sets this flag")
    }

    /// Evaluates one event; `None` if `stop` was set first. Whoever evaluates many events in slices looks at the flag between them; an
    /// expression looks at it while it runs.
    pub fn evaluate_unless(&self, event: &Event, origin: &Origin, stop: &Stop) -> Option<Verdict> {
        if self.pattern.is_none() && self.transforms.is_empty() {
            return Some(Verdict::Matched(Vec::new()));
        }
        // What its producer compressed travels so, and is made plain only for whoever reads it.
        let body = if self.reads_body() {
            match compression::plain(&event.envelope) {
                Ok(body) => body,
                Err(error) => return Some(Verdict::Rejected(error.to_string())),
            }
        } else {
            Cow::Borrowed(&event.envelope.body)
        };
        let view = View { event, origin, body: &body };
        let message = view.message();
        match self.pattern.as_ref().map_or(Ok(true), |pattern| pattern.matches(&message)) {
            Ok(false) => return Some(Verdict::Filtered),
            Ok(true) => {}
            Err(error) => return Some(Verdict::Rejected(format!("the pattern cannot be evaluated: {error}"))),
        }
        let source = rocketbridge_transform::Event::new(message, &body);
        let mut parameters = Vec::with_capacity(self.transforms.len());
        for (key, transform) in &self.transforms {
            match transform.apply_unless(&source, stop) {
                Ok(None) => return None,
                Ok(Some(output)) => {
                    let value: Option<Bytes> = output.into_value();
                    parameters.push(Parameter { key: *key, value });
                }
                Err(error) => return Some(Verdict::Rejected(format!("the transform of {key:?} cannot be applied: {error}"))),
            }
        }
        if let Cow::Owned(plain) = &body {
            parameters.iter_mut().for_each(|parameter| detach(parameter, plain.len()));
        }
        Some(Verdict::Matched(parameters))
    }
}

/// Copies a value out of a plain body of which it is a small part: that body exists only for this evaluation.
fn detach(parameter: &mut Parameter, plain: usize) {
    if let Some(value) = &mut parameter.value
        && value.len() < plain / WASTE
    {
        *value = Bytes::copy_from_slice(value);
    }
}
