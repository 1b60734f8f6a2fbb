//! Whether somebody has changed the progress of a stopped partition.

use std::time::Duration;

use tokio_postgres::types::ToSql;

use super::{Surroundings, Worker};
use crate::position::Offset;
use crate::retry::Place;
use crate::session::{DatabaseError, Session};
use crate::stopped_partition::Mark;

/// How often to look.
pub const INTERVAL: Duration = Duration::from_secs(1);

const LOOK: &str = "select token, next_offset from forebay.progress \
                    where source = $1 and topic = $2 and partition = $3";

impl Worker {
    pub(super) async fn released(&self) -> Result<bool, DatabaseError> {
        released(&self.surroundings, &self.session).await
    }
}

/// Looks at all stopped partitions; says whether one of them is free.
pub async fn released(
    surroundings: &Surroundings,
    session: &Session,
) -> Result<bool, DatabaseError> {
    let Surroundings { config, stopped, .. } = surroundings;
    let mut any = false;
    for stop in stopped.all() {
        let (topic, partition) = (stop.topic.as_str(), stop.partition.0);
        let parameters: [&(dyn ToSql + Sync); 3] = [&config.source.name, &topic, &partition];
        let look = session.client().query_opt(LOOK, &parameters);
        let Some(row) = session.within(Place::Claim, look).await? else { continue };
        let mark = Mark { token: row.get(0), next_offset: Offset(row.get(1)) };
        any |= stopped.observe(&stop.topic, stop.partition, mark);
    }
    Ok(any)
}
