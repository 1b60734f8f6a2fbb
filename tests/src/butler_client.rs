//! The official Butler client, which `scripts/setup` installs beside the broker, and the programs
//! in `tests/butler` that run it.

use std::{env, path::Path, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

/// A program of `tests/butler`, to be run by the client's Python.
///
/// # Errors
///
/// If the client is not installed.
pub fn program(name: &str) -> Result<Command> {
    let cache = env::var_os("FOREBAY_CACHE").context("$FOREBAY_CACHE is not set: use `make`")?;
    let python = PathBuf::from(cache).join("butler-client/bin/python");
    ensure!(python.exists(), "no Butler client at {}: run `make setup`", python.display());
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("butler").join(name));
    Ok(command)
}
