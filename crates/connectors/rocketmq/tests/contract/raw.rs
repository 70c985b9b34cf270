//! Requests that no part of the connector makes: what producers of transactions, and consumers that give up, ask of a broker.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `RequestCode` of Apache RocketMQ.
pub(crate) const SEND_MESSAGE: i32 = 10;
pub(crate) const CONSUMER_SEND_MSG_BACK: i32 = 36;
pub(crate) const END_TRANSACTION: i32 = 37;

/// Asks a broker over a connection of its own, by JSON headers, and wants success. Returns the fields of the response.
pub(crate) async fn ask(address: SocketAddr, code: i32, fields: &[(&str, String)], body: &[u8]) -> Result<Map<String, Value>> {
    let fields: Map<String, Value> = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))).collect();
    let header = json!({"code": code, "language": "JAVA", "version": 401, "opaque": 1, "flag": 0, "serializeTypeCurrentRPC": "JSON", "extFields": fields}).to_string();
    let mut frame = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
    frame.extend((header.len() as u32).to_be_bytes());
    frame.extend(header.as_bytes());
    frame.extend(body);
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&frame).await?;
    let mut answer = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut answer).await?;
    let (length, rest) = answer.split_first_chunk::<4>().context("a header")?;
    let header: Value = serde_json::from_slice(rest.get(..(u32::from_be_bytes(*length) & 0xFF_FFFF) as usize).context("a whole header")?)?;
    ensure!(header["code"] == 0, "request {code}: {header}");
    Ok(header["extFields"].as_object().cloned().unwrap_or_default())
}
