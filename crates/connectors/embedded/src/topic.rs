//! Creates a topic with one request of the remoting protocol, so that this crate needs no client.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `RequestCode.UPDATE_AND_CREATE_TOPIC` of Apache RocketMQ.
const UPDATE_AND_CREATE_TOPIC: i32 = 17;
/// Readable and writable.
const PERMISSION: u32 = 6;

/// Creates the topic, or changes its number of queues. The error is the broker's remark.
pub(crate) async fn create(broker: (&str, u16), topic: &str, queues: u32) -> Result<(), String> {
    let header = serde_json::json!({
        "code": UPDATE_AND_CREATE_TOPIC, "language": "JAVA", "version": 0, "opaque": 1, "flag": 0, "serializeTypeCurrentRPC": "JSON",
        "extFields": {
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": queues.to_string(), "writeQueueNums": queues.to_string(),
            "perm": PERMISSION.to_string(), "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false"
        }
    })
    .to_string();
    let answer = exchange(broker, header.as_bytes()).await.map_err(|error| error.to_string())?;
    let answer: serde_json::Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    match answer["code"].as_i64() {
        Some(0) => Ok(()),
        code => Err(format!("code {code:?}: {}", answer["remark"].as_str().unwrap_or("no remark"))),
    }
}

async fn exchange(broker: (&str, u16), header: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(broker).await?;
    let length = u32::try_from(header.len()).map_err(std::io::Error::other)?;
    let mut frame = (length + 4).to_be_bytes().to_vec();
    frame.extend(length.to_be_bytes());
    frame.extend(header);
    stream.write_all(&frame).await?;
    let _frame_length = stream.read_u32().await?;
    let header_length = stream.read_u32().await? & 0x00FF_FFFF;
    let mut answer = vec![0; header_length as usize];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
