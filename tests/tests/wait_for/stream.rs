//! A claimed partition whose progress a test moves by hand.

use anyhow::Result;
use tokio_postgres::Client;

/// The partition (`source`, `topic`, 0).
pub struct Stream<'a> {
    client: &'a Client,
    token: String,
    next_offset: i64,
}

impl<'a> Stream<'a> {
    pub async fn claim(client: &'a Client) -> Result<Self> {
        let sql = "select token::text, next_offset
                   from forebay.claim('source', 'topic', '{0}', '{0}', 'test')";
        let row = client.query_one(sql, &[]).await?;
        Ok(Self { client, token: row.get(0), next_offset: row.get(1) })
    }

    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Commits the next event as merged.
    pub async fn merge_one(&mut self) -> Result<()> {
        let merge = self.merge();
        self.client.batch_execute(&merge).await?;
        self.next_offset += 1;
        Ok(())
    }

    /// Commits the next event as rejected.
    pub async fn reject_one(&mut self) -> Result<()> {
        let record = format!(
            "select forebay.record_dead_letters('source', '{{topic}}', '{{0}}', '{{{}}}', '{{null}}',
                 '{{null}}', '{{null}}', '{{null}}', '{{null}}', '{{22P02}}', '{{bad}}', '{{null}}',
                 '{{null}}')",
            self.next_offset
        );
        let merge = self.merge();
        self.client.batch_execute(&format!("begin; {merge}; {record}; commit")).await?;
        self.next_offset += 1;
        Ok(())
    }

    fn merge(&self) -> String {
        let next_offset = self.next_offset + 1;
        format!(
            "select forebay.merge(null, 'source', array[row('topic', 0, '{}', {}, {next_offset},
                 {}, 0, '\\x00')::forebay.advance], '{{}}')",
            self.token, self.next_offset, self.next_offset
        )
    }
}

/// What `forebay.outcome` says of an event.
pub async fn outcome_of(client: &Client, event_offset: i64) -> Result<Option<String>> {
    let sql = "select forebay.outcome('source', 'topic', 0, $1)";
    Ok(client.query_one(sql, &[&event_offset]).await?.get(0))
}
