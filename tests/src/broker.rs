//! An Apache Kafka broker: one node, its own controller, a plain Java process.

mod secure;

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

pub use self::secure::{SecureBroker, Security};
use crate::{account, endpoint::Endpoint, java, port, process, process::Process, wait};

/// A broker with a log directory of its own. It is killed when this value goes.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Broker {
    /// Makes a new one-node cluster in `scratch/name`, with an id of its own, and starts it.
    ///
    /// # Errors
    ///
    /// If it does not come up: with the end of its log.
    pub async fn create(scratch: &Path, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::begin(scratch, name, Ports::free()?, settings, &[]).await
    }

    /// [`create`](Self::create), on given ports, and with more arguments for the formatting.
    async fn begin(
        scratch: &Path,
        name: &str,
        ports: Ports,
        settings: &[(&str, &str)],
        format_arguments: &[String],
    ) -> Result<Self> {
        let directory = account::make_directory(&scratch.join(name))?;
        let properties = properties(&directory, &ports, settings);
        fs::write(directory.join("server.properties"), properties)?;
        let mut broker = Self { directory, port: ports.broker, process: None };

        let mut format = broker.java("kafka.tools.StorageTool")?;
        format.args(["format", "--cluster-id", &cluster_id()?, "--config", "server.properties"]);
        format.args(format_arguments);
        let name = format!("format {name}");
        tokio::task::spawn_blocking(move || process::run(&name, format)).await??;
        broker.start().await?;
        Ok(broker)
    }

    /// The address that clients are given.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        format!("{}:{}", Endpoint::HOST, self.port)
    }

    /// What it logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.with_extension("log")
    }

    /// Where it keeps its partitions.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it ends, or does not answer in time.
    pub async fn start(&mut self) -> Result<()> {
        let mut command = self.java("kafka.Kafka")?;
        command.arg("server.properties");
        let process = Process::start_logged("the broker", command, &self.log())?;
        let process = self.process.insert(process);
        let (port, servers) = (self.port, format!("{}:{}", Endpoint::HOST, self.port));
        wait::until("the broker to answer", || {
            let ended = process.exit_status();
            let servers = servers.clone();
            async move {
                if let Some(status) = ended? {
                    bail!("ended: {status}");
                }
                // librdkafka backs off when nobody listens: ask it only when somebody does.
                if TcpStream::connect((Endpoint::HOST, port)).is_err() {
                    return Ok(None);
                }
                Ok(tokio::task::spawn_blocking(move || answers(&servers)).await?.then_some(()))
            }
        })
        .await
        .with_context(|| process::log_tail(&self.log()))
    }

    /// Stops it in order.
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub async fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(Signal::SIGTERM, Duration::from_secs(30)).await?;
        }
        Ok(())
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

    /// Stops or resumes the whole process (SIGSTOP, SIGCONT).
    ///
    /// # Errors
    ///
    /// If it can't be signalled.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process.as_mut().context("the broker is stopped")?.signal(signal)
    }

    fn java(&self, class: &str) -> Result<Command> {
        let options = ["-Xmx512m", "-XX:+UseSerialGC"];
        java::command("kafka", &options, class, &self.directory)
    }
}

/// Where a broker and its controller listen.
struct Ports {
    broker: u16,
    controller: u16,
}

impl Ports {
    fn free() -> Result<Self> {
        Ok(Self { broker: port::free()?, controller: port::free()? })
    }

    fn listeners(&self) -> String {
        let (host, Self { broker, controller }) = (Endpoint::HOST, self);
        format!("PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}")
    }
}

/// Small, quick to start, and without a delay that a cluster of one does not need.
fn properties(directory: &Path, ports: &Ports, settings: &[(&str, &str)]) -> String {
    let mut text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@{}:{}\n\
         controller.listener.names=CONTROLLER\n\
         listeners={}\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         group.initial.rebalance.delay.ms=0\n\
         offsets.topic.num.partitions=3\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=3\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n",
        Endpoint::HOST,
        ports.controller,
        ports.listeners(),
        directory.join("log").display(),
    );
    for (name, value) in settings {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

/// A random cluster id. Kafka's are 16 bytes in URL-safe base64: 22 characters, of which the
/// last has no more than two bits. Hexadecimal digits are among them.
fn cluster_id() -> Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("make a cluster id")?;
    let digits = uuid.chars().filter(char::is_ascii_hexdigit).take(21);
    Ok(digits.chain(['A']).collect())
}

fn answers(servers: &str) -> bool {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create::<BaseConsumer>()
        .and_then(|client| client.fetch_metadata(None, Duration::from_secs(5)))
        .is_ok_and(|metadata| !metadata.brokers().is_empty())
}
