//! Who hears of a dataset can read it on the replica; and a promoted replica goes on publishing.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Endpoint, Postgres, Stack, Writer, metrics::Metrics, postgres::THROW_AWAY, wait,
};

use crate::{
    site::{Site, datasets_of},
    told::datasets,
};

/// A primary and a replica of a test's own, and a repository there.
async fn private(stack: &Stack, prefix: &str) -> Result<(Postgres, Postgres, Site)> {
    let directory = stack.directory(prefix)?;
    let primary = Postgres::primary(&directory, "primary", THROW_AWAY).await?;
    let replica = Postgres::replica(&directory, "replica1", primary.endpoint(), THROW_AWAY).await?;
    let database =
        Database::create_on(primary.endpoint(), Some(replica.endpoint()), prefix).await?;
    let site = Site::create_in(stack.kafka(), database, prefix, 1).await?;
    Ok((primary, replica, site))
}

#[tokio::test]
async fn nothing_is_told_of_before_the_replica_has_it() -> Result<()> {
    let stack = Stack::from_env()?;
    let (_primary, replica, site) = private(&stack, "held").await?;
    site.database.wait_until_replayed().await?;
    let on_replica = site.database.connect_replica().await?;
    on_replica.batch_execute("select pg_wal_replay_pause()").await?;
    let dsn = replica.endpoint().dsn(site.database.name(), site.database.writer_role());
    let mut writer = Writer::start(&stack, site.config().set("outbox.replicas", vec![dsn]))?;
    let sent = site.send(&site.events[..40]).await?;
    site.wait_until_merged(&sent).await?;
    // It has looked for more than a second, and held all of it back.
    let known = &writer;
    wait::until("a row to wait", || async move {
        let oldest = Metrics::of(known).await?.get("forebay_outbox_oldest_seconds", &[])?;
        Ok((oldest > 1.0).then_some(()))
    })
    .await
    .with_context(|| writer.output().tail())?;
    ensure!(site.waiting().await? > 0);
    let heard = site.heard().await?;
    ensure!(heard.is_empty(), "it is told of what the replica does not have: {heard:?}");

    on_replica.batch_execute("select pg_wal_replay_resume()").await?;
    let site = &site;
    let told =
        wait::until("a message", || async move { Ok(site.heard().await?.into_iter().next()) })
            .await?;
    let sql = "select count(*) from dataset where id::text = any ($1)";
    let found: i64 = on_replica.query_one(sql, &[&told.datasets]).await?.get(0);
    assert_eq!(usize::try_from(found)?, told.datasets.len(), "told of, and not on the replica");
    site.wait_until_told(&datasets_of(&site.events[..40])?).await?;
    writer.stop().await
}

/// A replica that is gone holds back what is told, not what is merged.
#[tokio::test]
async fn a_replica_that_is_gone_does_not_hold_up_merging() -> Result<()> {
    let stack = Stack::from_env()?;
    let (_primary, mut replica, site) = private(&stack, "gone").await?;
    site.database.wait_until_replayed().await?;
    replica.stop().await?;
    let dsn = replica.endpoint().dsn(site.database.name(), site.database.writer_role());
    let mut writer = Writer::start(&stack, site.config().set("outbox.replicas", vec![dsn]))?;
    let sent = site.send(&site.events[..20]).await?;
    site.wait_until_merged(&sent).await?;
    let known = &writer;
    wait::until("a failure", || async move {
        let metrics = Metrics::of(known).await?;
        Ok(metrics.sum("forebay_outbox_failures_total", &[("cause", "replica")]))
    })
    .await
    .with_context(|| writer.output().tail())?;
    let sent = site.send(&site.events[20..40]).await?;
    site.wait_until_merged(&sent).await?;
    ensure!(site.heard().await?.is_empty(), "it is told of what no replica has");
    replica.start().await?;
    site.wait_until_told(&datasets_of(&site.events[..40])?).await?;
    writer.stop().await
}

#[tokio::test]
async fn a_promoted_replica_publishes_what_the_primary_had_not() -> Result<()> {
    let stack = Stack::from_env()?;
    let (mut primary, replica, mut site) = private(&stack, "promoted").await?;
    let ports = [&primary, &replica].map(|server| server.endpoint().port.to_string()).join(",");
    let dsn = format!(
        "host={host},{host} port={ports} dbname={} user={}",
        site.database.name(),
        site.database.writer_role(),
        host = Endpoint::HOST,
    );
    let config = site.config().set("database.dsn", dsn);
    let sent = site.send(&site.events[..60]).await?;
    let failing = config.clone().failpoint("outbox.before_publish", 1);
    let mut writer = Writer::start(&stack, failing)?;
    writer.wait_for_failpoint("outbox.before_publish").await?;
    site.wait_until_merged(&sent).await?;
    let waiting = site.waiting().await?;
    ensure!(waiting > 0 && site.heard().await?.is_empty(), "it has published something");
    site.database.wait_until_replayed().await?;
    writer.kill()?;
    primary.kill().await?;

    replica.promote().await?;
    site.database.reconnect(replica.endpoint()).await?;
    assert_eq!(site.waiting().await?, waiting, "rows that the replica has");
    let mut writer = Writer::start(&stack, config)?;
    let told = site.wait_until_told(&datasets_of(&site.events[..60])?).await;
    let told = told.with_context(|| writer.output().tail())?;
    assert_eq!(datasets(&told), datasets_of(&site.events[..60])?, "something is told of twice");
    writer.stop().await
}
