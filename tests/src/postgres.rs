//! PostgreSQL servers: a primary, and physical replicas of it.

mod program;
mod secure;
pub mod shared_memory;

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub use self::program::client_command;
use crate::{
    account, endpoint::Endpoint, endpoint::SUPERUSER, port, process, process::Process, wait,
};

/// Fit for tests: small, quick to start, and safe to throw away.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
max_connections = 100
shared_buffers = '128MB'
max_wal_size = '2GB'
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
hot_standby = on
wal_receiver_status_interval = '1s'
dynamic_shared_memory_type = mmap
log_line_prefix = '%m [%p] %a %u@%d '
log_min_messages = warning
timezone = 'UTC'
";

/// Settings of a cluster that nobody wants back after a crash of the machine. (A crash of
/// PostgreSQL alone loses nothing by them.)
pub const THROW_AWAY: &[(&str, &str)] = &[("fsync", "off"), ("full_page_writes", "off")];

/// A server with a data directory of its own. It is killed when this value goes.
#[derive(Debug)]
pub struct Postgres {
    name: String,
    directory: PathBuf,
    endpoint: Endpoint,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a new cluster in `scratch/name`, with these settings besides the harness's own, and
    /// starts it. Every cluster has a system identifier of its own.
    ///
    /// # Errors
    ///
    /// If it does not come up: with the end of its log.
    pub async fn primary(scratch: &Path, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut server = Self::new(scratch, name)?;
        let mut initdb = server.command("initdb")?;
        initdb.arg("-D").arg(&server.directory).args(["-U", SUPERUSER, "-A", "trust"]);
        initdb.args(["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]);
        process::run("initdb", initdb)?;
        server.configure(SETTINGS)?;
        server.configure_own(settings)?;
        server.start().await?;
        Ok(server)
    }

    /// Copies a running primary with `pg_basebackup` and starts the copy as a streaming replica,
    /// with a replication slot called `name`, which is also its name in `pg_stat_replication`.
    ///
    /// # Errors
    ///
    /// If it does not come up: with the end of its log.
    pub async fn replica(
        scratch: &Path,
        name: &str,
        primary: &Endpoint,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut server = Self::new(scratch, name)?;
        let mut backup = server.command("pg_basebackup")?;
        backup.arg("-D").arg(&server.directory).args(["-d", &primary.superuser_dsn("postgres")]);
        backup.args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast"]);
        backup.args(["--create-slot", "--slot", name, "--no-sync"]);
        process::run("pg_basebackup", backup)?;
        server.configure_own(settings)?;
        server.start().await?;
        Ok(server)
    }

    fn new(scratch: &Path, name: &str) -> Result<Self> {
        let directory = account::make_directory(&scratch.join(name))?;
        // PostgreSQL does not start in a directory that others can read.
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        let endpoint = Endpoint::own(port::free()?);
        Ok(Self { name: name.to_owned(), directory, endpoint, process: None })
    }

    /// What the name, the place and the caller say, after what was configured before.
    fn configure_own(&self, settings: &[(&str, &str)]) -> Result<()> {
        let scratch = self.directory.parent().context("scratch directory")?;
        let sockets = account::make_directory(&scratch.join("sockets"))?;
        let mut text = format!(
            "port = {}\nunix_socket_directories = '{}'\ncluster_name = '{}'\n",
            self.endpoint.port,
            sockets.display(),
            self.name
        );
        for (name, value) in settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        self.configure(&text)
    }

    /// Appends lines to `postgresql.conf`; the last one of a name counts. They count from the
    /// next start on, or from a `select pg_reload_conf()`.
    ///
    /// # Errors
    ///
    /// If the file can't be written.
    pub fn configure(&self, lines: &str) -> Result<()> {
        let path = self.directory.join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(&path)?;
        file.write_all(lines.as_bytes()).with_context(|| format!("write {}", path.display()))
    }

    /// Where it listens. It keeps its port over restarts.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its data directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.with_extension("log")
    }

    /// The postmaster's process id, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Starts it and waits until it answers queries.
    ///
    /// # Errors
    ///
    /// If it ends, or does not answer in time.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(&self.directory);
        let process = Process::start_logged(&self.name, command, &self.log())?;
        let process = self.process.insert(process);
        let endpoint = &self.endpoint;
        wait::until(format!("server {} to accept connections", self.name), || {
            let ended = process.exit_status();
            async move {
                if let Some(status) = ended? {
                    anyhow::bail!("ended: {status}");
                }
                Ok(endpoint.connect("postgres").await.ok())
            }
        })
        .await
        .with_context(|| process::log_tail(&self.log()))?;
        Ok(())
    }

    /// Stops it in the fast mode: sessions are ended, what is in memory is written.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub async fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGINT).await
    }

    /// Stops it in the immediate mode: as a crash, but in order.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub async fn stop_immediately(&mut self) -> Result<()> {
        self.end(Signal::SIGQUIT).await
    }

    /// Kills the postmaster (`kill -9`), and waits until its backends are gone too.
    ///
    /// # Errors
    ///
    /// If it can't be killed, or a backend stays.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let children = children(process.id());
        process.kill()?;
        wait::until(format!("the backends of {} to end", self.name), || {
            let gone = children.iter().all(|id| !Path::new("/proc").join(id).exists());
            std::future::ready(Ok(gone.then_some(())))
        })
        .await
    }

    /// Kills one backend (`kill -9`): the server ends all others and starts anew by itself. Waits
    /// until it has: a connection made before would be ended with the others. Never on the shared
    /// stack, where other tests run.
    ///
    /// # Errors
    ///
    /// If it can't be killed, or the server does not come back.
    pub async fn kill_backend(&self, process: i32) -> Result<()> {
        let before = self.readiness_reports()?;
        kill(Pid::from_raw(process), Signal::SIGKILL).context("kill a backend")?;
        wait::until(format!("{} to start anew", self.name), || {
            let reports = self.readiness_reports();
            std::future::ready(reports.map(|reports| (reports > before).then_some(())))
        })
        .await
    }

    /// How often the server has logged that it is ready.
    fn readiness_reports(&self) -> Result<usize> {
        let log = fs::read(self.log()).context("read the server's log")?;
        Ok(String::from_utf8_lossy(&log).matches("ready to accept connections").count())
    }

    /// [`stop`](Self::stop) and [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// As those.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.start().await
    }

    /// Makes a replica a primary, and waits until it takes writes.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn promote(&self) -> Result<()> {
        let client = self.endpoint.connect("postgres").await?;
        client.execute("select pg_promote(wait => true, wait_seconds => 60)", &[]).await?;
        let client = &client;
        wait::until(format!("the promotion of {}", self.name), || async move {
            let row = client.query_one("select pg_is_in_recovery()", &[]).await?;
            Ok((!row.get::<_, bool>(0)).then_some(()))
        })
        .await
    }

    async fn end(&mut self, signal: Signal) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(signal, Duration::from_secs(30)).await?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Result<Command> {
        let mut command = account::server_command(program::directory()?.join(program));
        // The account may not read where the harness was started, nor its home.
        let home = self.directory.parent().unwrap_or(Path::new("/"));
        command.current_dir(home).env("HOME", home).env_remove("PGDATA");
        Ok(command)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Immediate, not killed: the postmaster takes its backends and shared memory with it.
        if let Some(mut process) = self.process.take()
            && process.signal(Signal::SIGQUIT).is_ok()
        {
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while matches!(process.exit_status(), Ok(None)) && std::time::Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The process ids of a process's children.
fn children(parent: u32) -> Vec<String> {
    fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
