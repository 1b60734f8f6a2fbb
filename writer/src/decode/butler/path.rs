//! Paths of files in the datastore, relative to its root.

use std::borrow::Cow;

use crate::rejection::{Rejection, SqlState};

const FILE: &str = "file://";

/// The datastore's root directory, if it is known: what absolute paths must lie in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatastoreRoot {
    /// With a slash at the end.
    directory: Option<String>,
}

impl DatastoreRoot {
    /// Reads an absolute path or a `file://` URI of a directory; none if it is neither, or not spelt out.
    pub fn parse(text: &str) -> Option<Self> {
        let directory = text.strip_prefix(FILE).unwrap_or(text);
        let inside = directory.strip_prefix('/')?.trim_end_matches('/');
        check(inside).is_ok().then(|| Self { directory: Some(format!("/{inside}/")) })
    }

    /// The path as the official client stores it: relative to the root.
    ///
    /// # Errors
    /// If it leads out of the root, or is one that the client would normalise, decode or cut.
    pub fn relative<'a>(&self, path: Cow<'a, str>) -> Result<Cow<'a, str>, Rejection> {
        let local = path.strip_prefix(FILE).unwrap_or(&path);
        let inside = self.directory.as_ref().and_then(|root| local.strip_prefix(root.as_str()));
        let refuse = |reason| {
            let message = format!("path {path:?} {reason}");
            Err(Rejection::new(SqlState::INVALID_PARAMETER_VALUE, message))
        };
        match (inside, &self.directory) {
            (None, Some(root)) if local.starts_with('/') => {
                refuse(&*format!("is absolute, and not in the datastore's root, {root}"))
            }
            (None, None) if local.starts_with('/') => {
                refuse("is absolute, and format.datastore_root is not set")
            }
            _ => match (check(inside.unwrap_or(&path)), inside.map(str::len)) {
                (Err(reason), _) => refuse(reason),
                (Ok(()), None) => Ok(path),
                (Ok(()), Some(length)) => Ok(last(path, length)),
            },
        }
    }
}

/// The last bytes of a path.
fn last(path: Cow<'_, str>, length: usize) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => Cow::Borrowed(&path[path.len() - length..]),
        Cow::Owned(path) => Cow::Owned(path[path.len() - length..].to_owned()),
    }
}

/// Why the official client would not store a path verbatim.
fn check(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        Err("is empty")
    } else if path.ends_with('/') {
        Err("is a directory")
    } else if path.contains(['%', '#']) {
        Err("has a '%' or '#'")
    } else if has_scheme(path) {
        Err("has a scheme")
    } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        Err("has an empty, '.' or '..' segment")
    } else {
        Ok(())
    }
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::DatastoreRoot;

    #[test]
    fn takes_clean_relative_paths() {
        for root in [DatastoreRoot::default(), DatastoreRoot::parse("/data").unwrap()] {
            for path in ["a", "a/b.fits", "a b/é?.json", "..a/.b/c..", "run/12:30.fits", "0:x"] {
                assert_eq!(root.relative(path.into()).unwrap(), path);
            }
        }
    }

    #[test]
    fn makes_paths_in_the_root_relative() {
        for root in ["/data/é", "/data/é/", "file:///data/é"] {
            let root = DatastoreRoot::parse(root).unwrap();
            for path in ["/data/é/a/b.fits", "file:///data/é/a/b.fits"] {
                assert_eq!(root.relative(path.into()).unwrap(), "a/b.fits");
                assert_eq!(root.relative(path.to_owned().into()).unwrap(), "a/b.fits");
            }
        }
    }

    #[test]
    fn refuses_the_rest() {
        let paths = [
            "",
            "/",
            "/a",
            "/data",
            "/data/",
            "/data//a",
            "/data/../a",
            "/data/a%20b",
            "/database/a",
            "file:///database/a",
            "file://host/data/a",
            "a/",
            "a//b",
            "./a",
            "a/.",
            "a/../b",
            "..",
            "a%20b",
            "a#b",
            "file:///a",
            "s3://b/x",
            "mailto:x",
        ];
        for root in [DatastoreRoot::default(), DatastoreRoot::parse("/data").unwrap()] {
            for path in paths {
                let refused = root.relative(path.into()).unwrap_err();
                assert_eq!(refused.sqlstate.as_str(), "22023", "{path}");
            }
        }
        let unknown = DatastoreRoot::default().relative("/data/a".into()).unwrap_err();
        assert!(unknown.message.contains("format.datastore_root is not set"));
    }

    #[test]
    fn a_root_is_spelt_out() {
        for root in ["", "/", "data", "s3://bucket", "/data/../a", "/a%20b", "file://host/a"] {
            assert_eq!(DatastoreRoot::parse(root), None, "{root}");
        }
    }
}
