//! Fields that take one of a few words.

use super::findings::Findings;
use super::suggest::nearest;

/// Form of a constant parameter.
pub(super) const CONSTANT: &str = "CONSTANT";
/// Kinds of network.
pub(super) const NETWORKS: &[&str] = &["PublicNetwork", "PrivateNetwork"];

/// Whether the field holds one of the words, or nothing. Otherwise a violation is noted, with what was probably meant.
pub(super) fn one_of(field: &str, found: &str, allowed: &[&str], findings: &mut Findings) -> bool {
    if found.is_empty() || allowed.contains(&found) {
        return true;
    }
    let rule = match allowed {
        [only] => format!("only {only} is allowed"),
        _ => format!("one of {} is allowed", allowed.join(", ")),
    };
    let fix = match (nearest(found, allowed.iter().copied()), allowed) {
        (Some(meant), _) => format!("did you mean {meant}?"),
        (None, [only]) => format!("write {only}, or leave the field out"),
        (None, _) => "write one of them, or leave the field out".to_owned(),
    };
    findings.add(field, found, rule, fix);
    false
}
