//! The report for people.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use super::report::{Part, Primary, Replica, Report};
use crate::text_table::{TextTable, printable};

/// Writes it: the parts, the partitions, the dead letters, the targets, the problems.
pub fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "source {}", printable(&report.source))?;
    writeln!(out, "broker {}: {}", report.broker.place, broker(report))?;
    writeln!(out, "primary {}: {}", report.primary.place, primary(report))?;
    for (index, replica) in report.replicas.iter().enumerate() {
        let number = index + 1;
        writeln!(out, "replica {number} {}: {}", replica.place, self::replica(report, replica))?;
    }
    let partitions = partitions(report);
    if !partitions.is_empty() {
        writeln!(out, "\npartitions")?;
        partitions.write("  ", out)?;
    }
    if let Ok(primary) = &report.primary.seen {
        writers(primary, out)?;
        dead_letters(primary, out)?;
        targets(primary, out)?;
        if !primary.other_sources.is_empty() {
            let others = primary.other_sources.join(", ");
            writeln!(out, "\nother sources of this database: {}", printable(&others))?;
        }
    }
    let problems = report.problems();
    if !problems.is_empty() {
        writeln!(out)?;
    }
    for problem in problems {
        writeln!(out, "problem: {}", printable(&problem))?;
    }
    Ok(())
}

const DOWN: &str = "not known (see below)";

fn broker(report: &Report) -> String {
    let Ok(broker) = &report.broker.seen else { return DOWN.to_owned() };
    let cluster = broker.cluster_id.as_deref().unwrap_or("unknown");
    format!("{} partition(s), cluster {cluster}", broker.ends.len())
}

fn primary(report: &Report) -> String {
    let Ok(primary) = &report.primary.seen else { return DOWN.to_owned() };
    format!("PostgreSQL {}, log at {}", primary.version, primary.lsn)
}

fn replica(report: &Report, replica: &Part<Replica>) -> String {
    let Ok(seen) = &replica.seen else { return DOWN.to_owned() };
    let Some(replay) = &seen.replay else { return "no replica".to_owned() };
    let behind = match report.replay_lag(replay) {
        Some(bytes) => format!(", {bytes} bytes behind the primary"),
        None => String::new(),
    };
    let age = match replay.age_seconds {
        Some(seconds) => format!(", at commits of {} ago", span(seconds)),
        None => String::new(),
    };
    let paused = if replay.is_paused { ", paused" } else { "" };
    format!("replayed to {}{behind}{age}{paused}", replay.lsn)
}

fn partitions(report: &Report) -> TextTable {
    let replicas: Vec<String> =
        (1..=report.replicas.len()).map(|number| format!("ON REPLICA {number}")).collect();
    let mut header = vec!["TOPIC", "PARTITION", "END", "NEXT OFFSET", "LAG"];
    header.extend(replicas.iter().map(String::as_str));
    header.extend(["CHANGED", "CLAIMANT"]);
    let mut table = TextTable::new(&header);
    for key in report.partitions() {
        let progress = report.progress(key);
        let mut cells = vec![
            printable(key.0.as_str()).into_owned(),
            key.1.to_string(),
            or_dash(report.end(key)),
            or_dash(progress.map(|progress| progress.next_offset)),
            or_dash(report.lag(key)),
        ];
        for replica in &report.replicas {
            let progress = replica.seen.as_ref().ok().and_then(|seen| seen.progress.get(key));
            cells.push(or_dash(progress));
        }
        cells.push(or_dash(progress.map(|one| format!("{} ago", span(one.age_seconds)))));
        cells.push(or_dash(progress.and_then(|one| one.claimant.as_deref()).map(printable)));
        table.row(cells);
    }
    table
}

fn writers(primary: &Primary, out: &mut impl Write) -> io::Result<()> {
    let writers = match &primary.writers {
        Ok(writers) if writers.is_empty() => return writeln!(out, "\nwriters: none"),
        Ok(writers) => writers,
        Err(reason) => return writeln!(out, "\nwriters: {reason}"),
    };
    writeln!(out, "\nwriters")?;
    let mut table = TextTable::new(&["CLAIMANT", "HEARTBEAT", "STATE"]);
    for writer in writers {
        let state = match (writer.is_live, writer.is_able) {
            (false, _) => "dead",
            (true, false) => "alive, takes no partitions",
            (true, true) => "alive",
        };
        table.row(vec![
            printable(&writer.claimant).into_owned(),
            format!("{} ago", span(writer.beat_age_seconds)),
            state.to_owned(),
        ]);
    }
    table.write("  ", out)
}

fn dead_letters(primary: &Primary, out: &mut impl Write) -> io::Result<()> {
    let reasons = match &primary.dead_letters {
        Ok(reasons) if reasons.is_empty() => return writeln!(out, "\ndead letters: none"),
        Ok(reasons) => reasons,
        Err(reason) => return writeln!(out, "\ndead letters: {reason}"),
    };
    let total: i64 = reasons.iter().map(|reason| reason.count).sum();
    writeln!(out, "\ndead letters: {total}")?;
    let mut table = TextTable::new(&["COUNT", "SQLSTATE", "TARGET", "CONSTRAINT", "LAST SEEN"]);
    for reason in reasons {
        table.row(vec![
            reason.count.to_string(),
            reason.sqlstate.clone(),
            or_dash(reason.target.as_deref().map(printable)),
            or_dash(reason.constraint.as_deref().map(printable)),
            reason.last_seen.clone(),
        ]);
    }
    table.write("  ", out)
}

fn targets(primary: &Primary, out: &mut impl Write) -> io::Result<()> {
    if primary.targets.is_empty() {
        return writeln!(out, "\ntargets: none");
    }
    writeln!(out, "\ntargets")?;
    let mut table = TextTable::new(&["TABLE", "ON CONFLICT", "KEY"]);
    for target in &primary.targets {
        let key = Some(target.key.join(", ")).filter(|key| !key.is_empty());
        table.row(vec![
            printable(&target.relation).into_owned(),
            target.on_conflict.clone(),
            or_dash(key.as_deref().map(printable)),
        ]);
    }
    table.write("  ", out)
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A span in whole seconds.
fn span(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0).floor()).unwrap_or_default();
    humantime::format_duration(whole).to_string()
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_whole_and_never_negative() {
        assert_eq!(span(0.9), "0s");
        assert_eq!(span(3661.5), "1h 1m 1s");
        assert_eq!(span(-5.0), "0s");
        assert_eq!(span(f64::NAN), "0s");
    }
}
