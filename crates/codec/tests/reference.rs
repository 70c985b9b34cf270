//! The reference pages, `docs/reference/*.md`: every field of every definition, written from the comments of `proto/`.
//!
//! After a change of `proto/` run `UPDATE_GOLDEN=1 cargo test -p rocketbridge-codec --test reference` and review the difference.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use rocketbridge_codec::definition::fields::{CONNECTION, Field, NETWORK, ROUTE, STREAM};
use rocketbridge_model::limits;

/// One page.
struct Page {
    file: &'static str,
    title: &'static str,
    /// What stands above the tables.
    introduction: &'static str,
    /// The message that the page begins with; the messages that it uses follow.
    message: &'static str,
    /// Names of its fields in Alibaba's API; nothing for a page that has none.
    fields: &'static [Field],
}

const PAGES: [Page; 6] = [
    Page {
        file: "stream.md",
        title: "Stream",
        introduction: "A document with `kind: Stream`, or the body of a `CreateEventStreaming` request, whose names stand in the column *Alibaba*.\n\
                       `rocketbridge apply` takes both, as YAML or JSON. How patterns and values are written: [patterns.md](../patterns.md). What\n\
                       happens to events that cannot be delivered: [delivery.md](../delivery.md).",
        message: "rocketbridge.stream.v1.Stream",
        fields: STREAM,
    },
    Page {
        file: "connection.md",
        title: "Connection",
        introduction: "A document with `kind: Connection`: an instance under a name, so that streams need not repeat how it is reached. A standalone\n\
                       process that runs its own RocketMQ has a built-in one, `embedded`. What its access key must be allowed:\n\
                       [access.md](../access.md).",
        message: "rocketbridge.connection.v1.Connection",
        fields: CONNECTION,
    },
    Page {
        file: "network.md",
        title: "Network",
        introduction: "A document with `kind: Network`, which connections and streams name. What is dialled, from where and through what:\n\
                       [networks.md](../networks.md).",
        message: "rocketbridge.network.v1.Network",
        fields: NETWORK,
    },
    Page {
        file: "route.md",
        title: "Route",
        introduction: "A document with `kind: Route`: topics of one instance, copied to another. How routes are operated: [routing.md](../routing.md).",
        message: "rocketbridge.route.v1.Route",
        fields: ROUTE,
    },
    Page {
        file: "route-status.md",
        title: "Status of a route",
        introduction: "What `GetRouteStatus` answers and `rocketbridge route status NAME -o json` prints.",
        message: "rocketbridge.route.v1.RouteStatus",
        fields: &[],
    },
    Page {
        file: "status.md",
        title: "Status",
        introduction: "What `GetStreamStatus` answers and `rocketbridge status stream NAME -o json` prints. The command adds `discarded` and\n\
                       `dead_lettered` at the top, the same numbers as in `counts`, and writes `null` for a `lag_seconds` that is not known.",
        message: "rocketbridge.stream.v1.StreamStatus",
        fields: &[],
    },
];

/// A message or an enum, its comment, and those of its fields or values.
type Described<D> = (D, String, Vec<String>);

/// All messages and enums, by full name.
struct Protocol {
    messages: HashMap<String, Described<DescriptorProto>>,
    enums: HashMap<String, Described<EnumDescriptorProto>>,
}

impl Protocol {
    fn read() -> Self {
        // Numbers of fields in `descriptor.proto`, of which the paths of comments are made.
        const MESSAGE: i32 = 4;
        const ENUM: i32 = 5;
        const MEMBER: i32 = 2;
        let set = FileDescriptorSet::decode(rocketbridge_proto::FILE_DESCRIPTOR_SET).expect("a descriptor set");
        let mut protocol = Self { messages: HashMap::new(), enums: HashMap::new() };
        for file in set.file {
            let comments = comments(&file);
            let comment = |path: &[i32]| comments.get(path).cloned().unwrap_or_default();
            let package = file.package().to_owned();
            for (index, message) in (0..).zip(file.message_type) {
                let fields = (0..).zip(&message.field).map(|(number, _)| comment(&[MESSAGE, index, MEMBER, number])).collect();
                protocol.messages.insert(format!("{package}.{}", message.name()), (message, comment(&[MESSAGE, index]), fields));
            }
            for (index, described) in (0..).zip(file.enum_type) {
                let values = (0..).zip(&described.value).map(|(number, _)| comment(&[ENUM, index, MEMBER, number])).collect();
                protocol.enums.insert(format!("{package}.{}", described.name()), (described, comment(&[ENUM, index]), values));
            }
        }
        protocol
    }

    fn page(&self, page: &Page) -> String {
        let mut text = format!(
            "# {}\n\n<!-- Written from proto/ by crates/codec/tests/reference.rs; do not edit. -->\n\n{}\n",
            page.title, page.introduction
        );
        let mut waiting = vec![(page.message.to_owned(), page.fields)];
        let mut written: Vec<String> = Vec::new();
        while !waiting.is_empty() {
            let (name, fields) = waiting.remove(0);
            if written.contains(&name) {
                continue;
            }
            text += &self.section(&name, fields, !page.fields.is_empty(), &mut waiting);
            written.push(name);
        }
        text
    }

    fn section(&self, name: &str, known: &[Field], has_original: bool, waiting: &mut Vec<(String, &'static [Field])>) -> String {
        let mut text = String::new();
        if let Some((described, comment, values)) = self.enums.get(name) {
            let _ = write!(text, "\n## {}\n\n{comment}\n\n| value | meaning |\n|---|---|\n", described.name());
            for (value, comment) in described.value.iter().zip(values) {
                let _ = writeln!(text, "| `{}` | {} |", value.name(), cell(comment));
            }
        }
        if let Some((described, comment, comments)) = self.messages.get(name) {
            let (title, line) = if has_original { (" Alibaba |", "---|") } else { ("", "") };
            let _ = write!(text, "\n## {}\n\n{comment}\n\n| field |{title} type | meaning |\n|---|{line}---|---|\n", described.name());
            for (field, comment) in described.field.iter().zip(comments) {
                let known = known.iter().find(|known| known.name == field.name());
                let original = known.and_then(|known| known.original.first()).map(|name| format!("`{name}`")).unwrap_or_default();
                let column = if has_original { format!(" {original} |") } else { String::new() };
                let limit = limits::of(described.name(), field.name()).map(|limit| format!(" {limit}")).unwrap_or_default();
                let _ = writeln!(text, "| `{}` |{column} {} | {}{limit} |", field.name(), kind(field), cell(comment));
                if let Some(name) = described_type(field) {
                    waiting.push((name, known.and_then(|known| known.shape.fields()).unwrap_or_default()));
                }
            }
        }
        text
    }
}

/// Comments by path, each as one paragraph.
fn comments(file: &FileDescriptorProto) -> HashMap<Vec<i32>, String> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let paragraph = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    locations.map(|location| (location.path.clone(), paragraph(location.leading_comments()))).collect()
}

/// The message or enum of a field that has a section of its own.
fn described_type(field: &FieldDescriptorProto) -> Option<String> {
    let name = field.type_name().trim_start_matches('.');
    name.starts_with("rocketbridge.").then(|| name.to_owned())
}

fn kind(field: &FieldDescriptorProto) -> String {
    let one = match (described_type(field), field.r#type()) {
        (Some(name), _) => {
            let name = name.rsplit('.').next().unwrap_or_default().to_owned();
            format!("[{name}](#{})", name.to_lowercase())
        }
        (None, Type::Message) => "time".to_owned(),
        (None, Type::String) => "text".to_owned(),
        (None, Type::Bool) => "true or false".to_owned(),
        (None, Type::Double) => "number".to_owned(),
        (None, _) => "whole number".to_owned(),
    };
    if field.label() == Label::Repeated { format!("list of {one}") } else { one }
}

fn cell(comment: &str) -> String {
    comment.replace('|', "\\|")
}

/// *Scenario*: `proto/` changes. *Guarantees*: the reference pages say what it says, with a meaning for each field.
#[test]
fn the_reference_says_what_the_protocol_says() {
    let protocol = Protocol::read();
    for page in &PAGES {
        let text = protocol.page(page);
        let missing: Vec<&str> = text.lines().filter(|line| line.starts_with('|') && line.ends_with("|  |")).collect();
        assert!(missing.is_empty(), "{}: fields without a meaning: {missing:?}", page.file);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(page.file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).expect("docs can be written");
        }
        let stands = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == text, "{} is not current; run this test with UPDATE_GOLDEN=1", path.display());
    }
}

/// *Scenario*: every text and every list that a user may write in a definition. *Guarantees*: each has a limit, which the pages show, and no limit is of a field that is not there.
#[test]
fn every_text_and_list_has_a_limit() {
    // What the server sets, of any length that it likes.
    const OUTPUT: [&str; 7] = ["uid", "etag", "state_reason", "route", "active", "create_time", "update_time"];
    let protocol = Protocol::read();
    let mut waiting: Vec<String> = PAGES.iter().filter(|page| !page.fields.is_empty()).map(|page| page.message.to_owned()).collect();
    let (mut seen, mut limited) = (Vec::new(), Vec::new());
    while let Some(name) = waiting.pop() {
        let Some((message, ..)) = protocol.messages.get(&name).filter(|_| !seen.contains(&name)) else { continue };
        for field in message.field.iter().filter(|field| !OUTPUT.contains(&field.name())) {
            let is_list = field.label() == Label::Repeated;
            let limit = limits::of(message.name(), field.name());
            assert_eq!(limit.and_then(|limit| limit.entries).is_some(), is_list, "{name}.{}", field.name());
            // Enums of the API are words in files.
            let is_text = field.r#type() == Type::String || field.r#type() == Type::Enum && field.name() != "state";
            assert_eq!(limit.and_then(|limit| limit.characters).is_some(), is_text, "{name}.{}", field.name());
            limited.extend(limit);
            waiting.extend(described_type(field));
        }
        seen.push(name);
    }
    let unknown: Vec<_> = limits::LIMITS.iter().filter(|limit| !limited.contains(limit)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// *Scenario*: a field of a definition that files may hold. *Guarantees*: it stands on its page, under both of its names.
#[test]
fn every_field_of_definitions_is_described() {
    let protocol = Protocol::read();
    for page in PAGES.iter().filter(|page| !page.fields.is_empty()) {
        let text = protocol.page(page);
        let mut waiting: Vec<&Field> = page.fields.iter().collect();
        while let Some(field) = waiting.pop() {
            let original = field.original.first().map(|name| format!("`{name}`")).unwrap_or_default();
            let row = format!("| `{}` | {original} |", field.name);
            assert!(text.contains(&row), "{}: {row}", page.file);
            waiting.extend(field.shape.fields().unwrap_or_default());
        }
    }
}
