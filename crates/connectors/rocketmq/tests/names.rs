//! The list of RocketMQ's own property names, compared with those of the clients that people use.

use std::path::PathBuf;
use std::process::Command;

use rocketbridge_model::property::{Kind, kind};
use rocketmq_model::common::message::MessageConst;

/// Every property name of `rocketmq-model`.
const RUST: [&str; 84] = [
    MessageConst::DUP_INFO,
    MessageConst::PROPERTY_BORN_HOST,
    MessageConst::PROPERTY_BORN_TIMESTAMP,
    MessageConst::PROPERTY_BUYER_ID,
    MessageConst::PROPERTY_CHECK_IMMUNITY_TIME_IN_SECONDS,
    MessageConst::PROPERTY_CLUSTER,
    MessageConst::PROPERTY_CONSUME_START_TIMESTAMP,
    MessageConst::PROPERTY_CORRECTION_FLAG,
    MessageConst::PROPERTY_CORRELATION_ID,
    MessageConst::PROPERTY_CRC32,
    MessageConst::PROPERTY_DELAY_TIME_LEVEL,
    MessageConst::PROPERTY_DLQ_ORIGIN_MESSAGE_ID,
    MessageConst::PROPERTY_STARTDE_LIVER_TIME,
    MessageConst::PROPERTY_DLQ_ORIGIN_TOPIC,
    MessageConst::PROPERTY_EXTEND_UNIQ_INFO,
    MessageConst::PROPERTY_FIRST_POP_TIME,
    MessageConst::PROPERTY_FORWARD_QUEUE_ID,
    MessageConst::PROPERTY_INNER_BASE,
    MessageConst::PROPERTY_INNER_MULTI_DISPATCH,
    MessageConst::PROPERTY_INNER_MULTI_QUEUE_OFFSET,
    MessageConst::PROPERTY_INNER_NUM,
    MessageConst::PROPERTY_INSTANCE_ID,
    MessageConst::PROPERTY_KEYS,
    MessageConst::PROPERTY_MAX_OFFSET,
    MessageConst::PROPERTY_MAX_RECONSUME_TIMES,
    MessageConst::PROPERTY_MESSAGE_REPLY_TO_CLIENT,
    MessageConst::PROPERTY_MESSAGE_TTL,
    MessageConst::PROPERTY_MESSAGE_TYPE,
    MessageConst::PROPERTY_MIN_OFFSET,
    MessageConst::PROPERTY_MQ2_FLAG,
    MessageConst::PROPERTY_MSG_REGION,
    MessageConst::PROPERTY_ORIGIN_GROUP,
    MessageConst::PROPERTY_ORIGIN_MESSAGE_ID,
    MessageConst::PROPERTY_POP_CK,
    MessageConst::PROPERTY_POP_CK_OFFSET,
    MessageConst::PROPERTY_PRODUCER_GROUP,
    MessageConst::PROPERTY_PRIORITY,
    MessageConst::PROPERTY_PUSH_REPLY_TIME,
    MessageConst::PROPERTY_REAL_QUEUE_ID,
    MessageConst::PROPERTY_REAL_TOPIC,
    MessageConst::PROPERTY_RECONSUME_TIME,
    MessageConst::PROPERTY_REDIRECT,
    MessageConst::PROPERTY_REPLY_MESSAGE_ARRIVE_TIME,
    MessageConst::PROPERTY_RETRY_TOPIC,
    MessageConst::PROPERTY_SHARDING_KEY,
    MessageConst::PROPERTY_LITE_TOPIC,
    MessageConst::PROPERTY_TAGS,
    MessageConst::PROPERTY_TIMER_DELAY_LEVEL,
    MessageConst::PROPERTY_TIMER_DELAY_MS,
    MessageConst::PROPERTY_TIMER_DELAY_SEC,
    MessageConst::PROPERTY_TIMER_DELIVER_MS,
    MessageConst::PROPERTY_TIMER_DEL_UNIQKEY,
    MessageConst::PROPERTY_TIMER_DEQUEUE_MS,
    MessageConst::PROPERTY_TIMER_ENQUEUE_MS,
    MessageConst::PROPERTY_TIMER_OUT_MS,
    MessageConst::PROPERTY_TIMER_ROLL_LABEL,
    MessageConst::PROPERTY_TIMER_ROLL_TIMES,
    MessageConst::PROPERTY_TIMER_ORIGINAL_DELIVER_MS,
    MessageConst::PROPERTY_TIMER_DELIVERY_TOKEN,
    MessageConst::PROPERTY_TIMER_ID,
    MessageConst::PROPERTY_TIMER_OWNER_EPOCH,
    MessageConst::PROPERTY_TIMER_LANE,
    MessageConst::PROPERTY_TIMER_GENERATION,
    MessageConst::PROPERTY_TIMER_FORMAT_VERSION,
    MessageConst::PROPERTY_TIMER_POLICY_FINGERPRINT,
    MessageConst::PROPERTY_TRACE_CONTEXT,
    MessageConst::PROPERTY_TRACE_SWITCH,
    MessageConst::PROPERTY_TRANS_OFFSET,
    MessageConst::PROPERTY_TRANSACTION_CHECK_TIMES,
    MessageConst::PROPERTY_TRANSACTION_ID,
    MessageConst::PROPERTY_TRANSACTION_PREPARED,
    MessageConst::PROPERTY_TRANSACTION_PREPARED_QUEUE_OFFSET,
    MessageConst::PROPERTY_TRANSFER_FLAG,
    MessageConst::PROPERTY_TRANSIENT_GROUP_CONFIG,
    MessageConst::PROPERTY_TRANSIENT_PREFIX,
    MessageConst::PROPERTY_TRANSIENT_TOPIC_CONFIG,
    MessageConst::PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX,
    MessageConst::PROPERTY_WAIT_STORE_MSG_OK,
    MessageConst::TIMER_ENGINE_TYPE,
    // Names that only some versions have.
    "TRAN_PREPARED_QUEUE_OFFSET",
    "REDIRECT",
    "POP_CK_OFFSET",
    "TIMER_DEQUEUE_MS",
    "DLQ_ORIGIN_TOPIC",
];

/// *Scenario*: every name that the Rust client's crates know. *Guarantees*: none of them is taken for a user's property.
#[test]
fn names_are_complete_for_the_rust_client() {
    let missing: Vec<_> = RUST.into_iter().filter(|name| kind(name.as_bytes()) == Kind::User).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// *Scenario*: every constant of `MessageConst` of the Java clients, 4.9.7 and 5.3.3. *Guarantees*: as above.
#[test]
fn names_are_complete_for_the_java_clients() {
    if std::env::var("ROCKETBRIDGE_TEST_JAVA").is_ok_and(|value| value == "1") {
        for version in ["4.9.7", "5.3.3"] {
            let names = java_names(version);
            assert!(names.len() > 30, "{version}: {names:?}");
            let missing: Vec<_> = names.iter().filter(|name| kind(name.as_bytes()) == Kind::User).collect();
            assert!(missing.is_empty(), "{version}: {missing:?}");
        }
    } else {
        println!("skipped: the Java clients' names are not looked at unless ROCKETBRIDGE_TEST_JAVA=1");
    }
}

/// The texts of `MessageConst`, by reflection; those that are no names left out.
fn java_names(version: &str) -> Vec<String> {
    let kit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/rocketmq-java/rocketmq.sh");
    let installed = Command::new(kit).args(["install", "--version", version]).status().expect("the kit runs");
    assert!(installed.success());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("Names.java");
    std::fs::write(&source, NAMES).expect("written");
    let output =
        Command::new("java").arg("-cp").arg(root().join(format!("rocketmq-{version}/lib/*"))).arg(source).output().expect("java runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

const NAMES: &str = r#"
public class Names {
    public static void main(String[] arguments) throws Exception {
        for (java.lang.reflect.Field field : org.apache.rocketmq.common.message.MessageConst.class.getFields()) {
            boolean isName = field.getName().startsWith("PROPERTY_") || field.getName().equals("DUP_INFO");
            if (isName && field.getType() == String.class) {
                System.out.println(field.get(null));
            }
        }
    }
}
"#;

/// Where the kit keeps what it installs.
fn root() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    variable("ROCKETMQ_KIT_HOME")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("rocketbridge")))
        .or_else(|| Some(variable("HOME")?.join(".cache/rocketbridge")))
        .expect("a home")
}
