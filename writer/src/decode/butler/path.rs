//! Paths of files in the datastore, relative to its root.

use crate::rejection::{Rejection, SqlState};

/// Refuses a path that the official client would not store verbatim: what leads out of the root,
/// what it would normalise, decode or cut.
pub fn check_path(path: &str) -> Result<(), Rejection> {
    let reason = if path.is_empty() {
        "is empty"
    } else if path.starts_with('/') {
        "is absolute"
    } else if path.ends_with('/') {
        "is a directory"
    } else if path.contains(['%', '#']) {
        "has a '%' or '#'"
    } else if has_scheme(path) {
        "has a scheme"
    } else if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        "has an empty, '.' or '..' segment"
    } else {
        return Ok(());
    };
    Err(Rejection::new(SqlState::INVALID_PARAMETER_VALUE, format!("path {path:?} {reason}")))
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn takes_clean_relative_paths() {
        for path in ["a", "a/b.fits", "a b/é?.json", "..a/.b/c..", "run/12:30.fits", "0:x"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let paths = [
            "",
            "/",
            "/a",
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
        for path in paths {
            assert_eq!(check_path(path).unwrap_err().sqlstate.as_str(), "22023", "{path}");
        }
    }
}
