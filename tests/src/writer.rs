//! A writer as a process of its own.

mod http;
mod output;

use std::{
    env,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

pub use self::{http::Answer, output::Output};
use crate::{Stack, WriterConfig, account, process::Process, stack::unique, stack::variable, wait};

/// A running `forebay run`. It is killed when this value goes, and when the thread that started
/// it ends.
#[derive(Debug)]
pub struct Writer {
    process: Process,
    output: Output,
    http_port: u16,
    config_file: PathBuf,
    log_file: PathBuf,
}

impl Writer {
    /// Starts it. It is not ready yet: see [`wait_until_ready`](Self::wait_until_ready).
    ///
    /// # Errors
    ///
    /// If the configuration can't be written or the process not started.
    pub fn start(stack: &Stack, config: WriterConfig) -> Result<Self> {
        Self::start_in(stack.scratch(), config)
    }

    /// [`start`](Self::start), without a shared stack: its files go into `directory`.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_in(directory: &Path, config: WriterConfig) -> Result<Self> {
        let name = unique("writer");
        let config_file = directory.join(format!("{name}.toml"));
        let http_port = config.write(&config_file)?;
        let mut command = account::own_command(binary()?);
        command.args(["run", "--config"]).arg(&config_file);
        command.envs(config.environment()).stderr(Stdio::piped());
        let mut process = Process::start(&name, command)?;
        let stderr = process.take_stderr().context("standard error of the writer")?;
        let log_file = directory.join(format!("{name}.log"));
        let output = Output::read(stderr, &log_file)?;
        Ok(Self { process, output, http_port, config_file, log_file })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The end of what it has written, for a message: all of it is there if it has ended.
    pub async fn last_words(&mut self) -> String {
        if matches!(self.process.exit_status(), Ok(Some(_))) {
            self.output.ended().await;
        }
        self.output.tail()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// A copy of what it writes to standard error.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.log_file
    }

    /// The port of its HTTP server.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// Asks its HTTP server for a path.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        http::get(self.http_port, path).await
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    ///
    /// If it ends, or is not ready in time: with what it wrote last.
    pub async fn wait_until_ready(&mut self) -> Result<()> {
        let port = self.http_port;
        let process = &mut self.process;
        let ready = wait::until("the writer to be ready", || {
            let ended = process.exit_status();
            async move {
                if let Some(status) = ended? {
                    bail!("it ended: {status}");
                }
                Ok(http::get(port, "/readyz").await.ok().filter(|a| a.status == 200).map(|_| ()))
            }
        });
        let ready = ready.await;
        ready.with_context(|| self.output.tail())
    }

    /// Waits for a line of standard error that contains `text`, from the first line on, and
    /// answers it.
    ///
    /// # Errors
    ///
    /// If there is none in time: with what it wrote last.
    pub async fn wait_for_line(&self, text: &str) -> Result<String> {
        self.output.wait_for_line(0, text).await
    }

    /// Waits until it stands still at a failpoint.
    ///
    /// # Errors
    ///
    /// If it does not come there in time: with what it wrote last.
    pub async fn wait_for_failpoint(&self, name: &str) -> Result<()> {
        self.wait_for_line(&format!("failpoint hit: {name}")).await.map(drop)
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// If it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill().map(drop)
    }

    /// SIGSTOP: it stands still, with its connections open.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// SIGCONT.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGCONT)
    }

    /// SIGTERM, without waiting.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.signal(Signal::SIGTERM)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.process.exit_status()
    }

    /// Waits for its end, however it comes.
    ///
    /// # Errors
    ///
    /// If it has not ended in time: with what it wrote last.
    pub async fn wait_for_exit(&mut self) -> Result<ExitStatus> {
        let ended = self.process.wait_for_exit(wait::LIMIT).await;
        ended.with_context(|| self.output.tail())
    }

    /// Waits for its end as long as that takes: for people, not for tests.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub async fn wait_for_end(&mut self) -> Result<ExitStatus> {
        self.process.wait_for_exit(Duration::MAX).await
    }

    /// SIGTERM, and waits for an end with exit code 0.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or with another code: with what it wrote last.
    pub async fn stop(&mut self) -> Result<()> {
        self.terminate()?;
        let status = self.wait_for_exit().await?;
        if !status.success() {
            bail!("the writer ended: {status}\n{}", self.output.tail());
        }
        Ok(())
    }
}

/// `$FOREBAY_BIN`, or the `forebay` beside the tests' own directory.
///
/// # Errors
///
/// If it is not built.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable::WRITER) {
        return Ok(path.into());
    }
    let own = env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|directory| directory.join("forebay"));
    found.into_iter().find(|path| path.is_file()).context("no `forebay`: run `make build`")
}
