//! Access control: users and rules (ACL 2.0, RocketMQ 5.3 and later), and accounts of 4.x, which can be set but not read.
//!
//! Each broker keeps its own; what is set is set at all masters.

use std::collections::BTreeSet;

use rocketbridge_connector::Error;
use rocketbridge_connector_rocketmq::Account;
use rocketbridge_model::Secret;
use rocketmq_client_rust::AuthAdmin;
use rocketmq_protocol::protocol::body::acl_info::{AclInfo, PolicyEntryInfo};
use rocketmq_protocol::protocol::body::user_info::UserInfo;

use crate::administration::Administration;

/// A user. Passwords are never read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    /// The name, which is the access key.
    pub name: String,
    /// `Super` or `Normal`.
    pub kind: String,
    /// `enable` or `disable`.
    pub status: String,
}

/// What a subject may or may not do with a resource: one entry of a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Whom it is about: `User:NAME`.
    pub subject: String,
    /// `Custom`, or `Default`, which decides where no custom rule does.
    pub policy: String,
    /// What it is about: `Topic:orders`, `Group:billing*`, `*`.
    pub resource: String,
    /// `Pub`, `Sub`, `Create`, `Update`, `Delete`, `Get`, `List`, `All`.
    pub actions: BTreeSet<String>,
    /// Addresses that requests come from, with masks; empty for all.
    pub source_ips: BTreeSet<String>,
    /// `Allow` or `Deny`.
    pub decision: String,
}

impl Administration {
    /// The users that every master has, sorted.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses: RocketMQ 4.x knows no users, and 5.x none without access control.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        let list = |relay: String| AuthAdmin::list_users(&self.library, relay.into(), "".into());
        let lists = self.at_masters("list the users of access control", list).await?;
        Ok(everywhere(lists.into_values().map(|users| users.iter().map(user).collect())))
    }

    /// Makes a user at all masters. `kind` is `Super` or `Normal`.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses: the user is there, or the kind is none.
    pub async fn create_user(&self, name: &str, password: &Secret, kind: &str) -> Result<(), Error> {
        let create =
            |relay: String| AuthAdmin::create_user(&self.library, relay.into(), name.into(), password.expose().into(), kind.into());
        self.at_masters(&format!("create user {name}"), create).await.map(drop)
    }

    /// Changes a user's kind and status (`enable` or `disable`) at all masters; the password if there is one.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn update_user(&self, user: &User, password: Option<&Secret>) -> Result<(), Error> {
        let password = password.map(Secret::expose).unwrap_or_default();
        let update = |relay: String| {
            let (kind, status) = (user.kind.as_str().into(), user.status.as_str().into());
            AuthAdmin::update_user(&self.library, relay.into(), user.name.as_str().into(), password.into(), kind, status)
        };
        self.at_masters(&format!("change user {}", user.name), update).await.map(drop)
    }

    /// Removes a user from all masters.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn delete_user(&self, name: &str) -> Result<(), Error> {
        let delete = |relay: String| AuthAdmin::delete_user(&self.library, relay.into(), name.into());
        self.at_masters(&format!("delete user {name}"), delete).await.map(drop)
    }

    /// The rules that every master has, sorted.
    ///
    /// # Errors
    ///
    /// As for [`users`](Self::users).
    pub async fn rules(&self) -> Result<Vec<Rule>, Error> {
        let list = |relay: String| AuthAdmin::list_acl(&self.library, relay.into(), "".into(), "".into());
        let lists = self.at_masters("list the rules of access control", list).await?;
        Ok(everywhere(lists.into_values().map(|subjects| subjects.iter().flat_map(rules).collect())))
    }

    /// Adds a rule to what its subject has, at all masters; a rule of the same policy and resource is replaced.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses: there is no such user, or an action is none.
    pub async fn set_rule(&self, rule: &Rule) -> Result<(), Error> {
        let attempt = format!("set the rule of {} for {}", rule.subject, rule.resource);
        let has_rules = self.rules().await?.iter().any(|there| there.subject == rule.subject);
        let texts = |texts: &BTreeSet<String>| texts.iter().map(|text| text.as_str().into()).collect();
        let set = |relay: String| {
            let (subject, resources) = (rule.subject.as_str().into(), vec![rule.resource.as_str().into()]);
            let (actions, source_ips, decision) = (texts(&rule.actions), texts(&rule.source_ips), rule.decision.as_str().into());
            async move {
                match has_rules {
                    true => AuthAdmin::update_acl(&self.library, relay.into(), subject, resources, actions, source_ips, decision).await,
                    false => AuthAdmin::create_acl(&self.library, relay.into(), subject, resources, actions, source_ips, decision).await,
                }
            }
        };
        self.at_masters(&attempt, set).await.map(drop)
    }

    /// Removes a subject's custom rule for a resource from all masters.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn delete_rule(&self, subject: &str, resource: &str) -> Result<(), Error> {
        let delete = |relay: String| AuthAdmin::delete_acl(&self.library, relay.into(), subject.into(), resource.into());
        self.at_masters(&format!("delete the rule of {subject} for {resource}"), delete).await.map(drop)
    }

    /// Makes or changes an account of 4.x at all masters. Through our own client: brokers of 4.9 do not read the form that the library writes it in.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses: 5.3 and later have users and rules instead.
    pub async fn set_account(&self, account: &Account) -> Result<(), Error> {
        self.admin.set_account(account).await
    }

    /// Removes an account of 4.x from all masters, through our own client.
    ///
    /// # Errors
    ///
    /// A master cannot be reached or refuses.
    pub async fn delete_account(&self, access_key: &str) -> Result<(), Error> {
        self.admin.delete_account(access_key).await
    }
}

/// What every broker has, sorted.
fn everywhere<T: Ord>(lists: impl Iterator<Item = BTreeSet<T>>) -> Vec<T> {
    let common = lists.reduce(|common, list| common.into_iter().filter(|one| list.contains(one)).collect());
    common.unwrap_or_default().into_iter().collect()
}

fn user(info: &UserInfo) -> User {
    let text = |value: &Option<_>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    User { name: text(&info.username), kind: text(&info.user_type), status: text(&info.user_status) }
}

fn rules(info: &AclInfo) -> Vec<Rule> {
    let subject = info.subject.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut rules = Vec::new();
    for policy in info.policies.iter().flatten() {
        let policy_type = policy.policy_type.as_ref().map(ToString::to_string).unwrap_or_default();
        rules.extend(policy.entries.iter().flatten().map(|entry| rule(&subject, &policy_type, entry)));
    }
    rules
}

fn rule(subject: &str, policy: &str, entry: &PolicyEntryInfo) -> Rule {
    Rule {
        subject: subject.to_owned(),
        policy: policy.to_owned(),
        resource: entry.resource.as_ref().map(ToString::to_string).unwrap_or_default(),
        actions: entry.actions.iter().flatten().map(ToString::to_string).collect(),
        source_ips: entry.source_ips.iter().flatten().map(ToString::to_string).collect(),
        decision: entry.decision.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}
