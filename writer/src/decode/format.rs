//! The formats that messages can have.

use super::{Butler, ButlerConfig, ButlerResolve, Debezium, DebeziumConfig, Flat, RowWriter, Rows};
use crate::catalog::Catalog;
use crate::record::Record;
use crate::rejection::Rejection;

/// What the configuration says of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatConfig {
    /// The message is a row of one table.
    Flat {
        /// `schema.table`
        table: String,
    },
    /// The message names its tables.
    Rows,
    /// Debezium's change events.
    Debezium(DebeziumConfig),
    /// Rubin's `pp-output` events.
    Butler(ButlerConfig),
}

/// A format, checked against a catalog. It is good for that catalog alone.
#[derive(Debug, Clone)]
pub enum Format {
    /// The message is a row of one table.
    Flat(Flat),
    /// The message names its tables.
    Rows(Rows),
    /// Debezium's change events.
    Debezium(Debezium),
    /// Rubin's `pp-output` events.
    Butler(Box<Butler>),
}

/// Why a format cannot be used with this database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A table that the format needs is not registered.
    #[error("{0} is not a registered target; register it with forebay.add_target")]
    UnknownTarget(String),
    /// A table that the format needs has a column that can't be encoded, or a missing one.
    #[error("target {target}: {reason}")]
    Unsupported {
        /// `schema.table`
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The schema has none of the tables that a Butler repository has.
    #[error(
        "schema {0} has no registered Butler table; register them with forebay.butler_add_targets"
    )]
    NoButler(String),
    /// The repository is of a kind that is not known.
    #[error("the Butler repository in schema {schema} is not supported: {}", .problems.join("; "))]
    UnsupportedButler {
        /// The repository's schema.
        schema: String,
        /// What is not as it must be.
        problems: Vec<String>,
    },
}

impl Format {
    /// The configured format for this catalog.
    pub fn new(config: &FormatConfig, catalog: &Catalog) -> Result<Self, FormatError> {
        Ok(match config {
            FormatConfig::Flat { table } => Self::Flat(Flat::new(table, catalog)?),
            FormatConfig::Rows => Self::Rows(Rows),
            FormatConfig::Debezium(config) => Self::Debezium(Debezium::new(config, catalog)?),
            FormatConfig::Butler(config) => Self::Butler(Box::new(Butler::new(config, catalog)?)),
        })
    }

    /// Writes the rows of a message. After a refusal, what was written has to be rolled back.
    pub fn decode(
        &self,
        catalog: &Catalog,
        record: &Record<'_>,
        rows: &mut RowWriter<'_>,
    ) -> Result<(), Rejection> {
        match self {
            Self::Flat(flat) => flat.decode(catalog, record, rows),
            Self::Rows(format) => format.decode(catalog, record, rows),
            Self::Debezium(debezium) => debezium.decode(catalog, record, rows),
            Self::Butler(butler) => butler.decode(catalog, record, rows),
        }
    }

    /// What has to be called between COPY and merge, if anything.
    pub fn resolve(&self) -> Option<ButlerResolve> {
        match self {
            Self::Flat(_) | Self::Rows(_) | Self::Debezium(_) => None,
            Self::Butler(butler) => Some(butler.resolve()),
        }
    }
}
