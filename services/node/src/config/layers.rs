//! Values from flags, environment and a file, laid over each other: flags win over the environment, which wins over the file.
//!
//! Here it is only found out who said what. What a value must look like is the reader's business.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::key::{self, KEYS, Key, Scope};
use super::problem::{Origin, Problem};

/// The values of one process, with their origins, and what was wrong already.
#[derive(Debug, Default)]
pub struct Layers {
    pub(super) values: BTreeMap<&'static str, Given>,
    pub(super) problems: Vec<Problem>,
}

/// One value that somebody gave.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// Flags as they stand on the command line, by their key.
pub type Flags = Vec<(&'static str, Option<String>)>;

impl Layers {
    /// Collects the values that a process may take. The environment is an argument, so that tests have one of their own.
    pub fn collect(
        for_standalone: bool,
        flags: Flags,
        environment: impl IntoIterator<Item = (String, String)>,
        file: Option<&Path>,
    ) -> Self {
        let mut layers = Self::default();
        if let Some(file) = file {
            layers.take_file(for_standalone, file);
        }
        layers.take_environment(for_standalone, environment);
        layers.take_flags(flags);
        layers
    }

    fn take_flags(&mut self, flags: Flags) {
        for (name, value) in flags {
            let Some(value) = value else { continue };
            let key = key::find(name).expect("flags name keys of the list");
            self.values.insert(key.name, Given { texts: split(key, &value), origin: Origin::Flag(key.flag.unwrap_or(key.name)) });
        }
    }

    fn take_environment(&mut self, for_standalone: bool, environment: impl IntoIterator<Item = (String, String)>) {
        for (variable, value) in environment {
            if !variable.starts_with("ROCKETBRIDGE_") {
                continue;
            }
            let origin = Origin::Environment(variable.clone());
            if let Some(key) = KEYS.iter().find(|key| key.variable() == variable) {
                // One environment often serves several processes: what means nothing to this one is passed over.
                if applies(key, for_standalone) {
                    self.values.insert(key.name, Given { texts: split(key, &value), origin });
                }
            } else if let Some(key) = key::misspelt_variable(&variable) {
                let fix = format!("write {}", key.variable());
                self.refuse(&variable, origin, &shown(key, &Value::String(value)), "there is no such variable", &fix);
            }
        }
    }

    fn take_file(&mut self, for_standalone: bool, path: &Path) {
        let file = path.display().to_string();
        let origin = Origin::Flag("--config");
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                return self.refuse("config", origin, &file, &format!("the file cannot be read: {error}"), "name a file that can be read");
            }
        };
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let tree = match extension {
            // Not its Display: that quotes the line, and a password may stand there.
            "toml" => toml::from_str::<Value>(&text).map_err(|error| {
                let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
                format!("line {line}: {}", error.message())
            }),
            "yaml" | "yml" => serde_yaml_ng::from_str::<Value>(&text).map_err(|error| error.to_string()),
            _ => return self.refuse("config", origin, &file, "the extension must be toml, yaml or yml", "rename the file"),
        };
        match tree {
            Ok(Value::Object(table)) => table.iter().for_each(|(name, value)| self.take_entry(for_standalone, &file, name.clone(), value)),
            Ok(Value::Null) => {}
            Ok(_) => self.refuse("config", origin, &file, "a table of keys is needed", "write `key: value` lines"),
            Err(error) => self.refuse("config", origin, &file, &format!("the file is not {extension}: {error}"), "mend its syntax"),
        }
    }

    fn take_entry(&mut self, for_standalone: bool, file: &str, name: String, value: &Value) {
        let origin = Origin::File { file: file.to_owned(), key: name.clone() };
        let Some(key) = key::find(&name) else {
            if let Value::Object(table) = value
                && (table.is_empty() || KEYS.iter().any(|key| key.name.starts_with(&format!("{name}."))))
            {
                return table.iter().for_each(|(inner, value)| self.take_entry(for_standalone, file, format!("{name}.{inner}"), value));
            }
            let fix = key::nearest(&name).map_or_else(|| "remove it".to_owned(), |key| format!("write {}", key.name));
            let value = key::nearest(&name).map_or_else(|| show(value), |key| shown(key, value));
            return self.refuse(&name, origin, &value, "there is no such key", &fix);
        };
        if !applies(key, for_standalone) {
            let owner = if for_standalone { "a service that runs as a process of its own" } else { "standalone" };
            return self.refuse(&name, origin, &shown(key, value), &format!("only {owner} takes it"), "remove it");
        }
        let texts = match value {
            Value::Array(elements) if key.is_list => elements.iter().map(scalar).collect(),
            value if key.is_list => scalar(value).map(|text| split(key, &text)),
            value => scalar(value).map(|text| vec![text]),
        };
        match texts {
            Some(texts) => drop(self.values.insert(key.name, Given { texts, origin })),
            None => {
                let (rule, fix) = if key.is_list {
                    ("a list of texts is needed", "write [\"a\", \"b\"]")
                } else {
                    ("one value is needed", "write a text or a number")
                };
                self.refuse(&name, origin, &shown(key, value), rule, fix);
            }
        }
    }

    fn refuse(&mut self, key: &str, origin: Origin, value: &str, rule: &str, fix: &str) {
        self.problems.push(Problem { key: key.to_owned(), origin, value: value.to_owned(), rule: rule.to_owned(), fix: fix.to_owned() });
    }
}

fn applies(key: &Key, for_standalone: bool) -> bool {
    match key.scope {
        Scope::Any => true,
        Scope::Process => !for_standalone,
        Scope::Standalone => for_standalone,
    }
}

fn split(key: &Key, text: &str) -> Vec<String> {
    if key.is_list {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    } else {
        vec![text.to_owned()]
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn show(value: &Value) -> String {
    scalar(value).unwrap_or_else(|| value.to_string())
}

fn shown(key: &Key, value: &Value) -> String {
    if key.is_secret() { rocketbridge_model::secret::REDACTED.to_owned() } else { show(value) }
}
