//! Which rows of the collections' summaries the repository has already, of those that a batch needs.
//!
//! Every dataset needs its run's. Nearly always they are there.

use std::collections::{BTreeSet, HashMap};

use pgrx::spi::SpiClient;

use super::Table;
use super::lookup::Repository;
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::query::query;
use crate::statement::quoted;

/// The summary by dataset types.
pub const TYPE_SUMMARY: &str = "collection_summary_dataset_type";

/// The rows of one summary that the repository has, and keeps until this transaction ends.
#[derive(Default, Clone)]
pub struct Summary {
    /// Collection ids.
    pub runs: Vec<i64>,
    /// Beside each of them the other column, as text.
    pub values: Vec<String>,
}

/// What the repository has of the batch's runs, by table.
#[derive(Default)]
pub struct Summaries(HashMap<String, Summary>);

impl Summaries {
    /// Looks up, as its owner, what `table` has in `column`, if that is not known yet. Locks it as a
    /// foreign key does.
    pub fn look_up(
        &mut self,
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        repository: &Repository,
        table: &str,
        column: &str,
    ) -> Result<(), Raised> {
        if self.0.contains_key(table) {
            return Ok(());
        }
        let Table { owner, size } = Table::find(client, &repository.schema, table)?;
        let sql = format!(
            "select s.collection_id, s.{0}::text from {1}.{2} s where s.collection_id = any ($1) \
             order by s.collection_id, s.{0} for key share",
            quoted(column),
            quoted(&repository.schema),
            quoted(table)
        );
        let runs: Vec<i64> = repository.runs.iter().map(|run| run.id).collect();
        let summary = as_table_owner(attempt, owner, || {
            let mut summary = Summary::default();
            for row in query(client, &sql, size, &[runs.into()])?.iter() {
                summary.runs.push(row.get::<i64>(1)?.unwrap_or_default());
                summary.values.push(row.get::<String>(2)?.unwrap_or_default());
            }
            Ok::<_, Raised>(summary)
        })?;
        self.0.insert(table.to_owned(), summary);
        Ok(())
    }

    /// What a table has; nothing, if it is no summary.
    pub fn of(&self, table: &str) -> Summary {
        self.0.get(table).cloned().unwrap_or_default()
    }

    /// Whether every run has every dataset type that the batch names.
    pub fn has_all_types(&self, repository: &Repository) -> bool {
        let summary = self.of(TYPE_SUMMARY);
        let known: BTreeSet<_> = summary.runs.into_iter().zip(summary.values).collect();
        let is_known = |run, dataset_type: i64| known.contains(&(run, dataset_type.to_string()));
        repository
            .runs
            .iter()
            .all(|run| repository.dataset_types.iter().all(|known| is_known(run.id, known.id)))
    }
}
