//! An upgrade keeps what is there, and ends where `create extension` does.

use anyhow::{Context, Result};
use forebay_tests::Database;
use tokio_postgres::Client;

use crate::{InUse, kept};

/// What version 0.0.9 had not.
const TO_0_0_9: &str = "\
alter extension forebay drop function forebay.expire_dead_letters(text, interval, int4);
drop function forebay.expire_dead_letters(text, interval, int4);
drop index forebay.dead_letter_source_last_seen_idx;
alter event trigger forebay_forget_dropped_targets disable;
alter extension forebay drop view forebay.target;
alter extension forebay drop function forebay.by_triggers(oid, name[]);
drop view forebay.target;
drop function forebay.by_triggers(oid, name[]);
alter function forebay.why_walked(oid, name[]) security invoker;
revoke all on function forebay.why_walked(oid, name[]) from forebay_admin, forebay_writer;
alter table forebay.registration rename to target;
alter sequence forebay.registration_id_seq rename to target_id_seq;
alter table forebay.target rename constraint registration_pkey to target_pkey;
alter table forebay.target rename constraint registration_relation_key to target_relation_key;
alter table forebay.target rename constraint registration_on_conflict_check to target_on_conflict_check;
comment on table forebay.target is
    'The registered targets. Filled by forebay.add_target, never by hand.';
grant select on forebay.target to forebay_admin, forebay_writer;
alter event trigger forebay_forget_dropped_targets enable;
update pg_extension set extversion = '0.0.9' where extname = 'forebay';
";

/// Every object of the extension, with its definition, rights and comments.
async fn objects(client: &Client) -> Result<Vec<String>> {
    let rows = client.query(include_str!("objects.sql"), &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::test]
async fn an_upgrade_with_data_in_place_ends_at_the_new_version() -> Result<()> {
    let in_use = InUse::create("upgraded").await?;
    let client = in_use.database.primary();
    let fresh = Database::create(&in_use.stack, "fresh").await?;
    let expected = objects(fresh.primary()).await?;
    let before = kept(client).await?;
    client.batch_execute(TO_0_0_9).await?;
    assert_ne!(objects(client).await?, expected, "the comparison is blind");

    client.batch_execute("alter extension forebay update").await.context("update")?;
    let found = objects(client).await?;
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|one| !b.contains(one)).cloned().collect::<Vec<_>>()
    };
    let (missing, other) = (only(&expected, &found), only(&found, &expected));
    assert!(missing.is_empty() && other.is_empty(), "missing {missing:#?}, instead {other:#?}");
    assert_eq!(kept(client).await?, before);
    in_use.merge(&in_use.database, &["3"]).await?;
    let expired = "select forebay.expire_dead_letters('lifecycle', '1 microsecond')";
    assert_eq!(client.query_one(expired, &[]).await?.get::<_, i64>(0), 1);
    Ok(())
}
