//! Format `butler`: Rubin's `pp-output` events.
//!
//! An event has dimension records, which are rows of the tables of their elements, and datasets,
//! which are staged as rows of `forebay.butler_ref`, for `forebay.butler_resolve` to turn them into
//! rows of the registry's tables.

mod repository;

use super::{FormatError, RowWriter};
use crate::catalog::{Catalog, TargetIndex};
use crate::record::Record;
use crate::rejection::{Rejection, SqlState};

use repository::Repository;

/// The format `butler` into one repository.
#[derive(Debug, Clone)]
pub struct Butler {
    repository: Repository,
    datastore_name: String,
}

/// What `forebay.butler_resolve` has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ButlerResolve {
    /// The schema of the Butler repository.
    pub schema: String,
    /// The target whose rows it takes: `forebay.butler_ref`.
    pub refs: TargetIndex,
}

impl Butler {
    /// The format for the repository in this schema.
    pub(super) fn new(
        schema: &str,
        datastore_name: &str,
        catalog: &Catalog,
    ) -> Result<Self, FormatError> {
        let repository = Repository::find(schema, catalog)?;
        Ok(Self { repository, datastore_name: datastore_name.to_owned() })
    }

    /// The targets that resolving fills.
    pub(super) fn extra_relations(&self) -> &[TargetIndex] {
        self.repository.resolved()
    }

    /// What resolving needs.
    pub(super) fn resolve(&self) -> ButlerResolve {
        ButlerResolve { schema: self.repository.schema().to_owned(), refs: self.repository.refs() }
    }

    /// Writes the event's dimension records, then its datasets.
    pub(super) fn decode(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        let _ = (catalog, record, rows, &self.datastore_name);
        Err(Rejection::new(SqlState::FEATURE_NOT_SUPPORTED, "not yet"))
    }
}
