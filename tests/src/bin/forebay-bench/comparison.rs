//! A scenario in which systems do the same: in several runs, in another order each.

use anyhow::Result;

use crate::{
    Surroundings, butler,
    plot::Plot,
    report,
    results::{Measurement, Results},
    rows,
    scenario::Scenario,
    stream::Stream,
    system::System,
};

/// A scenario that is ready to be measured.
pub enum Comparison<'a> {
    Rows(Stream, rows::Bench<'a>),
    Butler(butler::Bench<'a>),
}

impl<'a> Comparison<'a> {
    pub async fn of_rows(around: &'a Surroundings, stream: Stream, rows: u64) -> Result<Self> {
        Ok(Self::Rows(stream, rows::Bench::prepare(around, stream, rows).await?))
    }

    pub async fn of_butler(around: &'a Surroundings, visits: u64) -> Result<Self> {
        Ok(Self::Butler(butler::Bench::prepare(around, visits).await?))
    }

    /// Measures all of these systems in each run, prints and writes the medians.
    pub async fn run(&self, systems: &[System], runs: u32) -> Result<Results> {
        let (name, description) = (self.scenario().name(), self.description()?);
        println!("\n{name}: {description}; median of {runs}");
        let mut measured = vec![Vec::new(); systems.len()];
        for run in 1..=runs {
            for place in rotated(systems.len(), run) {
                let measurement = self.measure(systems[place]).await?;
                eprintln!("  run {run}: {} {:.2} s", measurement.system, measurement.seconds);
                measured[place].push(measurement);
            }
        }
        let measurements = measured.into_iter().filter_map(Measurement::median).collect();
        let results = Results { scenario: self.scenario(), measurements };
        report::print(&results, self.unit());
        let plot = Plot::of_results(&results, &description, self.unit());
        report::write(&name, &results.measurements, &plot.svg())?;
        Ok(results)
    }

    async fn measure(&self, system: System) -> Result<Measurement> {
        match self {
            Self::Rows(_, bench) => bench.measure(system).await,
            Self::Butler(bench) => bench.measure(system).await,
        }
    }

    fn scenario(&self) -> Scenario {
        match self {
            Self::Rows(stream, _) => Scenario::Rows(*stream),
            Self::Butler(_) => Scenario::Butler,
        }
    }

    fn description(&self) -> Result<String> {
        match self {
            Self::Rows(_, bench) => bench.description(),
            Self::Butler(bench) => Ok(bench.description()),
        }
    }

    fn unit(&self) -> &'static str {
        match self {
            Self::Rows(..) => "rows",
            Self::Butler(_) => "datasets",
        }
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
