//! JSON as RocketMQ writes it: name servers before 4.9.4 leave number keys unquoted (`{0:"127.0.0.1:10911"}`).

use std::borrow::Cow;

use serde::de::DeserializeOwned;

/// Reads a body, whether its number keys are quoted or not.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&quote_number_keys(body))
}

fn quote_number_keys(json: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted: Option<Vec<u8>> = None;
    let (mut in_text, mut escaped, mut position, mut kept) = (false, false, 0, 0);
    while position < json.len() {
        let byte = json[position];
        position += 1;
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b',' => {
                let digits = json[position..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits > 0 && json.get(position + digits) == Some(&b':') {
                    let output = quoted.get_or_insert_with(|| Vec::with_capacity(json.len() + 16));
                    output.extend(&json[kept..position]);
                    output.push(b'"');
                    output.extend(&json[position..position + digits]);
                    output.push(b'"');
                    position += digits;
                    kept = position;
                }
            }
            _ => {}
        }
    }
    match quoted {
        Some(mut output) => {
            output.extend(&json[kept..]);
            Cow::Owned(output)
        }
        None => Cow::Borrowed(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// *Scenario*: a route as fastjson writes it. *Guarantees*: number keys are quoted, numbers in values and texts are left alone.
    #[test]
    fn number_keys_are_quoted_and_nothing_else() {
        let json = br#"{"a":{0:"x,1:2",12:"y"},"b":[1,2],"c":"{3:4}\",5:"}"#;
        assert_eq!(quote_number_keys(json), Cow::<[u8]>::Owned(br#"{"a":{"0":"x,1:2","12":"y"},"b":[1,2],"c":"{3:4}\",5:"}"#.to_vec()));
        let standard = br#"{"a":{"0":"x"},"b":[1,2]}"#;
        assert!(matches!(quote_number_keys(standard), Cow::Borrowed(_)));
    }
}
