//! The datastore's root as a directory. Whoever may write there is trusted: symbolic links are
//! followed.
//!
//! A copy gets its name when it is whole, by a hard link, which never replaces anything. Calls block.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use twox_hash::XxHash3_128;

use super::look::{Found, Look, StoreError};

/// What the names of unfinished copies begin with.
pub const UNFINISHED: &str = ".forebay-";

/// The root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(pub PathBuf);

/// A copy that is whole, and has not its name yet. Nobody else writes it while this lives.
#[derive(Debug)]
pub struct Unfinished {
    unfinished: PathBuf,
    finished: PathBuf,
    _lock: File,
}

impl Directory {
    /// Looks at a file.
    pub fn look(&self, path: &str) -> Result<Look, StoreError> {
        let place = self.0.join(path);
        match fs::metadata(&place) {
            Ok(metadata) if metadata.is_file() => Ok(Look::File(found(&metadata))),
            Ok(metadata) if metadata.is_dir() => Ok(Look::Unfit("is a directory".to_owned())),
            Ok(_) => Ok(Look::Unfit("is no regular file".to_owned())),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Ok(Look::Missing),
                ErrorKind::NotADirectory => {
                    Ok(Look::Unfit("is below a file, not a directory".to_owned()))
                }
                ErrorKind::InvalidFilename => Ok(Look::Unfit("has too long a name".to_owned())),
                _ => Err(failed("look at", &place, &error)),
            },
        }
    }

    /// Whether it is there, with anything in it: a mount point whose file system is not mounted is
    /// empty.
    pub fn probe(&self) -> Result<(), StoreError> {
        let failed = |error| failed("look at", &self.0, &error);
        match fs::read_dir(&self.0).map_err(failed)?.next() {
            Some(entry) => entry.map(drop).map_err(failed),
            None => Err(StoreError::new(
                format_args!("look at {}", self.0.display()),
                "the directory is empty, as a mount point is whose file system is not mounted; if it \
                 is new, put a file there",
            )),
        }
    }

    /// Whether copies can be made here: makes a file, links it, and removes both.
    pub fn probe_writing(&self) -> Result<(), StoreError> {
        let name = format!("{UNFINISHED}check.{:016x}", fastrand::u64(..));
        let (one, other) = (self.0.join(&name), self.0.join(format!("{name}.link")));
        let probed = File::create_new(&one).and_then(|_| fs::hard_link(&one, &other));
        for place in [other, one] {
            // The first error says more.
            let _ = fs::remove_file(place);
        }
        probed.map_err(|error| failed("make and link a file in", &self.0, &error))
    }

    /// Opens a file that a look has found.
    pub fn open(&self, path: &str, found: &Found) -> Result<File, StoreError> {
        let place = self.0.join(path);
        let file = File::open(&place).map_err(|error| failed("read", &place, &error))?;
        same_file(file, found, || format!("read {}", place.display()))
    }

    /// Copies what `source` reads, which is `size` bytes long and unchanged as long as `is_unchanged`
    /// says so. The copy is whole, and on disk, when it is given.
    pub fn copy(
        &self,
        path: &str,
        mut source: &File,
        size: u64,
        is_unchanged: impl FnOnce(&File) -> io::Result<bool>,
    ) -> Result<Unfinished, StoreError> {
        self.probe()?;
        let finished = self.0.join(path);
        let failed = |error| failed("copy to", &finished, &error);
        let parent = finished.parent().unwrap_or(&self.0);
        fs::create_dir_all(parent).map_err(failed)?;
        let unfinished = unfinished_name(&finished, path);
        let mut copy = lock(&unfinished, &finished)?;
        copy.set_len(0).map_err(failed)?;
        let copied = io::copy(&mut source, &mut copy).map_err(failed)?;
        if copied != size || !is_unchanged(source).map_err(failed)? {
            // If it stays, the next look at the file removes it.
            let _ = fs::remove_file(&unfinished);
            return Err(StoreError::changed(format_args!("copy to {}", finished.display())));
        }
        copy.sync_all().map_err(failed)?;
        Ok(Unfinished { unfinished, finished, _lock: copy })
    }

    /// Gives a copy its name, unless something has it.
    pub fn finish(&self, copy: &Unfinished) -> Result<(), StoreError> {
        let Unfinished { unfinished, finished, .. } = copy;
        let linked = fs::hard_link(unfinished, finished);
        // If it stays, the next look at the file removes it.
        let _ = fs::remove_file(unfinished);
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(StoreError::changed(format_args!("copy to {}", finished.display())));
            }
            Err(error) => return Err(failed("link", finished, &error)),
        }
        self.sync_directories(finished).map_err(|error| failed("copy to", finished, &error))
    }

    /// Removes what is left of a copy of this file whose writer was killed.
    pub fn sweep(&self, path: &str) -> Result<(), StoreError> {
        let finished = self.0.join(path);
        let unfinished = unfinished_name(&finished, path);
        if !fs::exists(&unfinished).unwrap_or(false) {
            return Ok(());
        }
        let _lock = lock(&unfinished, &finished)?;
        fs::remove_file(&unfinished).map_err(|error| failed("remove", &unfinished, &error))
    }

    /// The directories down to a file, whoever made them: a name is as durable as the directory that
    /// has it.
    fn sync_directories(&self, finished: &Path) -> io::Result<()> {
        for directory in finished.ancestors().skip(1) {
            File::open(directory)?.sync_all()?;
            if directory == self.0 {
                break;
            }
        }
        Ok(())
    }
}

/// What a look at this metadata finds.
pub fn found(metadata: &fs::Metadata) -> Found {
    version(metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

/// A file is the same as long as all of this is.
pub fn version(inode: u64, size: u64, seconds: i64, nanoseconds: i64) -> Found {
    Found { size, version: format!("{inode}-{size}-{seconds}.{nanoseconds:09}") }
}

/// The opened file, if it is the one that was found.
pub fn same_file(
    file: File,
    found: &Found,
    asked: impl Fn() -> String,
) -> Result<File, StoreError> {
    let metadata = file.metadata().map_err(|error| StoreError::new(asked(), error))?;
    if metadata.is_file() && self::found(&metadata) == *found {
        Ok(file)
    } else {
        Err(StoreError::changed(asked()))
    }
}

/// What the system said about a place.
pub fn failed(verb: &str, place: &Path, error: &io::Error) -> StoreError {
    StoreError::new(format_args!("{verb} {}", place.display()), error)
}

/// Beside the finished file, so that it can be linked; the same for all writers.
fn unfinished_name(finished: &Path, path: &str) -> PathBuf {
    let hash = XxHash3_128::oneshot(path.as_bytes());
    finished.with_file_name(format!("{UNFINISHED}{hash:032x}"))
}

/// Opens or makes an unfinished copy for this process alone. A killed one's lock goes with it.
fn lock(unfinished: &Path, finished: &Path) -> Result<File, StoreError> {
    let failed = |error| failed("copy to", finished, &error);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(unfinished);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let asked = format_args!("copy to {}", finished.display());
            return Err(StoreError::new(asked, "another writer is at it"));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let locked = file.metadata().map(inode).map_err(failed)?;
    match fs::metadata(unfinished).map(inode) {
        Ok(named) if named == locked => Ok(file),
        // The one who had the lock has finished, and removed it.
        _ => Err(StoreError::changed(format_args!("copy to {}", finished.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Directory, Found, Look};

    struct Site {
        root: PathBuf,
    }

    impl Site {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("forebay-{name}-{}", std::process::id()));
            fs::create_dir_all(root.join("data")).unwrap();
            fs::write(root.join("source"), "bytes").unwrap();
            Self { root }
        }

        fn directory(&self) -> Directory {
            Directory(self.root.join("data"))
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.root.join("data/a")).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn copy(&self) -> Result<(), super::StoreError> {
            let source = fs::File::open(self.root.join("source")).unwrap();
            let directory = self.directory();
            let copy = directory.copy("a/b", &source, 5, |_| Ok(true))?;
            directory.finish(&copy)
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    #[test]
    fn copies_whole_files_and_replaces_none() {
        let site = Site::new("copies");
        let error = site.copy().unwrap_err();
        assert!(error.to_string().contains("not mounted"), "{error}");
        fs::write(site.root.join("data/butler.yaml"), "").unwrap();
        site.copy().unwrap();
        assert_eq!(site.names(), ["b"]);
        fs::write(site.root.join("source"), "other").unwrap();
        assert!(site.copy().unwrap_err().to_string().contains("changed"));
        assert_eq!(fs::read(site.root.join("data/a/b")).unwrap(), b"bytes");
        assert_eq!(site.names(), ["b"]);
    }

    #[test]
    fn gives_no_name_to_half_a_file() {
        let site = Site::new("half");
        fs::write(site.root.join("data/butler.yaml"), "").unwrap();
        let source = fs::File::open(site.root.join("source")).unwrap();
        let directory = site.directory();
        for (size, unchanged) in [(6, true), (5, false)] {
            let source = source.try_clone().unwrap();
            let copied = directory.copy("a/b", &source, size, |_| Ok(unchanged));
            assert!(copied.unwrap_err().to_string().contains("changed"));
            assert!(site.names().is_empty());
        }
    }

    #[test]
    fn one_writer_at_a_time_and_a_killed_one_leaves_nothing() {
        let site = Site::new("lock");
        fs::write(site.root.join("data/butler.yaml"), "").unwrap();
        let directory = site.directory();
        let source = fs::File::open(site.root.join("source")).unwrap();
        let copy = directory.copy("a/b", &source, 5, |_| Ok(true)).unwrap();
        assert!(site.copy().unwrap_err().to_string().contains("another writer"));
        assert!(directory.sweep("a/b").is_err());
        // As a kill does.
        drop(copy);
        assert_eq!(site.names().len(), 1);
        site.copy().unwrap();
        assert_eq!(site.names(), ["b"]);
        let source = fs::File::open(site.root.join("source")).unwrap();
        drop(directory.copy("a/b", &source, 5, |_| Ok(true)).unwrap());
        directory.sweep("a/b").unwrap();
        assert_eq!(site.names(), ["b"]);
    }

    #[test]
    fn says_what_can_be_no_file() {
        let site = Site::new("looks");
        fs::create_dir_all(site.root.join("data/a")).unwrap();
        fs::write(site.root.join("data/f"), "").unwrap();
        let look = |path: &str| site.directory().look(path).unwrap();
        assert!(matches!(look("f"), Look::File(Found { size: 0, .. })));
        assert_eq!(look("a/x"), Look::Missing);
        for path in ["a", "f/x", &"x".repeat(300)] {
            assert!(matches!(look(path), Look::Unfit(_)), "{path}");
        }
    }
}
