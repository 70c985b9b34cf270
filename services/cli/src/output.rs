//! What the verbs print: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use rocketbridge_model::printable;
use serde_json::Value;

pub mod document;
pub mod table;

pub use table::Table;

/// Form of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// YAML documents.
    Yaml,
}

/// The two streams a verb writes to. Each write is complete when it returns.
pub struct Console<'a> {
    results: Box<dyn Write + 'a>,
    remarks: Box<dyn Write + 'a>,
    is_live: bool,
}

impl<'a> Console<'a> {
    /// The process's own.
    pub fn standard() -> Self {
        Self { results: Box::new(io::stdout()), remarks: Box::new(io::stderr()), is_live: io::stdout().is_terminal() }
    }

    /// Two others. `is_live` says whether somebody watches the results as they come, on a terminal.
    pub fn new(results: impl Write + 'a, remarks: impl Write + 'a, is_live: bool) -> Self {
        Self { results: Box::new(results), remarks: Box::new(remarks), is_live }
    }

    /// Whether the results go to a terminal.
    pub fn is_live(&self) -> bool {
        self.is_live
    }

    /// Writes a result, with what a terminal would obey escaped: much of it are texts of others.
    pub fn result(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        self.results.write_all(printable::lines(&text.to_string()).as_bytes())?;
        self.results.flush()
    }

    /// Writes a result's bytes: as they are, but on a terminal as text that is safe there.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_live {
            return self.result(String::from_utf8_lossy(bytes));
        }
        self.results.write_all(bytes)?;
        self.results.flush()
    }

    /// Writes a document as JSON or YAML.
    pub fn document(&mut self, format: Format, value: &Value) -> io::Result<()> {
        match format {
            // What is escaped in YAML's plain texts would mean something else; JSON is YAML, and keeps its meaning.
            Format::Yaml if !value.to_string().contains(printable::is_unsafe) => {
                self.result(serde_yaml_ng::to_string(value).map_err(io::Error::other)?)
            }
            Format::Yaml => self.result(format!("{value:#}\n")),
            Format::Table | Format::Json => self.result(format!("{value:#}\n")),
        }
    }

    /// Writes several documents: a JSON array, or YAML documents one behind the other.
    pub fn documents(&mut self, format: Format, values: &[Value]) -> io::Result<()> {
        if format != Format::Yaml {
            return self.document(format, &Value::Array(values.to_vec()));
        }
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.result("---\n")?;
            }
            self.document(format, value)?;
        }
        Ok(())
    }

    /// Writes a line that is no result.
    pub fn remark(&mut self, text: impl std::fmt::Display) {
        // Nothing can be done, or said, when standard error is gone.
        let _ = writeln!(self.remarks, "{}", printable::lines(&text.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is printed, and what is remarked.
    fn printed(is_live: bool, print: impl Fn(&mut Console<'_>)) -> (String, String) {
        let (mut results, mut remarks) = (Vec::new(), Vec::new());
        print(&mut Console::new(&mut results, &mut remarks, is_live));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (text(results), text(remarks))
    }

    /// *Scenario*: texts with escape sequences, C1, DEL and bidirectional controls go through every way to print. *Guarantees*: none reaches the terminal; documents say the same as before; bytes for a
    /// pipe are as they were.
    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let evil = "a\u{1b}]0;t\u{7}\u{9b}2J\u{7f}\u{202e}\rb";
        let value = json!({ "reason": evil });
        let is_safe = |text: &str| !text.chars().any(|character| printable::is_unsafe(character) && character != '\n');
        let (results, remarks) = printed(true, |console| {
            console.result(format!("{evil}\n")).expect("written");
            console.bytes(evil.as_bytes()).expect("written");
            console.remark(evil);
        });
        assert!(is_safe(&results) && is_safe(&remarks), "{results:?} {remarks:?}");
        for format in [Format::Json, Format::Yaml] {
            let (document, _) = printed(false, |console| console.document(format, &value).expect("written"));
            assert!(is_safe(&document), "{document:?}");
            assert_eq!(serde_yaml_ng::from_str::<Value>(&document).expect("YAML"), value);
        }
        assert_eq!(printed(false, |console| console.bytes(evil.as_bytes()).expect("written")).0, evil);
        let (plain, _) = printed(false, |console| console.document(Format::Yaml, &json!({ "a": "b" })).expect("written"));
        assert_eq!(plain, "a: b\n");
    }
}
