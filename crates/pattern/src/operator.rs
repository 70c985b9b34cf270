//! Names of the operators, and what somebody meant who wrote another name.

/// Every operator of the language.
pub(crate) const OPERATORS: [&str; 13] = [
    "exactly",
    "prefix",
    "suffix",
    "contains",
    "equals-ignore-case",
    "wildcard",
    "regexp",
    "anything-but",
    "numeric",
    "exists",
    "cidr",
    "all-of",
    "field",
];

/// Operators that may stand inside `anything-but`.
pub(crate) const NEGATABLE: [&str; 7] = ["prefix", "suffix", "equals-ignore-case", "wildcard", "contains", "regexp", "cidr"];

/// The same in the `alibaba` dialect.
pub(crate) const NEGATABLE_ALIBABA: [&str; 5] = ["prefix", "suffix", "equals-ignore-case", "wildcard", "contains"];

/// Names of other languages, and ours.
const ALIASES: [(&str, &str); 22] = [
    ("shellstyle", "wildcard"),
    ("glob", "wildcard"),
    ("like", "wildcard"),
    ("regex", "regexp"),
    ("matches", "regexp"),
    ("not", "anything-but"),
    ("ne", "anything-but"),
    ("notin", "anything-but"),
    ("eq", "exactly"),
    ("equals", "exactly"),
    ("startswith", "prefix"),
    ("endswith", "suffix"),
    ("ignorecase", "equals-ignore-case"),
    ("ip", "cidr"),
    ("range", "numeric"),
    ("number", "numeric"),
    ("between", "numeric"),
    ("exist", "exists"),
    ("and", "all-of"),
    ("or", "$or"),
    ("substring", "contains"),
    ("includes", "contains"),
];

/// The one of `known` that is meant by `written`, if it is a near miss or a name from elsewhere.
pub(crate) fn meant<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain =
        |name: &str| name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect::<String>();
    let written = plain(written);
    let alias = ALIASES.iter().find(|(name, _)| *name == written).map(|(_, ours)| *ours);
    known.iter().copied().find(|name| Some(*name) == alias || plain(name) == written).or_else(|| {
        known
            .iter()
            .copied()
            .map(|name| (distance(&plain(name), &written), name))
            .filter(|(distance, name)| *distance <= 2 && *distance * 3 <= name.len())
            .min()
            .map(|(_, name)| name)
    })
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one name to the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().take(64).collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: misspelt operators and names from other languages. *Guarantees*: the operator that was meant, or none.
    #[test]
    fn misspelt_operators_are_recognised() {
        for (written, expected) in [
            ("prefx", Some("prefix")),
            ("anythingBut", Some("anything-but")),
            ("anything_but", Some("anything-but")),
            ("equalsIgnoreCase", Some("equals-ignore-case")),
            ("numreic", Some("numeric")),
            ("shellstyle", Some("wildcard")),
            ("regex", Some("regexp")),
            ("startsWith", Some("prefix")),
            ("foo", None),
            ("unrecognizedKey", None),
        ] {
            assert_eq!(meant(written, &OPERATORS), expected, "{written}");
        }
    }
}
