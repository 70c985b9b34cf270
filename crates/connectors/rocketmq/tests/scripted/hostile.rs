//! Brokers whose lengths lie: each is refused in words, none takes memory that did not come, and none costs more than it must.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;

/// Frame length, word of the header's length, header, and how many zeros follow.
type Frame = (u32, u32, String, usize);

/// What a broker answers, made for the request's number.
type Make = fn(&Value) -> Frame;

fn header(opaque: &Value, fields: Value) -> String {
    json!({"code": 0, "flag": 1, "opaque": opaque, "language": "JAVA", "version": 1, "extFields": fields}).to_string()
}

/// A frame whose lengths are right.
fn right(header: String, zeros: usize) -> Frame {
    let length = u32::try_from(header.len()).expect("short");
    (4 + length + u32::try_from(zeros).expect("short"), length, header, zeros)
}

fn bytes((frame, header_length, header, zeros): Frame) -> Vec<u8> {
    let mut bytes = [frame.to_be_bytes(), header_length.to_be_bytes()].concat();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + zeros, 0);
    bytes
}

/// *Scenario*: a broker answers a pull with frames whose lengths lie, or that are longer than any event that can travel, or with messages and offsets that no broker
/// can store. *Guarantees*: the pull fails at once and says why, with the kind of error that tells its caller what to do; where the frame can be told apart, the
/// others that share the connection go on; and in each case the next request is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_lengths_are_refused_in_words_and_cost_nobody_else() {
    const MIB: usize = 1 << 20;
    let table: [(&str, Make, Code, &str, bool); 9] = [
        ("no header length", |_| (0, 0, String::new(), 0), Code::Unavailable, "shorter than its header length", false),
        (
            "an endless frame that answers nothing",
            |_| (u32::MAX, 0, "x".repeat(9), 2 * MIB),
            Code::Unavailable,
            "that answers nothing",
            false,
        ),
        ("a header beyond its frame", |_| (20, 500, "{}".into(), 14), Code::Unavailable, "a header longer than its frame", false),
        (
            "a header beyond RocketMQ's",
            |_| (4 + (2 << 20), 2 << 20, String::new(), 2 * MIB),
            Code::Unavailable,
            "longer than any of RocketMQ",
            false,
        ),
        ("a header that is not JSON", |_| right("nonsense".into(), 0), Code::Unavailable, "not the expected JSON", false),
        ("an answer beyond any event", |opaque| right(header(opaque, json!({})), 140 * MIB), Code::Rejected, "events of at most", true),
        (
            "a message without an end",
            |opaque| right(header(opaque, json!({"nextBeginOffset": "1"})), 300),
            Code::Internal,
            "longer than its response",
            true,
        ),
        ("half a length", |opaque| right(header(opaque, json!({"nextBeginOffset": "1"})), 3), Code::Internal, "without a length", true),
        (
            "an offset that is none",
            |opaque| {
                right(
                    header(
                        opaque,
                        json!({"nextBeginOffset": "18446744073709551615", "maxOffset": "-9", "offsetDelta": "9223372036854775807"}),
                    ),
                    90,
                )
            },
            Code::Internal,
            "longer than its response",
            true,
        ),
    ];
    for (what, make, code, words, survives) in table {
        let pulls = Arc::new(AtomicUsize::new(0));
        let broker = Server::start(move |request| match request.code {
            PULL if pulls.fetch_add(1, Ordering::SeqCst) == 0 => Reply::Raw(Box::new(move |opaque| bytes(make(opaque)))),
            PULL => Reply::answer(19, &[("nextBeginOffset", "0"), ("minOffset", "0"), ("maxOffset", "0")]),
            QUERY_OFFSET => Reply::answer(22, &[]),
            _ => Reply::success(&[("offset", "0")]),
        })
        .await;
        let there = name_server(&broker).await;
        let source = source(&Connectors::new(), &[&there]);
        let partitions = source.partitions().await.expect("found");
        let mut open = source.open(&partitions[0]).await.expect("opens");
        let begin = Instant::now();
        let limits = PullLimits { events: 1, bytes: 1 << 20, ahead: false };
        let error = open.reader.pull(0, limits).await.expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{what}: {:?}", begin.elapsed());
        let pulled = open.reader.pull(0, limits).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(pulled.events.is_empty() && pulled.next_offset == 0, "{what}");
        assert_eq!(broker.connections() == 1, survives, "{what}: {} connections", broker.connections());
    }
}
