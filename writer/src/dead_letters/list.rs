//! `forebay dead-letters list`.

use std::io::Write;

use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::connect;
use crate::cli::ListArguments;
use crate::command_error::CommandError;
use crate::config::Dsn;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::text_table::{TextTable, printable, shortened};

const FILTERED: &str = include_str!("filtered.sql");
const LIST: &str = include_str!("list.sql");
const SUMMARY: &str = include_str!("summary.sql");

/// How much of a message stands in a line.
const MESSAGE: usize = 80;

/// Writes a line for each dead letter, or for each reason.
///
/// # Errors
/// If the database doesn't answer, or nobody takes what is written.
pub async fn list(
    dsn: Dsn,
    arguments: &ListArguments,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let session = connect(dsn).await?;
    let select = if arguments.summary { SUMMARY } else { LIST };
    let rows = query(&session, arguments, select).await?;
    let total = rows.first().map_or(Ok(0), |row| row.try_get("total")).map_err(answer)?;
    if arguments.json {
        let to_json = if arguments.summary { reason_json } else { letter_json };
        for row in &rows {
            writeln!(out, "{}", to_json(row).map_err(answer)?)?;
        }
        return Ok(());
    }
    let (header, cells, what): (&[&str], fn(&Row) -> Result<_, _>, _) = if arguments.summary {
        let header = ["COUNT", "SOURCE", "TOPIC", "SQLSTATE", "TARGET", "CONSTRAINT", "LAST SEEN"];
        (&header.clone(), reason_cells, "reasons")
    } else {
        let header = ["ID", "SOURCE", "EVENT", "LAST SEEN", "SQLSTATE", "TARGET", "MESSAGE"];
        (&header.clone(), letter_cells, "dead letters")
    };
    let mut table = TextTable::new(header);
    for row in &rows {
        table.row(cells(row).map_err(answer)?);
    }
    if table.is_empty() {
        writeln!(out, "no dead letters")?;
        return Ok(());
    }
    table.write("", out)?;
    if total > arguments.limit {
        writeln!(out, "{} of {total} {what}; --limit shows more", arguments.limit)?;
    }
    Ok(())
}

async fn query(
    session: &Session,
    arguments: &ListArguments,
    select: &str,
) -> Result<Vec<Row>, DatabaseError> {
    let ListArguments { source, topic, partition, target, sqlstate, since, limit, .. } = arguments;
    let since = since.map(|since| since.to_string());
    let parameters: [&(dyn ToSql + Sync); 7] =
        [source, topic, partition, target, sqlstate, &since, limit];
    let sql = format!("with filtered as (\n{FILTERED}\n)\n{select}");
    session.within(Place::Show, session.client().query(&sql, &parameters)).await
}

fn letter_cells(row: &Row) -> Result<Vec<String>, Error> {
    let (topic, partition): (&str, i32) = (row.try_get("topic")?, row.try_get("partition")?);
    let offset: i64 = row.try_get("event_offset")?;
    Ok(vec![
        row.try_get::<_, i64>("id")?.to_string(),
        text(row, "source")?,
        format!("{}/{partition}/{offset}", printable(topic)),
        text(row, "last_seen")?,
        text(row, "sqlstate")?,
        text(row, "target")?,
        shortened(row.try_get("message")?, MESSAGE),
    ])
}

fn reason_cells(row: &Row) -> Result<Vec<String>, Error> {
    let mut cells = vec![row.try_get::<_, i64>("dead_letters")?.to_string()];
    for column in ["source", "topic", "sqlstate", "target", "constraint", "last_seen"] {
        cells.push(text(row, column)?);
    }
    Ok(cells)
}

fn letter_json(row: &Row) -> Result<Value, Error> {
    Ok(json!({
        "id": row.try_get::<_, i64>("id")?,
        "source": row.try_get::<_, &str>("source")?,
        "topic": row.try_get::<_, &str>("topic")?,
        "partition": row.try_get::<_, i32>("partition")?,
        "offset": row.try_get::<_, i64>("event_offset")?,
        "sqlstate": row.try_get::<_, &str>("sqlstate")?,
        "message": row.try_get::<_, &str>("message")?,
        "target": row.try_get::<_, Option<&str>>("target")?,
        "constraint": row.try_get::<_, Option<&str>>("constraint")?,
        "attempts": row.try_get::<_, i32>("attempts")?,
        "last_seen": row.try_get::<_, &str>("last_seen")?,
        "payload_bytes": row.try_get::<_, i64>("payload_bytes")?,
    }))
}

fn reason_json(row: &Row) -> Result<Value, Error> {
    Ok(json!({
        "source": row.try_get::<_, &str>("source")?,
        "topic": row.try_get::<_, &str>("topic")?,
        "sqlstate": row.try_get::<_, &str>("sqlstate")?,
        "target": row.try_get::<_, Option<&str>>("target")?,
        "constraint": row.try_get::<_, Option<&str>>("constraint")?,
        "dead_letters": row.try_get::<_, i64>("dead_letters")?,
        "first_seen": row.try_get::<_, &str>("first_seen")?,
        "last_seen": row.try_get::<_, &str>("last_seen")?,
    }))
}

fn text(row: &Row, column: &str) -> Result<String, Error> {
    let text: Option<&str> = row.try_get(column)?;
    Ok(printable(text.unwrap_or("-")).into_owned())
}

fn answer(error: Error) -> DatabaseError {
    DatabaseError::answer(Place::Show, error.to_string())
}
