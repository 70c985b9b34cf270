//! The client's side of SOCKS 5: RFC 1928, with user and password as in RFC 1929.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connect::reason;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xff;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Where a proxy shall connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// An address that was checked.
    Address(SocketAddr),
    /// A host that the proxy resolves.
    Name(String, u16),
}

/// Why a proxy does not connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// For people.
    pub(crate) reason: String,
    /// Whether it is likely to pass by itself.
    pub(crate) will_pass: bool,
}

impl Refused {
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), will_pass: true }
    }

    pub(crate) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), will_pass: false }
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::passing(reason(&error))
    }
}

/// Asks the proxy at the other end of a fresh connection to connect. Afterwards the connection leads to the destination.
pub(crate) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &mut S,
    to: &Destination,
    login: Option<(&str, &str)>,
) -> Result<(), Refused> {
    let methods: &[u8] = if login.is_some() { &[NO_LOGIN, LOGIN] } else { &[NO_LOGIN] };
    let mut hello = vec![VERSION, short(methods.len())];
    hello.extend_from_slice(methods);
    proxy.write_all(&hello).await?;
    proxy.flush().await?;
    let mut answer = [0; 2];
    proxy.read_exact(&mut answer).await?;
    match (answer, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, LOGIN], Some(login)) => log_in(proxy, login).await?,
        ([VERSION, NO_METHOD | LOGIN], None) => return Err(Refused::lasting("it wants a user and a password")),
        ([VERSION, NO_METHOD], Some(_)) => return Err(Refused::lasting("it takes no user and password")),
        ([VERSION, _], _) => return Err(Refused::lasting("it chose a way to log in that was not offered")),
        _ => return Err(Refused::lasting("it does not speak SOCKS 5")),
    }
    proxy.write_all(&request(to)?).await?;
    proxy.flush().await?;
    read_reply(proxy).await
}

async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(proxy: &mut S, (user, password): (&str, &str)) -> Result<(), Refused> {
    if user.is_empty() || user.len() > 255 || password.is_empty() || password.len() > 255 {
        return Err(Refused::lasting("SOCKS 5 takes a user and a password of 1 to 255 bytes each"));
    }
    let mut message = vec![LOGIN_VERSION, short(user.len())];
    message.extend_from_slice(user.as_bytes());
    message.push(short(password.len()));
    message.extend_from_slice(password.as_bytes());
    proxy.write_all(&message).await?;
    proxy.flush().await?;
    let mut answer = [0; 2];
    proxy.read_exact(&mut answer).await?;
    if answer[1] == 0 { Ok(()) } else { Err(Refused::lasting("it refuses the user or the password")) }
}

fn request(to: &Destination) -> Result<Vec<u8>, Refused> {
    let mut request = vec![VERSION, CONNECT, 0];
    let port = match to {
        Destination::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(IPV4);
                    request.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(IPV6);
                    request.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Destination::Name(name, port) => {
            if name.len() > 255 {
                return Err(Refused::lasting("the name of the host is longer than SOCKS 5 can carry"));
            }
            request.extend_from_slice(&[NAME, short(name.len())]);
            request.extend_from_slice(name.as_bytes());
            *port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

async fn read_reply<S: AsyncRead + AsyncWrite + Unpin>(proxy: &mut S) -> Result<(), Refused> {
    let mut head = [0; 4];
    proxy.read_exact(&mut head).await?;
    let [version, code, _, kind] = head;
    if version != VERSION {
        return Err(Refused::lasting("it does not speak SOCKS 5"));
    }
    if code != 0 {
        return Err(refusal(code));
    }
    // The address that the proxy connects from means nothing to us, but stands before what the destination says.
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(proxy.read_u8().await?),
        _ => return Err(Refused::lasting("it does not speak SOCKS 5")),
    };
    let mut bound = vec![0; length + 2];
    proxy.read_exact(&mut bound).await?;
    Ok(())
}

/// RFC 1928, 6.
fn refusal(code: u8) -> Refused {
    match code {
        2 => Refused::lasting("its rules do not allow this connection"),
        3 => Refused::passing("the network is unreachable from there"),
        4 => Refused::passing("the host is unreachable from there"),
        5 => Refused::passing("connection refused"),
        6 => Refused::passing("the host did not answer in time"),
        7 => Refused::lasting("it does not connect for others"),
        8 => Refused::lasting("it does not connect to addresses of this family"),
        1 => Refused::passing("it failed"),
        code => Refused::passing(format!("it answered {code}")),
    }
}

/// A length that was checked to fit.
fn short(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Plays a proxy: expects what is written before each answer.
    async fn against(script: &[(&[u8], &[u8])], to: Destination, login: Option<(&str, &str)>) -> Result<(), Refused> {
        let (mut client, mut proxy) = duplex(4096);
        let script: Vec<(Vec<u8>, Vec<u8>)> = script.iter().map(|(ask, answer)| (ask.to_vec(), answer.to_vec())).collect();
        let playing = tokio::spawn(async move {
            for (expected, answer) in script {
                let mut asked = vec![0; expected.len()];
                proxy.read_exact(&mut asked).await.expect("it asks");
                assert_eq!(asked, expected);
                proxy.write_all(&answer).await.expect("it listens");
            }
        });
        let tunnelled = tunnel(&mut client, &to, login).await;
        playing.await.expect("as in the script");
        tunnelled
    }

    fn to() -> Destination {
        Destination::Address("10.0.0.1:9876".parse().expect("an address"))
    }

    const ASKED: &[u8] = &[5, 1, 0, 1, 10, 0, 0, 1, 0x26, 0x94];
    const CONNECTED: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    /// *Scenario*: proxies without and with a login, for IPv4, IPv6 and a name. *Guarantees*: the bytes of RFC 1928 and 1929, and nothing of what follows is
    /// read.
    #[tokio::test]
    async fn destinations_are_asked_for_as_the_rfc_has_it() {
        assert_eq!(against(&[(&[5, 1, 0], &[5, 0]), (ASKED, CONNECTED)], to(), None).await, Ok(()));
        let login: &[(&[u8], &[u8])] = &[(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x02me\x02pw", &[1, 0]), (ASKED, CONNECTED)];
        assert_eq!(against(login, to(), Some(("me", "pw"))).await, Ok(()));
        let six = Destination::Address("[2001:db8::1]:80".parse().expect("an address"));
        let asked: &[u8] = &[5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80];
        assert_eq!(against(&[(&[5, 1, 0], &[5, 0]), (asked, b"\x05\0\0\x03\x03abc\0\x50")], six, None).await, Ok(()));
        let name = Destination::Name("mq".to_owned(), 80);
        assert_eq!(against(&[(&[5, 1, 0], &[5, 0]), (b"\x05\x01\0\x03\x02mq\0\x50", CONNECTED)], name, None).await, Ok(()));
    }

    /// *Scenario*: proxies that refuse, and something that is none. *Guarantees*: the reason in words, and whether waiting helps.
    #[tokio::test]
    async fn refusals_say_why() {
        let hello: &[u8] = &[5, 1, 0];
        for (script, reason, will_pass) in [
            (vec![(hello, &[5, 0xff][..])], "it wants a user and a password", false),
            (vec![(hello, b"HT")], "it does not speak SOCKS 5", false),
            (vec![(hello, &[5, 0]), (ASKED, &[5, 2, 0, 1])], "its rules do not allow this connection", false),
            (vec![(hello, &[5, 0]), (ASKED, &[5, 5, 0, 1])], "connection refused", true),
            (vec![(hello, &[5, 0]), (ASKED, &[5])], "the peer closed the connection", true),
        ] {
            assert_eq!(against(&script, to(), None).await, Err(Refused { reason: reason.to_owned(), will_pass }));
        }
        let denied: &[(&[u8], &[u8])] = &[(&[5, 2, 0, 2], &[5, 2]), (b"\x01\x02me\x02pw", &[1, 1])];
        assert_eq!(against(denied, to(), Some(("me", "pw"))).await, Err(Refused::lasting("it refuses the user or the password")));
    }
}
