//! What went wrong with the database, in words, with the SQLSTATE that decides what to do.

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use crate::retry::{Place, Verdict, copied_row_is_to_blame, verdict};

/// An error of the database, or of the way to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message}", place.verb())]
pub struct DatabaseError {
    place: Place,
    sqlstate: Option<String>,
    message: String,
    /// The server's own words, if it also says what it was working on: a row of a COPY, for one.
    about_row: Option<String>,
}

impl DatabaseError {
    /// What a query, or a connection, failed with.
    pub fn query(place: Place, error: &tokio_postgres::Error) -> Self {
        if error.is_closed() {
            return Self::cut(place);
        }
        let Some(database) = error.as_db_error() else {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::new(place, None, format!("{error}{cause}"));
        };
        let mut message = format!("{} (SQLSTATE {})", database.message(), database.code().code());
        for (name, text) in [("detail", database.detail()), ("hint", database.hint())] {
            if let Some(text) = text {
                // Writing into a String cannot fail.
                let _ = write!(message, "; {name}: {}", text.trim_end_matches('.'));
            }
        }
        // One error, one line of the log: a deadlock's detail has two.
        let message = message.replace('\n', " ");
        Self {
            about_row: database.where_().map(|_| database.message().to_owned()),
            ..Self::new(place, Some(database.code().code().to_owned()), message)
        }
    }

    /// The server did not answer in time.
    pub fn no_answer(place: Place, bound: Duration) -> Self {
        let bound = humantime::format_duration(bound);
        Self::new(place, None, format!("no answer within {bound}"))
    }

    /// The connection is gone, and nobody said why.
    pub fn cut(place: Place) -> Self {
        Self::new(place, None, "the connection is lost".to_owned())
    }

    /// No host could be used.
    pub fn unreachable(sqlstate: Option<String>, message: String) -> Self {
        Self::new(Place::Connect, sqlstate, message)
    }

    /// An answer that makes no sense.
    pub fn answer(place: Place, message: String) -> Self {
        Self::new(place, Some("XX000".to_owned()), message)
    }

    fn new(place: Place, sqlstate: Option<String>, message: String) -> Self {
        Self { place, sqlstate, message, about_row: None }
    }

    /// The same error, seen from another place.
    #[must_use]
    pub fn at(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }

    /// What the writer was doing.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What went wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The SQLSTATE; none if the connection is gone or did not answer.
    pub fn sqlstate(&self) -> Option<&str> {
        self.sqlstate.as_deref()
    }

    /// What to do.
    pub fn verdict(&self) -> Verdict {
        verdict(self.place, self.sqlstate())
    }

    /// What the server says of a row of a COPY that is to blame, if one is. An error of the
    /// statement itself has no context.
    pub fn rows_fault(&self) -> Option<&str> {
        let is_rows =
            self.place == Place::Copy && self.sqlstate().is_some_and(copied_row_is_to_blame);
        self.about_row.as_deref().filter(|_| is_rows)
    }

    /// Whether a COMMIT may have happened or not.
    pub fn leaves_commit_unknown(&self) -> bool {
        let shutdown = self.sqlstate().is_some_and(|state| state.starts_with("57P"));
        self.place == Place::Commit && (self.sqlstate.is_none() || shutdown)
    }
}
