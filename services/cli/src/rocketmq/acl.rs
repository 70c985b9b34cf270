//! `rocketbridge rocketmq acl`.

use clap::Subcommand;
use rocketbridge_rocketmq_admin::{Administration, Rule, User};
use serde_json::{Value, json};

use super::{Instance, administer};
use crate::failure::Failure;
use crate::output::{Console, Format, Table};

/// What `acl` takes.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// List users and rules of access control (ACL 2.0, RocketMQ 5.3 and later)
    List(ListArguments),
}

/// What `acl list` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
}

/// Does what the verb says.
pub async fn run(verb: &Verb, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let Verb::List(arguments) = verb;
    let (users, rules) = administer(&arguments.instance, async |administration: &Administration| {
        Ok((administration.users().await?, administration.rules().await?))
    })
    .await?;
    match format {
        Format::Table if users.is_empty() && rules.is_empty() => console.remark("there are no users and no rules that all brokers have"),
        Format::Table => console.result(show(&users, &rules))?,
        Format::Json | Format::Yaml => console.document(format, &document(&users, &rules))?,
    }
    Ok(())
}

fn show(users: &[User], rules: &[Rule]) -> String {
    let mut accounts = Table::new(["USER", "KIND", "STATUS"]);
    for user in users {
        accounts.row([user.name.clone(), user.kind.clone(), user.status.clone()]);
    }
    let joined = |texts: &std::collections::BTreeSet<String>| texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut table = Table::new(["SUBJECT", "DECISION", "RESOURCE", "ACTIONS", "FROM"]);
    for rule in rules {
        let resource = if rule.policy == "Default" { format!("{} (default)", rule.resource) } else { rule.resource.clone() };
        let from = if rule.source_ips.is_empty() { "anywhere".to_owned() } else { joined(&rule.source_ips) };
        table.row([rule.subject.clone(), rule.decision.clone(), resource, joined(&rule.actions), from]);
    }
    if rules.is_empty() { accounts.to_string() } else { format!("{accounts}\n{table}") }
}

fn document(users: &[User], rules: &[Rule]) -> Value {
    let users = users.iter().map(|user| json!({ "user": user.name, "kind": user.kind, "status": user.status }));
    let rules = rules.iter().map(|rule| {
        json!({
            "subject": rule.subject,
            "policy": rule.policy,
            "resource": rule.resource,
            "actions": rule.actions,
            "source_ips": rule.source_ips,
            "decision": rule.decision,
        })
    });
    json!({ "users": users.collect::<Value>(), "rules": rules.collect::<Value>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_rules_are_shown() {
        let users = [User { name: "clerk".into(), kind: "Normal".into(), status: "enable".into() }];
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let rule = Rule {
            subject: "User:clerk".into(),
            policy: "Custom".into(),
            resource: "Topic:orders*".into(),
            actions: texts(&["Pub", "Sub"]),
            source_ips: texts(&[]),
            decision: "Allow".into(),
        };
        let near = Rule { policy: "Default".into(), source_ips: texts(&["10.0.0.0/8"]), decision: "Deny".into(), ..rule.clone() };
        assert_eq!(
            show(&users, &[rule, near]),
            "USER    KIND     STATUS\n\
             clerk   Normal   enable\n\n\
             SUBJECT      DECISION   RESOURCE                  ACTIONS    FROM\n\
             User:clerk   Allow      Topic:orders*             Pub, Sub   anywhere\n\
             User:clerk   Deny       Topic:orders* (default)   Pub, Sub   10.0.0.0/8\n"
        );
        assert_eq!(show(&users, &[]), "USER    KIND     STATUS\nclerk   Normal   enable\n");
        assert_eq!(document(&users, &[])["users"][0]["kind"], "Normal");
    }
}
