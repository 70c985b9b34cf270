//! What the verbs print: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
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

    /// Writes a result as it is.
    pub fn result(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        write!(self.results, "{text}")?;
        self.results.flush()
    }

    /// Writes a result's bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.results.write_all(bytes)?;
        self.results.flush()
    }

    /// Writes a document as JSON or YAML.
    pub fn document(&mut self, format: Format, value: &Value) -> io::Result<()> {
        match format {
            Format::Yaml => self.result(serde_yaml_ng::to_string(value).map_err(io::Error::other)?),
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
        let _ = writeln!(self.remarks, "{text}");
    }
}
