//! What of a route's ends is kept alike beside the messages: topics, groups, rules of access control.

use serde::{Deserialize, Serialize};

/// What is done where the ends of a route are set up differently, as the user wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncDefinition {
    /// `apply`, `report` (default) or `off`, for topics.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub topics: String,
    /// `apply`, `report` (default) or `off`, for subscription groups.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub groups: String,
    /// `apply`, `report` or `off` (default), for rules of access control.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub acl: String,
}

/// What is done with a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// Nobody looks.
    Off,
    /// It is shown.
    #[default]
    Report,
    /// It is ended where that takes nothing away and widens no rights; else it is shown.
    Apply,
}

/// What is done with differences of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Of topics.
    pub topics: Handling,
    /// Of subscription groups.
    pub groups: Handling,
    /// Of rules of access control.
    pub acl: Handling,
}

impl SyncDefinition {
    /// What may be written.
    pub const CHOICES: [&str; 3] = ["apply", "report", "off"];
}

impl Handling {
    /// What a text means; anything else than a choice is taken as nothing written.
    fn of(text: &str, unsaid: Self) -> Self {
        match text {
            "apply" => Self::Apply,
            "report" => Self::Report,
            "off" => Self::Off,
            _ => unsaid,
        }
    }
}

impl Sync {
    /// What a definition wants; `None` is what nobody wrote.
    pub fn of(definition: Option<&SyncDefinition>) -> Self {
        let text = |field: fn(&SyncDefinition) -> &String| definition.map_or("", |definition| field(definition).as_str());
        Self {
            topics: Handling::of(text(|sync| &sync.topics), Handling::Report),
            groups: Handling::of(text(|sync| &sync.groups), Handling::Report),
            acl: Handling::of(text(|sync| &sync.acl), Handling::Off),
        }
    }

    /// Whether nobody looks at anything.
    pub fn is_off(&self) -> bool {
        [self.topics, self.groups, self.acl].iter().all(|handling| *handling == Handling::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_is_reported_and_acl_is_left_alone() {
        let unsaid = Sync { topics: Handling::Report, groups: Handling::Report, acl: Handling::Off };
        assert_eq!((Sync::of(None), Sync::of(Some(&SyncDefinition::default()))), (unsaid, unsaid));
        let written = SyncDefinition { topics: "apply".into(), groups: "off".into(), acl: "report".into() };
        let wanted = Sync { topics: Handling::Apply, groups: Handling::Off, acl: Handling::Report };
        assert_eq!(Sync::of(Some(&written)), wanted);
        let off = SyncDefinition { topics: "off".into(), groups: "off".into(), acl: String::new() };
        assert!(Sync::of(Some(&off)).is_off() && !wanted.is_off());
    }
}
