//! Where a file stands, and whether that is what an event says of it. Pure.

use super::look::Found;
use crate::config::FilesConfig;
use crate::decode::Checksum;
use crate::rejection::{Rejection, SqlState};

/// Where a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In neither place.
    Missing,
    /// In its final place alone.
    Final(Facts),
    /// In the staging root alone.
    Staged(Facts, Found),
    /// In both, with the same bytes.
    Both(Facts, Found),
    /// In both, with different bytes.
    Different,
    /// What is in its final place can be no file of a dataset, and why not.
    Unfit(String),
    /// What is in the staging root can be none.
    UnfitStaged(String),
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How many there are.
    pub size: u64,
    /// Their checksum, if it was asked for.
    pub checksum: Option<Checksum>,
}

/// What an event says of a file that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The event's number in its batch.
    pub event: i32,
    /// The number of the file in its event.
    pub file: usize,
    /// How many bytes it has.
    pub size: Option<u64>,
    /// Their checksum.
    pub checksum: Option<Checksum>,
}

impl Standing {
    /// The staged file, if it is in its final place as well, or will be.
    pub fn staged(&self) -> Option<&Found> {
        match self {
            Self::Staged(_, found) | Self::Both(_, found) => Some(found),
            _ => None,
        }
    }

    /// Why an event that says this of the file must be rejected, if it must.
    pub fn contradicts(
        &self,
        mention: &Mention,
        path: &str,
        config: &FilesConfig,
    ) -> Option<Rejection> {
        let place = config.root.place(path);
        let staging = config.staging_root.as_ref().map(|root| root.place(path));
        let staged = staging.as_deref().unwrap_or_default();
        let reject = |sqlstate, message: String| Some(Rejection::new(sqlstate, message));
        match self {
            Self::Missing if staging.is_some() => {
                reject(SqlState::FILE_MISSING, format!("file {staged} is missing, and {place} too"))
            }
            Self::Missing => reject(SqlState::FILE_MISSING, format!("file {place} is missing")),
            Self::Unfit(reason) => reject(SqlState::FILE_UNFIT, format!("file {place} {reason}")),
            Self::UnfitStaged(reason) => {
                reject(SqlState::FILE_UNFIT, format!("file {staged} {reason}"))
            }
            Self::Different => reject(
                SqlState::FILE_DIFFERENT,
                format!(
                    "file {place} is there with other bytes than {staged}, and is not overwritten"
                ),
            ),
            Self::Final(facts) => facts.contradict(mention, &place),
            Self::Staged(facts, _) | Self::Both(facts, _) => facts.contradict(mention, staged),
        }
    }
}

impl Facts {
    fn contradict(&self, mention: &Mention, place: &str) -> Option<Rejection> {
        let message = match (mention, &self.checksum) {
            (Mention { size: Some(size), .. }, _) if *size != self.size => {
                format!("file {place} has {} bytes, and not the event's {size}", self.size)
            }
            (Mention { checksum: Some(said), .. }, Some(found)) if said != found => {
                format!("file {place} has the checksum {found}, and not the event's {said}")
            }
            _ => return None,
        };
        Some(Rejection::new(SqlState::FILE_UNFIT, message))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Facts, Mention, Standing};
    use crate::config::{FileRoot, FilesConfig, S3Config};
    use crate::decode::{Checksum, DatastoreRoot};
    use crate::files::look::Found;

    fn config(staged: bool) -> FilesConfig {
        FilesConfig {
            datastore_root: DatastoreRoot::default(),
            root: FileRoot::Directory("/data".into()),
            staging_root: staged.then(|| FileRoot::Directory("/staging".into())),
            parallelism: 1,
            timeout: Duration::from_secs(1),
            s3: S3Config::default(),
        }
    }

    fn checksum(byte: u8) -> Checksum {
        Checksum(Box::new([byte; 64]))
    }

    fn said(standing: &Standing, size: Option<u64>, sum: Option<u8>) -> Option<String> {
        let mention = Mention { event: 0, file: 0, size, checksum: sum.map(checksum) };
        let rejection = standing.contradicts(&mention, "a/b", &config(true))?;
        Some(format!("{} {}", rejection.sqlstate, rejection.message))
    }

    #[test]
    fn compares_what_is_there_with_what_is_said() {
        let facts = |sum: Option<u8>| Facts { size: 3, checksum: sum.map(checksum) };
        let found = Found { size: 3, version: String::new() };
        for standing in [
            Standing::Final(facts(Some(1))),
            Standing::Staged(facts(Some(1)), found.clone()),
            Standing::Both(facts(Some(1)), found),
        ] {
            assert_eq!(said(&standing, None, None), None);
            assert_eq!(said(&standing, Some(3), Some(1)), None);
            let message = said(&standing, Some(4), Some(1)).unwrap();
            assert!(message.contains("has 3 bytes, and not the event's 4"), "{message}");
            let message = said(&standing, Some(3), Some(2)).unwrap();
            assert!(message.starts_with("FB006") && message.contains("checksum 0101"), "{message}");
        }
    }

    #[test]
    fn names_the_full_place() {
        let missing = said(&Standing::Missing, None, None).unwrap();
        assert_eq!(missing, "FB005 file file:///staging/a/b is missing, and file:///data/a/b too");
        let mention = Mention { event: 0, file: 0, size: None, checksum: None };
        let alone = Standing::Missing.contradicts(&mention, "a/b", &config(false)).unwrap();
        assert_eq!(alone.message, "file file:///data/a/b is missing");
        let different = said(&Standing::Different, None, None).unwrap();
        assert!(different.starts_with("FB007 file file:///data/a/b is there"), "{different}");
        let unfit = said(&Standing::UnfitStaged("is a directory".into()), None, None).unwrap();
        assert_eq!(unfit, "FB006 file file:///staging/a/b is a directory");
    }
}
