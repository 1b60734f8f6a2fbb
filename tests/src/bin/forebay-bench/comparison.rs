//! A scenario in which systems do the same: in several runs, in another order each.

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    Bench,
    goal::Goal,
    plot::Plot,
    report,
    results::{Measurement, Results},
    scenario::Scenario,
    system::System,
};

/// A scenario that is ready to be measured.
pub struct Comparison<'a> {
    pub bench: &'a Bench<'a>,
    pub scenario: &'a Scenario,
    /// For people.
    pub description: String,
    /// What its rows are.
    pub unit: &'static str,
    /// Those of which the user wants some.
    pub systems: &'a [System],
    pub goals: &'a [Goal],
}

#[derive(Serialize)]
struct Figures<'a> {
    measurements: &'a [Measurement],
}

impl Comparison<'_> {
    /// Measures all systems in each run, prints and writes the medians.
    pub async fn run(
        &self,
        measure: impl AsyncFn(System) -> Result<Measurement>,
    ) -> Result<Results> {
        let (name, runs) = (&self.scenario.name, self.bench.arguments.runs);
        println!("\n{name}: {}; median of {runs}", self.description);
        let systems = self.bench.arguments.systems(self.systems);
        let mut measured = vec![Vec::new(); systems.len()];
        for run in 1..=runs {
            for place in rotated(systems.len(), run) {
                let system = systems[place];
                let measurement = measure(system).await;
                let measurement =
                    measurement.with_context(|| format!("{} in run {run}", system.name()))?;
                eprintln!("  run {run}: {} {:.2} s", system.name(), measurement.seconds);
                measured[place].push(measurement);
            }
        }
        let measurements = measured.into_iter().filter_map(Measurement::median).collect();
        let goals = self.goals.to_vec();
        let results = Results { scenario: name.clone(), goals, measurements };
        report::print(&results, self.unit);
        let plot = Plot::of_results(&results, &self.description, self.unit);
        let figures = Figures { measurements: &results.measurements };
        report::write(self.bench, self.scenario, &self.description, figures, plot)?;
        Ok(results)
    }
}

/// The places of `count` systems in the order of a run: the first run begins with the first.
fn rotated(count: usize, run: u32) -> impl Iterator<Item = usize> {
    (0..count).map(move |place| (place + run as usize - 1) % count)
}

#[cfg(test)]
mod tests {
    use super::rotated;

    #[test]
    fn each_run_begins_with_another() {
        let order = |run| rotated(3, run).collect::<Vec<_>>();
        assert_eq!([order(1), order(2), order(4)], [[0, 1, 2], [1, 2, 0], [0, 1, 2]]);
    }
}
