//! Pages of a list (AIP-158).
//!
//! A token says behind which name the next page begins, so pages stay right while definitions come and go. It is opaque to callers
//! and of one kind: a token of streams is no token of connections.

use rocketbridge_codec::definition::Kind;

use crate::error::{Error, word};

/// Definitions in a page unless asked otherwise.
const USUAL: usize = 100;
/// Most definitions in a page.
const MOST: usize = 1_000;

/// Longest token: a kind and a name, in hexadecimal digits, characters.
const LONGEST_TOKEN: usize = 2_048;

/// One page of names that are sorted, and the token of the next; the token is empty on the last page.
pub fn page<T>(kind: Kind, sorted: Vec<(String, T)>, page_size: i32, page_token: &str) -> Result<(Vec<T>, String), Error> {
    let size = match usize::try_from(page_size) {
        Ok(0) => USUAL,
        Ok(size) => size.min(MOST),
        Err(_) => {
            let fix = "write 0 for 100, or up to 1000";
            return Err(Error::refused("page_size", &page_size.to_string(), "a page's size is not negative", fix));
        }
    };
    let after = decode(kind, page_token)?;
    let mut rest = sorted.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let (names, items): (Vec<_>, Vec<_>) = rest.by_ref().take(size).unzip();
    let token = match (rest.next(), names.last()) {
        (Some(_), Some(last)) => encode(kind, last),
        _ => String::new(),
    };
    Ok((items, token))
}

fn encode(kind: Kind, after: &str) -> String {
    hex::encode(format!("1:{}:{after}", word(kind)))
}

fn decode(kind: Kind, token: &str) -> Result<Option<String>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > LONGEST_TOKEN {
        let fix = "write the next_page_token of the former answer, or nothing for the first page";
        return Err(Error::refused("page_token", &format!("{} characters", token.len()), "it is no token of this list", fix));
    }
    let text = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let after = text.as_deref().and_then(|text| text.strip_prefix("1:")?.strip_prefix(word(kind))?.strip_prefix(':'));
    match after {
        Some(after) => Ok(Some(after.to_owned())),
        None => {
            let fix = "write the next_page_token of the former answer, or nothing for the first page";
            Err(Error::refused("page_token", token, "it is no token of this list", fix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect()
    }

    /// *Scenario*: the definition that a token names is deleted, and others come before and behind it. *Guarantees*: nothing behind it is missed
    /// or shown twice.
    #[test]
    fn pages_stay_right_while_definitions_come_and_go() {
        let (first, token) = page(Kind::Stream, names(&["a", "c", "e"]), 2, "").expect("a page");
        assert_eq!(first, ["a", "c"]);
        let (second, token) = page(Kind::Stream, names(&["a", "b", "d", "e"]), 2, &token).expect("a page");
        assert_eq!(second, ["d", "e"]);
        assert_eq!(token, "");
    }

    #[test]
    fn sizes_and_tokens_are_checked() {
        let many: Vec<(String, ())> = (0..1_200).map(|number| (format!("{number:04}"), ())).collect();
        assert_eq!(page(Kind::Stream, many.clone(), 0, "").expect("a page").0.len(), 100);
        assert_eq!(page(Kind::Stream, many, 5_000, "").expect("a page").0.len(), 1_000);
        let (_, token) = page(Kind::Connection, names(&["a", "b"]), 1, "").expect("a page");
        for token in [token.as_str(), "zz", "ff"] {
            let error = page(Kind::Stream, names(&["a"]), 1, token).expect_err("no token of streams");
            assert!(error.to_string().contains("page_token"), "{error}");
        }
        assert!(page(Kind::Stream, names(&["a"]), -1, "").expect_err("negative").to_string().contains("page_size"));
    }
}
