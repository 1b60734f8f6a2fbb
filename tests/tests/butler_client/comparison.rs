//! In which rows a writer's database and the client's differ.

use anyhow::Result;
use forebay_tests::{Stack, butler_client, endpoint::SUPERUSER};

use crate::program;

/// A row, or a part of a table's definition, that only one side has.
#[derive(Debug)]
pub struct Difference {
    /// The table, groups of dimensions in place of their numbers.
    pub table: String,
    /// Who has it: `A` is the client, `B` the writer.
    #[expect(dead_code, reason = "it is for a failed test's message")]
    side: String,
    /// It, as text.
    #[expect(dead_code, reason = "it is for a failed test's message")]
    row: String,
}

/// Compares two databases of the primary, row by row, surrogate ids aside.
pub async fn compare(stack: &Stack, client: &str, writer: &str) -> Result<Vec<Difference>> {
    let mut program = butler_client::program("checklist_compare.py")?;
    program.args([client, writer].map(|name| stack.primary().dsn(name, SUPERUSER)));
    let rows: Vec<(usize, String, String, String)> = program::read(program).await?;
    Ok(rows.into_iter().map(|(_, table, side, row)| Difference { table, side, row }).collect())
}
