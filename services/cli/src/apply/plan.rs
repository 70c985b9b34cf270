//! What applying definitions will do, found out before anything is done.
//!
//! Every definition is put before the server with `validate_only` first. A definition may refer to another one of the same
//! files that is not there yet; what the server says against such a reference is excused: it is what our own rules say
//! without the other definitions and no longer say with them.

use std::collections::HashSet;

use rocketbridge_codec::definition::{Definition, protobuf};
use rocketbridge_codec::text::same_json;
use rocketbridge_model::PatternDialect;
use rocketbridge_model::secret::{REDACTED, Secret};
use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::validate::{self, Checks, Fault, Known};
use serde_json::Value;

use super::manifest::Entry;
use crate::client::{Client, Error, Kind, Resource};
use crate::failure::Failure;

/// What is to be done, in order.
#[derive(Debug)]
pub(crate) struct ApplyPlan {
    /// One step for each definition.
    pub(crate) steps: Vec<Step>,
}

/// What is to be done for one definition.
#[derive(Debug)]
pub(crate) struct Step {
    /// The definition.
    pub(crate) entry: Entry,
    /// What the server has under the name.
    pub(crate) existing: Option<Resource>,
    /// What becomes of it.
    pub(crate) change: Change,
}

/// What becomes of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is none of this name.
    Create,
    /// It differs.
    Configure,
    /// It differs at most in a secret, which the server does not show: its answer will tell.
    Secrets,
    /// It is as defined.
    Nothing,
}

impl ApplyPlan {
    /// Asks the server about every definition. The failure lists everything that is refused.
    pub(crate) async fn make(client: &Client, entries: Vec<Entry>) -> Result<Self, Failure> {
        let mut steps = Vec::new();
        for entry in entries {
            let existing = match client.get(entry.resource.kind(), entry.resource.name()).await {
                Ok(existing) => Some(existing),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            };
            let change = existing.as_ref().map_or(Change::Create, |existing| difference(existing, &entry.resource));
            steps.push(Step { entry, existing, change });
        }
        let plan = Self { steps };
        plan.validate(client).await?;
        Ok(plan)
    }

    async fn validate(&self, client: &Client) -> Result<(), Failure> {
        let excuses = self.excuses(client).await?;
        let mut refusals = Vec::new();
        for step in &self.steps {
            let Entry { place, resource, .. } = &step.entry;
            let error = match step.send(client, true).await {
                Ok(_) => continue,
                Err(error) => error,
            };
            let Error::Refused { refusal, .. } = error else { return Err(error.into()) };
            if refusal.violations.is_empty() {
                refusals.push(format!("{place}: {resource}: {}", refusal.message));
            }
            let is_excused = |field: &str| excuses.contains(&(resource.kind(), resource.name().to_owned(), field.to_owned()));
            let violations = refusal.violations.iter().filter(|(field, _)| !is_excused(field));
            refusals.extend(violations.map(|(field, description)| format!("{place}: {resource}: {field}: {description}")));
        }
        if refusals.is_empty() { Ok(()) } else { Err(Failure::Failed(format!("nothing is applied\n  {}", refusals.join("\n  ")))) }
    }

    /// Fields that a definition of this plan must be refused for only as long as the others are not there.
    async fn excuses(&self, client: &Client) -> Result<HashSet<(Kind, String, String)>, Error> {
        let is_pending = |kind| self.steps.iter().any(|step| step.entry.resource.kind() == kind && step.change != Change::Nothing);
        if !is_pending(Kind::Network) && !is_pending(Kind::Connection) {
            return Ok(HashSet::new());
        }
        let now = known(client).await?;
        let mut then = now.clone();
        for step in &self.steps {
            match &step.entry.definition {
                Definition::Network(network) => {
                    then.networks.retain(|known| known.name != network.name);
                    then.networks.push((**network).clone());
                }
                Definition::Connection(connection) => {
                    then.connections.retain(|known| known.name != connection.name);
                    then.connections.push((**connection).clone());
                }
                Definition::Stream(_) | Definition::Route(_) => {}
            }
        }
        let mut excuses = HashSet::new();
        for Step { entry: Entry { definition, resource, .. }, .. } in &self.steps {
            let remaining: HashSet<String> = violated(definition, &then).collect();
            let excused = violated(definition, &now).filter(|field| !remaining.contains(field));
            excuses.extend(excused.map(|field| (resource.kind(), resource.name().to_owned(), field)));
        }
        Ok(excuses)
    }
}

impl Step {
    /// Puts the definition before the server; answers what it is then. With `validate_only` nothing is stored.
    pub(crate) async fn send(&self, client: &Client, validate_only: bool) -> Result<Resource, Error> {
        let resource = self.entry.resource.clone();
        match (&self.existing, self.change) {
            (Some(existing), Change::Nothing) => Ok(existing.clone()),
            // An etag that stands in the file means: only if it has not changed since. Else what was just read must not have changed.
            (Some(_), _) if !resource.etag().is_empty() => client.replace(resource, validate_only).await,
            (Some(existing), _) => client.replace(resource.with_etag(existing.etag()), validate_only).await,
            (None, _) => client.create(resource.with_etag(""), validate_only).await,
        }
    }
}

fn difference(existing: &Resource, wanted: &Resource) -> Change {
    let (existing, mut wanted) = (existing.definition(), wanted.definition());
    let has_secrets = hide_secrets(&mut wanted);
    match (same(&existing, &wanted), has_secrets) {
        (false, _) => Change::Configure,
        (true, true) => Change::Secrets,
        (true, false) => Change::Nothing,
    }
}

/// Whether two definitions say the same. Patterns are compared by their tokens: spaces and line ends in them mean nothing, every digit of
/// a number does.
fn same(existing: &Value, wanted: &Value) -> bool {
    let pattern = |definition: &Value| definition.get("filter_pattern").and_then(Value::as_str).map(str::to_owned);
    let (mut existing, mut wanted) = (existing.clone(), wanted.clone());
    if let (Some(one), Some(other)) = (pattern(&existing), pattern(&wanted))
        && same_json(&one, &other)
    {
        for definition in [&mut existing, &mut wanted] {
            definition["filter_pattern"] = Value::Null;
        }
    }
    existing == wanted
}

/// Replaces secrets by stars, as the server shows them, and says whether there were any. References are shown.
fn hide_secrets(value: &mut Value) -> bool {
    const SECRETS: [&str; 5] = ["secret_key", "security_token", "instance_password", "client_key", "egress_proxy_password"];
    let hide = |secret: &mut Value| match secret {
        Value::String(text) if text != REDACTED && !text.is_empty() && !Secret::new(text.as_str()).is_reference() => {
            *text = REDACTED.to_owned();
            true
        }
        _ => false,
    };
    let Value::Object(fields) = value else { return false };
    let mut found = false;
    for (name, field) in fields {
        found |= match field {
            Value::Object(parameter) if SECRETS.contains(&name.as_str()) => parameter.get_mut("value").is_some_and(hide),
            Value::String(_) if SECRETS.contains(&name.as_str()) => hide(field),
            _ => hide_secrets(field),
        };
    }
    found
}

/// What the server has that definitions can refer to. What we cannot read is passed over: it only loses an excuse.
async fn known(client: &Client) -> Result<Known, Error> {
    let mut known = Known::default();
    for resource in client.list(Kind::Connection).await?.resources.into_iter().chain(client.list(Kind::Network).await?.resources) {
        match resource {
            Resource::Connection(connection) => known.connections.push(protobuf::connection_from(*connection)),
            Resource::Network(network) => known.networks.push(protobuf::network_from(*network)),
            Resource::Stream(_) | Resource::Route(_) => {}
        }
    }
    Ok(known)
}

/// Fields that our own rules refuse.
fn violated(definition: &Definition, known: &Known) -> impl Iterator<Item = String> {
    let answer = match definition {
        Definition::Network(network) => validate::network(network),
        Definition::Connection(connection) => validate::connection(connection, known),
        Definition::Stream(stream) => validate::stream(stream, known, &LeftToServer),
        Definition::Route(route) => validate::route(route, known, &LeftToServer),
    };
    answer.err().unwrap_or_default().into_iter().map(|violation| violation.field)
}

/// Patterns and transforms are compiled by the server alone; nothing they are refused for is ever excused.
struct LeftToServer;

impl Checks for LeftToServer {
    fn pattern(&self, _text: &str, _dialect: PatternDialect) -> Result<(), Fault> {
        Ok(())
    }

    fn transform(&self, _parameter: &TargetParameter) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_proto::connection::v1::Connection;
    use rocketbridge_proto::stream::v1::{RunOptions, State, Stream};

    use super::*;

    fn stream(pattern: &str, run_options: Option<RunOptions>, etag: &str) -> Resource {
        Resource::Stream(Box::new(Stream {
            name: "orders".into(),
            filter_pattern: pattern.into(),
            run_options,
            etag: etag.into(),
            state: State::Running.into(),
            ..Default::default()
        }))
    }

    fn connection(secret_key: &str) -> Resource {
        Resource::Connection(Box::new(Connection { name: "qingdao".into(), secret_key: secret_key.into(), ..Default::default() }))
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let existing = stream(r#"{"source":["a"]}"#, None, "\"1\"");
        assert_eq!(difference(&existing, &stream(r#"{ "source": ["a"] }"#, Some(RunOptions::default()), "")), Change::Nothing);
        assert_eq!(difference(&existing, &stream(r#"{"source":["b"]}"#, None, "")), Change::Configure);
    }

    /// *Scenario*: patterns that differ in the last digit of a number that no double tells apart, in a number's form, or in the order of their fields.
    /// *Guarantees*: each is a change, and so is applied.
    #[test]
    fn a_changed_digit_of_a_pattern_is_a_change() {
        for (existing, wanted) in [
            (r#"{"a":[12345678901234567890123]}"#, r#"{"a":[12345678901234567890124]}"#),
            (r#"{"a":[37.807807921694092]}"#, r#"{"a":[37.807807921694093]}"#),
            (r#"{"a":[300]}"#, r#"{"a":[3.0e2]}"#),
            (r#"{"a":[1],"b":[2]}"#, r#"{"b":[2],"a":[1]}"#),
        ] {
            assert_eq!(difference(&stream(existing, None, "\"1\""), &stream(wanted, None, "")), Change::Configure, "{existing}");
            assert_eq!(difference(&stream(existing, None, "\"1\""), &stream(&existing.replace(',', " ,\n"), None, "")), Change::Nothing);
        }
    }

    #[test]
    fn a_secret_is_for_the_server_to_compare() {
        assert_eq!(difference(&connection(REDACTED), &connection("pw")), Change::Secrets);
        assert_eq!(difference(&connection(REDACTED), &connection(REDACTED)), Change::Nothing);
        assert_eq!(difference(&connection("env:PW"), &connection("env:PW")), Change::Nothing);
        assert_eq!(difference(&connection(REDACTED), &connection("env:PW")), Change::Configure);
        assert_eq!(difference(&connection(REDACTED), &connection("")), Change::Configure);
    }
}
