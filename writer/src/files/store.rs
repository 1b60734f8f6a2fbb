//! The store that has the root and, if files are staged, the staging root.

use std::time::Duration;

use super::bucket::{Bucket, Prefix};
use super::digest::Digest;
use super::directory::{Directory, Unfinished};
use super::look::{Found, Look, StoreError, limit};
use super::staging_directory::StagingDirectory;
use super::threads::Threads;
use crate::config::{FileRoot, FilesConfig};
use crate::decode::Checksum;
use crate::failpoint;

/// A file, and how much of it is held in memory while it is read.
const CHUNK: usize = 64 << 10;

/// The one or the other kind of store.
#[derive(Debug)]
pub enum Store {
    /// Directories.
    Directories(Directories),
    /// Prefixes of one bucket.
    Buckets {
        /// The root.
        root: Prefix,
        /// The staging root.
        staging: Option<Prefix>,
    },
}

/// Directories, which are worked in on threads.
#[derive(Debug)]
pub struct Directories {
    root: Directory,
    staging: Option<StagingDirectory>,
    threads: Threads,
    timeout: Duration,
}

/// What became of a staged file that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is removed.
    Now,
    /// There was none any more.
    Before,
    /// There is another one in its place, which stays.
    Replaced,
}

impl Store {
    /// The configured store; it is not looked at yet.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn new(config: &FilesConfig) -> Result<Self, StoreError> {
        match &config.root {
            FileRoot::Directory(root) => Ok(Self::Directories(Directories {
                root: Directory(root.clone()),
                staging: match &config.staging_root {
                    Some(FileRoot::Directory(staging)) => Some(StagingDirectory(staging.clone())),
                    _ => None,
                },
                threads: Threads::new(config.parallelism),
                timeout: config.timeout,
            })),
            FileRoot::Bucket { bucket, prefix } => {
                let bucket = Bucket::new(bucket, &config.s3, config.timeout)?;
                let at = |prefix: &str, root: &FileRoot| {
                    Prefix::new(bucket.clone(), prefix, root.to_string())
                };
                Ok(Self::Buckets {
                    root: at(prefix, &config.root),
                    staging: match &config.staging_root {
                        Some(staging @ FileRoot::Bucket { prefix, .. }) => {
                            Some(at(prefix, staging))
                        }
                        _ => None,
                    },
                })
            }
        }
    }

    /// Looks at a file in its final place.
    pub async fn look(&self, path: &str) -> Result<Look, StoreError> {
        match self {
            Self::Directories(store) => {
                let (root, path) = (store.root.clone(), path.to_owned());
                store.run("look at a file", 0, move || root.look(&path)).await
            }
            Self::Buckets { root, .. } => root.look(path).await,
        }
    }

    /// Looks at a staged file; there is none if nothing is staged.
    pub async fn look_staged(&self, path: &str) -> Result<Look, StoreError> {
        match self {
            Self::Directories(store) => {
                let Some(staging) = store.staging.clone() else { return Ok(Look::Missing) };
                let path = path.to_owned();
                store.run("look at a staged file", 0, move || staging.look(&path)).await
            }
            Self::Buckets { staging: Some(staging), .. } => staging.look_staged(path).await,
            Self::Buckets { staging: None, .. } => Ok(Look::Missing),
        }
    }

    /// Whether what was found in both places is one file with two names: copies of it there are none.
    pub fn is_one_file(&self, found: &Found, staged: &Found) -> bool {
        matches!(self, Self::Directories(_)) && found == staged
    }

    /// Whether both roots are there, so that a file that is missing is missing.
    pub async fn probe(&self) -> Result<(), StoreError> {
        match self {
            Self::Directories(store) => {
                let (root, staging) = (store.root.clone(), store.staging.clone());
                let probe = move || {
                    root.probe()?;
                    staging.map_or(Ok(()), |staging| staging.probe())
                };
                store.run("look at the roots", 0, probe).await
            }
            Self::Buckets { root, staging } => {
                root.probe().await?;
                match staging {
                    Some(staging) => staging.probe().await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Whether files can be copied to the root, and removed from the staging root.
    pub async fn probe_writing(&self) -> Result<(), StoreError> {
        match self {
            Self::Directories(store) => {
                let (root, staging) = (store.root.clone(), store.staging.clone());
                let probe = move || {
                    root.probe_writing()?;
                    staging.map_or(Ok(()), |staging| staging.probe_writing())
                };
                store.run("write into the roots", 0, probe).await
            }
            Self::Buckets { root, .. } => root.probe_writing().await,
        }
    }

    /// The checksum of a file that a look has found in its final place.
    pub async fn checksum(&self, path: &str, found: &Found) -> Result<Checksum, StoreError> {
        match self {
            Self::Directories(store) => {
                let (root, path, found) = (store.root.clone(), path.to_owned(), found.clone());
                let size = found.size;
                let read = move || checksum(&root.open(&path, &found)?);
                store.run("read a file", size, read).await
            }
            Self::Buckets { root, .. } => root.checksum(path, found).await,
        }
    }

    /// The checksum of a staged file that a look has found.
    pub async fn checksum_staged(&self, path: &str, found: &Found) -> Result<Checksum, StoreError> {
        match self {
            Self::Directories(store) => {
                let staging = store.staging()?;
                let (path, found) = (path.to_owned(), found.clone());
                let size = found.size;
                let read = move || checksum(&staging.open(&path, &found)?);
                store.run("read a staged file", size, read).await
            }
            Self::Buckets { staging, .. } => {
                staging.as_ref().ok_or_else(nothing_is_staged)?.checksum(path, found).await
            }
        }
    }

    /// Copies a staged file that a look has found to its final place, where nothing may be.
    pub async fn copy(&self, path: &str, found: &Found) -> Result<(), StoreError> {
        match self {
            Self::Directories(store) => {
                let unfinished = store.copy(path, found).await?;
                failpoint::hit(failpoint::FILES_IN_COPY).await;
                let root = store.root.clone();
                store.run("name a copy", 0, move || root.finish(&unfinished)).await
            }
            Self::Buckets { root, staging } => {
                let staging = staging.as_ref().ok_or_else(nothing_is_staged)?;
                root.copy(staging, path, found).await
            }
        }
    }

    /// Removes what a killed writer has left of a copy of this file.
    pub async fn sweep(&self, path: &str) -> Result<(), StoreError> {
        match self {
            Self::Directories(store) => {
                let (root, path) = (store.root.clone(), path.to_owned());
                store.run("remove an unfinished copy", 0, move || root.sweep(&path)).await
            }
            Self::Buckets { .. } => Ok(()),
        }
    }

    /// Removes a staged file, if it still is of this version.
    pub async fn remove_staged(&self, path: &str, version: &str) -> Result<Removed, StoreError> {
        match self.look_staged(path).await? {
            Look::Missing => Ok(Removed::Before),
            Look::File(found) if found.version == version => self.remove(path).await,
            Look::File(_) | Look::Unfit(_) => Ok(Removed::Replaced),
        }
    }

    async fn remove(&self, path: &str) -> Result<Removed, StoreError> {
        match self {
            Self::Directories(store) => {
                let (staging, path) = (store.staging()?, path.to_owned());
                let was_there =
                    store.run("remove a staged file", 0, move || staging.remove(&path)).await?;
                Ok(if was_there { Removed::Now } else { Removed::Before })
            }
            Self::Buckets { staging, .. } => {
                staging.as_ref().ok_or_else(nothing_is_staged)?.remove(path).await?;
                Ok(Removed::Now)
            }
        }
    }
}

impl Directories {
    /// Makes a call about a file of that size.
    async fn run<T: Send + 'static>(
        &self,
        asked: &str,
        size: u64,
        call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.threads.run(asked, limit(self.timeout, size), call).await?
    }

    async fn copy(&self, path: &str, found: &Found) -> Result<Unfinished, StoreError> {
        let (root, staging) = (self.root.clone(), self.staging()?);
        let (path, found) = (path.to_owned(), found.clone());
        let size = found.size;
        let copy = move || {
            let source = staging.open(&path, &found)?;
            let is_unchanged = |source: &_| StagingDirectory::is_unchanged(source, &found);
            root.copy(&path, &source, found.size, is_unchanged)
        };
        self.run("copy a staged file", size, copy).await
    }

    fn staging(&self) -> Result<StagingDirectory, StoreError> {
        self.staging.clone().ok_or_else(nothing_is_staged)
    }
}

fn checksum(mut file: &std::fs::File) -> Result<Checksum, StoreError> {
    use std::io::Read as _;

    let mut digest = Digest::new()?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return digest.finish(),
            Ok(length) => digest.add(&chunk[..length])?,
            Err(error) => return Err(StoreError::new("read a file", error)),
        }
    }
}

fn nothing_is_staged() -> StoreError {
    StoreError::new("work on a staged file", "files.staging_root is not set")
}
