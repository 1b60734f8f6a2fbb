//! A dump has targets, progress and dead letters, and not the staged rows.

use anyhow::Result;
use forebay_tests::{Database, endpoint::SUPERUSER, postgres::client_command, process};

use crate::{InUse, kept, staging_tables};

#[tokio::test]
async fn a_restored_dump_goes_on_where_it_was() -> Result<()> {
    let in_use = InUse::create("dumped").await?;
    let source = &in_use.database;
    let file = in_use.stack.scratch().join(format!("{}.dump", source.name()));

    let mut dump = client_command("pg_dump")?;
    dump.arg("--dbname").arg(source.primary_endpoint().dsn(source.name(), SUPERUSER));
    dump.args(["--format", "custom", "--file"]).arg(&file);
    tokio::task::spawn_blocking(|| process::run("pg_dump", dump)).await??;

    let stack = &in_use.stack;
    let restored =
        Database::create_empty(stack.primary(), Some(stack.replica()), "restored").await?;
    let mut restore = client_command("pg_restore")?;
    restore.arg("--dbname").arg(restored.primary_endpoint().dsn(restored.name(), SUPERUSER));
    restore.arg("--exit-on-error").arg(&file);
    tokio::task::spawn_blocking(|| process::run("pg_restore", restore)).await??;
    std::fs::remove_file(&file)?;

    let client = restored.primary();
    assert_eq!(kept(client).await?, kept(source.primary()).await?);
    assert_eq!(staging_tables(client).await?, 0);

    // Writing goes on, with staging tables made anew and ids that nobody has.
    let grant = format!("grant forebay_writer to {}", restored.writer_role());
    client.batch_execute(&grant).await?;
    in_use.merge(&restored, &["3", "\"y\""]).await?;
    let merged = "select array_agg(id order by id) from \"Mixed case\".\"Table\"";
    let merged: Vec<i32> = client.query_one(merged, &[]).await?.get(0);
    assert_eq!(merged, [1, 2, 3]);
    let letters = "select array_agg(id order by id) from forebay.dead_letter";
    let letters: Vec<i64> = client.query_one(letters, &[]).await?.get(0);
    assert_eq!(letters, [1, 2]);
    client.batch_execute("create table more (id int4 primary key)").await?;
    client.batch_execute("select forebay.add_target('more')").await?;
    Ok(())
}
