//! As much of an HTTP/1.1 server as tests need: one request for each connection.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request.
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// What it gets.
pub(super) struct Reply {
    status: u16,
    body: String,
    /// The server's time.
    pub(super) date: Option<String>,
}

impl Request {
    /// The value of a header, whose name is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

impl Reply {
    pub(super) fn new(status: u16, body: String) -> Self {
        Self { status, body, date: None }
    }
}

/// Serves until the runtime ends.
pub(super) async fn serve(listener: TcpListener, answer: impl Fn(Request) -> Reply + Send + Sync + 'static) {
    let answer = Arc::new(answer);
    while let Ok((stream, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            // A client that goes away is the client's matter.
            serve_one(stream, &*answer).await.ok();
        });
    }
}

async fn serve_one(mut stream: TcpStream, answer: &(impl Fn(Request) -> Reply + Sync)) -> std::io::Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0_usize);
    while read.len() < end + length {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
    let body = String::from_utf8_lossy(&read[end..end + length]).into_owned();
    let reply = answer(Request { method, target, headers, body });
    let date = reply.date.map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {} said\r\n{date}Content-Length: {}\r\nConnection: close\r\n\r\n", reply.status, reply.body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(reply.body.as_bytes()).await?;
    stream.shutdown().await
}
