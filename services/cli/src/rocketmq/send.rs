//! `rocketbridge rocketmq send`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use rocketbridge_connector::{Error, Remedy};
use rocketbridge_connector_rocketmq::{Connectors, Message, Producer};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::Instance;
use super::bodies::Bodies;
use crate::failure::Failure;
use crate::output::Console;
use crate::output::table::{counted, grouped};
use rocketbridge_node::config::ByteSize;
use rocketbridge_node::config::quantity::byte_size_argument;

/// Most messages in one call of the producer: eight queues' worth of its batches.
const GROUP: usize = 2_048;
/// Wait before what failed is sent again.
const WAIT: Duration = Duration::from_millis(100);

/// Where messages go: a producer, or a test's broker.
trait Outlet {
    /// Sends messages and answers one result each.
    async fn send(&self, messages: &[Message]) -> Vec<Result<(), Error>>;
}

impl Outlet for Producer {
    async fn send(&self, messages: &[Message]) -> Vec<Result<(), Error>> {
        Self::send(self, messages).await
    }
}

/// What `send` takes.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("bodies").required(true).multiple(true).args(["body", "file", "lines", "size"]))]
pub struct Arguments {
    /// How to reach the cluster.
    #[command(flatten)]
    instance: Instance,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Send this text
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["file", "lines", "size"])]
    body: Option<String>,
    /// Send the content of a file as one message; `-` for standard input; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    file: Vec<PathBuf>,
    /// Send each line, of the files or of standard input, as a message
    #[arg(long, conflicts_with = "size")]
    lines: bool,
    /// Send random bytes of this size
    #[arg(long, value_name = "BYTES", value_parser = byte_size_argument)]
    size: Option<ByteSize>,
    /// How many messages, with --body or --size
    #[arg(long, value_name = "NUMBER", default_value_t = 1, conflicts_with_all = ["file", "lines"])]
    count: u64,
    /// Key of the messages; may be given several times
    #[arg(long, value_name = "KEY")]
    keys: Vec<String>,
    /// Tag of the messages
    #[arg(long)]
    tag: Option<String>,
    /// User property of the messages; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    property: Vec<String>,
    /// Most messages per second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    messages: u64,
    bytes: u64,
    refused: u64,
}

impl Arguments {
    fn bodies(&self) -> Bodies {
        match (&self.body, self.size) {
            (Some(body), _) => Bodies::Same(Bytes::from(body.clone()), self.count),
            (None, Some(size)) => Bodies::Random { count: self.count, size },
            (None, None) if self.lines && self.file.is_empty() => Bodies::Lines(vec!["-".into()]),
            (None, None) if self.lines => Bodies::Lines(self.file.clone()),
            (None, None) => Bodies::Files(self.file.clone()),
        }
    }

    /// A message without its body.
    fn message(&self) -> Result<Message, Failure> {
        let pair = |property: &String| match property.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::Usage(format!("--property {property}: NAME=VALUE is needed"))),
        };
        let properties = self.property.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Message { keys: self.keys.join(" "), tags: self.tag.clone().unwrap_or_default(), properties, ..Message::default() })
    }
}

/// Sends everything. What a broker refuses for good is passed over and counted; one that cannot be reached is tried again for `patience`.
/// Messages go round the queues of the topic, so that only those of one queue keep their order.
pub async fn run(arguments: &Arguments, patience: Duration, console: &mut Console<'_>) -> Result<(), Failure> {
    let producer = Connectors::new().admin(&arguments.instance.connection()?).producer(&arguments.topic);
    send_all(&producer, arguments, patience, console).await
}

async fn send_all(outlet: &impl Outlet, arguments: &Arguments, patience: Duration, console: &mut Console<'_>) -> Result<(), Failure> {
    let message = arguments.message()?;
    let bodies = arguments.bodies();
    // Full: the reader waits until a group was sent.
    let (sender, mut receiver) = mpsc::channel(GROUP);
    let reader = tokio::task::spawn_blocking(move || bodies.each(|body| sender.blocking_send(body).is_ok()));
    // With a rate, twenty groups a second at most, so that they come evenly.
    let most = arguments.rate.map_or(GROUP, |rate| (rate as usize / 20).clamp(1, GROUP));
    let started = Instant::now();
    let mut sent = Sent::default();
    let mut group: Vec<Bytes> = Vec::with_capacity(most);
    while receiver.recv_many(&mut group, most).await > 0 {
        if let Some(rate) = arguments.rate {
            sleep_until(started + Duration::from_secs_f64((sent.messages + sent.refused) as f64 / f64::from(rate))).await;
        }
        let messages = group.drain(..).map(|body| Message { body, ..message.clone() }).collect();
        send(outlet, messages, patience, &mut sent, console).await?;
    }
    let read = reader.await.map_err(|error| Failure::Failed(error.to_string()))?;
    read.map_err(|error| Failure::Failed(format!("{error}; {} messages were sent", grouped(sent.messages))))?;
    let seconds = started.elapsed().as_secs_f64();
    let Sent { messages, bytes, refused } = sent;
    console.result(format!("sent {}, {}, in {seconds:.1} s\n", counted(messages, "message"), counted(bytes, "byte")))?;
    if refused == 0 { Ok(()) } else { Err(Failure::Failed(format!("{} of the messages were refused", grouped(refused)))) }
}

/// Sends a group; after a failure that may pass, again what failed. A send whose answer is lost may arrive twice.
async fn send(
    outlet: &impl Outlet,
    messages: Vec<Message>,
    patience: Duration,
    sent: &mut Sent,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut left = messages;
    let mut deadline = Instant::now() + patience;
    loop {
        let answers = outlet.send(&left).await;
        let before = left.len();
        let mut failed = Vec::new();
        let mut failure = None;
        for (message, answer) in left.into_iter().zip(answers) {
            match answer {
                Ok(()) => {
                    sent.messages += 1;
                    sent.bytes += message.body.len() as u64;
                }
                Err(error) if error.retry() == Remedy::Nothing => {
                    sent.refused += 1;
                    console.remark(format!("refused: {error}"));
                }
                Err(error) => {
                    failed.push(message);
                    failure = Some(error);
                }
            }
        }
        left = failed;
        let Some(error) = failure else { return Ok(()) };
        if left.len() < before {
            deadline = Instant::now() + patience;
        }
        if error.retry() != Remedy::Time || Instant::now() + WAIT > deadline {
            return Err(Failure::Failed(format!("{error}; {} messages were sent", grouped(sent.messages))));
        }
        sleep(WAIT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use clap::Parser;
    use rocketbridge_connector::Code;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(more: &[&str]) -> Result<Arguments, clap::Error> {
        let line = ["x", "--name-server", "127.0.0.1:9876", "--topic", "t"].iter().chain(more);
        Line::try_parse_from(line).map(|line| line.arguments)
    }

    /// Takes two of each call while it is in trouble, and refuses empty bodies.
    #[derive(Default)]
    struct Broker {
        stored: Mutex<Vec<Message>>,
        troubles: Mutex<u32>,
        is_down: bool,
    }

    impl Outlet for Broker {
        async fn send(&self, messages: &[Message]) -> Vec<Result<(), Error>> {
            let mut troubles = self.troubles.lock().expect("not poisoned");
            let takes = if self.is_down {
                0
            } else if *troubles > 0 {
                2
            } else {
                usize::MAX
            };
            *troubles = troubles.saturating_sub(1);
            let mut stored = self.stored.lock().expect("not poisoned");
            let answer = |(index, message): (usize, &Message)| {
                if index >= takes {
                    return Err(Error::new(Code::Unavailable, "send to topic t", "the broker is starting"));
                }
                if message.body.is_empty() {
                    return Err(Error::new(Code::Rejected, "send to topic t", "the body is empty"));
                }
                stored.push(message.clone());
                Ok(())
            };
            messages.iter().enumerate().map(answer).collect()
        }
    }

    /// Runs against a broker; what it stored, what was printed, and how it ended.
    async fn sent(broker: &Broker, more: &[&str]) -> (Vec<Message>, String, Result<(), Failure>) {
        let mut printed = Vec::new();
        let ended = {
            let mut console = Console::new(&mut printed, std::io::sink(), false);
            send_all(broker, &arguments(more).expect("valid"), Duration::from_millis(300), &mut console).await
        };
        let stored = broker.stored.lock().expect("not poisoned").clone();
        (stored, String::from_utf8(printed).expect("text"), ended)
    }

    /// *Scenario:* a broker in trouble in the middle of a group. *Guarantees:* what was not stored is sent again, and only that.
    #[tokio::test]
    async fn what_was_not_stored_is_sent_again() {
        let broker = Broker { troubles: Mutex::new(3), ..Broker::default() };
        let given = ["--count", "9", "--size", "100", "--keys", "a", "--keys", "b", "--tag", "paid", "--property", "city=a=b"];
        let (stored, printed, ended) = sent(&broker, &given).await;
        ended.expect("trouble passes");
        let mut expected = Vec::new();
        let generated = Bodies::Random { count: 9, size: ByteSize(100) }.each(|body| {
            expected.push(body);
            true
        });
        generated.expect("nothing is read");
        assert_eq!(stored.iter().map(|message| message.body.clone()).collect::<Vec<_>>(), expected);
        assert_eq!((stored[0].keys.as_str(), stored[0].tags.as_str()), ("a b", "paid"));
        assert_eq!(stored[0].properties, [("city".to_owned(), "a=b".to_owned())]);
        assert!(printed.starts_with("sent 9 messages, 900 bytes, in "), "{printed}");
    }

    /// *Scenario:* a broker that stays down, and a message that is refused. *Guarantees:* both end badly, the second after the others.
    #[tokio::test]
    async fn what_cannot_be_sent_is_told() {
        let started = Instant::now();
        let (stored, printed, ended) = sent(&Broker { is_down: true, ..Broker::default() }, &["--body", "x", "--count", "3"]).await;
        assert_eq!((stored.len(), printed.as_str()), (0, ""));
        assert_eq!(ended.expect_err("down").to_string(), "send to topic t: the broker is starting; 0 messages were sent");
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lines");
        std::fs::write(&path, "a\n\nb\n").expect("written");
        let (stored, printed, ended) = sent(&Broker::default(), &["--lines", "--file", &path.display().to_string()]).await;
        assert_eq!((stored.len(), printed.starts_with("sent 2 messages, 2 bytes")), (2, true));
        assert_eq!(ended.expect_err("one is refused").to_string(), "1 of the messages were refused");
    }

    /// *Scenario:* 100 messages at 1,000 a second. *Guarantees:* they take no less than the rate allows.
    #[tokio::test]
    async fn the_rate_is_kept() {
        let started = Instant::now();
        let (stored, _, ended) = sent(&Broker::default(), &["--body", "x", "--count", "100", "--rate", "1000"]).await;
        ended.expect("nothing fails");
        assert_eq!(stored.len(), 100);
        // The last group of fifty goes out at once when it is its turn.
        assert!(started.elapsed() >= Duration::from_millis(50), "{:?}", started.elapsed());
    }

    #[test]
    fn bodies_come_from_one_place() {
        assert!(arguments(&[]).is_err());
        assert!(arguments(&["--body", "x", "--size", "1"]).is_err());
        assert!(arguments(&["--lines", "--count", "2"]).is_err());
        assert_eq!(arguments(&["--lines"]).expect("valid").bodies(), Bodies::Lines(vec!["-".into()]));
        assert_eq!(
            arguments(&["--size", "1KiB", "--count", "2"]).expect("valid").bodies(),
            Bodies::Random { count: 2, size: ByteSize(1024) }
        );
        assert!(arguments(&["--body", "x", "--property", "y"]).expect("valid").message().is_err());
        assert!(arguments(&["--body", "x", "--access-key", "a", "--secret-key", "hunter2"]).expect("valid").instance.connection().is_err());
    }
}
