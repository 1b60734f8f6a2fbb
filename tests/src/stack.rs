//! The shared stack, as a test sees it.

use std::{
    env,
    path::{Path, PathBuf},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context, Result, anyhow};

use crate::{account, endpoint::Endpoint, lifeline};

/// The names of the environment variables by which the supervisor hands its stack on.
pub mod variable {
    /// The primary's port on 127.0.0.1.
    pub const PRIMARY: &str = "FOREBAY_TEST_PRIMARY";
    /// The replica's port on 127.0.0.1.
    pub const REPLICA: &str = "FOREBAY_TEST_REPLICA";
    /// The broker's bootstrap servers.
    pub const KAFKA: &str = "FOREBAY_TEST_KAFKA";
    /// The run's scratch directory.
    pub const SCRATCH: &str = "FOREBAY_TEST_SCRATCH";
    /// The `forebay` binary; the tests' own `target` directory has it otherwise.
    pub const WRITER: &str = "FOREBAY_BIN";
}

/// The file name of the supervisor's [`lifeline`] in the scratch directory.
pub const LIFELINE: &str = "lifeline";

/// The name of the broker's directory in the scratch directory.
pub const KAFKA_DIRECTORY: &str = "kafka";

/// The addresses of the stack that all tests of a run share.
#[derive(Clone, Debug)]
pub struct Stack {
    pub(crate) primary: Endpoint,
    pub(crate) replica: Endpoint,
    pub(crate) kafka: String,
    pub(crate) scratch: PathBuf,
}

impl Stack {
    /// The stack of the supervisor that this process runs under.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn from_env() -> Result<Self> {
        let stack = Self {
            primary: Endpoint::own(variable(variable::PRIMARY)?.parse()?),
            replica: Endpoint::own(variable(variable::REPLICA)?.parse()?),
            kafka: variable(variable::KAFKA)?,
            scratch: variable(variable::SCRATCH)?.into(),
        };
        static ATTACHED: OnceLock<Result<(), String>> = OnceLock::new();
        ATTACHED
            .get_or_init(|| {
                lifeline::attach(&stack.scratch.join(LIFELINE)).map_err(|e| format!("{e:#}"))
            })
            .clone()
            .map_err(|error| anyhow!(error))?;
        Ok(stack)
    }

    /// The primary.
    #[must_use]
    pub fn primary(&self) -> &Endpoint {
        &self.primary
    }

    /// Its physical replica.
    #[must_use]
    pub fn replica(&self) -> &Endpoint {
        &self.replica
    }

    /// The broker's bootstrap servers.
    #[must_use]
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// The directory of the broker.
    #[must_use]
    pub fn kafka_directory(&self) -> PathBuf {
        self.scratch.join(KAFKA_DIRECTORY)
    }

    /// A new directory in the scratch directory, for files of a test or for private servers.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub fn directory(&self, prefix: &str) -> Result<PathBuf> {
        account::make_directory(&self.scratch.join(unique(prefix)))
    }

    /// The run's scratch directory.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }
}

fn variable(name: &str) -> Result<String> {
    env::var(name).with_context(|| {
        format!("${name} is not set: the tests need a stack, which `make test` starts for them")
    })
}

/// A name that no other test of the run has, fit for databases, topics and files.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
