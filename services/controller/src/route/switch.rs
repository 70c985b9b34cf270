//! Fail-over of a route, and back: the steps, in order, and where they stand. Pure.
//!
//! Every step is a condition that is looked at anew each time, so that whoever asks again goes on where it stands, whatever died meanwhile. The order makes sure that nothing is lost: groups stop where
//! they are; then all that was stored there is copied; then progress is translated for the last time, exactly, because all is there; only then is the other end in use.

use std::collections::BTreeMap;

use rocketbridge_model::record::Active;

use super::translate::shown;

/// Above so many messages that are still to be copied, groups need not stop yet.
const NEAR: u64 = 1_000;

/// Which way users go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// From `from` to `to`.
    Failover,
    /// And back.
    Failback,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The other end is there, and nearly all is copied to it.
    Reach,
    /// No group consumes any more at the end that is left.
    Stop,
    /// All that the end that is left held is at the other.
    Copy,
    /// The progress of groups is at the other end.
    Translate,
    /// The other end is in use.
    Turn,
    /// The streams are as they should be then.
    Settle,
}

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is done; perhaps with something that is to be known, for people.
    Done(String),
    /// It takes its time, for a reason, for people.
    Waiting(String),
    /// It would lose or repeat messages: the reason and the way out, for people.
    Refused(String),
    /// The steps before it come first.
    Planned,
}

/// What is known of a route when its steps are looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Which end is in use.
    pub active: Active,
    /// What the definition calls the end that is left, and the other.
    pub ends: [String; 2],
    /// Why each does not answer, for people.
    pub silent: [Option<String>; 2],
    /// Topics that have no stream this way yet.
    pub missing: Vec<String>,
    /// Who consumes at the end that is left, by group; or why nobody knows, for people.
    pub consuming: Result<BTreeMap<String, Vec<String>>, String>,
    /// Messages of the end that is left that the other does not hold, as far as is known; `None` for not known.
    pub uncopied: Option<u64>,
    /// Progress that is not set at the other end, each with the reason, for people.
    pub unsettled: Vec<String>,
    /// Most messages that groups read again at the other end; `None` if the route selects groups and the progress of none is known.
    pub repeated: Option<u64>,
    /// Streams that are not yet as they should be when the other end is in use.
    pub unready: Vec<String>,
}

impl Verb {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Failback => "failback",
        }
    }

    /// Which end is in use before it, while it is under way, and after it.
    pub fn stages(self) -> [Active; 3] {
        match self {
            Self::Failover => [Active::From, Active::FailingOver, Active::To],
            Self::Failback => [Active::To, Active::FailingBack, Active::From],
        }
    }
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [Self::Reach, Self::Stop, Self::Copy, Self::Translate, Self::Turn, Self::Settle];

    /// What it does, for people.
    pub fn text(self, verb: Verb, [left, other]: &[String; 2]) -> String {
        match self {
            Self::Reach => format!("{other} is there, and holds nearly all that {left} holds"),
            Self::Stop => format!("no group of the route consumes at {left}"),
            Self::Copy => format!("{other} holds all that {left} holds"),
            Self::Translate => format!("the progress of groups is at {other}"),
            Self::Turn => format!("{other} is in use"),
            Self::Settle if verb == Verb::Failover => format!("streams from {left} to {other} are paused and drained"),
            Self::Settle => format!("streams from {other} to {left} run"),
        }
    }
}

/// Where the steps stand. Behind the first that is not done, all are planned. `force`: what would be lost or repeated is accepted.
pub fn steps(verb: Verb, facts: &Facts, force: bool) -> Vec<(Step, Standing)> {
    let is_turned = facts.active == verb.stages()[2];
    let mut steps: Vec<(Step, Standing)> = Vec::new();
    for step in Step::ALL {
        let is_open = steps.iter().any(|(_, standing)| !matches!(standing, Standing::Done(_)));
        let standing = match step {
            _ if is_open => Standing::Planned,
            Step::Settle => waiting_for(&facts.unready),
            _ if is_turned => Standing::Done(String::new()),
            Step::Reach => reach(facts),
            Step::Stop => stop(verb, facts, force),
            Step::Copy => copy(verb, facts, force),
            Step::Translate => translate(facts, force),
            Step::Turn => Standing::Planned,
        };
        steps.push((step, standing));
    }
    steps
}

fn reach(facts: &Facts) -> Standing {
    let [left, other] = &facts.ends;
    if let Some(reason) = &facts.silent[1] {
        return Standing::Refused(format!("{other} does not answer: {reason}; bring it back, and ask again"));
    }
    if facts.silent[0].is_some() {
        return Standing::Done(String::new());
    }
    if !facts.missing.is_empty() {
        return Standing::Waiting(format!("streams are made for topics {}", shown(&facts.missing)));
    }
    match facts.uncopied {
        Some(uncopied) if uncopied > NEAR => {
            Standing::Waiting(format!("{uncopied} messages are still to be copied from {left}; consumers may go on meanwhile"))
        }
        _ => Standing::Done(String::new()),
    }
}

fn stop(verb: Verb, facts: &Facts, force: bool) -> Standing {
    let left = &facts.ends[0];
    if let Some(reason) = &facts.silent[0] {
        return Standing::Done(format!("{left} does not answer, so who consumes there is not known: {reason}"));
    }
    let found = match &facts.consuming {
        Ok(consuming) if consuming.is_empty() => return Standing::Done(String::new()),
        Ok(consuming) => {
            let groups: Vec<_> = consuming.iter().map(|(group, clients)| format!("group {group} ({})", shown(clients))).collect();
            format!("{} still consumes at {left}", shown(&groups))
        }
        Err(reason) => format!("who consumes at {left} is not known: {reason}"),
    };
    match force {
        true => Standing::Done(found),
        false => Standing::Refused(format!(
            "{found}; what it reads from now on would be read again. Stop its consumers and producers there, and ask again; {} --force accepts the repeats",
            verb.word()
        )),
    }
}

fn copy(verb: Verb, facts: &Facts, force: bool) -> Standing {
    let [left, other] = &facts.ends;
    let uncopied = match facts.uncopied {
        Some(0) => None,
        Some(count) => Some(format!("{count} messages of {left} are not at {other}")),
        None => Some(format!("how many messages of {left} are not at {other} is not known")),
    };
    if facts.silent[0].is_none() {
        return match uncopied {
            None => Standing::Done(String::new()),
            Some(uncopied) if force => Standing::Done(format!("{uncopied}; they arrive once its streams run")),
            Some(uncopied) => Standing::Waiting(format!("{uncopied} yet; while producers write to {left}, more come")),
        };
    }
    let known = uncopied.unwrap_or_else(|| format!("all messages that {left} is known to have held are at {other}"));
    let repeats = match facts.repeated {
        Some(repeated) => format!("At most {repeated} messages are read again"),
        None => format!("No progress of its groups is known at {other}: they begin where their clients say, which may lose messages"),
    };
    let found = format!("{left} is gone: {known}; what it took after it last answered is not known. {repeats}");
    match force || (facts.uncopied == Some(0) && facts.repeated == Some(0)) {
        true => Standing::Done(found),
        false => Standing::Refused(format!("{found}. Bring {left} back, or accept this with {} --force", verb.word())),
    }
}

fn translate(facts: &Facts, force: bool) -> Standing {
    let found = shown(&facts.unsettled);
    match facts.unsettled.is_empty() {
        true => Standing::Done(String::new()),
        false if force || facts.silent[0].is_some() => Standing::Done(found),
        false => Standing::Waiting(found),
    }
}

fn waiting_for(streams: &[String]) -> Standing {
    match streams.is_empty() {
        true => Standing::Done(String::new()),
        false => Standing::Waiting(shown(streams)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            active: Active::From,
            ends: ["east".into(), "west".into()],
            silent: [None, None],
            missing: Vec::new(),
            consuming: Ok(BTreeMap::new()),
            uncopied: Some(0),
            unsettled: Vec::new(),
            repeated: Some(0),
            unready: Vec::new(),
        }
    }

    /// The first step that is not done, and what is said of it.
    fn open(verb: Verb, facts: &Facts, force: bool) -> Option<(Step, Standing)> {
        let steps = steps(verb, facts, force);
        assert_eq!(steps.iter().map(|(step, _)| *step).collect::<Vec<_>>(), Step::ALL);
        let first = steps.iter().position(|(_, standing)| !matches!(standing, Standing::Done(_)))?;
        assert!(steps[first + 1..].iter().all(|(_, standing)| *standing == Standing::Planned), "{steps:?}");
        Some(steps[first].clone())
    }

    fn said(verb: Verb, facts: &Facts, force: bool) -> (Option<Step>, String) {
        match open(verb, facts, force) {
            None => (None, String::new()),
            Some((step, Standing::Waiting(text))) => (Some(step), format!("waits: {text}")),
            Some((step, Standing::Refused(text))) => (Some(step), format!("refused: {text}")),
            Some((step, _)) => (Some(step), "planned".into()),
        }
    }

    /// *Scenario*: a drill in which each condition is not met in turn, then all are, then the route has turned and its streams drain. *Guarantees*: each step waits or is refused for its own reason, in the order
    /// that loses nothing; a route that has turned is not asked about consumers again.
    #[test]
    fn a_drill_goes_step_by_step() {
        let consuming = Ok(BTreeMap::from([("billing".to_owned(), vec!["c-1".to_owned()])]));
        let all = Facts {
            missing: vec!["orders".into()],
            consuming: consuming.clone(),
            uncopied: Some(5_000),
            unsettled: vec!["group billing: behind".into()],
            unready: vec!["route.dr.orders".into()],
            ..facts()
        };
        let failover = |facts: &Facts| said(Verb::Failover, facts, false);
        assert_eq!(failover(&Facts { silent: [None, Some("no answer".into())], ..all.clone() }).0, Some(Step::Reach));
        assert_eq!(failover(&all), (Some(Step::Reach), "waits: streams are made for topics orders".into()));
        let made = Facts { missing: Vec::new(), ..all };
        assert!(failover(&made).1.contains("5000 messages are still to be copied from east; consumers may go on"), "{:?}", failover(&made));
        let near = Facts { uncopied: Some(10), ..made };
        let (step, text) = failover(&near);
        assert_eq!(step, Some(Step::Stop));
        assert!(text.starts_with("refused: group billing (c-1) still consumes at east") && text.contains("--force"), "{text}");
        let quiet = Facts { consuming: Ok(BTreeMap::new()), ..near };
        assert_eq!(failover(&quiet).0, Some(Step::Copy));
        assert!(failover(&quiet).1.starts_with("waits: 10 messages of east are not at west"));
        let copied = Facts { uncopied: Some(0), ..quiet };
        assert_eq!(failover(&copied), (Some(Step::Translate), "waits: group billing: behind".into()));
        let translated = Facts { unsettled: Vec::new(), ..copied };
        assert_eq!(failover(&translated), (Some(Step::Turn), "planned".into()));
        let turned = Facts { active: Active::To, consuming, uncopied: Some(7), ..translated };
        assert_eq!(failover(&turned), (Some(Step::Settle), "waits: route.dr.orders".into()));
        let done = Facts { unready: Vec::new(), ..turned };
        assert_eq!(failover(&done), (None, String::new()));
        assert_eq!(said(Verb::Failback, &Facts { active: Active::From, ..done.clone() }, false), (None, String::new()));
        assert_eq!(said(Verb::Failback, &done, false).0, Some(Step::Stop), "to go back is to begin anew");
    }

    /// *Scenario*: the end that is left is dead, with messages that were not copied, with none, and with repeats only. *Guarantees*: nothing is lost or repeated without `force`, and how much it is at most is said;
    /// where nothing can be, none is needed.
    #[test]
    fn a_dead_end_is_left_by_force_only() {
        let dead = Facts { silent: [Some("no answer within 5 s".into()), None], consuming: Err("no answer".into()), ..facts() };
        let lossy = Facts { uncopied: Some(12), repeated: Some(34), ..dead.clone() };
        let (step, text) = said(Verb::Failover, &lossy, false);
        assert_eq!(step, Some(Step::Copy));
        for part in ["refused: east is gone: 12 messages of east are not at west", "At most 34 messages are read again", "--force"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let unknown = Facts { uncopied: None, ..dead.clone() };
        assert!(said(Verb::Failover, &unknown, false).1.contains("how many messages of east are not at west is not known"));
        assert_eq!(said(Verb::Failover, &Facts { repeated: Some(1), ..dead.clone() }, false).0, Some(Step::Copy));
        let (step, text) = said(Verb::Failover, &Facts { repeated: None, ..dead.clone() }, false);
        assert_eq!(step, Some(Step::Copy), "a group whose progress was never translated would begin at the end");
        assert!(text.contains("No progress of its groups is known at west"), "{text}");
        let unsettled = vec!["group billing: east does not answer".to_owned()];
        for forced in [lossy, unknown] {
            assert_eq!(said(Verb::Failover, &Facts { unsettled: unsettled.clone(), ..forced }, true).0, Some(Step::Turn));
        }
        assert_eq!(said(Verb::Failover, &Facts { unsettled, ..dead }, false).0, Some(Step::Turn));
    }

    /// *Scenario*: consumers go on, messages are not copied, progress is not set, at an end that answers, with `force`. *Guarantees*: it goes on, and each step says what that means.
    #[test]
    fn force_goes_on_and_says_what_it_means() {
        let consuming = Ok(BTreeMap::from([("billing".to_owned(), vec!["c-1".to_owned()])]));
        let facts = Facts { consuming, uncopied: Some(9), unsettled: vec!["group billing: behind".into()], ..facts() };
        let steps = steps(Verb::Failover, &facts, true);
        let said: Vec<_> =
            steps.iter().filter_map(|(_, standing)| if let Standing::Done(text) = standing { Some(text.as_str()) } else { None }).collect();
        assert_eq!(said.len(), 4, "{steps:?}");
        assert!(
            said[1].contains("still consumes") && said[2].contains("9 messages of east are not at west") && said[3].contains("behind"),
            "{said:?}"
        );
        let unreached = Facts { silent: [None, Some("gone".into())], ..facts };
        assert_eq!(open(Verb::Failover, &unreached, true).map(|(step, _)| step), Some(Step::Reach), "no force makes the other end answer");
    }
}
