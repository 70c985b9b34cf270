//! The table of what was run against what: `docs/compatibility.md`. The contract suites write it (`UPDATE_TABLE=1`), and a case whose result is not the one in the table
//! fails.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// A cell of a case that was not run on a broker.
const UNTRIED: &str = "–";
const HOLDS: &str = "yes";

/// A part of the page: what was run over one protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    /// Its heading.
    pub(crate) heading: &'static str,
    /// The brokers.
    pub(crate) columns: &'static [&'static str],
}

tokio::task_local! {
    /// Why the case that runs cannot be shown on its broker.
    static LACKS: RefCell<Option<&'static str>>;
}

/// Says why the broker cannot show the case that runs, or a part of it.
pub(crate) fn lacks(reason: &'static str) {
    LACKS.with(|lacks| *lacks.borrow_mut() = Some(reason));
}

/// Runs a case on a broker; writes its result into the table, or wants it to be the one in the table.
pub(crate) async fn tried(section: Section, column: &str, case: &str, run: impl Future<Output = Result<()>>) -> Result<()> {
    let run = async {
        run.await?;
        Ok::<_, anyhow::Error>(LACKS.with(|lacks| *lacks.borrow()))
    };
    let lacks = LACKS.scope(RefCell::new(None), run).await?;
    let result = lacks.map_or(HOLDS.to_owned(), |reason| format!("no: {reason}"));
    let mut file = open()?;
    let mut page = Page::read(&mut file)?;
    if std::env::var("UPDATE_TABLE").as_deref() == Ok("1") {
        page.set(section, column, case, &result)?;
        return page.write(&mut file);
    }
    let known = page.cell(section, column, case)?;
    ensure!(
        known.as_ref() == Some(&result),
        "docs/compatibility.md says {:?} of {:?} on {column}, and this run says {result:?}; if that is right, run the suite with UPDATE_TABLE=1",
        known.as_deref().unwrap_or(UNTRIED),
        sentence(case)
    );
    Ok(())
}

/// Wants every row of a section to be of a case that there is.
pub(crate) fn has_no_other_rows(section: Section, cases: &[&str]) -> Result<()> {
    let page = Page::read(&mut open()?)?;
    let rows = page.rows(section)?;
    ensure!(!rows.is_empty(), "docs/compatibility.md has no rows of {:?}", section.heading);
    for row in rows {
        let name = row.first().context("a row has cells")?;
        ensure!(
            cases.iter().any(|case| sentence(case) == *name),
            "docs/compatibility.md has a row {name:?}, and no case has this name: remove it"
        );
    }
    Ok(())
}

/// The page, locked until it is dropped: cases run side by side.
fn open() -> Result<File> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/compatibility.md");
    let file = File::options().read(true).write(true).open(&path).with_context(|| format!("open {}", path.display()))?;
    file.lock()?;
    Ok(file)
}

/// The name of a case for people.
fn sentence(case: &str) -> String {
    let known = |word| match word {
        "sql" => "SQL92",
        "tls" => "TLS",
        _ => word,
    };
    let words = case.split('_').map(known).collect::<Vec<_>>().join(" ");
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    first + characters.as_str()
}

/// The lines of the page.
struct Page(Vec<String>);

impl Page {
    fn read(file: &mut File) -> Result<Self> {
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(Self(text.lines().map(str::to_owned).collect()))
    }

    fn write(self, file: &mut File) -> Result<()> {
        let text = self.0.join("\n") + "\n";
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        Ok(file.set_len(text.len() as u64)?)
    }

    /// The index of the first row of a section: behind heading, empty line, names of the columns, and rule.
    fn start(&self, section: Section) -> Result<usize> {
        let heading = format!("## {}", section.heading);
        let at = self.0.iter().position(|line| *line == heading).with_context(|| format!("docs/compatibility.md has no {heading:?}"))?;
        let start = (at..self.0.len()).find(|line| self.0[*line].starts_with("|---")).context("the section has no table")?;
        let columns: Vec<_> = cells(&self.0[start - 1]).skip(1).collect();
        ensure!(columns == section.columns, "{heading:?} has the columns {columns:?} and not {:?}", section.columns);
        Ok(start + 1)
    }

    /// The rows of a section, each the name of a case and its cells.
    fn rows(&self, section: Section) -> Result<Vec<Vec<String>>> {
        let rows = self.0[self.start(section)?..].iter().take_while(|line| line.starts_with('|'));
        Ok(rows.map(|line| cells(line).map(str::to_owned).collect()).collect())
    }

    fn cell(&self, section: Section, column: &str, case: &str) -> Result<Option<String>> {
        let at = section.columns.iter().position(|known| *known == column).with_context(|| format!("the table has no column {column}"))?;
        let row = self.rows(section)?.into_iter().find(|row| row.first() == Some(&sentence(case)));
        Ok(row.and_then(|row| row.into_iter().nth(at + 1)))
    }

    fn set(&mut self, section: Section, column: &str, case: &str, result: &str) -> Result<()> {
        let Some(at) = section.columns.iter().position(|known| *known == column) else {
            bail!("the table has no column {column}");
        };
        let (start, name) = (self.start(section)?, sentence(case));
        let count = self.rows(section)?.len();
        let found = (start..start + count).find(|line| cells(&self.0[*line]).next() == Some(name.as_str()));
        let line = match found {
            Some(line) => line,
            None => {
                let untried = vec![UNTRIED; section.columns.len()].join(" | ");
                self.0.insert(start + count, format!("| {name} | {untried} |"));
                start + count
            }
        };
        let mut row: Vec<String> = cells(&self.0[line]).map(str::to_owned).collect();
        row[at + 1] = result.to_owned();
        self.0[line] = format!("| {} |", row.join(" | "));
        let end = start + self.rows(section)?.len();
        self.0[start..end].sort();
        Ok(())
    }
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.trim_matches('|').split('|').map(str::trim)
}
