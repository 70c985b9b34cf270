//! JSON into nodes.

use rocketbridge_pattern::json::{Malformed, Reader};

use super::{Characters, Content, Fault, MOST_NESTED, MOST_TWICE, Mark, Marker, Names, Node, NodeMember, Trail};

/// Reads one value.
///
/// # Errors
/// The first place that is malformed, or every key that occurs twice.
pub fn value(text: &str) -> Result<Node, Vec<Fault>> {
    let mut parser = Parser::new(text);
    let read = parser.node(0).and_then(|node| parser.reader.end().map(|()| node));
    parser.finish(read)
}

/// Reads values one after the other, with nothing but white space between them.
///
/// # Errors
/// As for [`value`], after how many values stand before it and where it begins.
pub fn values(text: &str) -> Result<Vec<Node>, (usize, Mark, Vec<Fault>)> {
    let mut parser = Parser::new(text);
    let mut nodes = Vec::new();
    while parser.reader.peek().is_some() {
        let mark = parser.mark();
        let read = parser.node(0);
        nodes.push(parser.finish(read).map_err(|faults| (nodes.len(), mark, faults))?);
    }
    Ok(nodes)
}

struct Parser<'t> {
    reader: Reader<'t>,
    marker: Marker<'t>,
    trail: Trail,
    twice: Vec<Fault>,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self { reader: Reader::new(text), marker: Marker::new(text), trail: Trail::default(), twice: Vec::new() }
    }

    fn finish(&mut self, read: Result<Node, Malformed>) -> Result<Node, Vec<Fault>> {
        match read {
            Err(Malformed { at, what }) => Err(vec![Fault::Malformed { mark: self.marker.at(at), what: what.to_owned() }]),
            Ok(_) if !self.twice.is_empty() => Err(std::mem::take(&mut self.twice)),
            Ok(node) => Ok(node),
        }
    }

    /// The place of the next token.
    fn mark(&mut self) -> Mark {
        self.reader.peek();
        self.marker.at(self.reader.position())
    }

    fn node(&mut self, depth: usize) -> Result<Node, Malformed> {
        let mark = self.mark();
        if depth >= MOST_NESTED && matches!(self.reader.peek(), Some(b'{' | b'[')) {
            return Err(self.reader.malformed("nested too deeply"));
        }
        let content = match self.reader.peek() {
            Some(b'"') => Content::Text(self.characters()?),
            Some(b'{') => {
                self.reader.open(0)?;
                Content::Object(if self.reader.take(b'}') { Vec::new() } else { self.members(depth)? })
            }
            Some(b'[') => {
                self.reader.open(0)?;
                let mut elements = Vec::new();
                if !self.reader.take(b']') {
                    loop {
                        let before = self.trail.element(elements.len());
                        elements.push(self.node(depth + 1)?);
                        self.trail.back(before);
                        if !self.reader.next_element()? {
                            break;
                        }
                    }
                }
                Content::List(elements)
            }
            Some(b't') => self.reader.word("true").map(|()| Content::Bool(true))?,
            Some(b'f') => self.reader.word("false").map(|()| Content::Bool(false))?,
            Some(b'n') => self.reader.word("null").map(|()| Content::Null)?,
            _ => Content::Number(self.reader.number()?.to_owned()),
        };
        Ok(Node { mark, content })
    }

    fn members(&mut self, depth: usize) -> Result<Vec<NodeMember>, Malformed> {
        let mut members = Vec::new();
        let mut names = Names::default();
        loop {
            let mark = self.mark();
            let name = self.characters()?;
            let before = self.trail.member(name.as_str());
            if let Some(first) = names.again(name.as_str(), mark)
                && self.twice.len() < MOST_TWICE
            {
                let path = self.trail.as_str().to_owned();
                self.twice.push(Fault::Twice { path, name: name.as_str().to_owned(), first, second: mark });
            }
            self.reader.expect(b':', "expected a colon")?;
            let value = self.node(depth + 1)?;
            self.trail.back(before);
            members.push(NodeMember { mark, name, value });
            if !self.reader.next_member()? {
                return Ok(members);
            }
        }
    }

    fn characters(&mut self) -> Result<Characters, Malformed> {
        let string = self.reader.string()?;
        Ok(Characters { text: string.decode().into_owned(), written: string.escaped.then(|| string.raw.into()) })
    }
}
