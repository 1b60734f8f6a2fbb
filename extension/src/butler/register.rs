//! Registering dataset types (BUTLER.md, D): what needs DDL is made before a batch is staged.

use forebay_butler::{GroupTable, TableKind, Universe, check_group, check_name};
use pgrx::JsonB;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::owner_of;
use super::targets::ensure_target;
use crate::attempt::{Attempt, Raised, attempt};
use crate::identity::as_table_owner;
use crate::statement::quoted;

/// A dataset type as an event defines it.
#[derive(Deserialize, Serialize)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its storage class.
    pub storage_class: String,
    /// Dimensions, of which its group is the closure.
    pub dimensions: Vec<String>,
    /// Whether its datasets are calibrations.
    pub is_calibration: bool,
}

/// What `forebay.butler_register` answers.
#[derive(Serialize, Default)]
struct Registered {
    /// Names of the dataset types that were not there before.
    registered: Vec<String>,
    /// Those that can't be, and why.
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    name: String,
    reason: String,
}

/// Registers those of the dataset types that the repository in `schema` does not have yet. Nothing of
/// the others is compared.
///
/// Answers as `forebay.butler_register` does, or with the error that it is to raise.
#[pg_extern(volatile)]
#[search_path(pg_catalog, pg_temp)]
pub fn butler_register_types(schema: &str, definitions: JsonB) -> JsonB {
    let registered = serde_json::from_value(definitions.0)
        .map_err(|error| Raised::new("22023", format!("dataset types: {error}")))
        .and_then(|definitions| register_all(schema, definitions));
    match registered {
        Ok(registered) => JsonB(json!(registered)),
        Err(raised) => JsonB(json!({ "error": raised })),
    }
}

fn register_all(schema: &str, mut definitions: Vec<Definition>) -> Result<Registered, Raised> {
    // One order for all writers.
    definitions.sort_by(|one, other| one.name.cmp(&other.name));
    attempt(|attempt| {
        Spi::connect_mut(|client| {
            let universe = read_universe(attempt, client, schema)?;
            let repository = Registry { schema: quoted(schema), universe: &universe };
            let owner = owner_of(client, schema, "dataset_type")?;
            let mut answer = Registered::default();
            let mut tables = Vec::new();
            for definition in &definitions {
                let outcome =
                    as_table_owner(attempt, owner, || repository.register(client, definition))?;
                match outcome {
                    Outcome::Known => {}
                    Outcome::Registered(tags_table) => {
                        answer.registered.push(definition.name.clone());
                        tables.push(tags_table);
                    }
                    Outcome::Refused(reason) => {
                        answer.refused.push(Refused { name: definition.name.clone(), reason });
                    }
                }
            }
            for table in tables {
                ensure_target(client, schema, &table)?;
            }
            Ok(answer)
        })
    })
}

/// The universe of a repository.
fn read_universe(
    attempt: &Attempt,
    client: &mut SpiClient<'_>,
    schema: &str,
) -> Result<Universe, Raised> {
    let owner = owner_of(client, schema, "butler_attributes")?;
    let json = as_table_owner(attempt, owner, || {
        let sql = format!(
            "select a.value from {}.butler_attributes a where a.name = 'config:dimensions.json'",
            quoted(schema)
        );
        let row = client.update(sql.as_str(), None, &[])?.first();
        Ok::<_, Raised>(row.get::<String>(1).unwrap_or_default().unwrap_or_default())
    })?;
    Universe::read(&json)
        .map_err(|error| Raised::new("FB004", format!("repository in schema {schema}: {error}")))
}

enum Outcome {
    Known,
    /// With its tags table.
    Registered(String),
    Refused(String),
}

struct Registry<'a> {
    /// Quoted.
    schema: String,
    universe: &'a Universe,
}

impl Registry<'_> {
    fn register(
        &self,
        client: &mut SpiClient<'_>,
        definition: &Definition,
    ) -> Result<Outcome, Raised> {
        let sql = format!("select from {}.dataset_type d where d.name = $1", self.schema);
        if !client.update(sql.as_str(), None, &[definition.name.clone().into()])?.is_empty() {
            return Ok(Outcome::Known);
        }
        if let Err(bad) = check_name(&definition.name, self.universe) {
            return Ok(Outcome::Refused(bad.to_string()));
        }
        let required =
            match self.universe.required(definition.dimensions.iter().map(String::as_str)) {
                Ok(required) => required,
                Err(unknown) => return Ok(Outcome::Refused(unknown.to_string())),
            };
        if let Err(bad) = check_group(&required, self.universe) {
            return Ok(Outcome::Refused(bad.to_string()));
        }
        let names: Vec<_> = required.iter().map(|element| element.name.clone()).collect();
        let key = self.group_key(client, &names)?;
        let tags = GroupTable::new(TableKind::Tags, key, &required, self.universe);
        let calibs = definition
            .is_calibration
            .then(|| GroupTable::new(TableKind::Calibs, key, &required, self.universe));
        for table in [Some(&tags), calibs.as_ref()].into_iter().flatten() {
            if let Some(reason) = self.ensure_table(client, table)? {
                return Ok(Outcome::Refused(reason));
            }
        }
        let sql = format!(
            "insert into {0}.dataset_type (id, name, storage_class, dimensions_key, \
             tag_association_table, calibration_association_table) \
             values (nextval($6::regclass), $1, $2, $3, $4, $5) on conflict do nothing",
            self.schema
        );
        let calibs = calibs.map(|table| table.name().to_owned());
        let arguments = [
            definition.name.clone().into(),
            definition.storage_class.clone().into(),
            key.into(),
            tags.name().to_owned().into(),
            calibs.into(),
            format!("{}.dataset_type_seq_id", self.schema).into(),
        ];
        client.update(sql.as_str(), None, &arguments)?;
        Ok(Outcome::Registered(tags.name().to_owned()))
    }

    /// The key of a group of dimensions, which is made if there is none. The empty group is 0.
    fn group_key(&self, client: &mut SpiClient<'_>, required: &[String]) -> Result<i64, Raised> {
        if required.is_empty() {
            return Ok(0);
        }
        if let Some(key) = self.find_group(client, required)? {
            return Ok(key);
        }
        for table in ["dimension_graph_key", "dimension_graph_definition"] {
            let lock = format!("lock table {}.{table} in exclusive mode", self.schema);
            client.update(lock.as_str(), None, &[])?;
        }
        if let Some(key) = self.find_group(client, required)? {
            return Ok(key);
        }
        let sql = format!(
            "insert into {}.dimension_graph_key (id) values (nextval($1::regclass)) returning id",
            self.schema
        );
        let sequence = format!("{}.dimension_graph_key_seq_id", self.schema);
        let row = client.update(sql.as_str(), None, &[sequence.into()])?.first();
        let no_key = || Raised::new("XX000", "a group of dimensions got no key");
        let key = row.get::<i64>(1)?.ok_or_else(no_key)?;
        let sql = format!(
            "insert into {}.dimension_graph_definition (dimension_graph_id, dimension_name) \
             select $1, unnest($2::text[])",
            self.schema
        );
        client.update(sql.as_str(), None, &[key.into(), required.to_vec().into()])?;
        Ok(key)
    }

    /// Other versions of the client may have stored more than the required dimensions.
    fn find_group(
        &self,
        client: &mut SpiClient<'_>,
        required: &[String],
    ) -> Result<Option<i64>, Raised> {
        let sql = format!(
            "select g.dimension_graph_id, array_agg(g.dimension_name::text) \
             from {}.dimension_graph_definition g group by 1 order by 1",
            self.schema
        );
        for row in client.update(sql.as_str(), None, &[])? {
            let stored = row.get::<Vec<String>>(2)?.unwrap_or_default();
            let closed = self.universe.required(stored.iter().map(String::as_str));
            let is_it = closed
                .is_ok_and(|closed| closed.iter().map(|element| &element.name).eq(required.iter()));
            if is_it {
                return Ok(row.get::<i64>(1)?);
            }
        }
        Ok(None)
    }

    /// Makes a table, unless it is there. Answers what is wrong with one that is.
    fn ensure_table(
        &self,
        client: &mut SpiClient<'_>,
        table: &GroupTable,
    ) -> Result<Option<String>, Raised> {
        let found = self.columns(client, table)?;
        if found.is_empty() {
            let created = attempt(|_| {
                for statement in table.statements(&self.schema) {
                    client.update(statement.as_str(), None, &[])?;
                }
                Ok(())
            });
            // Another session may have made it meanwhile.
            return match created {
                Ok(()) => Ok(None),
                Err(raised) if self.columns(client, table)?.is_empty() => Err(raised),
                Err(_) => self.ensure_table(client, table),
            };
        }
        let is_same = found == table.column_names();
        let reason = || format!("there is a table {} with other columns", table.name());
        Ok((!is_same).then(reason))
    }

    fn columns(
        &self,
        client: &mut SpiClient<'_>,
        table: &GroupTable,
    ) -> Result<Vec<String>, Raised> {
        let sql = "select coalesce(array_agg(a.attname::text order by a.attnum), '{}') \
                   from pg_attribute a where a.attrelid = to_regclass($1) and a.attnum > 0 \
                   and not a.attisdropped";
        let name = format!("{}.{}", self.schema, table.name());
        let row = client.update(sql, None, &[name.into()])?.first();
        Ok(row.get::<Vec<String>>(1)?.unwrap_or_default())
    }
}
