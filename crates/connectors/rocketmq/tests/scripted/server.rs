//! A server of the remoting protocol that answers by a script.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// A request that was heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) code: i64,
    fields: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Makes the bytes of an answer for the number of its request.
pub(crate) type Made = Box<dyn FnOnce(&Value) -> Vec<u8> + Send>;

/// What a request gets.
pub(crate) enum Reply {
    Answer {
        code: i64,
        fields: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Late(Duration, Box<Reply>),
    /// These bytes, made for the request's number.
    Raw(Made),
    Silence,
}

/// The server. It ends with the test's runtime.
pub(crate) struct Server {
    address: String,
    state: Arc<State>,
}

struct State {
    script: Box<dyn Fn(&Heard) -> Reply + Send + Sync>,
    heard: parking_lot::Mutex<Vec<Heard>>,
    connections: AtomicUsize,
    is_silent: AtomicBool,
}

impl Heard {
    /// What a signature is over: the values of all other fields in the order of their names, then the body.
    pub(crate) fn signed(&self) -> Vec<u8> {
        let mut fields: Vec<_> = self.fields.iter().filter(|(name, _)| *name != "Signature").collect();
        fields.sort();
        fields.into_iter().flat_map(|(_, value)| value.bytes()).chain(self.body.iter().copied()).collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Reply {
    pub(crate) fn answer(code: i64, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Answer { code, fields, body: Vec::new() }
    }

    pub(crate) fn success(fields: &[(&str, &str)]) -> Self {
        Self::answer(0, fields)
    }
}

impl Server {
    pub(crate) async fn start(script: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let state = Arc::new(State {
            script: Box::new(script),
            heard: parking_lot::Mutex::default(),
            connections: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
        });
        tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    state.connections.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it took.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Answers nothing any more.
    pub(crate) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    /// How many requests of a code came.
    pub(crate) fn count(&self, code: i64) -> usize {
        self.state.heard.lock().iter().filter(|heard| heard.code == code).count()
    }

    /// Waits for a request of a code.
    pub(crate) async fn heard(&self, code: i64) -> Heard {
        for _ in 0..1000 {
            if let Some(heard) = self.state.heard.lock().iter().find(|heard| heard.code == code) {
                return heard.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no request {code} came");
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let (mut read, write) = stream.into_split();
    let write = Arc::new(Mutex::new(write));
    while let Some((opaque, heard)) = request(&mut read).await {
        let reply = (state.script)(&heard);
        state.heard.lock().push(heard);
        if !state.is_silent.load(Ordering::SeqCst) {
            tokio::spawn(answer(reply, opaque, Arc::clone(&write)));
        }
    }
}

async fn request(read: &mut OwnedReadHalf) -> Option<(Value, Heard)> {
    let length = read.read_u32().await.ok()? as usize;
    let mut frame = vec![0; length];
    read.read_exact(&mut frame).await.ok()?;
    let header = u32::from_be_bytes(frame[..4].try_into().expect("four bytes")) as usize & 0x00FF_FFFF;
    let body = frame[4 + header..].to_vec();
    let header: Value = serde_json::from_slice(&frame[4..4 + header]).expect("a header in JSON");
    let fields = serde_json::from_value(header["extFields"].clone()).unwrap_or_default();
    Some((header["opaque"].clone(), Heard { code: header["code"].as_i64().expect("a code"), fields, body }))
}

async fn answer(mut reply: Reply, opaque: Value, write: Arc<Mutex<OwnedWriteHalf>>) {
    while let Reply::Late(delay, later) = reply {
        tokio::time::sleep(delay).await;
        reply = *later;
    }
    if let Reply::Raw(make) = reply {
        write.lock().await.write_all(&make(&opaque)).await.ok();
        return;
    }
    let Reply::Answer { code, fields, body } = reply else { return };
    let fields: HashMap<_, _> = fields.into_iter().collect();
    let header = json!({"code": code, "flag": 1, "opaque": opaque, "language": "JAVA", "version": 1, "extFields": fields}).to_string();
    let mut frame = Vec::new();
    frame.extend(u32::try_from(4 + header.len() + body.len()).expect("short").to_be_bytes());
    frame.extend(u32::try_from(header.len()).expect("short").to_be_bytes());
    frame.extend(header.as_bytes());
    frame.extend(body);
    // A client that is gone needs no answer.
    write.lock().await.write_all(&frame).await.ok();
}
