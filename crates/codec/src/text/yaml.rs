//! YAML into nodes.
//!
//! Plain scalars mean what the core schema of YAML 1.2 says, with two exceptions that keep more of what was written: digits with a
//! leading zero are a text, and so is what would not fit a double. Merge keys (`<<`) are resolved. Of tags only those of the core
//! schema are read.

use std::collections::{HashMap, HashSet};

use yaml_rust2::parser::{Event, Parser, Tag};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use super::{Characters, Content, Fault, MOST_COPIED, MOST_COPIED_BYTES, MOST_NESTED, MOST_TWICE, Mark, Names, Node, NodeMember, Trail};

/// A document's value, or where it begins, if it does, and what is wrong with it.
pub type Document = Result<Node, (Option<Mark>, Vec<Fault>)>;

/// Reads the documents of a text; one that is empty is `null`. After a document that is malformed nothing is read.
pub fn documents(text: &str) -> Vec<Document> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        copied: Extent::default(),
        begin: None,
        trail: Trail::default(),
        twice: Vec::new(),
    };
    let mut documents = Vec::new();
    loop {
        builder.begin = None;
        match builder.document() {
            Ok(None) => return documents,
            Ok(Some(node)) if builder.twice.is_empty() => documents.push(Ok(node)),
            Ok(Some(node)) => documents.push(Err((Some(node.mark), std::mem::take(&mut builder.twice)))),
            Err(fault) => {
                documents.push(Err((builder.begin, vec![fault])));
                return documents;
            }
        }
    }
}

struct Builder<'t> {
    parser: Parser<std::str::Chars<'t>>,
    anchors: HashMap<usize, Node>,
    copied: Extent,
    /// Where the value of the document begins.
    begin: Option<Mark>,
    trail: Trail,
    twice: Vec<Fault>,
}

impl Builder<'_> {
    fn next(&mut self) -> Result<(Event, Mark), Fault> {
        match self.parser.next_token() {
            Ok((event, marker)) => Ok((event, mark(&marker))),
            Err(error) => Err(malformed(&error)),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Fault> {
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart => {
                    self.anchors.clear();
                    let (event, mark) = self.next()?;
                    if event == Event::DocumentEnd {
                        return Ok(Some(Node { mark, content: Content::Null }));
                    }
                    self.begin = Some(mark);
                    return self.node(event, mark, 0).map(Some);
                }
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                _ => return Err(Fault::Malformed { mark, what: "a value outside a document".to_owned() }),
            }
        }
    }

    fn node(&mut self, event: Event, mark: Mark, depth: usize) -> Result<Node, Fault> {
        if depth > MOST_NESTED {
            return Err(Fault::Malformed { mark, what: "nested too deeply".to_owned() });
        }
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(text, style, tag, self.trail.as_str(), mark)?),
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_ref(), "seq", self.trail.as_str(), mark)?;
                (anchor, Content::List(self.elements(depth)?))
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_ref(), "map", self.trail.as_str(), mark)?;
                (anchor, Content::Object(self.members(depth)?))
            }
            Event::Alias(anchor) => return self.alias(anchor, mark, depth),
            _ => return Err(Fault::Malformed { mark, what: "expected a value".to_owned() }),
        };
        let node = Node { mark, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// What an alias stands for, at the place of the alias.
    fn alias(&mut self, anchor: usize, mark: Mark, depth: usize) -> Result<Node, Fault> {
        let fault = |what: &str| Fault::Malformed { mark, what: what.to_owned() };
        let node = self.anchors.get(&anchor).ok_or_else(|| fault("an alias stands inside what it stands for"))?;
        let extent = extent(node);
        self.copied.nodes += extent.nodes;
        self.copied.bytes += extent.bytes;
        if self.copied.nodes > MOST_COPIED || self.copied.bytes > MOST_COPIED_BYTES {
            return Err(fault("aliases stand for too much"));
        }
        if depth + extent.depth > MOST_NESTED {
            return Err(fault("nested too deeply"));
        }
        Ok(Node { mark, content: node.content.clone() })
    }

    fn elements(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut elements = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(elements);
            }
            let before = self.trail.element(elements.len());
            elements.push(self.node(event, mark, depth + 1)?);
            self.trail.back(before);
        }
    }

    fn members(&mut self, depth: usize) -> Result<Vec<NodeMember>, Fault> {
        let mut members: Vec<NodeMember> = Vec::new();
        let mut merged = Vec::new();
        let mut names = Names::default();
        loop {
            let (event, mark) = self.next()?;
            let (name, is_merge) = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, style, anchor, tag) => {
                    let is_merge = text == "<<" && style == TScalarStyle::Plain;
                    let Content::Text(name) = scalar(text, style, tag, self.trail.as_str(), mark)? else {
                        return Err(name_fault(self.trail.as_str(), mark));
                    };
                    if anchor > 0 {
                        self.anchors.insert(anchor, Node { mark, content: Content::Text(name.clone()) });
                    }
                    (name, is_merge)
                }
                Event::Alias(anchor) => match self.alias(anchor, mark, depth)?.content {
                    Content::Text(name) => (name, false),
                    _ => return Err(name_fault(self.trail.as_str(), mark)),
                },
                _ => return Err(name_fault(self.trail.as_str(), mark)),
            };
            let before = self.trail.member(name.as_str());
            if let Some(first) = names.again(name.as_str(), mark)
                && self.twice.len() < MOST_TWICE
            {
                let path = self.trail.as_str().to_owned();
                self.twice.push(Fault::Twice { path, name: name.as_str().to_owned(), first, second: mark });
            }
            let (event, place) = self.next()?;
            let value = self.node(event, place, depth + 1)?;
            self.trail.back(before);
            if is_merge { merged.push(value) } else { members.push(NodeMember { mark, name, value }) }
        }
        if !merged.is_empty() {
            let mut known = members.iter().map(|member| member.name.as_str().to_owned()).collect();
            merged.into_iter().try_for_each(|value| merge(&mut members, &mut known, value))?;
        }
        Ok(members)
    }
}

/// Adds the members of an object, or of each object of a list, whose names are not there yet.
fn merge(members: &mut Vec<NodeMember>, known: &mut HashSet<String>, value: Node) -> Result<(), Fault> {
    match value.content {
        Content::Object(others) => {
            for other in others {
                if known.insert(other.name.as_str().to_owned()) {
                    members.push(other);
                }
            }
            Ok(())
        }
        Content::List(list) if list.iter().all(|element| element.members().is_some()) => {
            list.into_iter().try_for_each(|element| merge(members, known, element))
        }
        _ => Err(Fault::Malformed { mark: value.mark, what: "<< needs an object or a list of objects".to_owned() }),
    }
}

/// What a node holds in all.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    nodes: usize,
    /// Of its texts.
    bytes: usize,
    /// How deep lists and objects nest in it.
    depth: usize,
}

fn extent(node: &Node) -> Extent {
    let within = |all: Extent, child: &Node| {
        let child = extent(child);
        Extent { nodes: all.nodes + child.nodes, bytes: all.bytes + child.bytes, depth: all.depth.max(child.depth + 1) }
    };
    let of = |bytes: usize, depth: usize| Extent { nodes: 1, bytes, depth };
    match &node.content {
        Content::List(elements) => elements.iter().fold(of(0, 1), within),
        Content::Object(members) => {
            let names = members.iter().map(|member| member.name.as_str().len()).sum();
            members.iter().map(|member| &member.value).fold(of(names, 1), within)
        }
        Content::Text(text) => of(text.as_str().len(), 0),
        Content::Number(number) => of(number.len(), 0),
        Content::Null | Content::Bool(_) => of(0, 0),
    }
}

fn scalar(text: String, style: TScalarStyle, tag: Option<Tag>, path: &str, mark: Mark) -> Result<Content, Fault> {
    let tag = match &tag {
        Some(tag) => Some(core_tag(tag).ok_or_else(|| tag_fault(tag, path, mark))?),
        None => None,
    };
    if tag == Some("str") || (tag.is_none() && style != TScalarStyle::Plain) {
        return Ok(Content::Text(Characters::plain(text)));
    }
    Ok(plain(text))
}

/// What a plain scalar means.
fn plain(text: String) -> Content {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" => Content::Bool(true),
        "false" | "False" | "FALSE" => Content::Bool(false),
        _ if is_number(&text) => Content::Number(text),
        _ => Content::Text(Characters::plain(text)),
    }
}

/// Whether a plain scalar is a number.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        }
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    exponent && !leading_zero && is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

/// The name of a tag of the core schema.
fn core_tag(tag: &Tag) -> Option<&str> {
    const CORE: &str = "tag:yaml.org,2002:";
    let name = if tag.handle == CORE { Some(tag.suffix.as_str()) } else { None };
    name.filter(|name| matches!(*name, "str" | "int" | "float" | "bool" | "null" | "seq" | "map"))
}

fn check_tag(tag: Option<&Tag>, allowed: &str, path: &str, mark: Mark) -> Result<(), Fault> {
    match tag {
        Some(tag) if core_tag(tag) != Some(allowed) => Err(tag_fault(tag, path, mark)),
        _ => Ok(()),
    }
}

fn tag_fault(tag: &Tag, path: &str, mark: Mark) -> Fault {
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    Fault::Malformed { mark, what: format!("{place}tags such as {}{} are not read", tag.handle, tag.suffix) }
}

fn name_fault(path: &str, mark: Mark) -> Fault {
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    Fault::Malformed { mark, what: format!("{place}a field's name is not text; write it in quotes") }
}

fn malformed(error: &ScanError) -> Fault {
    Fault::Malformed { mark: mark(error.marker()), what: error.info().to_owned() }
}

fn mark(marker: &Marker) -> Mark {
    Mark { line: marker.line(), column: marker.col() + 1 }
}
