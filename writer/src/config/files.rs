//! Section `[files]`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::{FormatConfig, Reader, Secret, by_file, value};
use crate::decode::DatastoreRoot;

/// Where the files of datasets are looked for, and where they are staged.
#[derive(Debug, Clone)]
pub struct FilesConfig {
    /// Where they must be before their events are merged: the datastore's root.
    pub root: FileRoot,
    /// The same root as absolute paths of events have it.
    pub datastore_root: DatastoreRoot,
    /// Where they may be before; they are copied from there to the root. None: they must be there.
    pub staging_root: Option<FileRoot>,
    /// How many files are worked on at a time.
    pub parallelism: usize,
    /// How long a store may take to answer.
    pub timeout: Duration,
    /// How S3 is reached.
    pub s3: S3Config,
}

/// A place that files are below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRoot {
    /// A directory.
    Directory(PathBuf),
    /// A bucket of an S3 store, and what the keys begin with, without slashes around it.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix; it may be empty.
        prefix: String,
    },
}

/// How S3 is reached. Without a login, what is not given is what the variables of AWS's own tools say.
#[derive(Debug, Clone, Default)]
pub struct S3Config {
    /// The URL of a store that is not AWS's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The access key's id, and its secret.
    pub login: Option<(String, Secret)>,
}

impl FileRoot {
    /// Reads a `file://` or `s3://` URI.
    fn parse(text: &str) -> Option<Self> {
        if text.contains(['?', '#']) {
            return None;
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        if let Some(path) = text.strip_prefix("file://") {
            let path = PathBuf::from(decoded(path)?);
            let is_plain = path.components().all(|part| part.as_os_str() != "..");
            return (path.is_absolute() && is_plain).then_some(Self::Directory(path));
        }
        let (bucket, prefix) =
            text.strip_prefix("s3://").map(|rest| match rest.split_once('/') {
                Some((bucket, prefix)) => (bucket, prefix.trim_end_matches('/')),
                None => (rest, ""),
            })?;
        let prefix = decoded(prefix)?;
        let is_segment = |segment| !matches!(segment, "" | "." | "..");
        let is_plain = prefix.is_empty() || prefix.split('/').all(is_segment);
        let bucket = bucket.to_owned();
        (!bucket.is_empty() && is_plain).then_some(Self::Bucket { bucket, prefix })
    }

    /// The full place of a file, for people.
    pub fn place(&self, path: &str) -> String {
        format!("{self}/{path}")
    }

    /// Whether files of one may be files of the other.
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => {
                one.starts_with(other) || other.starts_with(one)
            }
            (
                Self::Bucket { bucket, prefix },
                Self::Bucket { bucket: other_bucket, prefix: other },
            ) => {
                let (one, other) = (Path::new(prefix), Path::new(other));
                bucket == other_bucket && (one.starts_with(other) || other.starts_with(one))
            }
            _ => false,
        }
    }

    /// Whether the store itself can copy from the other: directories, or one bucket.
    fn copies_from(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(_), Self::Directory(_)) => true,
            (Self::Bucket { bucket, .. }, Self::Bucket { bucket: other, .. }) => bucket == other,
            _ => false,
        }
    }
}

/// Without a slash at its end.
impl fmt::Display for FileRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => {
                write!(f, "file://{}", path.to_string_lossy().trim_end_matches('/'))
            }
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

const SECTION: &str = "files";
const EXAMPLE: &str = "\"file:///…\" (or \"s3://bucket/prefix\")";

/// None if files are no concern of the writer's, or something is wrong.
pub(super) fn files(reader: &mut Reader<'_>, format: Option<&FormatConfig>) -> Option<FilesConfig> {
    let root = root(reader, "root");
    let staging_root = root_beside(reader, root.as_ref());
    let parallelism = value::count(reader, SECTION, "parallelism", 16, (1, 256));
    let timeout = value::duration(reader, SECTION, "timeout", Duration::from_secs(10));
    let s3 = s3(reader);
    let Some(setting) = reader.setting(SECTION, "root") else {
        require_root(reader);
        return None;
    };
    let datastore_root = match format {
        Some(FormatConfig::Butler(butler)) => butler.datastore_root.clone(),
        None => DatastoreRoot::default(),
        Some(_) => {
            let message = format!("{} is given, and this format has no files", setting.name);
            reader.problem(setting.place, message, "remove it, or set format.kind to \"butler\"");
            DatastoreRoot::default()
        }
    };
    Some(FilesConfig {
        root: root?,
        datastore_root,
        staging_root,
        parallelism: usize::try_from(parallelism).unwrap_or(1),
        timeout,
        s3,
    })
}

fn root(reader: &mut Reader<'_>, key: &'static str) -> Option<FileRoot> {
    let text = value::text(reader, SECTION, key)?;
    let root = FileRoot::parse(&text);
    if root.is_none()
        && let Some(setting) = reader.setting(SECTION, key)
    {
        let expected = "an absolute URI without \"..\", such as \"file:///datastore\" or \
                        \"s3://bucket/prefix\"";
        value::refuse(reader, &setting, expected);
    }
    root
}

/// The staging root, which must be apart from the root, and near enough to copy from.
fn root_beside(reader: &mut Reader<'_>, beside: Option<&FileRoot>) -> Option<FileRoot> {
    let staging_root = root(reader, "staging_root")?;
    let setting = reader.setting(SECTION, "staging_root")?;
    let beside = beside?;
    if staging_root.overlaps(beside) {
        let message = format!("{} and files.root are one in the other", setting.name);
        reader.problem(setting.place, message, "name two places of which none is in the other");
        return None;
    }
    if !beside.copies_from(&staging_root) {
        let message = format!("{} is in another store than files.root", setting.name);
        reader.problem(setting.place, message, "name two directories, or one bucket for both");
        return None;
    }
    Some(staging_root)
}

fn s3(reader: &mut Reader<'_>) -> S3Config {
    let endpoint = value::text(reader, SECTION, "s3_endpoint");
    let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    if endpoint.as_ref().is_some_and(|endpoint| !is_url(endpoint))
        && let Some(setting) = reader.setting(SECTION, "s3_endpoint")
    {
        value::refuse(reader, &setting, "a URL such as \"https://s3.example:9000\"");
    }
    let region = value::text(reader, SECTION, "s3_region");
    let id = value::text(reader, SECTION, "s3_access_key_id");
    let secret =
        by_file::secret(reader, SECTION, "s3_secret_access_key", "s3_secret_access_key_file");
    let login = match (id, secret) {
        (Some(id), Some(secret)) => Some((id, secret.secret)),
        (None, None) => None,
        (Some(_), None) => {
            reader.missing(SECTION, "s3_secret_access_key", "\"…\"");
            None
        }
        (None, Some(_)) => {
            reader.missing(SECTION, "s3_access_key_id", "\"…\"");
            None
        }
    };
    S3Config { endpoint, region, login }
}

/// Whoever sets something of the files wants them looked at.
fn require_root(reader: &mut Reader<'_>) {
    let others = ["staging_root", "parallelism", "timeout", "s3_endpoint", "s3_region"];
    if others.into_iter().any(|key| reader.setting(SECTION, key).is_some()) {
        reader.missing(SECTION, "root", EXAMPLE);
    }
}

#[cfg(test)]
mod tests {
    use super::FileRoot;

    fn parse(text: &str) -> FileRoot {
        FileRoot::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn reads_roots_and_shows_them() {
        for (text, shown) in [
            ("file:///a/b/", "file:///a/b"),
            ("file:///a%20b", "file:///a b"),
            ("s3://b", "s3://b"),
            ("s3://b/", "s3://b"),
            ("s3://b/c/d/", "s3://b/c/d"),
        ] {
            assert_eq!(parse(text).to_string(), shown);
        }
        for text in ["/a", "file://a/b", "file:///a/../b", "s3://", "s3:///a", "s3://b/a//c", "x"] {
            assert_eq!(FileRoot::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tells_roots_apart() {
        for (one, other, overlaps) in [
            ("file:///a", "file:///a", true),
            ("file:///a", "file:///a/b", true),
            ("file:///a", "file:///ab", false),
            ("s3://b/a", "s3://b/ab", false),
            ("s3://b", "s3://b/ab", true),
            ("s3://b/a", "s3://c/a", false),
            ("s3://b/a", "file:///a", false),
        ] {
            let (one, other) = (parse(one), parse(other));
            assert_eq!(one.overlaps(&other), overlaps, "{one} {other}");
            assert_eq!(other.overlaps(&one), overlaps, "{other} {one}");
        }
        assert!(parse("s3://b/a").copies_from(&parse("s3://b/c")));
        assert!(!parse("s3://b/a").copies_from(&parse("s3://c/a")));
        assert!(!parse("s3://b/a").copies_from(&parse("file:///a")));
    }
}
