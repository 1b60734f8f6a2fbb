//! In which rows the client's databases and the writers' differ.

use anyhow::{Context, Result, bail};
use forebay_tests::{butler_client, process};

use crate::repository::Delivered;

/// A row, or a part of a table's definition, that only one side has.
#[derive(Debug)]
pub struct Difference {
    /// Which of the deliveries it is.
    pub pair: usize,
    /// The table, groups of dimensions in place of their numbers.
    pub table: String,
    /// Who has it.
    pub side: Side,
    /// It, as text.
    pub row: String,
}

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The official client.
    Client,
    /// Forebay.
    Writer,
}

/// Compares every delivery's database with the client's.
pub async fn compare(delivered: &[Delivered<'_>]) -> Result<Vec<Difference>> {
    let mut program = butler_client::program("checklist_compare.py")?;
    program.args(delivered.iter().flat_map(Delivered::pair));
    let run = || process::run("checklist_compare.py", program);
    let said = tokio::task::spawn_blocking(run).await??;
    said.lines().map(read).collect()
}

fn read(line: &str) -> Result<Difference> {
    let read = serde_json::from_str(line);
    let (pair, table, side, row): (usize, String, String, String) =
        read.with_context(|| format!("read {line:?}"))?;
    let side = match side.as_str() {
        "A" => Side::Client,
        "B" => Side::Writer,
        _ => bail!("side {side}"),
    };
    Ok(Difference { pair, table, side, row })
}
