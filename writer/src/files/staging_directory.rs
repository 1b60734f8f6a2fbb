//! The staging root as a directory. Anybody may write there: no symbolic link leads out of it, and
//! nothing but regular files is opened. Calls block.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _};

use super::directory::{failed, same_file, version};
use super::look::{Found, Look, StoreError};

/// A pipe that somebody has put in a file's place does not hold up who opens it (`O_NONBLOCK`).
const NONBLOCK: i32 = 0o4000;

/// Too many symbolic links (`ELOOP`).
const LOOP: i32 = 40;

/// The root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagingDirectory(pub PathBuf);

impl StagingDirectory {
    /// Looks at a file.
    pub fn look(&self, path: &str) -> Result<Look, StoreError> {
        let metadata = match self.directory()?.symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.explain(path, &error),
        };
        Ok(if metadata.is_file() {
            let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
            Look::File(version(metadata.ino(), metadata.size(), seconds, nanoseconds))
        } else if metadata.is_dir() {
            Look::Unfit("is a directory".to_owned())
        } else if metadata.is_symlink() {
            Look::Unfit("is a symbolic link".to_owned())
        } else {
            Look::Unfit("is no regular file".to_owned())
        })
    }

    fn explain(&self, path: &str, error: &io::Error) -> Result<Look, StoreError> {
        match (error.kind(), error.raw_os_error()) {
            (ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename, _) => {
                Ok(Look::Missing)
            }
            // The system knows no such error: it is the sandbox's.
            (ErrorKind::PermissionDenied, None) | (_, Some(LOOP)) => {
                Ok(Look::Unfit("leads out of the staging root by a symbolic link".to_owned()))
            }
            _ => Err(failed("look at", &self.0.join(path), error)),
        }
    }

    /// Whether it is there, with anything in it.
    pub fn probe(&self) -> Result<(), StoreError> {
        super::directory::Directory(self.0.clone()).probe()
    }

    /// Opens a file that a look has found.
    pub fn open(&self, path: &str, found: &Found) -> Result<File, StoreError> {
        let place = self.0.join(path);
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(NONBLOCK);
        let file = self.directory()?.open_with(path, options);
        let file = file.map_err(|error| failed("read", &place, &error))?.into_std();
        same_file(file, found, || format!("read {}", place.display()))
    }

    /// Whether an opened file still is what was found.
    pub fn is_unchanged(file: &File, found: &Found) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let now = version(metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
        Ok(now == *found)
    }

    /// Removes a file. Whether it was there.
    pub fn remove(&self, path: &str) -> Result<bool, StoreError> {
        match self.directory()?.remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed("remove", &self.0.join(path), &error)),
        }
    }

    /// Whether files can be removed here, as far as making and removing one shows it.
    pub fn probe_writing(&self) -> Result<(), StoreError> {
        super::directory::Directory(self.0.clone()).probe_writing()
    }

    fn directory(&self) -> Result<Dir, StoreError> {
        open(&self.0)
    }
}

fn open(root: &Path) -> Result<Dir, StoreError> {
    Dir::open_ambient_dir(root, ambient_authority()).map_err(|error| failed("open", root, &error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Look, StagingDirectory};

    #[test]
    fn nothing_leads_out() {
        let base = std::env::temp_dir().join(format!("forebay-staging-{}", std::process::id()));
        let root = base.join("staging");
        fs::create_dir_all(root.join("inner")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(root.join("inner/file"), "file").unwrap();
        symlink(base.join("secret"), root.join("link")).unwrap();
        symlink("inner/file", root.join("inner_link")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink(&base, root.join("absolute")).unwrap();
        symlink("inner", root.join("same")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let staging = StagingDirectory(root.clone());
        let look = |path| staging.look(path).unwrap();
        for path in
            ["link", "inner_link", "up/secret", "absolute/secret", "../secret", "loop/x", "inner"]
        {
            assert!(matches!(look(path), Look::Unfit(_)), "{path}: {:?}", look(path));
        }
        for path in ["nothing", "inner/file/x", "inner/x"] {
            assert_eq!(look(path), Look::Missing, "{path}");
        }
        let Look::File(found) = look("same/file") else { panic!("no file") };
        assert_eq!(look("inner/file"), Look::File(found.clone()));
        let file = staging.open("inner/file", &found).unwrap();
        assert!(StagingDirectory::is_unchanged(&file, &found).unwrap());
        fs::write(root.join("inner/file"), "other").unwrap();
        assert!(!StagingDirectory::is_unchanged(&file, &found).unwrap());
        assert!(staging.open("inner/file", &found).is_err());
        assert!(staging.remove("up/secret").is_err());
        assert!(staging.remove("inner/file").unwrap());
        assert!(!staging.remove("inner/file").unwrap());
        assert!(base.join("secret").exists());
        fs::remove_dir_all(&base).unwrap();
    }
}
