//! Addresses of name servers and proxies.

use std::net::Ipv6Addr;

/// Port that RocketMQ's name server listens on unless told otherwise.
const NAME_SERVER_PORT: u16 = 9876;
/// Port that RocketMQ's proxy listens on for gRPC unless told otherwise.
const PROXY_PORT: u16 = 8081;

/// Splits a list of endpoints, separated by `;` or `,`.
pub(super) fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split([';', ',']).map(str::trim).filter(|endpoint| !endpoint.is_empty())
}

/// One `host:port` of a name server, in its plain form (lower case). The error is the fix: what to write instead.
pub fn endpoint(text: &str) -> Result<String, String> {
    read(text, NAME_SERVER_PORT)
}

/// One `host:port` of a proxy, in its plain form (lower case). The error is the fix: what to write instead.
pub fn proxy(text: &str) -> Result<String, String> {
    read(text, PROXY_PORT)
}

fn read(text: &str, usual_port: u16) -> Result<String, String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.trim_end_matches('/');
        return Err(match read(rest, usual_port) {
            Ok(plain) => format!("write {plain}, without {scheme}://"),
            Err(fix) => format!("leave {scheme}:// out, and {fix}"),
        });
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else {
            return Err("close the bracket: [address]:port".to_owned());
        };
        let address: Ipv6Addr = address.parse().map_err(|_| "write an IPv6 address between the brackets".to_owned())?;
        let port = port.strip_prefix(':').ok_or_else(|| format!("write a port, such as [{address}]:{usual_port}"))?;
        return Ok(format!("[{address}]:{}", parse_port(port)?));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Err(format!("write an IPv6 address in brackets and a port, such as [{address}]:{usual_port}"));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(match check_host(text, usual_port) {
            Ok(()) => format!("write a port, such as {text}:{usual_port}"),
            Err(fix) => fix,
        });
    };
    check_host(host, usual_port)?;
    Ok(format!("{}:{}", host.to_ascii_lowercase(), parse_port(port)?))
}

fn check_host(host: &str, usual_port: u16) -> Result<(), String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if host.is_empty() {
        Err(format!("write a host before the port, such as 127.0.0.1:{usual_port}"))
    } else if host.len() > 253 || !host.chars().all(allowed) {
        Err(format!("write a host name or an address, and a port, such as 127.0.0.1:{usual_port}"))
    } else {
        Ok(())
    }
}

fn parse_port(port: &str) -> Result<u16, String> {
    match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err("write a port from 1 to 65535".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_hosts_addresses_and_bracketed_addresses() {
        for (text, plain) in [
            ("127.0.0.1:9876", "127.0.0.1:9876"),
            ("Name-Server.Example:80", "name-server.example:80"),
            ("[::1]:9876", "[::1]:9876"),
            ("[2001:DB8::0:1]:1", "[2001:db8::1]:1"),
        ] {
            assert_eq!(endpoint(text).as_deref(), Ok(plain), "{text}");
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        for (text, fix) in [
            ("http://mq.example.com:80", "write mq.example.com:80, without http://"),
            ("http://mq.example.com", "leave http:// out, and write a port, such as mq.example.com:9876"),
            ("localhost", "write a port, such as localhost:9876"),
            ("::1", "write an IPv6 address in brackets and a port, such as [::1]:9876"),
            ("[::1]", "write a port, such as [::1]:9876"),
            ("[::1", "close the bracket: [address]:port"),
            ("a:0", "write a port from 1 to 65535"),
            ("a:65536", "write a port from 1 to 65535"),
            (":1", "write a host before the port, such as 127.0.0.1:9876"),
            ("a b:1", "write a host name or an address, and a port, such as 127.0.0.1:9876"),
        ] {
            assert_eq!(endpoint(text), Err(fix.to_owned()), "{text}");
        }
    }

    #[test]
    fn proposes_the_usual_port_of_a_proxy() {
        assert_eq!(proxy("mq.example:8081").as_deref(), Ok("mq.example:8081"));
        assert_eq!(proxy("mq.example"), Err("write a port, such as mq.example:8081".to_owned()));
    }

    #[test]
    fn splits_at_both_separators() {
        assert_eq!(split("a:1; b:2,,c:3;").collect::<Vec<_>>(), ["a:1", "b:2", "c:3"]);
    }
}
