//! The sample of Butler data in `tests/data/butler`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

/// A fresh repository with the sample's dataset types and run, as SQL for psql.
#[must_use]
pub fn schema() -> PathBuf {
    directory().join("schema.sql")
}

/// The payloads of the sample's `pp-output` events. The first is the bootstrap event, which all
/// others need; then come two visits of 189 detectors.
///
/// # Errors
///
/// If the file can't be read.
pub fn events() -> Result<Vec<Vec<u8>>> {
    let path = directory().join("events.jsonl.zst");
    let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let lines = BufReader::new(zstd::Decoder::new(file)?).split(b'\n');
    lines.collect::<std::io::Result<_>>().with_context(|| format!("read {}", path.display()))
}

/// The rows per table after the sample was ingested by the official client.
///
/// # Errors
///
/// If the file can't be read.
pub fn row_counts() -> Result<BTreeMap<String, i64>> {
    let path = directory().join("events.manifest.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    text.lines()
        .map(|line| {
            let (table, rows) = line.split_once('|').context("no `|`")?;
            Ok((table.to_owned(), rows.parse()?))
        })
        .collect::<Result<_>>()
        .with_context(|| format!("understand {}", path.display()))
}

/// Checks that a repository holds what the official client makes of the sample: the rows of
/// [`row_counts`], and the checksums of `checksums.tsv`.
///
/// # Errors
///
/// If it does not: with every table that differs.
pub async fn check(client: &Client) -> Result<()> {
    let read = |name: &str| {
        let path = directory().join(name);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let row = |row: &tokio_postgres::Row| {
        let (table, rows, checksum): (String, i64, String) = (row.get(0), row.get(1), row.get(2));
        format!("{table}\t{rows}\t{checksum}")
    };
    let found = client.query(&read("checksum.sql")?, &[]).await.context("sum up")?;
    let found: BTreeSet<String> = found.iter().map(row).collect();
    let expected: BTreeSet<String> = read("checksums.tsv")?.lines().map(str::to_owned).collect();
    if found != expected {
        let only = |a: &BTreeSet<String>, b| a.difference(b).cloned().collect::<Vec<_>>();
        bail!("found {:#?}, expected {:#?}", only(&found, &expected), only(&expected, &found));
    }
    for (table, expected) in row_counts()? {
        let sql = format!("select count(*) from \"{table}\"");
        let found: i64 = client.query_one(&sql, &[]).await?.get(0);
        if found != expected {
            bail!("{table} has {found} rows, and not {expected}");
        }
    }
    Ok(())
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/butler")
}
