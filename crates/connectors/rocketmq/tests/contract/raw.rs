//! Requests that no part of the connector makes: what producers of transactions, consumers that give up, and administrators of accounts ask of a broker.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `RequestCode` of Apache RocketMQ.
pub(crate) const SEND_MESSAGE: i32 = 10;
pub(crate) const CONSUMER_SEND_MSG_BACK: i32 = 36;
pub(crate) const END_TRANSACTION: i32 = 37;
/// Of 4.9.
pub(crate) const UPDATE_AND_CREATE_ACL_CONFIG: i32 = 50;
pub(crate) const DELETE_ACL_CONFIG: i32 = 51;
/// Of 5.3.
pub(crate) const AUTH_CREATE_USER: i32 = 3001;
pub(crate) const AUTH_UPDATE_USER: i32 = 3002;
pub(crate) const AUTH_DELETE_USER: i32 = 3003;

/// Asks a broker over a connection of its own, by JSON headers, and wants success. Returns the fields of the response.
pub(crate) async fn ask(address: SocketAddr, code: i32, fields: &[(&str, String)], body: &[u8]) -> Result<Map<String, Value>> {
    let fields: Map<String, Value> = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.clone()))).collect();
    let start = json!({"code": code, "language": "JAVA", "version": 401, "opaque": 1, "flag": 0, "serializeTypeCurrentRPC": "JSON", "extFields": fields});
    let header = start.to_string();
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

/// Asks as the administrator of the kit's clusters with access control.
pub(crate) async fn ask_as_administrator(address: SocketAddr, code: i32, fields: &[(&str, String)], body: &[u8]) -> Result<()> {
    let mut fields = fields.to_vec();
    fields.push(("AccessKey", "admin12345".to_owned()));
    fields.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(b"secret12345")?;
    fields.iter().for_each(|(_, value)| mac.update(value.as_bytes()));
    mac.update(body);
    fields.push(("Signature", STANDARD.encode(mac.finalize().into_bytes())));
    ask(address, code, &fields, body).await.map(drop)
}
