//! The repository's tables as targets, ready to be staged.

use pgrx::pg_sys::Oid;
use pgrx::spi::SpiClient;

use crate::attempt::Raised;
use crate::query::query;
use crate::size::Size;

/// A table that is registered.
pub struct RegisteredTarget {
    /// Names its staging tables.
    pub id: i32,
    /// The table.
    pub relation: Oid,
}

/// The target of this table. FB003 if it is none.
pub fn find_target(
    client: &mut SpiClient<'_>,
    schema: &str,
    table: &str,
) -> Result<RegisteredTarget, Raised> {
    look_for_target(client, schema, table)?.ok_or_else(|| {
        Raised::new("FB003", format!("{schema}.{table} is not a target"))
            .with_hint("Register the repository's tables with forebay.butler_add_targets.")
    })
}

/// Makes a tags table a target, unless it is one. It must belong to whom the datasets belong to, who
/// has registered these.
pub fn ensure_target(
    client: &mut SpiClient<'_>,
    schema: &str,
    table: &str,
) -> Result<RegisteredTarget, Raised> {
    if let Some(target) = look_for_target(client, schema, table)? {
        return Ok(target);
    }
    let datasets = find_target(client, schema, "dataset")?;
    let sql = "select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where n.nspname = $1 and c.relname = $2 \
               and c.relowner = (select d.relowner from pg_class d where d.oid = $3)";
    let arguments = [schema.into(), table.into(), datasets.relation.into()];
    let relation = match client.update(sql, None, &arguments)?.next() {
        Some(row) => row.get::<Oid>(1)?,
        None => None,
    };
    let relation = relation.ok_or_else(|| {
        Raised::new("FB004", format!("{schema}.{table} is not a table of the owner of datasets"))
            .with_hint("Give it that owner, or register it with forebay.add_target.")
    })?;
    let sql = "select forebay.register_target($1, null, 'identical', null, null)";
    client.update(sql, None, &[relation.into()])?;
    find_target(client, schema, table)
}

fn look_for_target(
    client: &mut SpiClient<'_>,
    schema: &str,
    table: &str,
) -> Result<Option<RegisteredTarget>, Raised> {
    let sql = "select t.id, t.relation::oid from forebay.target t \
         join pg_class c on c.oid = t.relation join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = $1 and c.relname = $2";
    let rows = query(client, sql, Size::default(), &[schema.into(), table.into()])?;
    let Some(row) = rows.iter().next() else { return Ok(None) };
    let (id, relation) = (row.get::<i32>(1)?, row.get::<Oid>(2)?);
    Ok(id.zip(relation).map(|(id, relation)| RegisteredTarget { id, relation }))
}
