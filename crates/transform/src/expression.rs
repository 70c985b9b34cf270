//! EXPRESSION: a jq program, run by jaq.
//!
//! The input is the whole event. The program must give one value, or none, which is the same as a path that is not there. A
//! string is given as its characters, anything else as JSON.
//!
//! jaq has no limits of its own, so they are made here. A program is bounded in length and nesting, and may not define functions:
//! so it cannot recurse. While it runs, every operation on a value is paid for from a [`budget`](budget), which bounds time and
//! memory and, unlike a clock, gives the same answer every time. Values nest no deeper than JSON may, and whole numbers have at most
//! as many digits as can be computed with quickly. Left out of jq: `def`, modules, updates of slices, and the functions that
//! `functions/absent.rs` names, each with its reason.

mod budget;
mod functions;
mod value;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Exn, Vars};
use jaq_json::read::parse_single;
use rocketbridge_pattern::json::mend_surrogates;

use crate::error::{ApplyError, Error, Part};
use crate::output::{Output, Writer};
use crate::path::Path;
use crate::source::Readable;
use crate::stop::Stop;
use budget::Budget;
use value::Value;

type Kind = JustLut<Value>;

/// A compiled program.
#[derive(Clone)]
pub(crate) struct Expression {
    text: String,
    whole: Path,
    filter: Arc<jaq_core::compile::Filter<jaq_core::Native<Kind>>>,
}

/// Characters of a program.
const MOST_CHARACTERS: usize = 10_240;
/// Words, symbols and brackets of a program: what its parser and its evaluation may recurse over.
const MOST_TOKENS: usize = 500;
/// Brackets inside each other.
const MOST_NESTED: usize = 32;
/// Digits of a whole number. Reading and writing one takes the square of its length.
const MOST_DIGITS: usize = 1_000;
/// What a program may not say.
const REFUSED: [&str; 4] = ["def", "import", "include", "module"];

impl Expression {
    pub(crate) fn compile(value: Option<&str>) -> Result<Self, Error> {
        let text =
            value.ok_or_else(|| Error::new(Part::Value, "nothing", "EXPRESSION needs a jq program, such as {id: .data.body.order}"))?;
        check(text)?;
        let fault = |found: String| Error::new(Part::Value, found, "a jq program, such as {id: .data.body.order}");
        let arena = Arena::default();
        let modules = Loader::new(functions::definitions()).load(&arena, File { code: text, path: () }).map_err(|faults| {
            let place = faults.iter().find_map(|(_, fault)| match fault {
                jaq_core::load::Error::Lex(faults) => faults.first().map(|fault| text.len() - fault.1.len()),
                jaq_core::load::Error::Parse(faults) => faults.first().map(|fault| jaq_core::load::span(text, fault.1).start),
                jaq_core::load::Error::Io(_) => None,
            });
            fault(place.map_or_else(|| "a malformed program".to_owned(), |at| format!("a malformed program, at byte {at}")))
        })?;
        let filter = Compiler::default().with_funs(functions::functions()).compile(modules).map_err(|faults| {
            match faults.iter().find_map(|(_, faults)| faults.first()) {
                Some((name, what)) => fault(unknown(name, what)),
                None => fault("a malformed program".to_owned()),
            }
        })?;
        Ok(Self { text: text.to_owned(), whole: Path::parse("$")?, filter: Arc::new(filter) })
    }

    /// The value for one event. `None` if it was stopped first.
    pub(crate) fn apply(&self, event: &impl Readable, stop: &Stop) -> Result<Option<Output>, ApplyError> {
        match self.evaluate(event, stop) {
            Err(_) if stop.is_set() => Ok(None),
            ended => ended.map(Some),
        }
    }

    fn evaluate(&self, event: &impl Readable, stop: &Stop) -> Result<Output, ApplyError> {
        let whole = event.find(&self.whole)?;
        let bytes = whole.as_ref().map_or(&b"null"[..], |found| found.as_bytes());
        if has_long_number(bytes) {
            return Err(
                self.fault("the input", format!("the event of {} bytes has a number of more than {MOST_DIGITS} digits", bytes.len()))
            );
        }
        // Half a pair of surrogates is no text, and jaq takes none.
        let input = parse_single(&mend_surrogates(bytes))
            .map_err(|_| self.fault("the input", format!("the event of {} bytes is not JSON", bytes.len())))?;
        let budget = Budget::open(stop);
        let context = Ctx::<Kind>::new(&self.filter.lut, Vars::new([]));
        let mut outputs = self.filter.id.run((context, Value::new(input)));
        let Some(first) = outputs.next() else {
            return budget.finish().map(|()| Output::Absent).map_err(|what| self.fault("the program", what));
        };
        let value = first.map_err(|fault| self.stopped(fault, &budget))?;
        let second = outputs.next().transpose().map_err(|fault| self.stopped(fault, &budget))?;
        drop(outputs);
        budget.finish().map_err(|what| self.fault("the program", what))?;
        if second.is_some() {
            return Err(self.fault("the output", "more than one value, where one is needed: put them in [ ]".to_owned()));
        }
        let mut out = Writer::default();
        value.write(&mut out);
        if out.is_over_limit() {
            return Err(self.fault("the output", format!("it is over {} bytes", Writer::LIMIT)));
        }
        Ok(Output::Value(Bytes::from(out.into_bytes())))
    }

    fn stopped(&self, fault: Exn<'_, Value>, budget: &Budget) -> ApplyError {
        let what = match budget.check() {
            Err(spent) => spent,
            Ok(()) => fault.get_err().map_or_else(|_| "it broke off".to_owned(), |fault| fault.to_string()),
        };
        self.fault("the program", what)
    }

    fn fault(&self, place: &str, what: String) -> ApplyError {
        ApplyError { expression: self.text.clone(), place: place.to_owned(), what }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

/// What is said of a name that means nothing here.
fn unknown(name: &str, what: &Undefined) -> String {
    let (word, arity) = match what {
        Undefined::Filter(arity) => ("function", Some(*arity)),
        other => (other.as_str(), None),
    };
    let called = match arity {
        Some(arity) if arity > 0 => format!("{name}/{arity}"),
        _ => name.to_owned(),
    };
    match functions::reason(name, arity) {
        Some(reason) => format!("the {word} {called:?} of jq, which is left out here: {reason}"),
        None => format!("the unknown {word} {called:?}"),
    }
}

/// Whether a JSON text has a number that is too long to be computed with.
fn has_long_number(text: &[u8]) -> bool {
    let (mut digits, mut quoted) = (0_usize, false);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'0'..=b'9' if !quoted => {
                digits += 1;
                if digits > MOST_DIGITS {
                    return true;
                }
                continue;
            }
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            _ => {}
        }
        digits = 0;
    }
    false
}

/// Refuses what could exhaust the stack, and what is not allowed.
fn check(text: &str) -> Result<(), Error> {
    let limit = |found: usize, of: &str, most: usize| Error::new(Part::Value, format!("{found} {of}"), format!("at most {most} {of}"));
    let characters = text.chars().count();
    if characters > MOST_CHARACTERS {
        return Err(limit(characters, "characters", MOST_CHARACTERS));
    }
    // Counted without regard to strings and comments: the lexer recurses over brackets, so this comes before it.
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > MOST_NESTED {
        return Err(limit(deepest, "brackets inside each other", MOST_NESTED));
    }
    let Ok(tokens) = Lexer::new(text).lex() else {
        return Ok(());
    };
    let count = count(&tokens)?;
    if count > MOST_TOKENS {
        return Err(limit(count, "words and symbols", MOST_TOKENS));
    }
    Ok(())
}

/// Tokens in all, those in brackets and strings too.
fn count(tokens: &[Token<&str>]) -> Result<usize, Error> {
    tokens.iter().try_fold(0, |sum, Token(text, kind)| {
        let inside = match kind {
            Tok::Word if REFUSED.contains(text) => {
                return Err(Error::new(Part::Value, format!("the word {text:?}"), "a jq program without definitions and modules"));
            }
            Tok::Block(tokens) => count(tokens)?,
            Tok::Str(parts) => parts.iter().try_fold(0, |sum, part| match part {
                StrPart::Term(token) => count(std::slice::from_ref(token)).map(|inside| sum + inside),
                _ => Ok(sum),
            })?,
            _ => 0,
        };
        Ok(sum + 1 + inside)
    })
}
