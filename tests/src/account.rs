//! The account that servers run as.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nix::unistd::{User, geteuid};

/// PostgreSQL does not run as root: a root's servers run as `postgres`, anybody else's as
/// themselves.
const SERVERS: &str = "postgres";

/// A directory for a server, made by whoever runs the harness, owned by whoever runs the server.
///
/// # Errors
///
/// If the directory can't be made, or there is no account `postgres`.
pub fn make_directory(directory: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("make directory {}", directory.display()))?;
    hand_over(directory)?;
    Ok(directory.to_owned())
}

/// Gives a file or a directory to whoever runs the servers.
///
/// # Errors
///
/// If there is no account `postgres`, or it can't be given away.
pub fn hand_over(path: &Path) -> Result<()> {
    if geteuid().is_root() {
        let user = User::from_name(SERVERS)?.context("no account `postgres`: run `make setup`")?;
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .with_context(|| format!("hand over {}", path.display()))?;
    }
    Ok(())
}

/// A command that dies with the thread that starts it, even when that is killed, and runs as the
/// account of the servers.
#[must_use]
pub fn server_command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if geteuid().is_root() {
        command.args(["--reuid", SERVERS, "--regid", SERVERS, "--clear-groups"]);
    }
    command.arg("--").arg(program.as_ref());
    command
}

/// As [`server_command`], as the account that runs the harness.
#[must_use]
pub fn own_command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref());
    command
}
