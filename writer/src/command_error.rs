//! Why a command for people has nothing to show.

use std::io;

use crate::session::DatabaseError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What it was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The database doesn't answer, or not this role.
    #[error("{0}{advice}", advice = advice(.0))]
    Database(#[from] DatabaseError),
    /// There is nothing such.
    #[error("{0}")]
    NotFound(String),
    /// Nobody takes what it has to say.
    #[error("write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Whether the reader has seen enough, such as `head`.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn advice(error: &DatabaseError) -> &'static str {
    match error.sqlstate() {
        Some("42501") => "; log in as a role that is a member of forebay_admin",
        Some("3F000" | "42P01") => "; is the extension forebay in this database?",
        _ => "",
    }
}
