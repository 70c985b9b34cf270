//! Differences of access control, and what may be done about them: rights are never widened.

use std::collections::BTreeSet;

use super::difference::{Difference, Drift, Kind, Remedy};
use super::settings::{Access, AccessRule};

/// Why a rule that would give rights is not set.
const WIDENS: &str = "it would widen rights";

/// Differences between the rules of two ends that are about these resources; `resources` has what each is called at the source and at the target.
pub(super) fn compare(source: &Access, target: &Access, resources: &[(String, String)]) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let mut compared = BTreeSet::new();
    for rule in &source.rules {
        let Some((_, there)) = resources.iter().find(|(here, _)| *here == rule.resource) else { continue };
        let rule = AccessRule { resource: there.clone(), ..rule.clone() };
        let counterpart = target.rules.iter().find(|other| key(other) == key(&rule));
        compared.insert((rule.subject.clone(), rule.policy.clone(), rule.resource.clone()));
        drifts.extend(between(&rule, counterpart, is_known(target, &rule.subject)));
    }
    for rule in &target.rules {
        let is_compared = compared.contains(&(rule.subject.clone(), rule.policy.clone(), rule.resource.clone()));
        if !is_compared && resources.iter().any(|(_, there)| *there == rule.resource) {
            drifts.push(drift(rule, "-".to_owned(), rule.shown(), None, "rules are never deleted"));
        }
    }
    drifts
}

fn key(rule: &AccessRule) -> (&str, &str, &str) {
    (&rule.subject, &rule.policy, &rule.resource)
}

fn is_known(access: &Access, subject: &str) -> bool {
    subject.strip_prefix("User:").is_some_and(|user| access.users.contains(user))
}

/// The difference between a rule and its counterpart at the target.
fn between(source: &AccessRule, target: Option<&AccessRule>, is_known: bool) -> Option<Drift> {
    if target.is_some_and(|target| target == source) {
        return None;
    }
    let shown = target.map_or_else(|| "-".to_owned(), AccessRule::shown);
    if !is_known {
        let why = format!("{} does not exist at the target", source.subject);
        return Some(drift(source, source.shown(), shown, None, &why));
    }
    let (narrowed, hindrance) = match target {
        None if source.allows => (None, WIDENS),
        None => (Some(source.clone()), ""),
        Some(target) => match narrow(source, target) {
            Some(rule) if rule == *target => (None, WIDENS),
            // What the source allows beyond it stays different.
            Some(rule) => (Some(rule), ""),
            None => (None, "nothing of the target's rule may stay, and rules are never deleted"),
        },
    };
    Some(drift(source, source.shown(), shown, narrowed, hindrance))
}

/// The rule that gives no right that one of two rules does not give, and takes every one that either takes. `None` if it would have to give nothing.
fn narrow(source: &AccessRule, target: &AccessRule) -> Option<AccessRule> {
    match (source.allows, target.allows) {
        (true, true) => {
            let actions = common_actions(&source.actions, &target.actions);
            let source_ips = common_addresses(&source.source_ips, &target.source_ips)?;
            (!actions.is_empty()).then(|| AccessRule { actions, source_ips, ..target.clone() })
        }
        // A denial stays; one that is new takes the place of what was allowed.
        (true, false) => Some(target.clone()),
        (false, true) => Some(source.clone()),
        (false, false) => {
            let actions = target.actions.union(&source.actions).cloned().collect();
            let anywhere = source.source_ips.is_empty() || target.source_ips.is_empty();
            let source_ips = if anywhere { BTreeSet::new() } else { target.source_ips.union(&source.source_ips).cloned().collect() };
            Some(AccessRule { actions, source_ips, ..target.clone() })
        }
    }
}

/// `All` stands for every action.
fn common_actions(left: &BTreeSet<String>, right: &BTreeSet<String>) -> BTreeSet<String> {
    match (left.contains("All"), right.contains("All")) {
        (true, _) => right.clone(),
        (_, true) => left.clone(),
        _ => left.intersection(right).cloned().collect(),
    }
}

/// No address stands for all, so `None` is that there is none in common. Ranges are compared by their text: what is not written alike is not in common.
fn common_addresses(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    match (left.is_empty(), right.is_empty()) {
        (true, _) => Some(right.clone()),
        (_, true) => Some(left.clone()),
        _ => Some(left.intersection(right).cloned().collect::<BTreeSet<_>>()).filter(|common| !common.is_empty()),
    }
}

fn drift(rule: &AccessRule, source: String, target: String, remedy: Option<AccessRule>, hindrance: &str) -> Drift {
    let difference = Difference { setting: "rule".to_owned(), source, target, hindrance: hindrance.to_owned() };
    Drift {
        kind: Kind::Rule,
        name: format!("{} {}", rule.subject, rule.resource),
        differences: vec![difference],
        remedy: remedy.map(Remedy::Rule),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn rule(user: &str, actions: &[&str], ips: &[&str], allows: bool) -> AccessRule {
        AccessRule {
            subject: format!("User:{user}"),
            policy: "Custom".into(),
            resource: "Topic:orders".into(),
            actions: texts(actions),
            source_ips: texts(ips),
            allows,
        }
    }

    fn compared(source: &[&AccessRule], target: &[&AccessRule]) -> Vec<Drift> {
        let access = |rules: &[&AccessRule]| Access { users: texts(&["clerk"]), rules: rules.iter().copied().cloned().collect() };
        compare(&access(source), &access(target), &[("Topic:orders".to_owned(), "Topic:orders".to_owned())])
    }

    fn remedies(source: &[&AccessRule], target: &[&AccessRule]) -> Vec<Option<AccessRule>> {
        let rule = |drift: Drift| drift.remedy.map(|remedy| if let Remedy::Rule(rule) = remedy { rule } else { panic!("{remedy:?}") });
        compared(source, target).into_iter().map(rule).collect()
    }

    /// *Scenario*: rules that are equal, missing, wider and narrower at the target; a user that the target does not have. *Guarantees*: only what narrows is done, the
    /// rest is said with the reason.
    #[test]
    fn rights_are_only_narrowed() {
        let both = rule("clerk", &["Pub", "Sub"], &["10.0.0.1"], true);
        assert_eq!(compared(&[&both], &[&both]), []);
        let wide = rule("clerk", &["All"], &[], true);
        assert_eq!(remedies(&[&both], &[&wide]), [Some(both.clone())]);
        assert_eq!(remedies(&[&wide], &[&both]), [None]);
        let said = compared(&[&wide], &[]);
        assert!(said[0].remedy.is_none() && said[0].differences[0].hindrance == WIDENS, "{said:?}");
        let stranger = rule("stranger", &["Sub"], &[], false);
        let said = compared(&[&stranger], &[]);
        assert!(said[0].remedy.is_none() && said[0].differences[0].hindrance.contains("User:stranger does not exist"), "{said:?}");
        let denied = rule("clerk", &["Sub"], &[], false);
        assert_eq!(remedies(&[&denied], &[]), [Some(denied.clone())]);
        assert_eq!(remedies(&[&denied], &[&both]), [Some(denied.clone())]);
        assert_eq!(remedies(&[&both], &[&denied]), [None]);
        assert_eq!(remedies(&[], &[&both]), [None]);
        // Addresses that have nothing in common would become none, which stands for all.
        let elsewhere = AccessRule { source_ips: texts(&["10.0.0.2"]), ..both.clone() };
        assert_eq!(remedies(&[&elsewhere], &[&both]), [None]);
    }

    /// *Scenario*: rules about other resources, and a topic that is called otherwise at the target. *Guarantees*: only what the route is about is compared, under the
    /// target's name.
    #[test]
    fn only_what_the_route_is_about_is_compared() {
        let here = rule("clerk", &["Sub"], &[], false);
        let other = AccessRule { resource: "Topic:invoices".into(), ..here.clone() };
        let source = Access { users: BTreeSet::new(), rules: vec![here.clone(), other.clone()] };
        let target = Access { users: texts(&["clerk"]), rules: vec![other] };
        let drifts = compare(&source, &target, &[("Topic:orders".to_owned(), "Topic:dr.orders".to_owned())]);
        let expected = AccessRule { resource: "Topic:dr.orders".into(), ..here };
        assert_eq!(drifts.len(), 1);
        assert_eq!(drifts[0].remedy, Some(Remedy::Rule(expected)));
    }

    /// Whether a rule lets an action from an address be done, if it is asked at all; `None` if it does not decide.
    fn decides(rule: &AccessRule, action: &str, address: &str) -> Option<bool> {
        let is_about = rule.actions.contains(action) || rule.actions.contains("All");
        let is_from = rule.source_ips.is_empty() || rule.source_ips.contains(address);
        (is_about && is_from).then_some(rule.allows)
    }

    fn any_rule() -> impl Strategy<Value = AccessRule> {
        let actions = proptest::collection::btree_set(proptest::sample::select(vec!["Pub", "Sub", "Get", "All"]), 1..4);
        let ips = proptest::collection::btree_set(proptest::sample::select(vec!["10.0.0.1", "10.0.0.2", "10.0.0.3"]), 0..3);
        (actions, ips, any::<bool>()).prop_map(|(actions, ips, allows)| {
            rule("clerk", &actions.into_iter().collect::<Vec<_>>(), &ips.into_iter().collect::<Vec<_>>(), allows)
        })
    }

    proptest! {
        /// *Scenario*: any two rules. *Guarantees*: what is set at the target allows nothing that the target's rule did not allow, nothing that the source's does not
        /// allow, and denies all that either denied.
        #[test]
        fn no_right_is_ever_widened(source in any_rule(), target in any_rule()) {
            for remedy in remedies(&[&source], &[&target]).into_iter().flatten() {
                for action in ["Pub", "Sub", "Get", "List"] {
                    for address in ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.9.9"] {
                        let (now, before, wanted) =
                            (decides(&remedy, action, address), decides(&target, action, address), decides(&source, action, address));
                        if now == Some(true) {
                            prop_assert_eq!((before, wanted), (Some(true), Some(true)), "{:?}", remedy);
                        }
                        if before == Some(false) {
                            prop_assert_eq!(now, Some(false), "{:?}", remedy);
                        }
                    }
                }
            }
        }
    }
}
