//! Addresses of name servers and proxies.

use crate::address::Address;

/// Port that RocketMQ's name server listens on unless told otherwise.
const NAME_SERVER_PORT: u16 = 9876;
/// Port that RocketMQ's proxy listens on for gRPC unless told otherwise.
const PROXY_PORT: u16 = 8081;

/// Splits a list of endpoints, separated by `;` or `,`.
pub(super) fn split(list: &str) -> impl Iterator<Item = &str> {
    list.split([';', ',']).map(str::trim).filter(|endpoint| !endpoint.is_empty())
}

/// One `host:port` of a name server, in its plain form (lower case; see [`Address`]). The error is the fix: what to write instead.
pub fn endpoint(text: &str) -> Result<String, String> {
    read(text, NAME_SERVER_PORT)
}

/// One `host:port` of a proxy, in its plain form (lower case; see [`Address`]). The error is the fix: what to write instead.
pub fn proxy(text: &str) -> Result<String, String> {
    read(text, PROXY_PORT)
}

fn read(text: &str, usual_port: u16) -> Result<String, String> {
    Address::read(text, usual_port).map(|address| address.to_string()).map_err(|malformed| malformed.fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address() {
        assert_eq!(endpoint("Name-Server:80").as_deref(), Ok("name-server:80"));
        assert_eq!(endpoint("name-server"), Err("write a port, such as name-server:9876".to_owned()));
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
