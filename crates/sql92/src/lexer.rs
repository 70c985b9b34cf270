//! Characters to tokens.

use crate::error::Malformed;

/// A token and where it begins, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) at: usize,
    pub(crate) kind: Kind<'t>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'t> {
    /// A name, or a word of the language: they differ in nothing but their letters.
    Word(&'t str),
    /// A text between apostrophes, two of which inside stand for one.
    Text(Box<str>),
    /// A whole number, without the `L` behind it.
    Whole(&'t str),
    /// A number with a point or an exponent.
    Decimal(&'t str),
    /// One of `( ) , + - = <> < <= > >=`.
    Sign(&'static str),
    End,
}

/// The longer of two that begin alike come first.
const SIGNS: [&str; 11] = ["<>", "<=", ">=", "(", ")", ",", "+", "-", "=", "<", ">"];

/// The tokens of a text, closed by [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Malformed> {
    let mut tokens = Vec::new();
    let mut at = skip(text, 0)?;
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = next(rest).map_err(|reason| malformed(text, at, reason))?;
        tokens.push(Token { at, kind });
        at = skip(text, at + length)?;
    }
    tokens.push(Token { at: text.len(), kind: Kind::End });
    Ok(tokens)
}

/// An error at a byte of a text.
pub(crate) fn malformed(text: &str, at: usize, reason: impl Into<String>) -> Malformed {
    Malformed { character: text[..at].chars().count() + 1, reason: reason.into() }
}

/// Passes over spaces and comments.
fn skip(text: &str, mut at: usize) -> Result<usize, Malformed> {
    loop {
        let rest = &text[at..];
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']).len();
        at += space;
        let rest = &text[at..];
        if rest.starts_with("--") {
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or_else(|| malformed(text, at, "a comment begins here and does not end; close it with */"))?;
            at += end + 2;
        } else if space == 0 {
            return Ok(at);
        }
    }
}

fn next(rest: &str) -> Result<(Kind<'_>, usize), String> {
    let first = rest.bytes().next().unwrap_or_default();
    let is_decimal = first == b'.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if first.is_ascii_digit() || is_decimal {
        return number(rest);
    }
    if first == b'\'' {
        return quoted(rest);
    }
    if is_letter(first) {
        let length = rest.bytes().take_while(|byte| is_letter(*byte) || byte.is_ascii_digit()).count();
        return Ok((Kind::Word(&rest[..length]), length));
    }
    match SIGNS.into_iter().find(|sign| rest.starts_with(*sign)) {
        Some(sign) => Ok((Kind::Sign(sign), sign.len())),
        None => Err(unknown(rest)),
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$')
}

/// What a character that begins nothing was probably meant to be.
fn unknown(rest: &str) -> String {
    let found = rest.chars().next().unwrap_or_default();
    let fix = match found {
        '"' | '“' | '”' | '‘' | '’' => "texts stand between apostrophes: 'a'",
        '!' => "write <> for not equal, and NOT for not",
        '&' => "write AND",
        '|' => "write OR",
        '%' | '*' | '/' => "there is no arithmetic, and no pattern; for parts of a text there are CONTAINS, STARTSWITH and ENDSWITH",
        _ => "names of properties have letters a to z, digits, _ and $",
    };
    format!("found {found:?}, which begins nothing; {fix}")
}

fn quoted(rest: &str) -> Result<(Kind<'_>, usize), String> {
    let mut text = String::new();
    let mut from = 1;
    while let Some(length) = rest[from..].find('\'') {
        text.push_str(&rest[from..from + length]);
        from += length + 1;
        if !rest[from..].starts_with('\'') {
            return Ok((Kind::Text(text.into()), from));
        }
        text.push('\'');
        from += 1;
    }
    Err("a text begins here and does not end; close it with an apostrophe, and write two for one inside".to_owned())
}

fn number(rest: &str) -> Result<(Kind<'_>, usize), String> {
    let digits = |from: usize| rest.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let whole = digits(0);
    let mut length = whole;
    if rest[length..].starts_with('.') {
        length += 1 + digits(length + 1);
    }
    let exponent = &rest[length..];
    if exponent.starts_with(['e', 'E']) {
        let sign = usize::from(exponent[1..].starts_with(['+', '-']));
        match digits(length + 1 + sign) {
            0 => return Err(format!("found {:?}; an exponent has digits, as in 5E10", &rest[..length + 1 + sign])),
            count => length += 1 + sign + count,
        }
    }
    let text = &rest[..length];
    let kind = if length > whole {
        Kind::Decimal(text)
    } else {
        if whole > 1 && text.starts_with('0') {
            return Err(format!("found {text}; whole numbers do not begin with 0"));
        }
        length += usize::from(text != "0" && rest[length..].starts_with(['l', 'L']));
        Kind::Whole(text)
    };
    if rest[length..].bytes().next().is_some_and(|byte| is_letter(byte) || byte.is_ascii_digit()) {
        return Err(format!(
            "found {text} and a letter behind it; a name does not begin with a digit, and a text stands between apostrophes"
        ));
    }
    Ok((kind, length))
}
