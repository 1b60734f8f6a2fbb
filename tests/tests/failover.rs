//! A failover loses nothing that Kafka still holds: a promoted replica that lags has lost data and
//! progress together, and the writer reads again from there.

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Endpoint, NumberedStream, Postgres, Stack, Writer, WriterConfig, metrics::Metrics,
    postgres::THROW_AWAY, wait,
};

/// A primary and replicas of it, with a stream into it from the shared broker.
struct Cluster {
    stack: Stack,
    primary: Postgres,
    replicas: Vec<Postgres>,
    stream: NumberedStream,
}

impl Cluster {
    async fn create(prefix: &str, replicas: usize) -> Result<Self> {
        let stack = Stack::from_env()?;
        let directory = stack.directory(prefix)?;
        let primary = Postgres::primary(&directory, "primary", THROW_AWAY).await?;
        let mut servers = Vec::new();
        for number in 1..=replicas {
            let name = format!("replica{number}");
            servers
                .push(Postgres::replica(&directory, &name, primary.endpoint(), THROW_AWAY).await?);
        }
        let first = servers.first().map(Postgres::endpoint);
        let database = Database::create_on(primary.endpoint(), first, prefix).await?;
        let stream = NumberedStream::create_in(stack.kafka(), database, prefix, 3).await?;
        Ok(Self { stack, primary, replicas: servers, stream })
    }

    /// The configuration of a writer that finds the primary among these servers.
    fn config(&self, servers: &[&Postgres]) -> WriterConfig {
        let hosts = vec![Endpoint::HOST; servers.len()].join(",");
        let ports: Vec<String> =
            servers.iter().map(|server| server.endpoint().port.to_string()).collect();
        let database = self.stream.database();
        let dsn = format!(
            "host={hosts} port={} dbname={} user={}",
            ports.join(","),
            database.name(),
            database.writer_role()
        );
        self.stream.config().set("database.dsn", dsn)
    }

    fn start_writer(&self) -> Result<Writer> {
        let mut servers = vec![&self.primary];
        servers.extend(&self.replicas);
        Writer::start(&self.stack, self.config(&servers))
    }

    async fn send_and_merge(&mut self, count: usize, writer: &Writer) -> Result<()> {
        self.stream.send(count).await?;
        self.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())
    }

    /// From now on this replica gets nothing of what its primary writes.
    async fn cut_off(&self, number: usize) -> Result<()> {
        let row = self.stream.database().primary().query_one("select pg_current_wal_lsn()", &[]);
        let endpoint = self.replicas[number].endpoint();
        forebay_tests::progress::wait_until_replayed(endpoint, row.await?.get(0)).await?;
        let client = &endpoint.connect("postgres").await?;
        client.batch_execute("alter system set primary_conninfo = ''").await?;
        client.batch_execute("select pg_reload_conf()").await?;
        wait::until("the replica to be cut off", || async move {
            let sql = "select exists (select from pg_stat_wal_receiver)";
            let receives: bool = client.query_one(sql, &[]).await?.get(0);
            Ok((!receives).then_some(()))
        })
        .await?;
        Ok(client.batch_execute("select pg_wal_replay_pause()").await?)
    }

    /// Promotes a replica, and looks at it from now on.
    async fn promote(&mut self, number: usize) -> Result<()> {
        self.replicas[number].promote().await?;
        self.stream.database_mut().reconnect(self.replicas[number].endpoint()).await
    }
}

async fn rewinds(writer: &Writer) -> Result<f64> {
    Metrics::of(writer).await?.get("forebay_rewinds_total", &[])
}

/// Fault 8, under load.
#[tokio::test]
async fn a_promoted_replica_that_lags_is_filled_again() -> Result<()> {
    let mut cluster = Cluster::create("lagging", 1).await?;
    let mut writer = cluster.start_writer()?;
    cluster.send_and_merge(300, &writer).await?;
    cluster.cut_off(0).await?;
    cluster.send_and_merge(300, &writer).await?;
    cluster.primary.kill().await?;
    cluster.stream.send(300).await?;
    cluster.promote(0).await?;
    ensure!(cluster.stream.merged().await? < 600, "the replica did not lag");
    cluster.stream.check_consistent().await?;

    cluster.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    cluster.stream.check_complete().await?;
    assert_eq!(rewinds(&writer).await?, 3.0, "partitions that went back");
    let said = writer.wait_for_line("went back from offset 200 to 100").await?;
    ensure!(said.contains("WARN"), "{said}");
    cluster.send_and_merge(100, &writer).await?;
    cluster.stream.check_complete().await?;
    ensure!(writer.exit_status()?.is_none(), "the writer ended: {}", writer.output().tail());
    writer.stop().await
}

/// Fault 34: nothing arrives that would make the writer look.
#[tokio::test]
async fn a_failover_is_noticed_also_when_nothing_arrives() -> Result<()> {
    let mut cluster = Cluster::create("idle", 1).await?;
    let mut writer = cluster.start_writer()?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.cut_off(0).await?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.primary.kill().await?;
    cluster.promote(0).await?;
    cluster.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    cluster.stream.check_complete().await?;
    assert_eq!(rewinds(&writer).await?, 3.0, "partitions that went back");
    writer.stop().await
}

/// Progress that goes back under a session that lives on, as when a person restores tables, is
/// noticed by the look once a second.
#[tokio::test]
async fn tables_that_were_restored_in_place_are_filled_again() -> Result<()> {
    let stack = Stack::from_env()?;
    let mut stream = NumberedStream::create(&stack, "restored", 2).await?;
    let mut writer = Writer::start(&stack, stream.config())?;
    stream.send(100).await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    let sql = "begin; delete from numbered where number >= 20; \
               update forebay.progress set next_offset = 20; commit";
    stream.database().primary().batch_execute(sql).await?;
    writer.wait_for_line("is at offset 20, not at 50").await?;
    stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    stream.check_complete().await?;
    writer.stop().await
}

/// Fault 35: the second of two siblings is promoted after the first was, and knows less of both.
#[tokio::test]
async fn two_failovers_in_a_row_to_siblings_lose_nothing() -> Result<()> {
    let mut cluster = Cluster::create("siblings", 2).await?;
    let mut writer = cluster.start_writer()?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.cut_off(1).await?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.cut_off(0).await?;
    cluster.send_and_merge(150, &writer).await?;

    cluster.primary.kill().await?;
    cluster.promote(0).await?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.stream.check_complete().await.context("after the first failover")?;

    cluster.replicas[0].kill().await?;
    cluster.promote(1).await?;
    ensure!(cluster.stream.merged().await? <= 300, "the second replica did not lag");
    cluster.send_and_merge(150, &writer).await?;
    cluster.stream.check_complete().await.context("after the second failover")?;
    writer.stop().await
}

/// Fault 35 with writers on both sides: one of them stays with the old primary as long as that
/// lives. What it has merged there is merged again where it counts.
#[tokio::test]
async fn writers_on_both_sides_of_a_failover_lose_nothing() -> Result<()> {
    let mut cluster = Cluster::create("sides", 1).await?;
    let mut left = cluster.start_writer()?;
    cluster.send_and_merge(150, &left).await?;
    cluster.cut_off(0).await?;
    cluster.promote(0).await?;
    let mut right = Writer::start(&cluster.stack, cluster.config(&[&cluster.replicas[0]]))?;
    cluster.send_and_merge(300, &right).await?;
    cluster.stream.check_complete().await.context("while the old primary lives")?;

    cluster.primary.kill().await?;
    for writer in [&left, &right] {
        wait::until("both to own partitions", || async move {
            let owned = Metrics::of(writer).await?.get("forebay_owned_partitions", &[])?;
            let writers = Metrics::of(writer).await?.get("forebay_live_writers", &[])?;
            Ok((owned > 0.0 && writers == 2.0).then_some(()))
        })
        .await
        .with_context(|| writer.output().tail())?;
    }
    cluster.send_and_merge(150, &right).await?;
    cluster.stream.check_complete().await.context("after it is gone")?;
    left.stop().await?;
    right.stop().await
}

/// Fault 9: a writer that has seen a promotion does not write to the primary from before it.
#[tokio::test]
async fn an_old_primary_that_comes_back_is_refused() -> Result<()> {
    let mut cluster = Cluster::create("old", 1).await?;
    let mut writer = cluster.start_writer()?;
    cluster.send_and_merge(150, &writer).await?;
    cluster.cut_off(0).await?;
    cluster.primary.kill().await?;
    cluster.promote(0).await?;
    cluster.send_and_merge(150, &writer).await?;

    cluster.primary.start().await?;
    cluster.replicas[0].kill().await?;
    cluster.stream.send(150).await?;
    let said = writer.wait_for_line("an old primary came back").await?;
    ensure!(said.contains("timeline 1") && said.contains("timeline 2"), "{said}");
    let known = &writer;
    wait::until("/readyz to say so", || async move {
        let answer = known.get("/readyz").await?;
        let says = answer.status == 503 && answer.body.contains("an old primary came back");
        Ok(says.then_some(()))
    })
    .await?;
    cluster.stream.database_mut().reconnect(cluster.primary.endpoint()).await?;
    assert_eq!(cluster.stream.merged().await?, 150, "the writer has merged into the old primary");
    cluster.stream.check_consistent().await?;

    // When only the right one is left, it goes on.
    cluster.primary.stop().await?;
    cluster.replicas[0].start().await?;
    cluster.stream.database_mut().reconnect(cluster.replicas[0].endpoint()).await?;
    cluster.stream.wait_until_all_merged().await.with_context(|| writer.output().tail())?;
    cluster.stream.check_complete().await?;
    writer.stop().await
}
