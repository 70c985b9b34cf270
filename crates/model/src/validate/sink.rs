//! The sink of a stream.

use super::choice::{self, CONSTANT};
use super::findings::Findings;
use super::instance::Said;
use super::placement::Placement;
use super::suggest::nearest;
use super::{Checks, References, name};
use crate::resolved::RocketMqTarget;
use crate::secret::Secret;
use crate::stream::{SecretParameter, SinkDefinition, SinkRocketMqParameters, TargetParameter};

const PATH: &str = "sink.sink_rocketmq_parameters";
const FORMS: &[&str] = &["ORIGINAL", "JSONPATH", "CONSTANT", "TEMPLATE", "EXPRESSION"];
/// Longest value and template, characters.
const LONGEST: usize = 10_240;

/// Reads the sink; `None` if it cannot be made.
pub(super) fn read(
    sink: &SinkDefinition,
    references: &dyn References,
    checks: &dyn Checks,
    findings: &mut Findings,
) -> Option<RocketMqTarget> {
    let Some(parameters) = &sink.sink_rocketmq_parameters else {
        findings.add("sink", "", "exactly one sink is needed", "write sink_rocketmq_parameters with the topic to write to");
        return None;
    };
    let connection = constant("connection", &parameters.connection, findings);
    let instance = constant("instance_id", &parameters.instance_id, findings);
    let before = findings.count();
    let topic = constant("topic", &parameters.topic, findings);
    let constant_topic = findings.count() == before;
    let instance_type = constant("instance_type", &parameters.instance_type, findings);
    let protocol = constant("instance_protocol", &parameters.instance_protocol, findings);
    let endpoint = constant("instance_endpoint", &parameters.instance_endpoint, findings);
    let username = constant("instance_username", &parameters.instance_username, findings);
    let order = constant("delivery_order_type", &parameters.delivery_order_type, findings);
    let [network, vpc, vswitches, security_group] = [
        ("network", &parameters.network),
        ("vpc_id", &parameters.vpc_id),
        ("vswitch_ids", &parameters.vswitch_ids),
        ("security_group_id", &parameters.security_group_id),
    ]
    .map(|(name, parameter)| (value_field(name), constant(name, parameter, findings)));
    let password = secret(parameters.instance_password.as_ref(), findings);
    let said = Said {
        path: PATH,
        suffix: ".value",
        connection,
        region: "",
        instance,
        instance_type,
        protocol,
        endpoint,
        username,
        password: &password,
    };
    let connection = said.reach(&[Placement { network, vpc, vswitches, security_group }], references, findings);
    let writable = constant_topic && name::target_topic(&value_field("topic"), topic, findings);
    choice::one_of(&value_field("delivery_order_type"), order, &["Concurrently", "Orderly"], findings);
    let mut made = Made { checks, findings };
    let [body, properties, keys, tags, sharding_key] = made_parameters(parameters).map(|(name, parameter)| made.read(name, parameter));
    connection.filter(|_| writable).map(|connection| RocketMqTarget {
        connection,
        topic: topic.to_owned(),
        body: unless_copied("$.data.body", body),
        properties: unless_copied("$.data.userProperties", properties),
        keys: unless_copied("$.data.systemProperties.KEYS", keys),
        tags: unless_copied("$.data.systemProperties.TAGS", tags),
        sharding_key,
        orderly: order == "Orderly",
        mirror: false,
        loop_guard: false,
    })
}

fn made_parameters(parameters: &SinkRocketMqParameters) -> [(&'static str, Option<&TargetParameter>); 5] {
    [
        ("body", parameters.body.as_ref()),
        ("properties", parameters.properties.as_ref()),
        ("keys", parameters.keys.as_ref()),
        ("tags", parameters.tags.as_ref()),
        ("sharding_key", parameters.sharding_key.as_ref()),
    ]
}

/// A transform that copies what the message already has would only decode and encode it; without the transform, the bytes stay as they are.
fn unless_copied(path: &str, parameter: Option<TargetParameter>) -> Option<TargetParameter> {
    parameter.filter(|parameter| parameter.form != "JSONPATH" || parameter.value != path)
}

fn field(name: &str) -> String {
    format!("{PATH}.{name}")
}

fn value_field(name: &str) -> String {
    format!("{PATH}.{name}.value")
}

/// The text of a parameter that cannot depend on an event; empty if it is absent.
fn constant<'a>(name: &str, parameter: &'a Option<TargetParameter>, findings: &mut Findings) -> &'a str {
    let Some(parameter) = parameter else { return "" };
    check_constant(name, &parameter.form, &parameter.template, findings);
    &parameter.value
}

fn secret(parameter: Option<&SecretParameter>, findings: &mut Findings) -> Secret {
    let Some(parameter) = parameter else { return Secret::default() };
    check_constant("instance_password", &parameter.form, &parameter.template, findings);
    parameter.value.clone()
}

fn check_constant(name: &str, form: &str, template: &str, findings: &mut Findings) {
    if !form.is_empty() && form != CONSTANT {
        findings.add(format!("{}.form", field(name)), form, "this parameter cannot depend on an event", "write CONSTANT");
    }
    if !template.is_empty() {
        findings.add(format!("{}.template", field(name)), template, "a constant has no template", "remove the template");
    }
}

/// Reads the parameters that are made from each event.
struct Made<'a> {
    checks: &'a dyn Checks,
    findings: &'a mut Findings,
}

impl Made<'_> {
    fn read(&mut self, name: &str, parameter: Option<&TargetParameter>) -> Option<TargetParameter> {
        // Software development kits write parameters that nobody set as empty objects.
        let parameter = parameter.filter(|parameter| **parameter != TargetParameter::default())?;
        let before = self.findings.count();
        self.check_form(&format!("{}.form", field(name)), parameter);
        self.check_texts(&field(name), parameter);
        if self.findings.count() == before
            && let Err(fault) = self.checks.transform(parameter)
        {
            let fix = format!("correct it, or leave {name} out to keep the original's");
            self.findings.add_fault(&field(name), fault, fix);
        }
        Some(parameter.clone())
    }

    fn check_form(&mut self, path: &str, parameter: &TargetParameter) {
        let form = parameter.form.as_str();
        if FORMS.contains(&form) {
            return;
        }
        let fix = match nearest(form, FORMS.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if !parameter.template.is_empty() => "write TEMPLATE".to_owned(),
            None if parameter.value.starts_with('$') => "write JSONPATH".to_owned(),
            None => "write CONSTANT".to_owned(),
        };
        self.findings.add(path, form, format!("a form is one of {}", FORMS.join(", ")), fix);
    }

    fn check_texts(&mut self, path: &str, parameter: &TargetParameter) {
        for (part, text) in [("value", &parameter.value), ("template", &parameter.template)] {
            let length = text.chars().count();
            if length > LONGEST {
                let fix = format!("remove {} characters", length - LONGEST);
                self.findings.add(format!("{path}.{part}"), text, format!("at most {LONGEST} characters are allowed"), fix);
            }
        }
        match parameter.form.as_str() {
            "TEMPLATE" if parameter.template.is_empty() => {
                let fix = "write a text with ${variable}, and the variables as JSON in value";
                self.findings.add(format!("{path}.template"), "", "TEMPLATE needs a template", fix);
            }
            "JSONPATH" if !parameter.value.starts_with('$') => {
                let fix = format!("write a path such as $.data.body, or form CONSTANT for the text {:?}", shown(&parameter.value));
                self.findings.add(format!("{path}.value"), &parameter.value, "a JSONPath starts with $", fix);
            }
            "EXPRESSION" if parameter.value.trim().is_empty() => {
                let fix = "write a jq program such as {id: .data.body.order}";
                self.findings.add(format!("{path}.value"), &parameter.value, "EXPRESSION needs a program", fix);
            }
            "ORIGINAL" | "JSONPATH" | "CONSTANT" | "EXPRESSION" if !parameter.template.is_empty() => {
                let fix = "remove the template, or write form TEMPLATE";
                self.findings.add(format!("{path}.template"), &parameter.template, "only the form TEMPLATE has a template", fix);
            }
            _ => {}
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
