//! Namespaces of instances: they are part of the names of topics and groups on the wire (`NamespaceUtil` of Apache RocketMQ).

use std::borrow::Cow;

use crate::light;

/// What stands before the namespace: the topics of a group's retries and of its dead letters.
const MARKS: [&str; 2] = ["%RETRY%", "%DLQ%"];

/// A name as it is called on the wire: `orders` of the namespace `NS` is `NS%orders`, `%DLQ%group` is `%DLQ%NS%group`. A light queue has no namespace.
pub(crate) fn wrapped(namespace: &str, name: &str) -> String {
    if namespace.is_empty() || light::is_light(name) {
        return name.to_owned();
    }
    let (mark, plain) = marked(name);
    format!("{mark}{namespace}%{plain}")
}

/// What users of a namespace call it; `None` if it is not of their namespace.
pub(crate) fn unwrapped<'a>(namespace: &str, wire: &'a str) -> Option<Cow<'a, str>> {
    if namespace.is_empty() {
        return Some(Cow::Borrowed(wire));
    }
    let (mark, rest) = marked(wire);
    let plain = rest.strip_prefix(namespace)?.strip_prefix('%')?;
    Some(if mark.is_empty() { Cow::Borrowed(plain) } else { Cow::Owned(format!("{mark}{plain}")) })
}

fn marked(name: &str) -> (&'static str, &str) {
    MARKS.into_iter().find_map(|mark| Some((mark, name.strip_prefix(mark)?))).unwrap_or(("", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: topics of users, of retries, of dead letters and light queues, with a namespace and without. *Guarantees*: the names that Java's clients
    /// make of them, and back; what is another namespace's is nobody's.
    #[test]
    fn names_are_those_of_javas_clients() {
        for (name, wire) in [("orders", "NS%orders"), ("%RETRY%g", "%RETRY%NS%g"), ("%DLQ%g", "%DLQ%NS%g"), ("a%b", "NS%a%b")] {
            assert_eq!(wrapped("NS", name), wire);
            assert_eq!(unwrapped("NS", wire).as_deref(), Some(name));
            assert_eq!((wrapped("", name).as_str(), unwrapped("", name).as_deref()), (name, Some(name)));
        }
        assert_eq!(wrapped("NS", "%LMQ%a"), "%LMQ%a");
        for other in ["orders", "NSX%orders", "%DLQ%g", "%DLQ%NSX%g", "NS"] {
            assert_eq!(unwrapped("NS", other), None, "{other}");
        }
    }
}
