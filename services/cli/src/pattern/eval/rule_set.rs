//! The rules of a line, compiled together and kept for the lines to come.

use std::collections::VecDeque;
use std::sync::Arc;

use rocketbridge_pattern::{EventError, Index, JsonEvent, Options, Pattern, Snapshot};

use crate::pattern::rule::Rule;

/// Rule sets that are kept. Most inputs have one.
const KEPT: usize = 16;

/// The rules of one list.
#[derive(Debug)]
pub(super) struct RuleSet {
    /// The list as it stands in the line.
    text: Box<str>,
    names: Vec<String>,
    index: Arc<Snapshot>,
}

/// The rule sets of the last lines, the last first.
#[derive(Debug, Default)]
pub(super) struct RuleSets(VecDeque<RuleSet>);

impl RuleSets {
    /// The text of the last line's rules, an array; empty before the first.
    pub(super) fn last(&self) -> &str {
        self.0.front().map_or("", |set| &set.text)
    }

    /// The set of these rules. A rule that cannot be compiled is an error of all: nobody can say what the others mean without it.
    pub(super) fn get(&mut self, text: &str, options: &Options) -> Result<&RuleSet, String> {
        let set = match self.0.iter().position(|set| *set.text == *text) {
            Some(place) => self.0.remove(place),
            None => Some(RuleSet::compile(text, options)?),
        };
        self.0.truncate(KEPT - 1);
        if let Some(set) = set {
            self.0.push_front(set);
        }
        self.0.front().ok_or_else(|| "there are no rules".to_owned())
    }
}

impl RuleSet {
    fn compile(text: &str, options: &Options) -> Result<Self, String> {
        let rules = Rule::list(text)?;
        let mut patterns = Vec::with_capacity(rules.len());
        for (place, rule) in rules.iter().enumerate() {
            let pattern = Pattern::compile(&rule.pattern, options).map_err(|error| format!("rule {}: {error}", rule.name))?;
            // Rules may share a name, so they are filed by their place.
            patterns.push((place.to_string(), pattern));
        }
        let index = Index::default();
        index.update([], patterns.iter().map(|(place, pattern)| (place.as_str(), pattern)));
        Ok(Self { text: text.into(), names: rules.into_iter().map(|rule| rule.name).collect(), index: index.snapshot() })
    }

    /// Names of the rules that the event matches, in the order of the list. Rules of one name are one for whoever asks by name: it stands
    /// once, where the first that matches stands.
    pub(super) fn matched(&self, event: &JsonEvent<'_>) -> Result<Vec<&str>, EventError> {
        let mut places: Vec<usize> = self.index.matches(event)?.into_iter().filter_map(|place| place.parse().ok()).collect();
        places.sort_unstable();
        let mut names: Vec<&str> = Vec::with_capacity(places.len());
        let mut seen = std::collections::HashSet::with_capacity(places.len());
        names.extend(places.into_iter().map(|place| self.names[place].as_str()).filter(|name| seen.insert(*name)));
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: usize) -> String {
        format!(r#"[{{"name":"x","pattern":"{{\"a\":[{value}]}}"}}]"#)
    }

    /// *Scenario:* more rule sets than are kept, then the first again. *Guarantees:* each answers as its own; no more than so many are kept, the last first.
    #[test]
    fn sets_are_kept_within_a_bound() {
        let mut sets = RuleSets::default();
        assert_eq!(sets.last(), "");
        for value in (0..40).chain([0, 39, 0]) {
            let text = list(value);
            let set = sets.get(&text, &Options::default()).expect("well formed");
            assert_eq!(set.matched(&JsonEvent::new(&format!("{{\"a\":{value}}}"))), Ok(vec!["x"]));
            assert_eq!(set.matched(&JsonEvent::new("{\"a\":-1}")), Ok(Vec::new()));
            assert_eq!(sets.last(), text);
            assert!(sets.0.len() <= KEPT);
        }
    }
}
