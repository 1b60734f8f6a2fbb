//! The tables, once for the merge and once for the reference.

use anyhow::{Result, ensure};
use tokio_postgres::Client;

/// What an existing row with the same key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Update,
    Ignore,
    Identical,
    Append,
}

/// A table; its columns are `int4`, and the first one is its key, unless it appends.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [&'static str],
    pub policy: Policy,
}

pub const TABLES: [Table; 6] = [
    Table { name: "parent", columns: &["id", "u", "note"], policy: Policy::Update },
    Table { name: "child", columns: &["id", "parent", "v", "w"], policy: Policy::Update },
    Table { name: "node", columns: &["id", "up"], policy: Policy::Update },
    Table { name: "fixed", columns: &["id", "parent_u", "v"], policy: Policy::Identical },
    Table { name: "once", columns: &["id", "v", "q"], policy: Policy::Ignore },
    Table { name: "log", columns: &["a", "parent"], policy: Policy::Append },
];

/// The schema of the merge's tables.
pub const MERGED: &str = "merged";
/// The schema of the reference's tables.
pub const REFERENCE: &str = "reference";

/// Makes both, and registers the merge's. The reference's foreign keys wait for the end of the
/// event; nothing else differs.
pub async fn create(client: &Client) -> Result<()> {
    for (schema, deferral) in [(MERGED, ""), (REFERENCE, "deferrable initially deferred")] {
        client
            .batch_execute(&format!(
                "create schema {schema};
                 set search_path = {schema};
                 create table parent (id int4 primary key, u int4 unique, note int4 default 7);
                 create table child (id int4 primary key,
                     parent int4 not null references parent {deferral},
                     v int4 check (v < 7), w int4 default 5);
                 create table node (id int4 primary key, up int4 references node {deferral});
                 create table fixed (id int4 primary key,
                     parent_u int4 references parent (u) {deferral}, v int4);
                 create table once (id int4 primary key, v int4 not null, q int4 unique);
                 create table log (a int4, parent int4 references parent {deferral});
                 reset search_path;"
            ))
            .await?;
    }
    for table in &TABLES {
        let policy = format!("{:?}", table.policy).to_lowercase();
        client
            .execute(
                "select forebay.add_target(to_regclass($1), on_conflict => $2)",
                &[&format!("{MERGED}.{}", table.name), &policy],
            )
            .await?;
    }
    Ok(())
}

/// Empties both.
pub async fn empty(client: &Client) -> Result<()> {
    let tables: Vec<_> = [MERGED, REFERENCE]
        .iter()
        .flat_map(|schema| TABLES.iter().map(move |table| format!("{schema}.{}", table.name)))
        .collect();
    client.batch_execute(&format!("truncate {}", tables.join(", "))).await?;
    Ok(())
}

/// Checks that both hold the same rows.
pub async fn ensure_equal(client: &Client) -> Result<()> {
    for table in &TABLES {
        let rows = |schema: &str| {
            format!(
                "select coalesce(string_agg(t::text, ' ' order by t::text), '') from {schema}.{} t",
                table.name
            )
        };
        let merged: String = client.query_one(&rows(MERGED), &[]).await?.get(0);
        let expected: String = client.query_one(&rows(REFERENCE), &[]).await?.get(0);
        ensure!(merged == expected, "{} holds {merged}, and the reference {expected}", table.name);
    }
    Ok(())
}
