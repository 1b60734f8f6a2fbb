//! Java programs whose jars `scripts/setup` has fetched.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::account;

/// A command that runs a class of the jars that `tests/NAME/pom.xml` lists, as the account of the
/// servers.
///
/// # Errors
///
/// If the jars are not there.
pub fn command(name: &str, options: &[&str], class: &str, directory: &Path) -> Result<Command> {
    let mut command = account::server_command("java");
    command.args(options).arg("-cp").arg(libraries(name)?.join("*")).arg(class);
    command.current_dir(directory);
    Ok(command)
}

fn libraries(name: &str) -> Result<PathBuf> {
    let cache = env::var_os("FOREBAY_CACHE").context("$FOREBAY_CACHE is not set: use `make`")?;
    let path = PathBuf::from(cache).join(name).join("libs");
    ensure!(path.is_dir(), "no jars of {name} in {}: run `make`", path.display());
    Ok(path)
}
