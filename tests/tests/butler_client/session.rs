//! A client as a process of its own, that does what it is told.

use std::process::Stdio;

use anyhow::{Context, Result};
use forebay_tests::Stack;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::program;

/// `client_session.py` on a database of the primary.
pub struct Session {
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    // It is killed when this goes.
    _process: Child,
}

/// The exception with which an order ended: its class, and what it says. Both empty if there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The class.
    pub class: String,
    /// What it says.
    pub message: String,
}

impl Session {
    /// Starts one, with its configuration in this directory.
    pub fn start(stack: &Stack, database: &str, directory: &str) -> Result<Self> {
        let mut command = program::on(stack.primary(), "client_session.py")?;
        command.args([database, directory]);
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("start a client")?;
        let stdin = process.stdin.take().context("a client's input")?;
        let answers = process.stdout.take().context("a client's output")?;
        Ok(Self { stdin, answers: BufReader::new(answers).lines(), _process: process })
    }

    /// Applies an event.
    pub async fn apply(&mut self, event: &str) -> Result<Outcome> {
        self.order(&json!({ "apply": event })).await
    }

    /// Applies an event in a transaction, which stays open.
    pub async fn hold(&mut self, event: &str) -> Result<Outcome> {
        self.order(&json!({ "hold": event })).await
    }

    /// Ends the transaction.
    pub async fn commit(&mut self) -> Result<Outcome> {
        self.order(&json!({ "commit": true })).await
    }

    /// Registers a run.
    pub async fn register_run(&mut self, name: &str) -> Result<Outcome> {
        self.order(&json!({ "run": name })).await
    }

    async fn order(&mut self, order: &Value) -> Result<Outcome> {
        self.stdin.write_all(format!("{order}\n").as_bytes()).await.context("tell a client")?;
        let answer = self.answers.next_line().await?.context("a client has ended")?;
        let (class, message) = serde_json::from_str(&answer).context("read a client's answer")?;
        Ok(Outcome { class, message })
    }
}
