//! Names: of definitions, topics, groups, instances and tags.

use super::findings::Findings;

/// Longest name of a definition (`EventStreamingName`), and of a topic (`TopicValidator.TOPIC_MAX_LENGTH`).
const NAME: usize = 127;
/// Longest name of a group (`Validators.CHARACTER_MAX_LENGTH`).
const GROUP: usize = 255;
/// Topics that brokers refuse to take messages for (`TopicValidator.NOT_ALLOWED_SEND_TOPIC_SET`).
const CLOSED_TOPICS: &[&str] = &[
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];

/// Topics whose messages must not be read yet, by whoever: halves of transactions that may be rolled back, and messages whose delay is not over
/// (`TransactionalMessageUtil`, `TopicValidator`, `TimerMessageStore`).
const PENDING_TOPICS: &[&str] = &["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "rmq_sys_wheel_timer"];
/// What the topics of a group's retries and dead letters begin with, and light queues (`MixAll`), with what follows.
const MARKS: [(&str, &str); 3] = [("%RETRY%", "GID_orders"), ("%DLQ%", "GID_orders"), (LIGHT_MARK, "orders")];
const LIGHT_MARK: &str = "%LMQ%";

/// The name of a stream, connection or network.
pub(super) fn resource(field: &str, name: &str, findings: &mut Findings) {
    if name.is_empty() {
        findings.add(field, name, "a name is needed", "write a name of letters, digits, -, _ and .");
        return;
    }
    bounded(field, name, NAME, findings);
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if !name.chars().all(allowed) {
        let fix = match replaced(name, allowed) {
            Some(meant) => format!("write {meant:?}"),
            None => "choose a name of these characters, such as orders-1".to_owned(),
        };
        findings.add(field, name, "a name consists of the letters a-z and A-Z, digits, -, _ and .", fix);
    } else if name.chars().all(|character| character == '.') {
        findings.add(field, name, "a name must not consist of dots only", "add a letter or a digit");
    }
}

/// A topic; `false` if it cannot be used.
pub(super) fn topic(field: &str, topic: &str, findings: &mut Findings) -> bool {
    if topic.is_empty() {
        findings.add(field, topic, "a topic is needed", "write the topic's name");
        return false;
    }
    wire_name(field, topic, "topic", NAME, findings)
}

/// A topic that is read; `false` if it cannot be used.
pub(super) fn source_topic(field: &str, name: &str, findings: &mut Findings) -> bool {
    if PENDING_TOPICS.contains(&name) {
        let rule = "RocketMQ keeps messages in this topic until they are committed, or until their delay is over";
        findings.add(field, name, rule, "name the topic that they were sent to; once they are due they are in it");
        return false;
    }
    topic(field, name, findings) && marked(field, name, findings)
}

/// Whether a topic is a light queue, which no name server lists and which brokers fill by themselves.
pub(super) fn is_light(name: &str) -> bool {
    name.starts_with(LIGHT_MARK)
}

/// A topic that messages are sent to; `false` if it cannot be used.
pub(super) fn target_topic(field: &str, name: &str, findings: &mut Findings) -> bool {
    if is_light(name) {
        let rule = "a broker fills a light queue by itself, with the messages whose INNER_MULTI_DISPATCH names it";
        findings.add(field, name, rule, "choose the topic that those messages are sent to");
        return false;
    }
    if CLOSED_TOPICS.contains(&name) {
        findings.add(field, name, "RocketMQ keeps this topic for itself and takes no messages for it", "choose another topic");
        return false;
    }
    topic(field, name, findings) && marked(field, name, findings)
}

/// A topic of RocketMQ's own must be named in full, in capitals as RocketMQ writes it.
fn marked(field: &str, name: &str, findings: &mut Findings) -> bool {
    for (mark, example) in MARKS {
        if !name.get(..mark.len()).is_some_and(|start| start.eq_ignore_ascii_case(mark)) {
            continue;
        }
        let rest = &name[mark.len()..];
        if rest.is_empty() {
            let rule = format!("{mark} is followed by a name, such as {mark}{example}");
            findings.add(field, name, rule, "write the whole name of the topic");
        } else if !name.starts_with(mark) {
            findings.add(field, name, format!("RocketMQ writes {mark} in capitals"), format!("write {mark}{rest}"));
        } else {
            return true;
        }
        return false;
    }
    true
}

/// A consumer group; `false` if it cannot be used.
pub(super) fn group(field: &str, group: &str, findings: &mut Findings) -> bool {
    wire_name(field, group, "group", GROUP, findings)
}

/// The id of an instance, which with `Cloud_4` becomes part of topics.
pub(super) fn instance(field: &str, instance: &str, findings: &mut Findings) {
    bounded(field, instance, NAME, findings);
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if !instance.chars().all(allowed) {
        let fix = match replaced(instance, allowed) {
            Some(meant) => format!("write the instance's id, such as {meant:?}"),
            None => "write the instance's id, not its display name".to_owned(),
        };
        findings.add(field, instance, "an instance id consists of the letters a-z and A-Z, digits, -, _ and .", fix);
    }
}

/// A region: a word without spaces.
pub(super) fn region(field: &str, region: &str, findings: &mut Findings) {
    bounded(field, region, NAME, findings);
    if region.chars().any(|character| character.is_whitespace() || character.is_control()) {
        findings.add(field, region, "a region is one word", "remove the spaces");
    }
}

/// A tag expression: the tags that are wanted, none for all.
pub(super) fn tags(field: &str, expression: &str, findings: &mut Findings) -> Vec<String> {
    let expression = expression.trim();
    if expression.is_empty() || expression == "*" {
        return Vec::new();
    }
    let tags: Vec<String> = expression.split("||").map(|tag| tag.trim().to_owned()).collect();
    let rule = "a tag expression is * or tags joined by ||";
    for tag in &tags {
        if tag.is_empty() {
            findings.add(field, expression, rule, "write a tag before and after each ||");
        } else if tag == "*" {
            findings.add(field, expression, rule, "write * alone for all tags");
        } else if tag.chars().any(|character| character.is_whitespace() || character.is_control() || character == '|') {
            findings.add(field, expression, rule, format!("join tags with ||; {tag:?} is not a tag"));
        }
    }
    tags
}

/// `^[%|a-zA-Z0-9_-]+$`, as RocketMQ's brokers have it.
fn wire_name(field: &str, name: &str, what: &str, longest: usize, findings: &mut Findings) -> bool {
    let before = findings.count();
    bounded(field, name, longest, findings);
    let allowed = |character: char| character.is_ascii_alphanumeric() || "%|_-".contains(character);
    if !name.chars().all(allowed) {
        let rule = format!("a {what} consists of the letters a-z and A-Z, digits, -, _, % and |");
        let fix = match replaced(name, allowed) {
            Some(meant) => format!("write the {what}'s name as it is in RocketMQ; {meant:?} would be allowed"),
            None => format!("write the {what}'s name as it is in RocketMQ"),
        };
        findings.add(field, name, rule, fix);
    }
    findings.count() == before
}

fn bounded(field: &str, name: &str, longest: usize, findings: &mut Findings) {
    let length = name.chars().count();
    if length > longest {
        findings.add(field, name, format!("at most {longest} characters are allowed"), format!("remove {} characters", length - longest));
    }
}

/// The name with `-` in place of characters that are not allowed, if enough of it is left to be recognised: of a Chinese name nothing would be.
fn replaced(name: &str, allowed: impl Fn(char) -> bool) -> Option<String> {
    let mut replaced = String::new();
    for character in name.chars().take(NAME) {
        match allowed(character) {
            true => replaced.push(character),
            false if !replaced.ends_with('-') => replaced.push('-'),
            false => {}
        }
    }
    let kept = name.chars().filter(|character| character.is_ascii_alphanumeric()).count();
    (kept * 2 > name.chars().count()).then(|| replaced.trim_matches('-').to_owned())
}
