//! An S3 server: `s3s-fs`, which keeps a bucket as a directory and an object as a file in it.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{WriterConfig, account, endpoint::Endpoint, port, process, process::Process, wait};

/// Who may log in.
const ACCESS_KEY: &str = "forebay";
const SECRET_KEY: &str = "secret of the tests";

/// A server with one bucket. It is killed when this value goes.
#[derive(Debug)]
pub struct ObjectStore {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl ObjectStore {
    /// The bucket.
    pub const BUCKET: &str = "datastore";

    /// Makes a store in this directory, and starts it.
    ///
    /// # Errors
    ///
    /// If it does not come up.
    pub async fn create(directory: &Path) -> Result<Self> {
        let directory = directory.to_owned();
        fs::create_dir_all(directory.join(Self::BUCKET))?;
        let mut store = Self { directory, port: port::free()?, process: None };
        store.start().await?;
        Ok(store)
    }

    /// Where its objects are, each a file by its key.
    #[must_use]
    pub fn bucket(&self) -> PathBuf {
        self.directory.join(Self::BUCKET)
    }

    /// Its address, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", Endpoint::HOST, self.port)
    }

    /// A writer's configuration with what it takes to log in.
    #[must_use]
    pub fn log_in(&self, config: WriterConfig) -> WriterConfig {
        config
            .set("files.s3_endpoint", format!("http://{}", self.address()))
            .set("files.s3_region", "us-east-1")
            .set("files.s3_access_key_id", ACCESS_KEY)
            .set("files.s3_secret_access_key", SECRET_KEY)
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it ends, or does not answer in time.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = account::own_command(program()?);
        command.args(["--host", Endpoint::HOST, "--port", &self.port.to_string()]);
        command.args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]);
        command.arg(&self.directory).env("RUST_LOG", "s3s_fs=warn");
        let log = self.directory.with_extension("log");
        let process = Process::start_logged("the object store", command, &log)?;
        let process = self.process.insert(process);
        let port = self.port;
        wait::until("the object store to answer", || {
            let ended = process.exit_status();
            async move {
                if let Some(status) = ended? {
                    bail!("ended: {status}");
                }
                Ok(TcpStream::connect((Endpoint::HOST, port)).ok().map(drop))
            }
        })
        .await
        .with_context(|| process::log_tail(&log))
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// If it can't be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }
}

/// Where `scripts/setup` put it.
fn program() -> Result<PathBuf> {
    let cache = env::var_os("FOREBAY_CACHE").context("$FOREBAY_CACHE is not set: use `make`")?;
    let path = PathBuf::from(cache).join("s3s-fs/bin/s3s-fs");
    if !path.is_file() {
        bail!("no {}: run `make setup`", path.display());
    }
    Ok(path)
}
