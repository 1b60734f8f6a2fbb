//! Expanding resolved dataset references into rows of the repository's tables (BUTLER.md, B.2).

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::Oid;
use pgrx::spi::SpiClient;

use super::lookup::{DimensionColumn, Repository, TagsTable};
use super::{References, StagedRows};
use crate::attempt::Raised;
use crate::merge::batch_argument;
use crate::statement::{literal, quoted};

/// TAI is this many nanoseconds ahead of Unix time since 2017 (BUTLER.md, rule 10).
const TAI_OFFSET_NANOSECONDS: &str = "37000000000";

/// The references with what their names stand for: `r` the reference, `y` its dataset type, `u` its
/// run. `$1` is the batch, `$2` to `$5` the dataset types, `$6` and `$7` the runs, `$8` the events
/// that are left out.
const RESOLVED: &str = "r join unnest($2::text[], $3::int8[], $4::text[], $5::text[]) \
    y(name, id, storage_class, tags_table) on y.name = r.dataset_type \
    join unnest($6::text[], $7::int8[]) u(name, id) on u.name = r.run \
    where r._batch >= $1 and r._event <> all ($8)";

/// A table to fill: its columns, and what fills them.
struct Expansion {
    table: String,
    columns: Vec<String>,
    values: Vec<String>,
    condition: String,
    /// Whether several references of an event give the same row.
    repeats: bool,
}

/// Stages the rows that the references stand for, but for the events in `rejected`.
pub fn expand(
    client: &mut SpiClient<'_>,
    references: &References,
    repository: &Repository,
    rejected: &[i32],
) -> Result<Vec<StagedRows>, Raised> {
    let mut staged = Vec::new();
    for expansion in expansions(repository) {
        let target = find_target(client, &repository.schema, &expansion.table)?;
        let sql = statement(&expansion, references, target.id);
        let rows =
            client.update(sql.as_str(), None, &arguments(references, repository, rejected))?;
        staged.push(StagedRows { relation: target.relation.to_u32(), rows: rows.len() as i64 });
    }
    Ok(staged)
}

fn expansions(repository: &Repository) -> Vec<Expansion> {
    let mut expansions = vec![
        Expansion::new("dataset")
            .column("id", "r.id")
            .column("dataset_type_id", "y.id")
            .column("ingest_date", &tai_now())
            .column("run_id", "u.id"),
        Expansion::new("collection_summary_dataset_type")
            .column("collection_id", "u.id")
            .column("dataset_type_id", "y.id")
            .repeating(),
        Expansion::new("dataset_location")
            .column("datastore_name", "r.datastore_name")
            .column("dataset_id", "r.id"),
        Expansion::new("file_datastore_records")
            .column("dataset_id", "r.id")
            .column("path", "r.path")
            .column("formatter", "r.formatter")
            .column("storage_class", "coalesce(r.storage_class, y.storage_class)")
            .column("component", "'__NULL_STRING__'")
            .column("checksum", "null")
            .column("file_size", "-1"),
    ];
    for table in &repository.tags_tables {
        expansions.push(tags(table));
        for dimension in table.dimensions.iter().filter(|dimension| is_governor(dimension)) {
            expansions.push(summary(table, dimension));
        }
    }
    expansions
}

/// Dimensions that have a collection summary (BUTLER.md, section 2).
fn is_governor(dimension: &DimensionColumn) -> bool {
    matches!(dimension.name.as_str(), "instrument" | "skymap")
}

fn tags(table: &TagsTable) -> Expansion {
    let mut expansion = Expansion::new(&table.name)
        .column("dataset_type_id", "y.id")
        .column("dataset_id", "r.id")
        .column("collection_id", "u.id")
        .of_table(table);
    for dimension in &table.dimensions {
        expansion = expansion.column(&dimension.name, &value_of(dimension));
    }
    expansion
}

fn summary(table: &TagsTable, governor: &DimensionColumn) -> Expansion {
    Expansion::new(&format!("collection_summary_{}", governor.name))
        .column("collection_id", "u.id")
        .column(&governor.name, &value_of(governor))
        .of_table(table)
        .repeating()
}

fn value_of(dimension: &DimensionColumn) -> String {
    let cast = if dimension.is_integer { "::int8" } else { "" };
    format!("(r.data_id ->> {}){cast}", literal(&dimension.name))
}

fn tai_now() -> String {
    format!(
        "(extract(epoch from clock_timestamp()) * 1000000)::int8 * 1000 + {TAI_OFFSET_NANOSECONDS}"
    )
}

impl Expansion {
    fn new(table: &str) -> Self {
        Expansion {
            table: table.to_owned(),
            columns: Vec::new(),
            values: Vec::new(),
            condition: String::new(),
            repeats: false,
        }
    }

    fn column(mut self, name: &str, value: &str) -> Self {
        self.columns.push(quoted(name));
        self.values.push(value.to_owned());
        self
    }

    fn of_table(mut self, table: &TagsTable) -> Self {
        self.condition = format!(" and y.tags_table = {}", literal(&table.name));
        self
    }

    fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }
}

fn statement(expansion: &Expansion, references: &References, target: i32) -> String {
    let staging = format!("forebay_staging.{}", quoted(&format!("t{target}_{}", references.slot)));
    let values = expansion.values.join(", ");
    let (rows, order) = if expansion.repeats {
        ("min(r._row)", format!(" group by r._batch, r._event, {values}"))
    } else {
        ("r._row", String::new())
    };
    format!(
        "insert into {staging} (_batch, _event, _row, _op, {}) \
         select r._batch, r._event, {rows}, 'u', {values} from {} {RESOLVED}{}{order}",
        expansion.columns.join(", "),
        references.staging,
        expansion.condition,
    )
}

fn arguments<'a>(
    references: &References,
    repository: &Repository,
    rejected: &[i32],
) -> [DatumWithOid<'a>; 8] {
    let types = &repository.dataset_types;
    let texts = |value: fn(&super::lookup::DatasetType) -> &String| {
        types.iter().map(|known| value(known).clone()).collect::<Vec<_>>()
    };
    [
        batch_argument(references.batch),
        texts(|known| &known.name).into(),
        types.iter().map(|known| known.id).collect::<Vec<_>>().into(),
        texts(|known| &known.storage_class).into(),
        texts(|known| &known.tags_table).into(),
        repository.runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>().into(),
        repository.runs.iter().map(|run| run.id).collect::<Vec<_>>().into(),
        rejected.to_vec().into(),
    ]
}

struct RegisteredTarget {
    id: i32,
    relation: Oid,
}

fn find_target(
    client: &mut SpiClient<'_>,
    schema: &str,
    table: &str,
) -> Result<RegisteredTarget, Raised> {
    let missing = || {
        Raised::new("FB003", format!("{schema}.{table} is not a target"))
            .with_hint("Register the repository's tables with forebay.butler_add_targets.")
    };
    let mut rows = client.update(
        "select t.id, t.relation::oid from forebay.target t \
         join pg_class c on c.oid = t.relation join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2",
        None,
        &[schema.into(), table.into()],
    )?;
    let row = rows.next().ok_or_else(missing)?;
    Ok(RegisteredTarget {
        id: row.get::<i32>(1)?.ok_or_else(missing)?,
        relation: row.get::<Oid>(2)?.ok_or_else(missing)?,
    })
}
