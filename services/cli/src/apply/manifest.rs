//! Definitions as they stand in files: one or more a file, YAML or JSON, ours or bodies of CreateEventStreaming.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use rocketbridge_codec::definition::read::Place;
use rocketbridge_codec::definition::{Definition, Document, protobuf, read_definitions};

use crate::client::Resource;
use crate::failure::Failure;

/// A definition and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where it stands.
    pub(crate) place: Place,
    /// The definition in the words of the model.
    pub(crate) definition: Definition,
    /// The same as the server takes it, with the etag that stands beside it.
    pub(crate) resource: Resource,
}

/// Reads all files, in the order in which definitions can refer to each other. The failure lists everything that cannot be read.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for path in files {
        let file = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        match contents(path).map(|text| read_definitions(&text, &file)) {
            Ok(Ok(documents)) => entries.extend(documents.into_iter().map(Entry::new)),
            Ok(Err(errors)) => problems.extend(errors.iter().map(ToString::to_string)),
            Err(error) => problems.push(format!("{file}: cannot be read: {error}")),
        }
    }
    refuse_twins(&entries, &mut problems);
    if !problems.is_empty() {
        return Err(Failure::Failed(format!("nothing is applied\n  {}", problems.join("\n  "))));
    }
    if entries.is_empty() {
        return Err(Failure::Failed("nothing is applied: there is no definition in what was given".into()));
    }
    entries.sort_by_key(|entry| entry.resource.kind());
    Ok(entries)
}

impl Entry {
    fn new(document: Document) -> Self {
        let resource = match &document.definition {
            Definition::Network(network) => Resource::Network(Box::new(protobuf::network_to((**network).clone()))),
            Definition::Connection(connection) => Resource::Connection(Box::new(protobuf::connection_to((**connection).clone()))),
            Definition::Route(route) => Resource::Route(Box::new(protobuf::route_to((**route).clone()))),
            Definition::Stream(stream) => Resource::Stream(Box::new(protobuf::stream_to((**stream).clone()))),
        };
        Self { place: document.place, definition: document.definition, resource: resource.with_etag(&document.etag) }
    }
}

fn contents(path: &Path) -> std::io::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The same thing defined in two files would be applied twice, one undoing the other. Within one file the reader refuses it.
fn refuse_twins(entries: &[Entry], problems: &mut Vec<String>) {
    let mut first = HashMap::new();
    for Entry { place, resource, .. } in entries {
        if let Some(earlier) = first.insert((resource.kind(), resource.name()), place) {
            problems.push(format!("{place}: {resource}: it stands in {earlier} as well; remove one of the two"));
        }
    }
}
