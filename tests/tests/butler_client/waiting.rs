//! Sessions that have to wait for each other.

use anyhow::Result;
use forebay_tests::{Database, wait};

/// Waits until a session of the database waits for another one's row or transaction.
pub async fn wait_until_blocked(database: &Database) -> Result<()> {
    let sql = "select from pg_locks l join pg_stat_activity a using (pid) \
               where not l.granted and l.locktype <> 'advisory' and a.datname = $1 limit 1";
    wait::until("a session that has to wait", || async move {
        Ok(database.primary().query_opt(sql, &[&database.name()]).await?.map(drop))
    })
    .await
}
