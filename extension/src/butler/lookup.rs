//! Looking up what the names in a batch of dataset references stand for.

use pgrx::pg_sys::Oid;
use pgrx::spi::SpiClient;

use super::References;
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::merge::{Rejection, batch_argument};
use crate::statement::quoted;

/// `collection.type` of a run (BUTLER.md, section 3).
const RUN: i16 = 1;

/// A registered dataset type that the batch names.
pub struct DatasetType {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: i64,
    /// Its storage class.
    pub storage_class: String,
    /// Its tags table, unqualified.
    pub tags_table: String,
}

/// A run that the batch names.
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its collection id.
    pub id: i64,
}

/// A dimension column of a tags table.
pub struct DimensionColumn {
    /// Its name.
    pub name: String,
    /// Whether its values are integers.
    pub is_integer: bool,
}

/// A tags table that the batch writes.
pub struct TagsTable {
    /// Its name, unqualified.
    pub name: String,
    /// The required dimensions of its group, in the table's order.
    pub dimensions: Vec<DimensionColumn>,
}

/// What the batch names, as far as the repository knows it.
pub struct Repository {
    /// The schema that holds the repository.
    pub schema: String,
    /// The dataset types.
    pub dataset_types: Vec<DatasetType>,
    /// The runs.
    pub runs: Vec<Run>,
    /// Collections of another type than RUN that the batch names as runs.
    not_runs: Vec<String>,
    /// The tags tables of the dataset types.
    pub tags_tables: Vec<TagsTable>,
}

impl Repository {
    /// Looks up the dataset types and runs that the references name, as the tables' owners.
    pub fn look_up(
        attempt: &Attempt,
        client: &mut SpiClient<'_>,
        schema: &str,
        references: &References,
    ) -> Result<Self, Raised> {
        let type_names = distinct_names(client, references, "dataset_type")?;
        let run_names = distinct_names(client, references, "run")?;
        let owner = owner_of(client, schema, "dataset_type")?;
        let dataset_types = as_table_owner(attempt, owner, || {
            registered_dataset_types(client, schema, type_names)
        })?;
        let owner = owner_of(client, schema, "collection")?;
        let collections =
            as_table_owner(attempt, owner, || registered_collections(client, schema, run_names))?;
        let (runs, others): (Vec<_>, Vec<_>) =
            collections.into_iter().partition(|(_, kind)| *kind == RUN);
        let mut repository = Repository {
            schema: schema.to_owned(),
            dataset_types,
            runs: runs.into_iter().map(|(run, _)| run).collect(),
            not_runs: others.into_iter().map(|(collection, _)| collection.name).collect(),
            tags_tables: Vec::new(),
        };
        repository.load_tags_tables(client)?;
        Ok(repository)
    }

    fn load_tags_tables(&mut self, client: &mut SpiClient<'_>) -> Result<(), Raised> {
        let mut names: Vec<_> =
            self.dataset_types.iter().map(|known| known.tags_table.clone()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let dimensions = dimension_columns(client, &self.schema, &name)?;
            self.tags_tables.push(TagsTable { name, dimensions });
        }
        Ok(())
    }

    /// The events that cannot be resolved, each with its first reason.
    pub fn rejections(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
    ) -> Result<Vec<Rejection>, Raised> {
        let mut rejections = self.unknown_names(client, references)?;
        for table in &self.tags_tables {
            rejections.extend(self.bad_data_ids(client, references, table)?);
        }
        rejections.sort_by_key(|rejection| rejection.event);
        rejections.dedup_by_key(|rejection| rejection.event);
        Ok(rejections)
    }

    fn unknown_names(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
    ) -> Result<Vec<Rejection>, Raised> {
        let known_types: Vec<_> =
            self.dataset_types.iter().map(|known| known.name.clone()).collect();
        let known_runs: Vec<_> = self.runs.iter().map(|run| run.name.clone()).collect();
        let sql = format!(
            "select distinct on (r._event) r._event, r.dataset_type = any ($2), r.dataset_type, r.run \
             from {} r where r._batch >= $1 and not (r.dataset_type = any ($2) and r.run = any ($3)) \
             order by r._event, r._row",
            references.staging
        );
        let arguments = [batch_argument(references.batch), known_types.into(), known_runs.into()];
        let mut rejections = Vec::new();
        for row in client.update(sql.as_str(), None, &arguments)? {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let raised = if row.get::<bool>(2)?.unwrap_or(false) {
                self.unknown_run(&row.get::<String>(4)?.unwrap_or_default())
            } else {
                let name = row.get::<String>(3)?.unwrap_or_default();
                self.error(
                    "23503",
                    "dataset_type",
                    format!("dataset type \"{name}\" is not registered"),
                )
            };
            rejections.push(Rejection::new(event, &raised));
        }
        Ok(rejections)
    }

    fn unknown_run(&self, name: &str) -> Raised {
        if self.not_runs.iter().any(|other| other == name) {
            self.error("23514", "collection", format!("collection \"{name}\" is not a run"))
        } else {
            self.error("23503", "collection", format!("run \"{name}\" is not registered"))
        }
    }

    /// Events whose data IDs lack a required dimension, or give a word for an integer.
    fn bad_data_ids(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
        table: &TagsTable,
    ) -> Result<Vec<Rejection>, Raised> {
        let type_names: Vec<_> = self
            .dataset_types
            .iter()
            .filter(|known| known.tags_table == table.name)
            .map(|known| known.name.clone())
            .collect();
        let integers: Vec<_> =
            table.dimensions.iter().map(|dimension| dimension.is_integer).collect();
        let names: Vec<_> =
            table.dimensions.iter().map(|dimension| dimension.name.clone()).collect();
        let sql = format!(
            "select distinct on (r._event) r._event, r.dataset_type, d.name, r.data_id ->> d.name \
             from {} r cross join unnest($3::text[], $4::bool[]) with ordinality d(name, is_integer, place) \
             where r._batch >= $1 and r.dataset_type = any ($2) \
             and (r.data_id ->> d.name is null \
                  or d.is_integer and r.data_id ->> d.name !~ '^-?[0-9]{{1,18}}$') \
             order by r._event, r._row, d.place",
            references.staging
        );
        let arguments =
            [batch_argument(references.batch), type_names.into(), names.into(), integers.into()];
        let mut rejections = Vec::new();
        for row in client.update(sql.as_str(), None, &arguments)? {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let dataset_type = row.get::<String>(2)?.unwrap_or_default();
            let dimension = row.get::<String>(3)?.unwrap_or_default();
            let raised = match row.get::<String>(4)? {
                None => self.error(
                    "23502",
                    &table.name,
                    format!("the data ID of a \"{dataset_type}\" lacks the dimension {dimension}"),
                ),
                Some(value) => self.error(
                    "22P02",
                    &table.name,
                    format!("the data ID of a \"{dataset_type}\" gives {dimension} as \"{value}\", not an integer"),
                ),
            };
            rejections.push(Rejection::new(event, &raised));
        }
        Ok(rejections)
    }

    fn error(&self, sqlstate: &str, table: &str, message: String) -> Raised {
        Raised::new(sqlstate, message).about_table(&self.schema, table)
    }
}

fn distinct_names(
    client: &mut SpiClient<'_>,
    references: &References,
    column: &str,
) -> Result<Vec<String>, Raised> {
    let sql = format!(
        "select coalesce(array_agg(distinct r.{}), '{{}}') from {} r where r._batch >= $1",
        quoted(column),
        references.staging
    );
    let row = client.update(sql.as_str(), None, &[batch_argument(references.batch)])?.first();
    Ok(row.get::<Vec<String>>(1)?.unwrap_or_default())
}

/// The owner of a table of the repository. 42P01 if there is no such table.
fn owner_of(client: &mut SpiClient<'_>, schema: &str, table: &str) -> Result<Oid, Raised> {
    let mut rows = client.update(
        "select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2 and c.relkind = 'r'",
        None,
        &[schema.into(), table.into()],
    )?;
    let owner = match rows.next() {
        Some(row) => row.get::<Oid>(1)?,
        None => None,
    };
    owner.ok_or_else(|| {
        Raised::new("42P01", format!("schema {schema} has no table {table}"))
            .with_hint("Name the schema of a Butler repository in the writer's configuration.")
    })
}

fn registered_dataset_types(
    client: &mut SpiClient<'_>,
    schema: &str,
    names: Vec<String>,
) -> Result<Vec<DatasetType>, Raised> {
    let sql = format!(
        "select d.name, d.id, d.storage_class, d.tag_association_table from {}.dataset_type d \
         where d.name = any ($1)",
        quoted(schema)
    );
    let mut found = Vec::new();
    for row in client.update(sql.as_str(), None, &[names.into()])? {
        found.push(DatasetType {
            name: row.get::<String>(1)?.unwrap_or_default(),
            id: row.get::<i64>(2)?.unwrap_or_default(),
            storage_class: row.get::<String>(3)?.unwrap_or_default(),
            tags_table: row.get::<String>(4)?.unwrap_or_default(),
        });
    }
    Ok(found)
}

fn registered_collections(
    client: &mut SpiClient<'_>,
    schema: &str,
    names: Vec<String>,
) -> Result<Vec<(Run, i16)>, Raised> {
    let sql = format!(
        "select c.name, c.collection_id, c.type from {}.collection c where c.name = any ($1)",
        quoted(schema)
    );
    let mut found = Vec::new();
    for row in client.update(sql.as_str(), None, &[names.into()])? {
        let run = Run {
            name: row.get::<String>(1)?.unwrap_or_default(),
            id: row.get::<i64>(2)?.unwrap_or_default(),
        };
        found.push((run, row.get::<i16>(3)?.unwrap_or_default()));
    }
    Ok(found)
}

/// The columns of a tags table behind dataset type, dataset and collection (BUTLER.md, D.2).
fn dimension_columns(
    client: &mut SpiClient<'_>,
    schema: &str,
    table: &str,
) -> Result<Vec<DimensionColumn>, Raised> {
    let rows = client.update(
        "select a.attname::text, a.atttypid = 'int8'::regtype from pg_attribute a \
         join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped \
         and a.attname not in ('dataset_type_id', 'dataset_id', 'collection_id') order by a.attnum",
        None,
        &[schema.into(), table.into()],
    )?;
    let mut columns = Vec::new();
    for row in rows {
        columns.push(DimensionColumn {
            name: row.get::<String>(1)?.unwrap_or_default(),
            is_integer: row.get::<bool>(2)?.unwrap_or(false),
        });
    }
    Ok(columns)
}
