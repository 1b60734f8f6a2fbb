//! Tables for a terminal, and texts that do it no harm.

use std::borrow::Cow;
use std::io::{self, Write};

/// Rows below a header, in columns as wide as they need to be.
#[derive(Debug)]
pub struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// An empty table with this header.
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&name| name.to_owned()).collect()] }
    }

    /// Adds a row, which has as many cells as the header.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing below the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Writes it, each line behind this indentation.
    ///
    /// # Errors
    /// As the writer's.
    pub fn write(&self, indentation: &str, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(out, "{indentation}{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A text in which nothing commands a terminal, or turns its writing around.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| match character {
        character if is_harmful(character) => character.escape_default().to_string(),
        character => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The beginning of a text, in one line.
pub fn shortened(text: &str, characters: usize) -> String {
    let text = printable(text);
    match text.char_indices().nth(characters) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::{TextTable, printable, shortened};

    #[test]
    fn aligns_columns() {
        let mut table = TextTable::new(&["A", "LONG"]);
        assert!(table.is_empty());
        table.row(vec!["äöü".to_owned(), "x".to_owned()]);
        table.row(vec!["b".to_owned(), String::new()]);
        let mut out = Vec::new();
        table.write("> ", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "> A    LONG\n> äöü  x\n> b\n");
    }

    #[test]
    fn commands_no_terminal() {
        assert_eq!(printable("plain é"), "plain é");
        assert_eq!(printable("\x1b[2J\ta\u{202e}b"), "\\u{1b}[2J\\ta\\u{202e}b");
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äöü…");
    }
}
