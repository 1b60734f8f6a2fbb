//! `forebay dead-letters show`.

use std::io::Write;

use tokio_postgres::types::ToSql;

use super::letter::Letter;
use super::{Reference, connect};
use crate::cli::ShowArguments;
use crate::command_error::CommandError;
use crate::config::Dsn;
use crate::retry::Place;
use crate::session::DatabaseError;

const SHOW: &str = include_str!("show.sql");

/// Writes one dead letter, or its payload alone.
///
/// # Errors
/// If there is none such, or several and one is asked for; if the database doesn't answer; if
/// nobody takes what is written.
pub async fn show(
    dsn: Dsn,
    arguments: &ShowArguments,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let letters = find(dsn, arguments).await?;
    if letters.is_empty() {
        return Err(CommandError::NotFound(
            "there is no such dead letter: its event was not rejected, or not by this source, or \
             the dead letter was deleted since"
                .to_owned(),
        ));
    }
    if arguments.raw {
        let [letter] = letters.as_slice() else {
            let sources: Vec<&str> = letters.iter().map(Letter::source).collect();
            let sources = sources.join(", ");
            return Err(CommandError::Usage(format!(
                "several sources have rejected this event ({sources}); choose one by --source"
            )));
        };
        out.write_all(letter.payload.as_deref().unwrap_or_default())?;
        return Ok(out.flush()?);
    }
    for (index, letter) in letters.iter().enumerate() {
        if arguments.json {
            writeln!(out, "{}", letter.as_json())?;
            continue;
        }
        if index > 0 {
            writeln!(out)?;
        }
        letter.write(out)?;
    }
    Ok(())
}

async fn find(dsn: Dsn, arguments: &ShowArguments) -> Result<Vec<Letter>, DatabaseError> {
    let session = connect(dsn).await?;
    let (id, topic, partition, offset) = match &arguments.reference {
        Reference::Id(id) => (Some(id), None, None, None),
        Reference::Position { topic, partition, offset } => {
            (None, Some(topic), Some(partition), Some(offset))
        }
    };
    let parameters: [&(dyn ToSql + Sync); 5] =
        [&id, &topic, &partition, &offset, &arguments.source];
    let rows = session.within(Place::Show, session.client().query(SHOW, &parameters)).await?;
    rows.iter()
        .map(Letter::read)
        .collect::<Result<_, _>>()
        .map_err(|error| DatabaseError::answer(Place::Show, error.to_string()))
}
