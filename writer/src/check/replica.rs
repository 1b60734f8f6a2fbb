//! Looks at the replicas: are they there, do they replay, have they the extension's library.

use super::Finding;
use crate::config::{Config, Dsn};
use crate::retry::Place;
use crate::session::{DatabaseError, Session};

const IN_RECOVERY: &str = "select pg_is_in_recovery(), \
     exists (select from pg_extension where extname = 'forebay')";

/// A call of the library that changes nothing.
const CALL: &str = "call forebay.wait_for($1::text, '', 0, 0, interval '1 millisecond')";

/// The role may not.
const NO_RIGHT: &str = "42501";

/// Looks at every configured replica.
pub async fn look_at_all(config: &Config) -> Vec<Finding> {
    let looks = config.database.replicas.iter().map(|replica| look(config, replica));
    futures_util::future::join_all(looks).await.concat()
}

async fn look(config: &Config, replica: &Dsn) -> Vec<Finding> {
    let place = format!("replica {replica}");
    let name = &config.source.name;
    let session = match Session::connect_replica(replica, &config.database, name).await {
        Ok(session) => session,
        Err(error) => {
            let advice = "start it, or correct database.replicas";
            return vec![Finding::problem(place, format!("{error}; {advice}"))];
        }
    };
    match look_inside(&session, &place, name).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::problem(place, error)],
    }
}

async fn look_inside(
    session: &Session,
    place: &str,
    source: &str,
) -> Result<Vec<Finding>, DatabaseError> {
    let client = session.client();
    let row = session.within(Place::Connect, client.query_one(IN_RECOVERY, &[])).await?;
    let read = |index| {
        row.try_get::<_, bool>(index)
            .map_err(|error| DatabaseError::answer(Place::Connect, error.to_string()))
    };
    let mut findings = Vec::new();
    if read(0)? {
        findings.push(Finding::good(place, "reachable, and replays the primary"));
    } else {
        let message = "is not in recovery: it is a primary of its own; correct database.replicas";
        findings.push(Finding::problem(place, message));
    }
    if !read(1)? {
        let message = "has no extension forebay (yet); create it on the primary, and wait until \
                       it is replayed";
        findings.push(Finding::problem(place, message));
        return Ok(findings);
    }
    findings.push(match session.within(Place::Connect, client.query(CALL, &[&source])).await {
        Ok(_) => Finding::good(place, "has the extension's library"),
        Err(error) if error.sqlstate() == Some(NO_RIGHT) => {
            let message = "whether it has the extension's library was not tried, since this role \
                           may not call forebay.wait_for; grant forebay_reader to it";
            Finding::note(place, message)
        }
        Err(error) => {
            let message = format!(
                "forebay.wait_for cannot be called: {}; install the extension's library on the \
                 replica's host as well",
                error.message()
            );
            Finding::problem(place, message)
        }
    });
    Ok(findings)
}
