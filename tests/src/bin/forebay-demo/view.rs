//! How far a server is: what a reader there can see.

use anyhow::Result;
use forebay_tests::Endpoint;
use tokio_postgres::{Client, Statement};

use crate::SOURCE;

/// A look at the progress rows of one server, the primary or the replica.
pub struct View {
    client: Client,
    statement: Statement,
}

impl View {
    pub async fn open(endpoint: &Endpoint, database: &str) -> Result<Self> {
        let client = endpoint.connect(database).await?;
        let sql = "select partition, next_offset from forebay.progress where source = $1";
        let statement = client.prepare(sql).await?;
        Ok(Self { client, statement })
    }

    /// `next_offset` by partition; partitions without progress have 0.
    pub async fn next_offsets(&self, partitions: usize) -> Result<Vec<i64>> {
        let mut offsets = vec![0; partitions];
        for row in self.client.query(&self.statement, &[&SOURCE]).await? {
            let partition = usize::try_from(row.get::<_, i32>(0))?;
            if let Some(offset) = offsets.get_mut(partition) {
                *offset = row.get(1);
            }
        }
        Ok(offsets)
    }
}
