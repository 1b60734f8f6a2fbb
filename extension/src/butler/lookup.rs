//! Looking up what the names in a batch of dataset references stand for.

use std::collections::{BTreeSet, HashMap};

use pgrx::spi::SpiClient;

use super::integer::as_integer;
use super::pixel::pixels_of;
use super::register::Definition;
use super::{References, Settings, Table};
use crate::attempt::{Attempt, Raised};
use crate::identity::as_table_owner;
use crate::merge::{Rejection, batch_argument};
use crate::query::query;
use crate::size::Size;
use crate::statement::quoted;

/// `collection.type` of a run (BUTLER.md, section 3).
pub const RUN: i16 = 1;

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
    /// Whether its datasets are calibrations.
    pub is_calibration: bool,
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
    /// The runs; those that are made in this batch come last.
    pub runs: Vec<Run>,
    /// How many of these were there before.
    pub old_runs: usize,
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
        let Table { owner, size } = Table::find(client, schema, "dataset_type")?;
        let dataset_types = as_table_owner(attempt, owner, || {
            registered_dataset_types(client, schema, size, type_names)
        })?;
        let Table { owner, size } = Table::find(client, schema, "collection")?;
        let collections = as_table_owner(attempt, owner, || {
            registered_collections(client, schema, size, run_names)
        })?;
        let (runs, others): (Vec<_>, Vec<_>) =
            collections.into_iter().partition(|(_, kind)| *kind == RUN);
        let mut repository = Repository {
            schema: schema.to_owned(),
            dataset_types,
            old_runs: runs.len(),
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

    /// The dataset types that events define, and that are not registered.
    pub fn unregistered(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
        settings: &Settings,
    ) -> Result<Vec<Definition>, Raised> {
        let known = self.dataset_types.iter().map(|known| &known.name);
        let not_new: Vec<_> = known.chain(settings.refused.keys()).cloned().collect();
        let sql = format!(
            "select distinct on (r.dataset_type collate \"C\") r.dataset_type, r.storage_class, \
             string_to_array(r.dimensions, ','), r.is_calibration from {} r \
             where r._batch >= $1 and r.dimensions is not null \
             and r.dataset_type not in (select unnest($2)) \
             order by r.dataset_type collate \"C\", r._event, r._row",
            references.staging
        );
        let arguments = [batch_argument(references.batch), not_new.into()];
        let mut definitions = Vec::new();
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            definitions.push(Definition {
                name: row.get::<String>(1)?.unwrap_or_default(),
                storage_class: row.get::<String>(2)?.unwrap_or_default(),
                dimensions: row.get::<Vec<String>>(3)?.unwrap_or_default(),
                is_calibration: row.get::<bool>(4)?.unwrap_or(false),
            });
        }
        Ok(definitions)
    }

    /// The events that cannot be resolved, with their reasons.
    pub fn rejections(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
        settings: &Settings,
    ) -> Result<Vec<Rejection>, Raised> {
        let mut rejections = self.bad_names(client, references, settings)?;
        rejections.extend(self.other_definitions(client, references, settings)?);
        for table in &self.tags_tables {
            rejections.extend(self.bad_data_ids(client, references, table)?);
        }
        Ok(rejections)
    }

    fn bad_names(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
        settings: &Settings,
    ) -> Result<Vec<Rejection>, Raised> {
        let known_types: Vec<_> =
            self.dataset_types.iter().map(|known| known.name.clone()).collect();
        let sql = format!(
            "select distinct on (r._event) r._event, r.dataset_type in (select unnest($2)), \
             r.dataset_type, r.run from {} r where r._batch >= $1 \
             and not (r.dataset_type in (select unnest($2)) \
             and r.run not in (select unnest($3))) \
             order by r._event, r._row",
            references.staging
        );
        let not_runs = self.not_runs.clone();
        let arguments = [batch_argument(references.batch), known_types.into(), not_runs.into()];
        let mut rejections = Vec::new();
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let raised = if row.get::<bool>(2)?.unwrap_or(false) {
                let name = row.get::<String>(4)?.unwrap_or_default();
                self.error("23514", "collection", format!("collection \"{name}\" is not a run"))
            } else {
                let name = row.get::<String>(3)?.unwrap_or_default();
                let reason = settings.refused.get(&name);
                let reason = reason.map(|reason| format!(", and can't be: {reason}"));
                let reason = reason.unwrap_or_default();
                let message = format!("dataset type \"{name}\" is not registered{reason}");
                self.error("23503", "dataset_type", message)
            };
            rejections.push(Rejection::new(event, &raised));
        }
        Ok(rejections)
    }

    /// Events that define a dataset type otherwise than it is registered.
    fn other_definitions(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
        settings: &Settings,
    ) -> Result<Vec<Rejection>, Raised> {
        let sql = format!(
            "select distinct on (r._event) r._event, r.dataset_type, r.storage_class, r.dimensions, \
             r.is_calibration, y.storage_class, y.dimensions, y.is_calibration from {} r \
             join unnest($2::text[], $3::text[], $4::text[], $5::bool[]) \
             y(name, storage_class, dimensions, is_calibration) on y.name = r.dataset_type \
             where r._batch >= $1 and r.dimensions is not null \
             and (r.dimensions <> y.dimensions or r.is_calibration <> y.is_calibration \
             or r.storage_class <> y.storage_class \
             and concat_ws(' ', r.storage_class, y.storage_class) <> all ($6)) \
             order by r._event, r._row",
            references.staging
        );
        let types = &self.dataset_types;
        let arguments = [
            batch_argument(references.batch),
            types.iter().map(|known| known.name.clone()).collect::<Vec<_>>().into(),
            types.iter().map(|known| known.storage_class.clone()).collect::<Vec<_>>().into(),
            types.iter().map(|known| self.dimensions_of(known)).collect::<Vec<_>>().into(),
            types.iter().map(|known| known.is_calibration).collect::<Vec<_>>().into(),
            settings.convertible.clone().into(),
        ];
        let mut rejections = Vec::new();
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let text = |column| Ok::<_, Raised>(row.get::<String>(column)?.unwrap_or_default());
            let says = |class: &str, dimensions: &str, is_calibration: bool| {
                let kind = if is_calibration { ", calibration" } else { "" };
                format!("{class}, dimensions ({dimensions}){kind}")
            };
            let message = format!(
                "dataset type \"{}\" is registered as {}, and the event defines it as {}",
                text(2)?,
                says(&text(6)?, &text(7)?, row.get::<bool>(8)?.unwrap_or(false)),
                says(&text(3)?, &text(4)?, row.get::<bool>(5)?.unwrap_or(false)),
            );
            let raised = self.error("23505", "dataset_type", message);
            rejections.push(Rejection::new(event, &raised));
        }
        Ok(rejections)
    }

    /// The required dimensions of a dataset type, in order, with commas.
    fn dimensions_of(&self, dataset_type: &DatasetType) -> String {
        let table = self.tags_tables.iter().find(|table| table.name == dataset_type.tags_table);
        let names = table.iter().flat_map(|table| &table.dimensions);
        names.map(|dimension| dimension.name.as_str()).collect::<Vec<_>>().join(",")
    }

    /// Events whose data IDs lack a required dimension, give a word for an integer, or name a pixel that
    /// there is not.
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
        let pixels = table.dimensions.iter().map(|dimension| pixels_of(&dimension.name));
        let (lowest, highest): (Vec<_>, Vec<_>) = pixels
            .map(|pixels| (pixels.map(|(first, _)| first), pixels.map(|(_, last)| last)))
            .unzip();
        let value = "(r.data_id ->> d.name)";
        let integer = as_integer(value);
        let sql = format!(
            "select distinct on (r._event) r._event, r.dataset_type, d.name, {value}, \
             {integer} is not null \
             from {} r cross join unnest($3::text[], $4::bool[], $5::int8[], $6::int8[]) \
             with ordinality d(name, is_integer, lowest, highest, place) \
             where r._batch >= $1 and r.dataset_type in (select unnest($2)) \
             and ({value} is null \
                  or d.is_integer and {integer} is null \
                  or d.lowest is not null and {integer} not between d.lowest and d.highest) \
             order by r._event, r._row, d.place",
            references.staging,
        );
        let arguments = [
            batch_argument(references.batch),
            type_names.into(),
            names.into(),
            integers.into(),
            lowest.into(),
            highest.into(),
        ];
        let mut rejections = Vec::new();
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            let event = row.get::<i32>(1)?.unwrap_or(0);
            let dataset_type = row.get::<String>(2)?.unwrap_or_default();
            let dimension = row.get::<String>(3)?.unwrap_or_default();
            let raised = match row.get::<String>(4)? {
                None => self.error(
                    "23502",
                    &table.name,
                    format!("the data ID of a \"{dataset_type}\" lacks the dimension {dimension}"),
                ),
                Some(value) if row.get::<bool>(5)?.unwrap_or(false) => self.error(
                    "22003",
                    &table.name,
                    format!("the data ID of a \"{dataset_type}\" gives {dimension} as {value}, which is no pixel"),
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

    /// The events that name each of the runs that were made in this batch.
    pub fn new_runs(
        &self,
        client: &mut SpiClient<'_>,
        references: &References,
    ) -> Result<HashMap<String, BTreeSet<i32>>, Raised> {
        let names: Vec<_> = self.runs[self.old_runs..].iter().map(|run| run.name.clone()).collect();
        let mut events: HashMap<_, BTreeSet<_>> = HashMap::new();
        if names.is_empty() {
            return Ok(events);
        }
        let sql = format!(
            "select distinct r.run, r._event from {} r \
             where r._batch >= $1 and r.run in (select unnest($2))",
            references.staging
        );
        let arguments = [batch_argument(references.batch), names.into()];
        for row in query(client, &sql, references.size, &arguments)?.iter() {
            let name = row.get::<String>(1)?.unwrap_or_default();
            events.entry(name).or_default().insert(row.get::<i32>(2)?.unwrap_or(0));
        }
        Ok(events)
    }

    /// An error about one of the repository's tables.
    pub fn error(&self, sqlstate: &str, table: &str, message: String) -> Raised {
        Raised::new(sqlstate, message).about_table(&self.schema, table)
    }
}

/// The values that a column of the references has, which is of text.
pub fn distinct_names(
    client: &mut SpiClient<'_>,
    references: &References,
    column: &str,
) -> Result<Vec<String>, Raised> {
    let sql = format!(
        "select coalesce(array_agg(distinct r.{}), '{{}}') from {} r where r._batch >= $1",
        quoted(column),
        references.staging
    );
    let rows = query(client, &sql, references.size, &[batch_argument(references.batch)])?;
    Ok(rows.first()?.get::<Vec<String>>(1)?.unwrap_or_default())
}

fn registered_dataset_types(
    client: &SpiClient<'_>,
    schema: &str,
    size: Size,
    names: Vec<String>,
) -> Result<Vec<DatasetType>, Raised> {
    let sql = format!(
        "select d.name, d.id, d.storage_class, d.tag_association_table, \
         d.calibration_association_table is not null from {}.dataset_type d \
         where d.name = any ($1)",
        quoted(schema)
    );
    let mut found = Vec::new();
    for row in query(client, &sql, size, &[names.into()])?.iter() {
        found.push(DatasetType {
            name: row.get::<String>(1)?.unwrap_or_default(),
            id: row.get::<i64>(2)?.unwrap_or_default(),
            storage_class: row.get::<String>(3)?.unwrap_or_default(),
            tags_table: row.get::<String>(4)?.unwrap_or_default(),
            is_calibration: row.get::<bool>(5)?.unwrap_or(false),
        });
    }
    Ok(found)
}

/// The collections of these names that there are, with their types.
pub fn registered_collections(
    client: &SpiClient<'_>,
    schema: &str,
    size: Size,
    names: Vec<String>,
) -> Result<Vec<(Run, i16)>, Raised> {
    let sql = format!(
        "select c.name, c.collection_id, c.type from {}.collection c where c.name = any ($1)",
        quoted(schema)
    );
    let mut found = Vec::new();
    for row in query(client, &sql, size, &[names.into()])?.iter() {
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
    let sql = "select a.attname::text, a.atttypid = 'int8'::regtype from pg_attribute a \
         where a.attrelid = (select c.oid from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = $2) \
         and a.attnum > 0 and not a.attisdropped \
         and a.attname not in ('dataset_type_id', 'dataset_id', 'collection_id') order by a.attnum";
    let mut columns = Vec::new();
    for row in query(client, sql, Size::default(), &[schema.into(), table.into()])?.iter() {
        columns.push(DimensionColumn {
            name: row.get::<String>(1)?.unwrap_or_default(),
            is_integer: row.get::<bool>(2)?.unwrap_or(false),
        });
    }
    Ok(columns)
}
