//! Running `forebay` to its end.

use std::{fmt, fs, path::PathBuf, process::Stdio};

use anyhow::{Context, Result};

use crate::{Stack, WriterConfig, account, process::Process, stack::unique, wait, writer::binary};

/// How a command ended, and what it said.
#[derive(Clone)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output, as text.
    pub stdout: String,
    /// What it wrote to standard output, byte for byte.
    pub stdout_bytes: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// Its configuration file, if it had one.
    pub config_file: Option<PathBuf>,
}

/// Without the bytes, which the text shows too.
impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ended with {:?}, said:\n{}{}", self.code, self.stdout, self.stderr)
    }
}

impl Ended {
    /// All that it said.
    #[must_use]
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs `forebay` with these arguments and environment variables.
///
/// # Errors
///
/// If it can't be started, or does not end in time.
pub async fn forebay<'a>(
    stack: &Stack,
    arguments: &[&str],
    environment: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Result<Ended> {
    let name = unique("command");
    let mut command = account::own_command(binary()?);
    command.args(arguments).envs(environment);
    let [stdout, stderr] =
        ["stdout", "stderr"].map(|stream| stack.scratch().join(format!("{name}.{stream}")));
    for (path, set) in [
        (&stdout, std::process::Command::stdout as fn(&mut _, Stdio) -> &mut _),
        (&stderr, std::process::Command::stderr),
    ] {
        let file = fs::File::create(path).with_context(|| format!("create {}", path.display()))?;
        set(&mut command, file.into());
    }
    let mut process = Process::start(&name, command)?;
    let ended = process.wait_for_exit(wait::LIMIT).await;
    let (stdout_bytes, stderr) = (fs::read(stdout)?, fs::read_to_string(stderr)?);
    let stdout = String::from_utf8_lossy(&stdout_bytes).into_owned();
    let status = ended.with_context(|| format!("it said: {stdout}{stderr}"))?;
    Ok(Ended { code: status.code(), stdout, stdout_bytes, stderr, config_file: None })
}

/// Runs `forebay check` with a configuration.
///
/// # Errors
///
/// As [`forebay`].
pub async fn check(stack: &Stack, config: &WriterConfig) -> Result<Ended> {
    with_config(stack, "check", config).await
}

/// Runs `forebay run` with a configuration, which must end it.
///
/// # Errors
///
/// As [`forebay`].
pub async fn run(stack: &Stack, config: &WriterConfig) -> Result<Ended> {
    with_config(stack, "run", config).await
}

/// Runs `forebay status` with a configuration, and these arguments besides.
///
/// # Errors
///
/// As [`forebay`].
pub async fn status(stack: &Stack, config: &WriterConfig, arguments: &[&str]) -> Result<Ended> {
    with_arguments(stack, "status", config, arguments).await
}

/// Runs `forebay resume` with a configuration, and these arguments besides.
///
/// # Errors
///
/// As [`forebay`].
pub async fn resume(stack: &Stack, config: &WriterConfig, arguments: &[&str]) -> Result<Ended> {
    with_arguments(stack, "resume", config, arguments).await
}

async fn with_config(stack: &Stack, subcommand: &str, config: &WriterConfig) -> Result<Ended> {
    with_arguments(stack, subcommand, config, &[]).await
}

async fn with_arguments(
    stack: &Stack,
    subcommand: &str,
    config: &WriterConfig,
    arguments: &[&str],
) -> Result<Ended> {
    let path = stack.scratch().join(format!("{}.toml", unique("command")));
    config.write(&path)?;
    let file = path.to_str().context("path of the configuration")?;
    let arguments = [&[subcommand, "--config", file], arguments].concat();
    let ended = forebay(stack, &arguments, config.environment()).await?;
    Ok(Ended { config_file: Some(path), ..ended })
}
