//! Sessions that have to wait for each other.

use anyhow::Result;
use forebay_tests::{Database, wait};

/// Waits until a session of the database waits for another one's row or transaction.
pub async fn wait_until_blocked(database: &Database) -> Result<()> {
    wait_until(database, "true").await
}

/// Waits until one has looked for a deadlock, by the `deadlock_timeout` of those that give way, and
/// waits on.
pub async fn wait_until_blocked_for_long(database: &Database) -> Result<()> {
    wait_until(database, "l.waitstart < clock_timestamp() - interval '200 ms'").await
}

async fn wait_until(database: &Database, condition: &str) -> Result<()> {
    let sql = format!(
        "select from pg_locks l join pg_stat_activity a using (pid) \
         where not l.granted and l.locktype <> 'advisory' and a.datname = $1 and {condition} limit 1"
    );
    let sql = sql.as_str();
    wait::until("a session that has to wait", || async move {
        Ok(database.primary().query_opt(sql, &[&database.name()]).await?.map(drop))
    })
    .await
}
