//! From text to documents: where each begins, and what it holds.

use super::walk::twice;
use super::{Place, ReadError};
use crate::text::{Content, Fault, Node, json, yaml};

/// The documents of a text. A list counts as its elements. The error holds everything that is wrong.
pub(super) fn documents(text: &str, file: &str) -> Result<Vec<(Place, Node)>, Vec<ReadError>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = match text.trim_start().starts_with(['{', '[']).then(|| of_json(text)) {
        Some(Ok(documents)) => documents,
        // What begins like JSON may be YAML's flow style; if it is neither, the complaint is about JSON.
        Some(Err(refusal)) if refusal.is_about_syntax() => of_yaml(text).map_err(|other| {
            let refusals = if other.iter().any(Refusal::is_about_syntax) { vec![refusal] } else { other };
            errors(refusals, file)
        })?,
        Some(Err(refusal)) => return Err(errors(vec![refusal], file)),
        None => of_yaml(text).map_err(|refusals| errors(refusals, file))?,
    };
    let place = |(index, node): (usize, Node)| (Place { file: file.to_owned(), document: index + 1, line: Some(node.mark.line) }, node);
    let documents: Vec<_> = documents.into_iter().enumerate().map(place).collect();
    if documents.is_empty() {
        let place = Place { file: file.to_owned(), document: 1, line: None };
        return Err(vec![ReadError::Syntax { place, reason: "there is no definition in it".to_owned() }]);
    }
    Ok(documents)
}

/// A document that cannot be read.
struct Refusal {
    language: &'static str,
    document: usize,
    line: Option<usize>,
    faults: Vec<Fault>,
}

impl Refusal {
    fn is_about_syntax(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault, Fault::Malformed { .. }))
    }

    fn errors(self, file: &str) -> impl Iterator<Item = ReadError> {
        let Self { language, document, line, faults } = self;
        let place = Place { file: file.to_owned(), document, line };
        faults.into_iter().map(move |fault| {
            let reason = format!("not {language}: {fault}");
            match twice(fault, "", "") {
                Some(violation) => ReadError::Refused { place: place.clone(), violation },
                None => ReadError::Syntax { place: place.clone(), reason },
            }
        })
    }
}

fn errors(refusals: Vec<Refusal>, file: &str) -> Vec<ReadError> {
    refusals.into_iter().flat_map(|refusal| refusal.errors(file)).collect()
}

fn of_json(text: &str) -> Result<Vec<Node>, Refusal> {
    match json::values(text) {
        Ok(nodes) => Ok(nodes.into_iter().flat_map(flatten).collect()),
        Err((before, mark, faults)) => Err(Refusal { language: "JSON", document: before + 1, line: Some(mark.line), faults }),
    }
}

fn of_yaml(text: &str) -> Result<Vec<Node>, Vec<Refusal>> {
    let mut nodes = Vec::new();
    let mut refusals = Vec::new();
    for (index, document) in yaml::documents(text).into_iter().enumerate() {
        match document {
            Ok(Node { content: Content::Null, .. }) => {}
            Ok(node) => nodes.extend(flatten(node)),
            Err((begin, faults)) => {
                refusals.push(Refusal { language: "YAML", document: index + 1, line: begin.map(|mark| mark.line), faults });
            }
        }
    }
    if refusals.is_empty() { Ok(nodes) } else { Err(refusals) }
}

fn flatten(node: Node) -> Vec<Node> {
    match node.content {
        Content::List(list) => list,
        _ => vec![node],
    }
}
