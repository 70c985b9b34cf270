//! A SOCKS 5 and HTTP CONNECT proxy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy that speaks SOCKS 5 and HTTP CONNECT on one port, told apart by the first byte. It stops when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Served {
    login: Option<(String, String)>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Listens at an address, port 0 for any free port. With a login, nobody is served without it.
    pub async fn start(at: &str, login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap_or_else(|error| panic!("a proxy at {at}: {error}"));
        let address = listener.local_addr().expect("it listens");
        let served = Served { login: login.map(|(user, password)| (user.to_owned(), password.to_owned())), asked: Arc::default() };
        let asked = Arc::clone(&served.asked);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let served = served.clone();
                // Whoever is refused or gone sees it by the end of the connection.
                tokio::spawn(async move { served.serve(client).await.ok() });
            }
        });
        Self { address, asked, accepting }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The destinations that it was asked for, in order, as they were written; also those that it could not reach.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Served {
    async fn serve(self, mut client: TcpStream) -> io::Result<()> {
        let first = client.read_u8().await?;
        let (mut client, mut destination) =
            if first == 5 { self.serve_socks(client).await? } else { self.serve_http(client, first).await? };
        copy_bidirectional(&mut client, &mut destination).await?;
        Ok(())
    }

    async fn connect(&self, destination: String) -> io::Result<TcpStream> {
        self.asked.lock().push(destination.clone());
        TcpStream::connect(destination).await
    }

    async fn serve_socks(&self, mut client: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
        let mut methods = vec![0; client.read_u8().await?.into()];
        client.read_exact(&mut methods).await?;
        let method = if self.login.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            client.write_all(&[5, 0xff]).await?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        client.write_all(&[5, method]).await?;
        if let Some(login) = &self.login {
            client.read_u8().await?;
            let given = (text(&mut client).await?, text(&mut client).await?);
            let is_right = given == *login;
            client.write_all(&[1, u8::from(!is_right)]).await?;
            if !is_right {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        let mut head = [0; 4];
        client.read_exact(&mut head).await?;
        let host = match head[3] {
            1 => IpAddr::from(array::<4>(&mut client).await?).to_string(),
            4 => format!("[{}]", IpAddr::from(array::<16>(&mut client).await?)),
            _ => text(&mut client).await?,
        };
        let port = client.read_u16().await?;
        match self.connect(format!("{host}:{port}")).await {
            Ok(destination) => {
                client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                Ok((client, destination))
            }
            Err(error) => {
                client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
                Err(error)
            }
        }
    }

    async fn serve_http(&self, mut client: TcpStream, first: u8) -> io::Result<(TcpStream, TcpStream)> {
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let wanted = self.login.as_ref().map(|(user, password)| {
            let login = STANDARD.encode(format!("{user}:{password}"));
            format!("Proxy-Authorization: Basic {login}\r\n")
        });
        if wanted.is_some_and(|wanted| !head.contains(&wanted)) {
            client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let destination = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        match self.connect(destination.to_owned()).await {
            Ok(destination) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                Ok((client, destination))
            }
            Err(error) => {
                client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await?;
                Err(error)
            }
        }
    }
}

/// A text with its length before it.
async fn text(client: &mut TcpStream) -> io::Result<String> {
    let mut text = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut text).await?;
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

async fn array<const LENGTH: usize>(client: &mut TcpStream) -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    client.read_exact(&mut bytes).await?;
    Ok(bytes)
}
