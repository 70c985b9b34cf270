//! The compilers of patterns and transforms, for validation.

use rocketbridge_model::stream::TargetParameter;
use rocketbridge_model::validate::Checks;
use rocketbridge_pattern::{Options, Pattern};
use rocketbridge_transform::Transform;

/// Compiles as the filters do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compilers;

impl Checks for Compilers {
    fn pattern(&self, text: &str) -> Result<(), String> {
        Pattern::compile(text, &Options::default()).map(drop).map_err(|error| error.to_string())
    }

    fn transform(&self, parameter: &TargetParameter) -> Result<(), String> {
        let template = (!parameter.template.is_empty()).then_some(parameter.template.as_str());
        Transform::compile(&parameter.form, Some(&parameter.value), template).map(drop).map_err(|error| error.to_string())
    }
}
