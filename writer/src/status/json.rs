//! The report for programs.

use serde_json::{Value, json};

use super::report::{Broker, Part, Primary, Replica, Report};

/// One object.
pub fn json(report: &Report) -> Value {
    json!({
        "source": report.source,
        "broker": part(&report.broker, broker),
        "primary": part(&report.primary, primary),
        "replicas": report
            .replicas
            .iter()
            .map(|one| part(one, |replica| self::replica(report, replica)))
            .collect::<Vec<_>>(),
        "partitions": partitions(report),
        "problems": report.problems(),
    })
}

/// What a part has, beside where it is; or its error.
fn part<T>(part: &Part<T>, to_json: impl Fn(&T) -> Value) -> Value {
    let mut value = match &part.seen {
        Ok(seen) => to_json(seen),
        Err(reason) => json!({ "error": reason }),
    };
    value["place"] = json!(part.place);
    value
}

fn broker(broker: &Broker) -> Value {
    json!({ "cluster_id": broker.cluster_id })
}

fn primary(primary: &Primary) -> Value {
    let reasons = primary.dead_letters.as_ref().map(|reasons| {
        let reason = |reason: &super::report::Reason| {
            json!({
                "count": reason.count,
                "sqlstate": reason.sqlstate,
                "target": reason.target,
                "constraint": reason.constraint,
                "last_seen": reason.last_seen,
            })
        };
        reasons.iter().map(reason).collect::<Vec<_>>()
    });
    let writers = primary.writers.as_ref().map(|writers| {
        let writer = |writer: &super::report::WriterRow| {
            json!({
                "claimant": writer.claimant,
                "beat_age_seconds": writer.beat_age_seconds,
                "is_live": writer.is_live,
                "is_able": writer.is_able,
            })
        };
        writers.iter().map(writer).collect::<Vec<_>>()
    });
    let target = |target: &super::report::TargetRow| {
        json!({
            "relation": target.relation,
            "on_conflict": target.on_conflict,
            "key": target.key,
        })
    };
    json!({
        "version": primary.version,
        "lsn": primary.lsn.to_string(),
        "writers": writers.ok(),
        "dead_letters": reasons.ok(),
        "targets": primary.targets.iter().map(target).collect::<Vec<_>>(),
        "other_sources": primary.other_sources,
    })
}

fn replica(report: &Report, replica: &Replica) -> Value {
    let replay = replica.replay.as_ref().map(|replay| {
        json!({
            "lsn": replay.lsn.to_string(),
            "behind_bytes": report.replay_lag(replay),
            "age_seconds": replay.age_seconds,
            "is_paused": replay.is_paused,
        })
    });
    json!({ "replay": replay })
}

fn partitions(report: &Report) -> Vec<Value> {
    let partition = |key| {
        let progress = report.progress(key);
        let on_replicas = report.replicas.iter().map(|replica| {
            let seen = replica.seen.as_ref().ok()?;
            seen.progress.get(key).map(|offset| offset.0)
        });
        json!({
            "topic": key.0.as_str(),
            "partition": key.1.0,
            "end": report.end(key).map(|end| end.0),
            "next_offset": progress.map(|one| one.next_offset.0),
            "lag": report.lag(key),
            "age_seconds": progress.map(|one| one.age_seconds),
            "claimant": progress.and_then(|one| one.claimant.as_deref()),
            "next_offset_on_replicas": on_replicas.collect::<Vec<_>>(),
        })
    };
    report.partitions().into_iter().map(partition).collect()
}
