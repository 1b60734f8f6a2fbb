//! Whether the database has the extension, new enough, and lets this role use it.

use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const INSTALLED: &str = "select extversion from pg_catalog.pg_extension where extname = 'forebay'";

const GRANTS: &str = include_str!("extension.sql");

/// The oldest version of the extension that this writer works with.
pub const OLDEST: Version = Version(0, 1, 0);

/// A version of the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `1.2.3`; what is missing is 0, and what is not a number ends it.
    fn parse(text: &str) -> Self {
        let mut parts = text.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self(next(), next(), next())
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What keeps the writer from using the extension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not there.
    #[error(
        "the database has no extension forebay; run `create extension forebay` in it as a \
         superuser, or correct the dbname"
    )]
    Missing,
    /// It is older than this writer needs.
    #[error(
        "the extension forebay is at version {found}, and this writer needs {OLDEST} or later; \
         install that and run `alter extension forebay update`"
    )]
    TooOld {
        /// The version that is installed.
        found: String,
    },
    /// The role lacks rights.
    #[error("role \"{role}\" has no right to {}; run `grant forebay_writer to \"{role}\"`", .missing.join(", "))]
    NoGrant {
        /// The role of the session.
        role: String,
        /// What it may not do.
        missing: Vec<String>,
    },
}

/// Looks at the extension.
///
/// # Errors
/// If the database doesn't answer. What is wrong with the extension is the answer.
pub async fn look(session: &Session) -> Result<Option<Unusable>, DatabaseError> {
    let client = session.client();
    let installed = session.within(Place::Connect, client.query_opt(INSTALLED, &[])).await?;
    let Some(row) = installed else { return Ok(Some(Unusable::Missing)) };
    let bad =
        |error: tokio_postgres::Error| DatabaseError::answer(Place::Connect, error.to_string());
    let found: String = row.try_get(0).map_err(bad)?;
    if Version::parse(&found) < OLDEST {
        return Ok(Some(Unusable::TooOld { found }));
    }
    let row = session.within(Place::Connect, client.query_one(GRANTS, &[])).await?;
    let role: String = row.try_get(0).map_err(bad)?;
    let missing: Vec<String> = row.try_get(1).map_err(bad)?;
    Ok((!missing.is_empty()).then_some(Unusable::NoGrant { role, missing }))
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn compares_versions_by_number() {
        assert!(Version::parse("0.10.0") > Version::parse("0.9.9"));
        assert_eq!(Version::parse("1.2"), Version(1, 2, 0));
        assert_eq!(Version::parse("1.2.3-dev"), Version(1, 2, 3));
    }
}
