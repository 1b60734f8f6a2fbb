//! The programs of the official client.

use std::process::Command;

use anyhow::{Context, Result};
use forebay_tests::{Endpoint, butler_client, endpoint::SUPERUSER, process};
use serde::de::DeserializeOwned;

/// A program that works on a server, which is its first argument.
pub fn on(server: &Endpoint, program: &str) -> Result<Command> {
    as_role(server, SUPERUSER, program)
}

/// [`on`], with a role of the caller's.
pub fn as_role(server: &Endpoint, role: &str, program: &str) -> Result<Command> {
    let mut command = butler_client::program(program)?;
    command.arg(server.dsn("postgres", role));
    Ok(command)
}

/// Runs a program to its end, and reads each line that it has written.
pub async fn read<T: DeserializeOwned>(command: Command) -> Result<Vec<T>> {
    let said =
        tokio::task::spawn_blocking(|| process::run("a client's program", command)).await??;
    let lines = said.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().context("read what a client's program says")
}
