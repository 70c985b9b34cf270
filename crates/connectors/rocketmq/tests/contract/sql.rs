//! SQL92 filters: what a broker answers and what the engine of this project answers.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use rocketbridge_connector_rocketmq::Message;
use rocketbridge_model::resolved::RocketMqSource;
use rocketbridge_sql92::Filter;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::session::{LIMITS, Session, body, open};

/// Properties of messages; what each expression makes of them differs from one to the next.
const MESSAGES: [&[(&str, &str)]; 16] = [
    &[],
    &[("n", "1"), ("f", "1.5"), ("s", "Hangzhou"), ("b", "true")],
    &[("n", "-3"), ("f", "-0.5"), ("s", "hangzhou"), ("b", "FALSE")],
    &[("n", "5"), ("m", "7"), ("s", "it's")],
    &[("n", "7"), ("m", "7"), ("f", "1e3"), ("s", "")],
    &[("n", "3000000000"), ("s", "Beijing")],
    &[("n", "1.5"), ("f", "1")],
    &[("n", "abc"), ("f", "abc"), ("s", "5")],
    &[("n", ""), ("s", " 5 "), ("b", "yes")],
    &[("n", "+5"), ("f", " 2.5 "), ("m", "5.0")],
    &[("n", "005"), ("f", "NaN"), ("m", "Infinity")],
    &[("s", "杭州"), ("n", "0"), ("f", "0"), ("b", "True")],
    &[("n", "0x10"), ("f", "0x1p3"), ("m", " -0X1.8P1d ")],
    &[("n", "５"), ("f", "0x1.fffffffffffff8p1023"), ("m", "0x1p-1075")],
    &[("n", "٧"), ("f", "0x1p"), ("m", "1e-400")],
    &[("n", "-2147483649"), ("f", "5f"), ("m", "0x.8p4"), ("b", " true")],
];

/// Expressions of 4.9 and 5.3.
const EXPRESSIONS: [&str; 50] = [
    "n = 5",
    "n <> 5",
    "n = '5'",
    "n > 0",
    "n >= 5",
    "n < 7",
    "n <= -3",
    "n = 3000000000",
    "n > 2999999999",
    "n > 0.5",
    "f > 1",
    "f > 1.0",
    "f = 1.5",
    "f < 2.5",
    "n = m",
    "n > m",
    "m >= n",
    "n BETWEEN 1 AND 7",
    "n NOT BETWEEN 1 AND 7",
    "f BETWEEN -1.0 AND 2.5",
    "n BETWEEN -5 AND +5",
    "s = 'Hangzhou'",
    "s <> 'Hangzhou'",
    "s = 'it''s'",
    "s = ''",
    "s IN ('Hangzhou', '杭州', '5')",
    "s NOT IN ('Hangzhou', 'a', 'b', 'c', 'd', 'e')",
    "s IS NULL",
    "s IS NOT NULL AND n IS NULL",
    "b = TRUE",
    "b = FALSE",
    "TRUE = b",
    "b",
    "NOT b",
    "(n = 5) = TRUE",
    "(n = 5) = 1",
    "TAGS = 'even' AND n > 0 OR s = 'Beijing'",
    "-5 < n AND (f IS NULL OR NOT (f > 1.0))",
    "f = 8.0",
    "f >= 8",
    "m < -2.5",
    "f > m",
    "m BETWEEN 0.1 AND 8.0",
    "f BETWEEN 0.1 AND 1e300",
    "n = 5 OR TRUE",
    "TRUE OR n = 5",
    "n > 5 AND FALSE",
    "FALSE AND n > 5",
    "n IS NULL OR n > 0",
    "n < 3000000000 OR s IS NOT NULL",
];

/// *Scenario*: forms of the language over texts that are numbers, nearly numbers and none, each also negated and asked whether it is open. *Guarantees*: the
/// messages that come are those of our engine, whoever evaluates first. Every message is in one of the three sets unless it ends the evaluation, so a broker
/// that gave more or less would show.
pub(crate) async fn sql_filters_answer_alike_everywhere(cluster: &mut Cluster) -> Result<()> {
    let session = Session::new(cluster.connection());
    let topic = session.topic("sql", 1).await?;
    let tag = |index: usize| if index.is_multiple_of(2) { "even" } else { "odd" };
    let messages = MESSAGES.iter().enumerate().map(|(index, pairs)| {
        let properties = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Message { properties, tags: tag(index).to_owned(), ..body("x") }
    });
    session.send(&topic, &messages.collect::<Vec<_>>()).await?;
    let (session, topic) = (&session, &topic);
    let texts = EXPRESSIONS.iter().flat_map(|text| [(*text).to_owned(), format!("NOT ({text})"), format!("({text}) IS NULL")]);
    let compare = async |text: String| {
        let filter = Filter::parse(&text)?;
        let all = 0..MESSAGES.len();
        let expected: Vec<u64> = all.filter(|index| wants(&filter, *index, tag(*index))).map(|index| index as u64).collect();
        let found = offsets(session, topic, &text).await.with_context(|| text.clone())?;
        ensure!(found == expected, "{text}: {found:?} came, expected {expected:?}");
        Ok(())
    };
    stream::iter(texts).map(compare).buffer_unordered(16).try_collect().await
}

fn wants(filter: &Filter, index: usize, tag: &'static str) -> bool {
    filter.matches(|name| match name {
        "TAGS" => Some(Cow::Borrowed(tag)),
        // Brokers leave out properties with empty values.
        _ => MESSAGES[index].iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| Cow::Borrowed(*value)),
    })
}

/// The offsets that a source with a filter gives. The first pull finds out whether the broker can evaluate it, the second has it evaluated there.
async fn offsets(session: &Session, topic: &str, sql: &str) -> Result<Vec<u64>> {
    let definition = RocketMqSource { sql: Some(sql.to_owned()), ..session.definition(topic, &[]) };
    let mut queue = open(&session.source_of(&definition)).await?;
    queue.reader.pull(0, LIMITS).await?;
    let (mut offset, mut offsets) = (0, Vec::new());
    let deadline = Instant::now() + Duration::from_secs(20);
    while offset < MESSAGES.len() as u64 {
        let pulled = queue.reader.pull(offset, LIMITS).await?;
        ensure!(pulled.missing.is_empty(), "{:?} is told as missing", pulled.missing);
        offset = pulled.next_offset;
        offsets.extend(pulled.events.iter().map(|event| event.offset));
        ensure!(Instant::now() < deadline, "the next offset stays at {offset}");
    }
    Ok(offsets)
}
