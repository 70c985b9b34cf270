//! The client's side of an HTTP proxy: CONNECT (RFC 9110, 9.3.6), with Basic authentication (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::socks::{Destination, Refused};

/// Longest head of an answer, bytes.
const LONGEST: usize = 8 * 1024;
/// Longest reason that is shown, characters.
const SHOWN: usize = 100;

/// Asks the proxy at the other end of a fresh connection to connect. Afterwards the connection leads to the destination.
pub(crate) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &mut S,
    to: &Destination,
    login: Option<(&str, &str)>,
) -> Result<(), Refused> {
    let authority = match to {
        Destination::Address(address) => address.to_string(),
        Destination::Name(name, port) => format!("{name}:{port}"),
    };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some((user, password)) = login {
        request += &format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")));
    }
    request += "\r\n";
    proxy.write_all(request.as_bytes()).await?;
    proxy.flush().await?;
    judge(&read_head(proxy).await?)
}

/// The head of the answer, to the empty line. It is read byte by byte, because what follows belongs to the destination.
async fn read_head<S: AsyncRead + Unpin>(proxy: &mut S) -> Result<Vec<u8>, Refused> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST {
            return Err(Refused::lasting("its answer is too long for an HTTP proxy's"));
        }
        head.push(proxy.read_u8().await?);
        // Something that is no HTTP server may never send an empty line.
        if head.len() == 5 && head != b"HTTP/" {
            return Err(Refused::lasting("it does not speak HTTP"));
        }
    }
    Ok(head)
}

fn judge(head: &[u8]) -> Result<(), Refused> {
    let text = String::from_utf8_lossy(head);
    let mut words = text.lines().next().unwrap_or_default().splitn(3, ' ');
    let (Some(version), Some(code)) = (words.next(), words.next().and_then(|code| code.parse::<u16>().ok())) else {
        return Err(Refused::lasting("it does not speak HTTP"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(Refused::lasting(format!("it does not speak HTTP/1.1 but {}", shown(version))));
    }
    let reason = shown(words.next().unwrap_or_default());
    let answered = format!("it answered {code} {reason}");
    match code {
        200..=299 => Ok(()),
        407 => Err(Refused::lasting("it wants a user and a password, or refuses those it was given")),
        408 | 429 | 500..=599 => Err(Refused::passing(answered.trim_end())),
        _ => Err(Refused::lasting(answered.trim_end())),
    }
}

/// A peer's words without what would move a reader's cursor.
fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    async fn against(expected: &str, answer: &str, to: Destination, login: Option<(&str, &str)>) -> (Result<(), Refused>, String) {
        let (mut client, mut proxy) = duplex(64 * 1024);
        proxy.write_all(answer.as_bytes()).await.expect("there is room");
        let tunnelled = tunnel(&mut client, &to, login).await;
        let mut asked = vec![0; expected.len()];
        proxy.read_exact(&mut asked).await.expect("it asks");
        assert_eq!(String::from_utf8_lossy(&asked), expected);
        drop(proxy);
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.expect("what follows");
        (tunnelled, rest)
    }

    /// *Scenario*: a proxy with and without a login, for an address and a name. *Guarantees*: the request of RFC 9110; what follows the answer is left to the
    /// destination's protocol.
    #[tokio::test]
    async fn destinations_are_asked_for_as_the_rfc_has_it() {
        let six = Destination::Address("[2001:db8::1]:9876".parse().expect("an address"));
        let asked = "CONNECT [2001:db8::1]:9876 HTTP/1.1\r\nHost: [2001:db8::1]:9876\r\n\r\n";
        let answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello";
        assert_eq!(against(asked, answer, six, None).await, (Ok(()), "hello".to_owned()));
        let name = Destination::Name("mq".to_owned(), 80);
        let asked = "CONNECT mq:80 HTTP/1.1\r\nHost: mq:80\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n";
        assert_eq!(against(asked, "HTTP/1.0 200\r\n\r\n", name, Some(("me", "pw"))).await, (Ok(()), String::new()));
    }

    /// *Scenario*: proxies that refuse, and something that is none. *Guarantees*: the reason in words without control characters, and whether waiting
    /// helps; an endless answer ends.
    #[tokio::test]
    async fn refusals_say_why() {
        let to = || Destination::Name("mq".to_owned(), 80);
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(2_000));
        for (answer, reason, will_pass) in [
            ("HTTP/1.1 407 Auth\r\n\r\n", "it wants a user and a password, or refuses those it was given", false),
            ("HTTP/1.1 403 no\u{1b}[31m\r\n\r\n", "it answered 403 no[31m", false),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "it answered 502 Bad Gateway", true),
            ("\u{5}\u{0}garbage", "it does not speak HTTP", false),
            (endless.as_str(), "its answer is too long for an HTTP proxy's", false),
        ] {
            let (tunnelled, _) = against("", answer, to(), None).await;
            assert_eq!(tunnelled, Err(Refused { reason: reason.to_owned(), will_pass }));
        }
    }
}
