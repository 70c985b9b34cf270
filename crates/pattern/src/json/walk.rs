//! The path-driven walk: one pass over the text, into the parts the wanted paths lead to, over all others.

use super::{Malformed, Reader};
use crate::leaves::{Leaves, Place, Value};
use crate::paths::{Node, Paths};

/// Reads the value at the cursor, which is the event's value at `node`, and pushes the wanted leaves in it.
///
/// Arrays are transparent: their elements are values at the same node, each at a [`Place`] of its own. On an error the leaves
/// pushed so far are of no use: the caller drops them.
pub(crate) fn walk<'e>(
    reader: &mut Reader<'e>,
    paths: &Paths,
    node: Node,
    place: Place,
    depth: u32,
    leaves: &mut Leaves<'e>,
) -> Result<(), Malformed> {
    let wanted = paths.is_wanted(node);
    match reader.peek() {
        Some(b'{') => {
            if paths.wants_composites(node) {
                leaves.push_at(node, Value::Composite, place);
            }
            if !paths.has_children(node) {
                return reader.skip(depth);
            }
            reader.open(depth)?;
            if reader.take(b'}') {
                return Ok(());
            }
            loop {
                let key = reader.string()?;
                reader.expect(b':', "expected a colon")?;
                let child = if key.escaped { paths.descend(node, &key.decode()) } else { paths.descend(node, key.raw) };
                match child {
                    Some(child) => walk(reader, paths, child, place, depth + 1, leaves)?,
                    None => reader.skip(depth + 1)?,
                }
                if !reader.next_member()? {
                    return Ok(());
                }
            }
        }
        Some(b'[') => {
            if paths.wants_composites(node) {
                leaves.push_at(node, Value::Composite, place);
            }
            reader.open(depth)?;
            if reader.take(b']') {
                return Ok(());
            }
            let array = leaves.open_array();
            loop {
                let element = leaves.element(array, place);
                walk(reader, paths, node, element, depth + 1, leaves)?;
                if !reader.next_element()? {
                    return Ok(());
                }
            }
        }
        Some(_) if !wanted => reader.skip(depth),
        Some(b'"') => {
            let string = reader.string()?;
            leaves.push_at(node, Value::String(string.decode()), place);
            Ok(())
        }
        Some(b't') => reader.word("true").map(|()| leaves.push_at(node, Value::Bool(true), place)),
        Some(b'f') => reader.word("false").map(|()| leaves.push_at(node, Value::Bool(false), place)),
        Some(b'n') => reader.word("null").map(|()| leaves.push_at(node, Value::Null, place)),
        _ => reader.number().map(|text| leaves.push_at(node, Value::Number(text.into()), place)),
    }
}
