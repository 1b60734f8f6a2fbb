//! A run's scratch directory: everything that its servers write.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use crate::postgres::shared_memory;

const PREFIX: &str = "forebay-";

/// The file that says whose scratch directory it is.
const OWNER: &str = "supervisor.pid";

/// A directory that goes with this value. One whose supervisor was killed is removed by the next
/// run.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a directory under `$TMPDIR` (or `/tmp`), outside anybody's home, since servers run
    /// as another account; and removes those that were left behind.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub fn make() -> Result<Self> {
        let parent = env::temp_dir();
        remove_stale(&parent);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() % 100_000_000;
        // Short: a Unix socket's path has 107 bytes at most.
        let path = parent.join(format!("{PREFIX}{}-{now}", process::id()));
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        fs::write(path.join(OWNER), process::id().to_string())?;
        Ok(Self { path })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What can't be removed now is tried again by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes directories whose supervisor is gone, and the shared memory of their clusters. What
/// belongs to others, and can't be removed, stays.
fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if let (true, Ok(owner)) = (ours, fs::read_to_string(path.join(OWNER)))
            && !Path::new("/proc").join(owner.trim()).exists()
        {
            shared_memory::remove_all(&path);
            let _ = fs::remove_dir_all(&path);
        }
    }
}
