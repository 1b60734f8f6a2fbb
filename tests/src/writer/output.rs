//! What a writer writes to standard error.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::ChildStderr,
    sync::Arc,
    thread,
};

use anyhow::{Context, Result, anyhow};
use tokio::{sync::watch, time::timeout};

use crate::wait;

/// All lines so far, growing while the process lives.
#[derive(Clone, Debug)]
pub struct Output {
    lines: watch::Receiver<Vec<Arc<str>>>,
}

impl Output {
    /// Reads on, on a thread of its own, and keeps a copy in a file.
    pub(super) fn read(stderr: ChildStderr, copy: &Path) -> Result<Self> {
        let mut copy = File::create(copy).with_context(|| format!("create {}", copy.display()))?;
        let (sender, lines) = watch::channel(Vec::new());
        thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                // The copy is for people: a full disk must not stop the test.
                let _ = copy.write_all(&line);
                let text = String::from_utf8_lossy(&line).trim_end().into();
                sender.send_modify(|lines| lines.push(text));
                line.clear();
            }
        });
        Ok(Self { lines })
    }

    /// The number of lines so far: a mark for [`wait_for_line`](Self::wait_for_line).
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.borrow().len()
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Arc<str>> {
        self.lines.borrow().clone()
    }

    /// Waits until the writer has ended, and no more is to come.
    pub async fn ended(&self) {
        let mut lines = self.lines.clone();
        while lines.changed().await.is_ok() {}
    }

    /// The last lines, for a message.
    #[must_use]
    pub fn tail(&self) -> String {
        let lines = self.lines.borrow();
        let last = &lines[lines.len().saturating_sub(20)..];
        format!("the writer wrote last:\n{}", last.join("\n"))
    }

    /// Waits for a line that contains `text`, after the first `from` lines, and answers it.
    ///
    /// # Errors
    ///
    /// If there is none in time, or the process has closed standard error without it.
    pub async fn wait_for_line(&self, from: usize, text: &str) -> Result<String> {
        let mut lines = self.lines.clone();
        let mut seen = from;
        let search = async {
            loop {
                let found = {
                    let lines = lines.borrow_and_update();
                    let new = lines.get(seen..).unwrap_or_default();
                    let found = new.iter().find(|line| line.contains(text)).cloned();
                    seen = lines.len().max(from);
                    found
                };
                if let Some(line) = found {
                    return Ok(line.to_string());
                }
                lines.changed().await.map_err(|_| anyhow!("it has closed standard error"))?;
            }
        };
        let found = timeout(wait::LIMIT, search).await;
        found
            .unwrap_or_else(|_| Err(anyhow!("not seen within {} s", wait::LIMIT.as_secs())))
            .with_context(|| format!("wait for a line with `{text}`; {}", self.tail()))
    }
}
