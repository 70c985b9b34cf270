//! Text: the formats of jq.

use std::fmt::Write;

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use jaq_core::Error;
use jaq_json::Val;
use jaq_std::ValT as _;

use super::Result;
use crate::expression::value::{Value, paid};

/// As jq: what is missing at the end does not matter.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The characters, paid for as often as the format may make of each.
fn characters(value: &Value, times: usize) -> Result<&str> {
    paid(value.size().saturating_mul(times))?;
    let bytes = value.as_utf8_bytes().ok_or_else(|| Error::typ(value.clone(), "a string"))?;
    std::str::from_utf8(bytes).map_err(|_| Error::typ(value.clone(), "text"))
}

fn text(bytes: Vec<u8>) -> Value {
    // Bytes that are not UTF-8 become U+FFFD, as in jq: a value is text.
    Value::from(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

pub(super) fn to_html(value: &Value) -> Result<Value> {
    let mut out = String::new();
    for character in characters(value, 6)?.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    Ok(out.into())
}

/// Everything but letters, digits and `-_.~` as `%XX`.
pub(super) fn to_uri(value: &Value) -> Result<Value> {
    let mut out = String::new();
    for byte in characters(value, 3)?.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Ok(out.into())
}

pub(super) fn from_uri(value: &Value) -> Result<Value> {
    let bytes = characters(value, 1)?.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let decoded = match digits {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => {
                std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())
            }
            _ => None,
        };
        if byte == b'%' && decoded.is_none() {
            return Err(Error::typ(value.clone(), "text of a URI"));
        }
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    Ok(text(out))
}

pub(super) fn to_base64(value: &Value) -> Result<Value> {
    Ok(STANDARD.encode(characters(value, 2)?).into())
}

pub(super) fn from_base64(value: &Value) -> Result<Value> {
    let encoded = characters(value, 1)?;
    LENIENT.decode(encoded.trim_end_matches('=')).map(text).map_err(|_| Error::typ(value.clone(), "base64"))
}

pub(super) fn to_base32(value: &Value) -> Result<Value> {
    let mut out = String::new();
    for group in characters(value, 2)?.as_bytes().chunks(5) {
        let mut bits = [0_u8; 8];
        bits[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(bits);
        let digits = (group.len() * 8).div_ceil(5);
        out.extend((0..8).map(|place| match place < digits {
            true => char::from(BASE32[usize::try_from(bits >> (35 - place * 5) & 31).unwrap_or(0)]),
            false => '=',
        }));
    }
    Ok(out.into())
}

pub(super) fn from_base32(value: &Value) -> Result<Value> {
    let fault = || Error::typ(value.clone(), "base32");
    let digits = characters(value, 1)?.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len());
    for group in digits.chunks(8) {
        let mut bits = 0_u64;
        for (place, digit) in group.iter().enumerate() {
            let number = BASE32.iter().position(|known| known == digit).ok_or_else(fault)?;
            bits |= u64::try_from(number).unwrap_or(0) << (35 - place * 5);
        }
        out.extend_from_slice(&bits.to_be_bytes()[3..3 + group.len() * 5 / 8]);
    }
    Ok(text(out))
}

pub(super) fn to_csv(value: &Value) -> Result<Value> {
    row(value, ",", |text, out| {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    })
}

pub(super) fn to_tsv(value: &Value) -> Result<Value> {
    row(value, "\t", |text, out| {
        for character in text.chars() {
            match character {
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                other => out.push(other),
            }
        }
    })
}

/// The elements of an array one beside the other: numbers and booleans as they are, `null` as nothing.
fn row(value: &Value, separator: &str, write: impl Fn(&str, &mut String)) -> Result<Value> {
    paid(value.whole_size().saturating_mul(2))?;
    let Val::Arr(elements) = value.inner() else { return Err(Error::typ(value.clone(), "an array")) };
    let mut out = String::new();
    for (place, element) in elements.iter().enumerate() {
        if place > 0 {
            out.push_str(separator);
        }
        match element {
            Val::Null => {}
            Val::Bool(_) | Val::Num(_) => out.push_str(&element.to_string()),
            Val::TStr(bytes) | Val::BStr(bytes) => write(&String::from_utf8_lossy(bytes), &mut out),
            Val::Arr(_) | Val::Obj(_) => return Err(Error::typ(Value::new(element.clone()), "a part of a row")),
        }
    }
    Ok(out.into())
}
