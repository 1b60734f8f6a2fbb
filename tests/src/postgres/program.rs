//! PostgreSQL's programs.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{account, process};

/// A client program of the same PostgreSQL, such as `psql`, run by the harness's own account.
///
/// # Errors
///
/// If PostgreSQL is not there.
pub fn client_command(program: &str) -> Result<Command> {
    Ok(account::own_command(directory()?.join(program)))
}

/// The programs of the PostgreSQL that `$PG_CONFIG` tells of (default: Debian's 15).
pub(super) fn directory() -> Result<PathBuf> {
    let pg_config = env::var_os("PG_CONFIG")
        .map_or_else(|| PathBuf::from("/usr/lib/postgresql/15/bin/pg_config"), PathBuf::from);
    let mut command = Command::new(&pg_config);
    command.arg("--bindir");
    let answer = process::run("pg_config", command)
        .with_context(|| format!("ask {} (run `make setup`)", pg_config.display()))?;
    Ok(PathBuf::from(answer.trim()))
}
