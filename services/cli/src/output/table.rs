//! Columns aligned by their widest cell.

use std::fmt;

use rocketbridge_model::printable;

/// A table for people: a line of titles, then rows. Numbers stand to the right.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these titles.
    pub fn new<const N: usize>(titles: [&str; N]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()], right: Vec::new() }
    }

    /// Aligns these columns to the right.
    #[must_use]
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        // A line end within a cell would break the table, and so would what moves the cursor.
        self.rows.push(cells.iter().map(|cell| printable::line(&cell.replace(['\n', '\r'], " ")).into_owned()).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let padding = " ".repeat(widths.get(column).unwrap_or(&0).saturating_sub(cell.chars().count()));
                if column > 0 {
                    line.push_str("   ");
                }
                if self.right.contains(&column) { line.extend([padding.as_str(), cell]) } else { line.extend([cell, padding.as_str()]) }
            }
            writeln!(formatter, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with a comma between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 message`, `1,000 messages`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned() {
        let mut table = Table::new(["NAME", "LAG"]).right(&[1]);
        table.row(["a".into(), "1,000".into()]);
        table.row(["orders\nb".into(), "7".into()]);
        assert_eq!(table.to_string(), "NAME         LAG\na          1,000\norders b       7\n");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 1_000].map(|number| counted(number, "byte")), ["0 bytes", "1 byte", "1,000 bytes"]);
    }
}
