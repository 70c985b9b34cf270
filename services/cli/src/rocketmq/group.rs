//! `rocketbridge rocketmq groups`, `describe-group` and `reset-offset`.

use std::collections::BTreeMap;

use rocketbridge_model::resolved::StartPosition;
use rocketbridge_rocketmq_admin::{Administration, GroupMembers, GroupProgress, GroupSettings, QueueReset};
use serde_json::{Value, json};

use super::Instance;
use super::administer;
use super::tail::position;
use crate::failure::Failure;
use crate::output::table::{counted, grouped};
use crate::output::{Console, Format, Table};

/// How each group is set up, by the group, then by the broker.
type Groups = BTreeMap<String, BTreeMap<String, GroupSettings>>;

/// What `groups` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ListArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// Also RocketMQ's own groups
    #[arg(long)]
    all: bool,
}

/// What `describe-group` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct DescribeArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The group
    name: String,
}

/// What `reset-offset` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct ResetArguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The group
    #[arg(long)]
    group: String,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Where the group begins: earliest, latest, or a time, RFC 3339 or milliseconds since 1970
    #[arg(long, value_name = "POSITION", value_parser = position)]
    to: StartPosition,
    /// Only show what would be changed
    #[arg(long)]
    dry_run: bool,
}

/// Lists subscription groups.
pub async fn list(arguments: &ListArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let (groups, masters) = administer(&arguments.instance, async |administration: &Administration| {
        Ok((administration.groups(arguments.all).await?, administration.masters().len()))
    })
    .await?;
    match format {
        Format::Table if groups.is_empty() => console.remark("there are no groups"),
        Format::Table => console.result(show_groups(&groups, masters))?,
        Format::Json | Format::Yaml => console.document(format, &groups_document(&groups))?,
    }
    Ok(())
}

/// Shows how far a group is, and who its members are.
pub async fn describe(arguments: &DescribeArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let group = &arguments.name;
    let (settings, progress, members) = administer(&arguments.instance, async |administration: &Administration| {
        let settings = administration.group(group).await?;
        if settings.is_empty() {
            return Ok((settings, GroupProgress::default(), GroupMembers::default()));
        }
        Ok((settings, administration.progress(group).await?, administration.members(group).await?))
    })
    .await?;
    if settings.is_empty() {
        return Err(Failure::Failed(format!("there is no group {group}; `rocketbridge rocketmq groups` lists those that there are")));
    }
    Ok(match format {
        Format::Table => console.result(show(group, &progress, &members)),
        Format::Json | Format::Yaml => console.document(format, &document(group, &settings, &progress, &members)),
    }?)
}

/// Lets a group begin elsewhere, or shows what that would change.
pub async fn reset(arguments: &ResetArguments, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let ResetArguments { instance, group, topic, to, dry_run } = arguments;
    let plan = administer(instance, async |administration: &Administration| {
        let plan = administration.plan_reset(group, topic, *to).await?;
        if !dry_run {
            administration.reset(group, topic, &plan).await?;
        }
        Ok(plan)
    })
    .await?;
    match format {
        Format::Table => console.result(show_reset(group, topic, &plan, *dry_run))?,
        Format::Json | Format::Yaml => console.document(format, &reset_document(group, topic, &plan, *dry_run))?,
    }
    Ok(())
}

/// A line for each way that a group is set up.
fn show_groups(groups: &Groups, masters: usize) -> String {
    let mut table = Table::new(["GROUP", "CONSUMES", "BROADCAST", "ORDERLY", "RETRIES", "RETRY QUEUES", "BROKERS"]).right(&[4, 5]);
    let answer = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    for (group, brokers) in groups {
        let mut ways: Vec<(&GroupSettings, Vec<&str>)> = Vec::new();
        for (broker, settings) in brokers {
            match ways.iter_mut().find(|(way, _)| *way == settings) {
                Some((_, names)) => names.push(broker),
                None => ways.push((settings, vec![broker])),
            }
        }
        for (settings, names) in ways {
            table.row([
                group.clone(),
                answer(settings.consume_enable),
                answer(settings.consume_broadcast_enable),
                settings.consume_message_orderly.map_or_else(|| "-".to_owned(), answer),
                settings.retry_max_times.to_string(),
                settings.retry_queue_nums.to_string(),
                if names.len() == masters { "all".to_owned() } else { names.join(", ") },
            ]);
        }
    }
    table.to_string()
}

fn groups_document(groups: &Groups) -> Value {
    let described = groups.iter().map(|(group, brokers)| json!({ "group": group, "brokers": brokers_document(brokers) }));
    described.collect()
}

fn brokers_document(brokers: &BTreeMap<String, GroupSettings>) -> Value {
    let settings = brokers.iter().map(|(broker, settings)| {
        json!({
            "broker": broker,
            "consume_enable": settings.consume_enable,
            "consume_broadcast_enable": settings.consume_broadcast_enable,
            "consume_message_orderly": settings.consume_message_orderly,
            "retry_queue_nums": settings.retry_queue_nums,
            "retry_max_times": settings.retry_max_times,
        })
    });
    settings.collect()
}

fn lag(progress: &GroupProgress) -> u64 {
    progress.queues.iter().map(|queue| queue.lag()).sum()
}

fn show(group: &str, progress: &GroupProgress, members: &GroupMembers) -> String {
    let mut queues = Table::new(["TOPIC", "BROKER", "QUEUE", "COMMITTED", "NEXT", "LAG"]).right(&[2, 3, 4, 5]);
    for queue in &progress.queues {
        queues.row([
            queue.topic.clone(),
            queue.broker.clone(),
            queue.queue.to_string(),
            grouped(queue.committed),
            grouped(queue.end),
            grouped(queue.lag()),
        ]);
    }
    let count = counted(members.members.len() as u64, "member");
    let mut text = format!("group/{group}   {count}   {} behind   {:.1}/s\n", counted(lag(progress), "message"), progress.tps);
    if !progress.queues.is_empty() {
        text += &format!("\n{queues}");
    }
    if !members.members.is_empty() {
        let mut table = Table::new(["MEMBER", "HOST", "LANGUAGE"]);
        for member in &members.members {
            table.row([member.client.clone(), member.host.clone(), member.language.clone()]);
        }
        text += &format!("\n{table}");
    }
    if !members.subscriptions.is_empty() {
        let mut table = Table::new(["SUBSCRIBES", "FILTER"]);
        for (topic, filter) in &members.subscriptions {
            table.row([topic.clone(), filter.clone()]);
        }
        text += &format!("\n{table}");
    }
    text
}

fn document(group: &str, settings: &BTreeMap<String, GroupSettings>, progress: &GroupProgress, members: &GroupMembers) -> Value {
    let queues = progress.queues.iter().map(|queue| {
        json!({
            "topic": queue.topic,
            "broker": queue.broker,
            "queue": queue.queue,
            "committed_offset": queue.committed,
            "next_offset": queue.end,
            "lag": queue.lag(),
        })
    });
    let members_of =
        members.members.iter().map(|member| json!({ "client": member.client, "host": member.host, "language": member.language }));
    json!({
        "group": group,
        "brokers": brokers_document(settings),
        "lag": lag(progress),
        "tps": progress.tps,
        "queues": queues.collect::<Value>(),
        "members": members_of.collect::<Value>(),
        "subscriptions": members.subscriptions,
    })
}

fn show_reset(group: &str, topic: &str, plan: &[QueueReset], is_dry: bool) -> String {
    let mut table = Table::new(["BROKER", "QUEUE", "COMMITTED", "BEGINS AT"]).right(&[1, 2, 3]);
    for reset in plan {
        let from = reset.from.map_or_else(|| "-".to_owned(), grouped);
        table.row([reset.queue.broker.clone(), reset.queue.id.to_string(), from, grouped(reset.to)]);
    }
    let done = if is_dry { "would begin elsewhere; nothing was changed" } else { "begins elsewhere" };
    format!("group/{group} in topic/{topic} {done}\n\n{table}")
}

fn reset_document(group: &str, topic: &str, plan: &[QueueReset], is_dry: bool) -> Value {
    let queues = plan.iter().map(
        |reset| json!({ "broker": reset.queue.broker, "queue": reset.queue.id, "committed_offset": reset.from, "begins_at": reset.to }),
    );
    json!({ "group": group, "topic": topic, "changed": !is_dry, "queues": queues.collect::<Value>() })
}

#[cfg(test)]
mod tests {
    use rocketbridge_connector_rocketmq::Queue;
    use rocketbridge_rocketmq_admin::{GroupMember, QueueLag};

    use super::*;

    /// *Scenario*: a group that is set up alike everywhere, one that is not, one of 4.x. *Guarantees*: a line for each way, which names the brokers where it matters.
    #[test]
    fn groups_are_shown_as_they_are_set_up() {
        let usual = GroupSettings::default();
        let orderly = GroupSettings { consume_message_orderly: Some(true), retry_max_times: 3, ..usual.clone() };
        let old = GroupSettings { consume_message_orderly: None, consume_enable: false, ..usual.clone() };
        let groups: Groups = [
            ("billing".to_owned(), [("a".to_owned(), usual.clone()), ("b".to_owned(), usual.clone())].into()),
            ("mixed".to_owned(), [("a".to_owned(), usual), ("b".to_owned(), orderly)].into()),
            ("old".to_owned(), [("a".to_owned(), old)].into()),
        ]
        .into();
        assert_eq!(
            show_groups(&groups, 2),
            "GROUP     CONSUMES   BROADCAST   ORDERLY   RETRIES   RETRY QUEUES   BROKERS\n\
             billing   yes        yes         no             16              1   all\n\
             mixed     yes        yes         no             16              1   a\n\
             mixed     yes        yes         yes             3              1   b\n\
             old       no         yes         -              16              1   a\n"
        );
        let document = groups_document(&groups);
        assert_eq!(
            (&document[1]["brokers"][1]["retry_max_times"], &document[2]["brokers"][0]["consume_message_orderly"]),
            (&json!(3), &Value::Null)
        );
    }

    /// *Scenario*: a group with two queues and a member; one without anything. *Guarantees*: lag, members and filters are shown; tables without rows are left out.
    #[test]
    fn a_group_is_shown_with_lag_and_members() {
        let queue = |queue: u32, committed: u64, end: u64| QueueLag { topic: "orders".into(), broker: "a".into(), queue, committed, end };
        let progress = GroupProgress { tps: 2.55, queues: vec![queue(0, 1_000, 2_204), queue(1, 7, 7)] };
        let member = GroupMember { client: "10.0.0.7@1".into(), host: "10.0.0.7".into(), language: "JAVA".into() };
        let members = GroupMembers { members: [member].into(), subscriptions: [("orders".to_owned(), "a || b".to_owned())].into() };
        assert_eq!(
            show("billing", &progress, &members),
            "group/billing   1 member   1,204 messages behind   2.5/s\n\n\
             TOPIC    BROKER   QUEUE   COMMITTED    NEXT     LAG\n\
             orders   a            0       1,000   2,204   1,204\n\
             orders   a            1           7       7       0\n\n\
             MEMBER       HOST       LANGUAGE\n\
             10.0.0.7@1   10.0.0.7   JAVA\n\n\
             SUBSCRIBES   FILTER\n\
             orders       a || b\n"
        );
        let nothing = show("idle", &GroupProgress::default(), &GroupMembers::default());
        assert_eq!(nothing, "group/idle   0 members   0 messages behind   0.0/s\n");
        let document = document("billing", &[("a".to_owned(), GroupSettings::default())].into(), &progress, &members);
        assert_eq!(
            (&document["lag"], &document["queues"][0]["lag"], &document["subscriptions"]["orders"]),
            (&json!(1_204), &json!(1_204), &json!("a || b"))
        );
    }

    #[test]
    fn a_reset_shows_what_it_changes() {
        let plan = [
            QueueReset { queue: Queue { broker: "a".into(), id: 0 }, from: Some(1_204), to: 0 },
            QueueReset { queue: Queue { broker: "a".into(), id: 1 }, from: None, to: 12 },
        ];
        assert_eq!(
            show_reset("billing", "orders", &plan, true),
            "group/billing in topic/orders would begin elsewhere; nothing was changed\n\n\
             BROKER   QUEUE   COMMITTED   BEGINS AT\n\
             a            0       1,204           0\n\
             a            1           -          12\n"
        );
        assert!(show_reset("billing", "orders", &plan, false).starts_with("group/billing in topic/orders begins elsewhere\n"));
        let document = reset_document("billing", "orders", &plan, true);
        assert_eq!((&document["changed"], &document["queues"][1]["committed_offset"]), (&json!(false), &Value::Null));
    }
}
