//! Field masks (AIP-161): which fields an update changes.

use rocketbridge_model::Violation;
use rocketbridge_model::validate::nearest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::fields::{Described, Field, Shape, find};

/// Most paths of a mask.
const PATHS: usize = 200;
/// Longest path, bytes.
const LONGEST: usize = 256;

/// The fields that an update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mask {
    /// `*`: all.
    All,
    /// No mask: every field that is set.
    Set,
    /// These, by their paths.
    Paths(Vec<Vec<&'static str>>),
}

impl Mask {
    /// Reads the paths of a mask for definitions of type `D`. The error names each unknown path and the nearest known one.
    pub fn parse<D: Described>(paths: &[String]) -> Result<Self, Vec<Violation>> {
        match paths {
            [] => return Ok(Self::Set),
            [all] if all == "*" => return Ok(Self::All),
            _ => {}
        }
        let mut known = Vec::new();
        let mut violations = Vec::new();
        if paths.len() > PATHS || paths.iter().any(|path| path.len() > LONGEST) {
            let longest = paths.iter().map(String::len).max().unwrap_or_default();
            let found = format!("{} paths of at most {longest} bytes", paths.len());
            let rule = format!("at most {PATHS} paths of {LONGEST} bytes are allowed");
            return Err(vec![Violation::described("update_mask.paths", found, rule, "name the fields that change, or * for all")]);
        }
        for (index, path) in paths.iter().enumerate() {
            match follow(D::FIELDS, path) {
                Ok(Some(names)) => known.push(names),
                Ok(None) => {}
                Err(refusal) => {
                    let field = format!("update_mask.paths[{index}]");
                    violations.push(Violation::new(field, path, refusal.rule, refusal.fix));
                }
            }
        }
        if violations.is_empty() { Ok(Self::Paths(known)) } else { Err(violations) }
    }

    /// The stored definition with the masked fields of the given one. A masked field that is not given is cleared.
    pub fn apply<D: Described + Serialize + DeserializeOwned + Clone>(&self, stored: &D, given: &D) -> D {
        if *self == Self::All {
            return given.clone();
        }
        let (mut merged, given) = (object(stored), object(given));
        match self {
            Self::All => {}
            Self::Set => take_set(D::FIELDS, &mut merged, given),
            Self::Paths(paths) => paths.iter().for_each(|path| take_path(path, &mut merged, &given)),
        }
        serde_json::from_value(Value::Object(merged)).expect("made of the fields of two definitions")
    }
}

struct Refusal {
    rule: String,
    fix: String,
}

/// The names along a path; `None` for what only the server writes, which updates ignore (AIP-203).
fn follow(fields: &'static [Field], path: &str) -> Result<Option<Vec<&'static str>>, Refusal> {
    let mut names = Vec::new();
    let mut level = Some(fields);
    for part in path.split('.') {
        let Some(fields) = level else {
            let fix = format!("write {} to change it as a whole", names.join("."));
            return Err(Refusal { rule: format!("{} has no fields that a mask can select", names.join(".")), fix });
        };
        let Some(field) = fields.iter().find(|field| field.name == part) else {
            return Err(unknown(fields, part, &names, path));
        };
        if matches!(field.shape, Shape::OutputOnly) {
            return Ok(None);
        }
        names.push(field.name);
        level = match field.shape {
            Shape::Message(below) | Shape::Value(below) => Some(below),
            _ => None,
        };
    }
    Ok(Some(names))
}

fn unknown(fields: &'static [Field], part: &str, above: &[&str], path: &str) -> Refusal {
    if path == "*" {
        return Refusal { rule: "* stands alone".to_owned(), fix: "remove the other paths, or *".to_owned() };
    }
    if part == "etag" && above.is_empty() {
        return Refusal { rule: "an update compares the etag and cannot change it".to_owned(), fix: "remove it from the mask".to_owned() };
    }
    let meant = find(fields, part).map(|field| field.name).or_else(|| nearest(part, fields.iter().map(|field| field.name)));
    let fix = match meant {
        Some(meant) => format!("did you mean {}?", above.iter().chain([&meant]).copied().collect::<Vec<_>>().join(".")),
        None => format!("write one of {}", fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")),
    };
    Refusal { rule: "there is no such field".to_owned(), fix }
}

fn object<D: Serialize>(definition: &D) -> Map<String, Value> {
    match serde_json::to_value(definition) {
        Ok(Value::Object(object)) => object,
        _ => unreachable!("definitions are structs of text, numbers, lists and structs"),
    }
}

/// Takes every field that is set: messages field by field, values and lists as a whole.
fn take_set(fields: &'static [Field], merged: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        let shape = find(fields, &name).map(|field| field.shape);
        match (shape, value) {
            (_, Value::Null) => {}
            (_, Value::String(text)) if text.is_empty() => {}
            (_, Value::Array(list)) if list.is_empty() => {}
            (Some(Shape::Message(below)), Value::Object(value)) => {
                let kept = merged.entry(name).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(kept) = kept {
                    take_set(below, kept, value);
                }
            }
            (_, value) => drop(merged.insert(name, value)),
        }
    }
}

fn take_path(path: &[&str], merged: &mut Map<String, Value>, given: &Map<String, Value>) {
    let Some((name, below)) = path.split_first() else { return };
    if below.is_empty() {
        match given.get(*name) {
            Some(value) => drop(merged.insert((*name).to_owned(), value.clone())),
            None => drop(merged.remove(*name)),
        }
        return;
    }
    match (merged.get_mut(*name), given.get(*name)) {
        (Some(Value::Object(merged)), Some(Value::Object(given))) => take_path(below, merged, given),
        (Some(Value::Object(merged)), _) => take_path(below, merged, &Map::new()),
        (_, Some(Value::Object(given))) => {
            let mut made = Map::new();
            take_path(below, &mut made, given);
            merged.insert((*name).to_owned(), Value::Object(made));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use rocketbridge_model::StreamDefinition;
    use rocketbridge_model::connection::ConnectionDefinition;
    use serde_json::json;

    use super::*;

    fn stream(document: Value) -> StreamDefinition {
        serde_json::from_value(document).expect("a stream")
    }

    fn stored() -> StreamDefinition {
        stream(json!({
            "name": "s", "description": "old", "filter_pattern": "{}", "tags": [{"key": "a", "value": "1"}],
            "source": {"source_rocketmq_parameters": {"topic": "t", "tag": "x", "timestamp": 5}},
            "sink": {"sink_rocketmq_parameters": {"body": {"value": "{}", "form": "TEMPLATE", "template": "old"}}},
            "run_options": {"throttling": 9, "batch_window": {"count_based_window": 10, "time_based_window": 1}},
        }))
    }

    fn applied(paths: &[&str], given: Value) -> StreamDefinition {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        Mask::parse::<StreamDefinition>(&paths).expect("known").apply(&stored(), &stream(given))
    }

    #[test]
    fn a_path_takes_or_clears_one_field() {
        let given = json!({"description": "new", "run_options": {"batch_window": {"count_based_window": 20}}});
        let merged = applied(&["run_options.batch_window.count_based_window", "run_options.throttling", "tags"], given.clone());
        assert_eq!(merged.description, "old");
        assert_eq!(merged.run_options.throttling, None);
        assert!(merged.tags.is_empty());
        let window = merged.run_options.batch_window.expect("kept");
        assert_eq!((window.count_based_window, window.time_based_window), (Some(20), Some(1)));
        let merged = applied(&["run_options.batch_window", "source.source_rocketmq_parameters.tag"], given);
        assert_eq!(merged.run_options.batch_window.expect("taken").time_based_window, None);
        assert_eq!(merged.source.source_rocketmq_parameters.expect("kept").tag, "");
    }

    #[test]
    fn a_path_makes_the_messages_on_its_way() {
        let merged = applied(
            &["run_options.retry_strategy.maximum_retry_attempts", "run_options.dead_letter_queue.arn"],
            json!({"run_options": {"retry_strategy": {"maximum_retry_attempts": 7}}}),
        );
        assert_eq!(merged.run_options.retry_strategy.expect("made").maximum_retry_attempts, Some(7));
        assert_eq!(merged.run_options.dead_letter_queue, None);
    }

    #[test]
    fn no_mask_takes_what_is_set_and_values_whole() {
        let given = json!({
            "name": "s", "source": {"source_rocketmq_parameters": {"topic": "u"}},
            "sink": {"sink_rocketmq_parameters": {"body": {"value": "x", "form": "CONSTANT"}}},
        });
        let merged = applied(&[], given);
        let source = merged.source.source_rocketmq_parameters.expect("kept");
        assert_eq!((source.topic.as_str(), source.tag.as_str(), source.timestamp), ("u", "x", Some(5)));
        assert_eq!(merged.sink.sink_rocketmq_parameters.expect("kept").body.expect("taken").template, "");
        assert_eq!((merged.description.as_str(), merged.tags.len()), ("old", 1));
    }

    #[test]
    fn stars_take_everything_and_what_the_server_writes_is_ignored() {
        let given = json!({"name": "s"});
        assert_eq!(applied(&["*"], given.clone()), stream(given.clone()));
        assert_eq!(applied(&["uid", "state"], given), stored());
    }

    #[test]
    fn unknown_paths_are_refused_with_what_was_meant() {
        let paths = ["filterPattern", "run_options.batch_windw", "tags.key", "etag", "source.topic", "*"].map(str::to_owned);
        let violations = Mask::parse::<StreamDefinition>(&paths).expect_err("all are wrong");
        let text: String = violations.iter().map(|violation| format!("{violation}\n")).collect();
        assert_eq!(
            text,
            "update_mask.paths[0]: found \"filterPattern\"; there is no such field; did you mean filter_pattern?\n\
             update_mask.paths[1]: found \"run_options.batch_windw\"; there is no such field; did you mean run_options.batch_window?\n\
             update_mask.paths[2]: found \"tags.key\"; tags has no fields that a mask can select; write tags to change it as a whole\n\
             update_mask.paths[3]: found \"etag\"; an update compares the etag and cannot change it; remove it from the mask\n\
             update_mask.paths[4]: found \"source.topic\"; there is no such field; write one of source_rocketmq_parameters\n\
             update_mask.paths[5]: found \"*\"; * stands alone; remove the other paths, or *\n"
        );
        assert!(Mask::parse::<ConnectionDefinition>(&["endpoints".to_owned()]).is_ok());
    }
}
