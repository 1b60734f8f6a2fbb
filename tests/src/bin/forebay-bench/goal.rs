//! How Forebay stands to the others, and to the goals.

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::{
    jdbc_sink,
    results::{Measurement, Results},
    system::System,
};

/// A bound of a figure; or of how many times that of another system, or of the same system in
/// another scenario, it is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    system: System,
    figure: Figure,
    to: Option<System>,
    to_scenario: Option<String>,
    at_least: Option<f64>,
    at_most: Option<f64>,
}

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Figure {
    /// Rows per second.
    Speed,
    /// From start to last commit.
    Seconds,
    /// In MiB.
    PeakRss,
    /// Bytes per row.
    Wal,
}

impl Figure {
    fn of(self, measurement: &Measurement) -> f64 {
        match self {
            Self::Speed => measurement.rows_per_second,
            Self::Seconds => measurement.seconds,
            Self::PeakRss => measurement.peak_rss_mib,
            Self::Wal => measurement.wal_bytes_per_row,
        }
    }

    /// The figure's words, and its unit.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Speed => ("speed", "rows/s"),
            Self::Seconds => ("time", "s"),
            Self::PeakRss => ("peak RSS", "MiB"),
            Self::Wal => ("WAL", "bytes per row"),
        }
    }
}

impl Goal {
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.at_least.is_some() != self.at_most.is_some(),
            "goals: {}: give either at_least or at_most",
            self.system.name()
        );
        Ok(())
    }

    /// A line for people, if all was measured that it takes.
    fn line(&self, results: &Results, all: &[Results]) -> Option<String> {
        let (words, unit) = self.figure.words();
        let own = self.figure.of(results.of(self.system)?);
        let other_system = self.to.unwrap_or(self.system);
        let (value, of) = if self.to.is_none() && self.to_scenario.is_none() {
            (own, format!(" {unit}"))
        } else {
            let name = self.to_scenario.as_ref().unwrap_or(&results.scenario);
            let others = all.iter().find(|other| other.scenario == *name)?;
            let place = self.to_scenario.as_ref().map(|name| format!(" in {name}"));
            let of = format!(" times that of {}{}", other_system.name(), place.unwrap_or_default());
            (own / self.figure.of(others.of(other_system)?), of)
        };
        let (scenario, system) = (&results.scenario, self.system.name());
        let verdict = self.verdict(value);
        Some(format!("{scenario}: {words} of {system} is {value:.2}{of}{verdict}"))
    }

    fn verdict(&self, value: f64) -> String {
        match (self.at_least, self.at_most) {
            (Some(least), _) => verdict(value >= least, &format!("at least {least}")),
            (_, Some(most)) => verdict(value <= most, &format!("at most {most}")),
            _ => String::new(),
        }
    }
}

/// Prints all of it. What takes scenarios and systems that were left out is left out here.
pub fn print(all: &[Results]) {
    for results in all {
        println!();
        for line in lines(results, all) {
            println!("{line}");
        }
    }
}

fn lines(results: &Results, all: &[Results]) -> Vec<String> {
    let goals = results.goals.iter().filter_map(|goal| goal.line(results, all));
    let speeds = speeds(results).filter(|one| !results.goals.iter().any(|goal| goal.covers(one)));
    let speeds: Vec<_> = speeds.filter_map(|one| one.line(results, all)).collect();
    goals.chain(speeds).chain(without_start(results)).collect()
}

impl Goal {
    /// Whether it tells the same figure.
    fn covers(&self, other: &Self) -> bool {
        let figure = |goal: &Self| (goal.system, goal.figure, goal.to, goal.to_scenario.clone());
        figure(self) == figure(other)
    }
}

/// The speed of each writer beside each other system: no goals, but told.
fn speeds(results: &Results) -> impl Iterator<Item = Goal> {
    let systems = [System::Forebay1, System::Forebay2];
    let others = results.measurements.iter().map(|measurement| measurement.system);
    let others: Vec<_> = others.filter(|other| !systems.contains(other)).collect();
    systems.into_iter().flat_map(move |system| {
        let of = move |to| Goal {
            system,
            figure: Figure::Speed,
            to: Some(to),
            to_scenario: None,
            at_least: None,
            at_most: None,
        };
        others.clone().into_iter().map(of)
    })
}

/// The sink's program takes long to start: its speed without that is told besides.
fn without_start(results: &Results) -> Option<String> {
    let (own, sink) = results.of(System::Forebay1).zip(results.of(System::DebeziumJdbc))?;
    let start = sink.steps.get(jdbc_sink::START).copied().unwrap_or_default();
    let share = (sink.seconds - start) / own.seconds;
    let scenario = &results.scenario;
    Some(format!(
        "{scenario}: speed of forebay-1 with its start is {share:.2} times that of debezium-jdbc \
         after its first batch"
    ))
}

/// What a person is told of a goal.
pub fn verdict(reached: bool, words: &str) -> String {
    format!(" (goal: {words}; {})", if reached { "reached" } else { "missed" })
}

#[cfg(test)]
mod tests {
    use super::{Goal, lines};
    use crate::{
        results::{Measurement, Results},
        system::System,
    };

    fn results(scenario: &str, goals: &[&str], seconds: &[(System, f64)]) -> Results {
        let measurements =
            seconds.iter().map(|(system, seconds)| Measurement::sample(*system, *seconds));
        let goals = goals.iter().map(|goal| toml::from_str(goal).unwrap());
        Results {
            scenario: scenario.to_owned(),
            goals: goals.collect(),
            measurements: measurements.collect(),
        }
    }

    #[test]
    fn goals_are_judged_beside_systems_and_scenarios() {
        let plain = results(
            "plain",
            &["system = 'forebay-1'\nfigure = 'speed'\nto = 'copy'\nat_least = 0.7"],
            &[(System::Copy, 1.0), (System::Forebay1, 2.0)],
        );
        let bad = results(
            "bad",
            &[
                "system = 'forebay-1'\nfigure = 'seconds'\nto_scenario = 'plain'\nat_most = 1.5",
                "system = 'forebay-1'\nfigure = 'seconds'\nto_scenario = 'other'\nat_most = 1.5",
                "system = 'forebay-1'\nfigure = 'seconds'\nat_most = 4",
            ],
            &[(System::Forebay1, 3.0)],
        );
        let all = [plain, bad];
        assert_eq!(
            lines(&all[0], &all),
            ["plain: speed of forebay-1 is 0.50 times that of copy (goal: at least 0.7; missed)"]
        );
        assert_eq!(
            lines(&all[1], &all),
            [
                "bad: time of forebay-1 is 1.50 times that of forebay-1 in plain \
                 (goal: at most 1.5; reached)",
                "bad: time of forebay-1 is 3.00 s (goal: at most 4; reached)",
            ]
        );
    }

    #[test]
    fn a_goal_has_one_bound() {
        for bounds in ["", "at_least = 1\nat_most = 2"] {
            let goal: Goal =
                toml::from_str(&format!("system = 'copy'\nfigure = 'wal'\n{bounds}")).unwrap();
            assert!(goal.check().unwrap_err().to_string().contains("either at_least or at_most"));
        }
    }
}
