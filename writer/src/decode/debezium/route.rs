//! Which target the changes of a source table go to.

use std::str::FromStr;

use super::DebeziumConfig;
use super::envelope::SourceTable;
use crate::catalog::{Catalog, OnConflict, TargetIndex};
use crate::decode::FormatError;
use crate::rejection::{Rejection, SqlState};

/// Sends one source table, or all of a schema, elsewhere: `schema.table -> schema.table`, or
/// `schema.* -> schema.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRule {
    from: Pattern,
    to: Pattern,
}

/// A schema and a table of it, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    schema: String,
    table: Option<String>,
}

/// Not a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rule for tables")]
pub struct BadTableRule;

impl FromStr for TableRule {
    type Err = BadTableRule;

    fn from_str(text: &str) -> Result<Self, BadTableRule> {
        let (from, to) = text.split_once("->").ok_or(BadTableRule)?;
        let (from, to) = (Pattern::read(from)?, Pattern::read(to)?);
        // All of a schema into one table is more likely a slip than a wish.
        if from.table.is_none() != to.table.is_none() {
            return Err(BadTableRule);
        }
        Ok(Self { from, to })
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, BadTableRule> {
        let (schema, table) = text.trim().split_once('.').ok_or(BadTableRule)?;
        if schema.is_empty() || table.is_empty() || schema.contains('*') {
            return Err(BadTableRule);
        }
        let table = if table == "*" { None } else { Some(table.to_owned()) };
        if table.as_ref().is_some_and(|table| table.contains('*')) {
            return Err(BadTableRule);
        }
        Ok(Self { schema: schema.to_owned(), table })
    }

    fn matches(&self, source: &SourceTable) -> bool {
        self.schema == source.schema
            && self.table.as_ref().is_none_or(|table| *table == source.table)
    }

    fn with(&self, table: &str) -> String {
        format!("{}.{}", self.schema, self.table.as_deref().unwrap_or(table))
    }
}

/// Where changes go.
#[derive(Debug, Clone)]
pub enum Route {
    /// All into one target.
    One(TargetIndex),
    /// By the first rule that matches; without one, into the target of the same name.
    ByName(Vec<TableRule>),
}

impl Route {
    /// The configured route.
    pub fn new(config: &DebeziumConfig, catalog: &Catalog) -> Result<Self, FormatError> {
        let named =
            config.tables.iter().filter_map(|rule| rule.to.table.as_ref().map(|_| &rule.to));
        let named = named.map(|to| to.with(""));
        for table in named.chain(config.table.clone()) {
            check(catalog, &table)?;
        }
        Ok(match &config.table {
            Some(table) => Self::One(check(catalog, table)?),
            None => Self::ByName(config.tables.clone()),
        })
    }

    /// The target of a source table.
    pub fn target(
        &self,
        catalog: &Catalog,
        source: &SourceTable,
    ) -> Result<TargetIndex, Rejection> {
        let rules = match self {
            Self::One(index) => return Ok(*index),
            Self::ByName(rules) => rules,
        };
        let rule = rules.iter().find(|rule| rule.from.matches(source));
        let name = match rule {
            Some(rule) => rule.to.with(&source.table),
            None => format!("{}.{}", source.schema, source.table),
        };
        catalog.find(&name).ok_or_else(|| {
            Rejection::new(
                SqlState::UNDEFINED_TABLE,
                format!(
                    "changes of {}.{} go to \"{name}\", which is not a registered target; \
                     register it, or send them elsewhere by format.tables",
                    source.schema, source.table
                ),
            )
            .about(&name)
        })
    }
}

/// A configured table, which must be one that events can be written to.
fn check(catalog: &Catalog, table: &str) -> Result<TargetIndex, FormatError> {
    let index = catalog.find(table).ok_or_else(|| FormatError::UnknownTarget(table.to_owned()))?;
    let target = catalog.target(index);
    let reason = match target.on_conflict() {
        OnConflict::Resolve => Some("rows of this target come from its own format only"),
        _ => target.unsupported(),
    };
    match reason {
        None => Ok(index),
        Some(reason) => {
            Err(FormatError::Unsupported { target: table.to_owned(), reason: reason.to_owned() })
        }
    }
}
