//! Files of scenarios and tables.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;

/// Reads a file of TOML. An error says the file, the line and the key.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    toml::from_str(&text).map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// The repository's folder.
pub fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// The folder of the scenarios and tables that come with it.
pub fn folder() -> PathBuf {
    root().join("bench")
}
