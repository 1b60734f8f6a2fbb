//! The extension goes without leaving anything behind, and can come again.

use anyhow::{Context, Result};

use crate::{InUse, staging_tables};

/// What the extension made, by its schemas.
const LEFT: &str = "select \
    (select count(*) from pg_namespace where nspname in ('forebay_staging')) \
    + (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
       where n.nspname in ('forebay', 'forebay_staging')) \
    + (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace \
       where n.nspname = 'forebay') \
    + (select count(*) from pg_event_trigger where evtname like 'forebay%')";

#[tokio::test]
async fn it_is_dropped_with_its_staging_tables_and_made_again() -> Result<()> {
    let mut in_use = InUse::create("dropped").await?;
    for drop in ["drop extension forebay", "drop extension forebay cascade"] {
        let client = in_use.database.primary();
        assert!(staging_tables(client).await? > 0);
        client.batch_execute(drop).await.context(drop)?;
        let left: i64 = client.query_one(LEFT, &[]).await?.get(0);
        assert_eq!(left, 0, "{drop}");
        let rows = "select count(*) from \"Mixed case\".\"Table\"";
        assert_eq!(client.query_one(rows, &[]).await?.get::<_, i64>(0), 2, "the rows are gone too");
        in_use.database.create_extension().await?;
        let sql = "select forebay.add_target('logged', on_conflict => 'append'); \
                   select forebay.add_target('\"Mixed case\".\"Table\"', on_conflict => 'identical')";
        in_use.database.primary().batch_execute(sql).await?;
        // It reads from the start again, and finds what it knows.
        in_use.merge(&in_use.database, &["2"]).await?;
    }
    Ok(())
}

/// What others have built upon it keeps it, unless they are to go too.
#[tokio::test]
async fn what_depends_on_it_goes_by_cascade_only() -> Result<()> {
    let in_use = InUse::create("depended").await?;
    let client = in_use.database.primary();
    client.batch_execute("create view seen as select next_offset from forebay.watermark").await?;
    let error = client.batch_execute("drop extension forebay").await.err().context("it went")?;
    assert_eq!(error.code().map(|code| code.code()), Some("2BP01"), "{error}");
    client.batch_execute("drop extension forebay cascade").await?;
    let left: i64 = client.query_one(LEFT, &[]).await?.get(0);
    assert_eq!(left, 0);
    Ok(())
}
