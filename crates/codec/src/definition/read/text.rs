//! From text to documents: where each begins, and what it holds.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use serde_yaml_ng::Value as Yaml;

use super::{Place, ReadError};

/// The documents of a text. A list counts as its elements.
pub(super) fn documents(text: &str, file: &str) -> Result<Vec<(Place, Value)>, Box<ReadError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = match text.trim_start().starts_with(['{', '[']).then(|| json(text)) {
        Some(Ok(documents)) => documents,
        // What begins like JSON may be YAML's flow style; if it is neither, the complaint is about JSON.
        Some(Err(refusal)) => yaml(text).map_err(|_| refusal.at(file))?,
        None => yaml(text).map_err(|refusal| refusal.at(file))?,
    };
    let place = |(index, (line, value))| (Place { file: file.to_owned(), document: index + 1, line }, value);
    let documents: Vec<_> = documents.into_iter().enumerate().map(place).collect();
    if documents.is_empty() {
        return Err(Refusal { document: 1, line: None, reason: "there is no definition in it".to_owned() }.at(file));
    }
    Ok(documents)
}

type Documents = Vec<(Option<usize>, Value)>;

struct Refusal {
    document: usize,
    line: Option<usize>,
    reason: String,
}

impl Refusal {
    fn at(self, file: &str) -> Box<ReadError> {
        let place = Place { file: file.to_owned(), document: self.document, line: self.line };
        Box::new(ReadError::Syntax { place, reason: self.reason })
    }
}

fn json(text: &str) -> Result<Documents, Refusal> {
    let mut documents = Documents::new();
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let begin = values.byte_offset();
        let begin = begin + text[begin..].len() - text[begin..].trim_start().len();
        let line = Some(1 + text[..begin].matches('\n').count());
        match values.next() {
            None => return Ok(documents),
            Some(Ok(value)) => flatten(&mut documents, line, value),
            Some(Err(error)) => return Err(Refusal { document: documents.len() + 1, line, reason: format!("not JSON: {error}") }),
        }
    }
}

fn yaml(text: &str) -> Result<Documents, Refusal> {
    let mut documents = Documents::new();
    let lines = beginnings(text);
    for (index, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let line = lines.get(index).copied();
        let refusal = |reason: String| Refusal { document: index + 1, line, reason };
        let mut value = Yaml::deserialize(document).map_err(|error| refusal(format!("not YAML: {error}")))?;
        value.apply_merge().map_err(|error| refusal(format!("not YAML: {error}")))?;
        match plain(value, "").map_err(refusal)? {
            Value::Null => {}
            value => flatten(&mut documents, line, value),
        }
    }
    Ok(documents)
}

fn flatten(documents: &mut Documents, line: Option<usize>, value: Value) {
    match value {
        Value::Array(list) => documents.extend(list.into_iter().map(|value| (line, value))),
        value => documents.push((line, value)),
    }
}

/// The first line of each YAML document that is neither blank nor a comment.
fn beginnings(text: &str) -> Vec<usize> {
    let mut beginnings = Vec::new();
    let mut open = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line == "---" || line.starts_with("--- ") {
            beginnings.extend(open.replace(number));
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            match open {
                None => open = Some(number),
                // The marker gives way to the first line with something in it.
                Some(marker) if text.lines().nth(marker - 1).is_some_and(|line| line == "---") => open = Some(number),
                Some(_) => {}
            }
        }
    }
    beginnings.extend(open);
    beginnings
}

/// YAML that JSON can say. The error names the path.
fn plain(value: Yaml, path: &str) -> Result<Value, String> {
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Value::Number(number.into()),
            (_, Some(number), _) => Value::Number(number.into()),
            (_, _, Some(number)) => Value::Number(Number::from_f64(number).ok_or_else(|| format!("{path}: the number is not finite"))?),
            _ => return Err(format!("{path}: not a number that can be read")),
        },
        Yaml::Sequence(list) => {
            let item = |(index, value)| plain(value, &format!("{path}[{index}]"));
            Value::Array(list.into_iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(mapping) => {
            let mut object = Map::with_capacity(mapping.len());
            for (key, value) in mapping {
                let Yaml::String(key) = key else {
                    return Err(format!("{path}: a field's name is not text; write it in quotes"));
                };
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                object.insert(key, plain(value, &below)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => return Err(format!("{path}: tags such as {} are not read", tagged.tag)),
    })
}
