//! How far merging and replaying have come.

use anyhow::Result;
use tokio_postgres::types::PgLsn;

use crate::{Database, Endpoint, Topic, producer::Delivery, wait};

impl Database {
    /// Waits until an event is merged on the primary, or stands in the dead letters.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub async fn wait_until_merged(
        &self,
        source: &str,
        topic: &Topic,
        event: Delivery,
    ) -> Result<()> {
        let Delivery { partition, offset } = event;
        let what = format!("{source} to merge {} {partition} offset {offset}", topic.name());
        wait::until(what, || async move {
            let next = self.next_offset(source, topic, partition).await?;
            Ok(next.is_some_and(|next| next > offset).then_some(()))
        })
        .await
    }

    /// Waits until every one of these events is merged, or stands in the dead letters.
    ///
    /// # Errors
    ///
    /// If that does not happen in time.
    pub async fn wait_until_all_merged(
        &self,
        source: &str,
        topic: &Topic,
        events: &[Delivery],
    ) -> Result<()> {
        for partition in 0..topic.partitions() {
            let of_partition = events.iter().filter(|event| event.partition == partition);
            if let Some(last) = of_partition.max_by_key(|event| event.offset) {
                self.wait_until_merged(source, topic, *last).await?;
            }
        }
        Ok(())
    }

    /// The committed progress of a partition; none if it was never claimed.
    ///
    /// # Errors
    ///
    /// If the server can't say.
    pub async fn next_offset(
        &self,
        source: &str,
        topic: &Topic,
        partition: i32,
    ) -> Result<Option<i64>> {
        let sql = "select next_offset from forebay.progress \
                   where source = $1 and topic = $2 and partition = $3";
        let row = self.primary().query_opt(sql, &[&source, &topic.name(), &partition]).await?;
        Ok(row.map(|row| row.get(0)))
    }
}

/// Waits until a replica has replayed the log up to `lsn`.
///
/// # Errors
///
/// If it does not get there in time.
pub async fn wait_until_replayed(replica: &Endpoint, lsn: PgLsn) -> Result<()> {
    let client = &replica.connect("postgres").await?;
    wait::until(format!("the replica to replay {lsn}"), || async move {
        let row = client.query_one("select pg_last_wal_replay_lsn()", &[]).await?;
        Ok(row.get::<_, Option<PgLsn>>(0).filter(|replayed| *replayed >= lsn).map(|_| ()))
    })
    .await
}
