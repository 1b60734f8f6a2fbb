//! Processes: run to the end, or kept until they are stopped.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::wait;

/// A process that is killed, and waited for, when this value goes.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a command in a process group of its own, so that a terminal's Ctrl-C is for the
    /// harness alone.
    ///
    /// # Errors
    ///
    /// If it can't be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Starts a command that writes its output into a file.
    ///
    /// # Errors
    ///
    /// If the file can't be opened or the command not started.
    pub fn start_logged(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        command.stdout(output.try_clone()?).stderr(output);
        Self::start(name, command)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of standard output, if it was made a pipe, once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The end of standard error, if it was made a pipe, once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal. One that has ended already takes none, without an error.
    ///
    /// # Errors
    ///
    /// If the signal can't be sent.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_none() {
            let id = Pid::from_raw(i32::try_from(self.id()).context("process id")?);
            kill(id, signal).with_context(|| format!("send {signal} to {}", self.name))?;
        }
        Ok(())
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("look at {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// If it has not ended within `limit`.
    pub async fn wait_for_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait::until_within(limit, what, || std::future::ready(self.exit_status())).await
    }

    /// Sends a signal and waits for the end; kills it if it does not end within `limit`.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub async fn stop(&mut self, signal: Signal, limit: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        match self.wait_for_exit(limit).await {
            Ok(status) => Ok(status),
            Err(_) => self.kill(),
        }
    }

    /// `kill -9`, and waits for the end.
    ///
    /// # Errors
    ///
    /// If it can't be killed.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.child.wait().with_context(|| format!("kill {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it is gone; there is nobody to tell of anything else.
        let _ = self.kill();
    }
}

/// Runs a command to its end.
///
/// # Errors
///
/// If it fails: with the tail of what it said.
pub fn run(name: &str, mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The end of a log file, for a message: the file itself goes with the scratch directory.
#[must_use]
pub fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(20)..];
    format!("{} ends with:\n{}", log.display(), last.join("\n"))
}
