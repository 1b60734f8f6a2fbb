//! What a writer's `/metrics` says.

use anyhow::{Context, Result, ensure};

use crate::Writer;

/// The samples of one look at `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Asks a writer.
    ///
    /// # Errors
    ///
    /// If it does not answer, or not in Prometheus's text format.
    pub async fn of(writer: &Writer) -> Result<Self> {
        let answer = writer.get("/metrics").await?;
        ensure!(answer.status == 200, "/metrics answers {}: {}", answer.status, answer.body);
        Self::read(&answer.body)
    }

    /// Reads Prometheus's text format.
    ///
    /// # Errors
    ///
    /// If it is not that.
    pub fn read(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).with_context(|| format!("read `{line}`")));
        Ok(Self { samples: samples.collect::<Result<_>>()? })
    }

    /// The sum over all samples of this name that have these labels; none if there is no such.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &Sample, name: &str, value: &str| {
            sample.labels.iter().any(|label| label.0 == name && label.1 == value)
        };
        self.samples
            .iter()
            .filter(|sample| sample.name == name)
            .filter(|sample| labels.iter().all(|(name, value)| has(sample, name, value)))
            .map(|sample| sample.value)
            .reduce(|sum, value| sum + value)
    }

    /// [`sum`](Self::sum), of a sample that must be there.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        self.sum(name, labels).with_context(|| {
            let found = self.samples.iter().filter(|sample| sample.name == name);
            format!("no {name} with {labels:?}, but {:?}", found.collect::<Vec<_>>())
        })
    }
}

/// `name{label="value",…} 1.5`; no value of ours has a quote or a comma.
fn sample(line: &str) -> Result<Sample> {
    let (series, value) = line.rsplit_once(' ').context("no value")?;
    let value = value.parse()?;
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').context("no `}`")?),
    };
    let label = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    let labels = labels.split(',').filter(|text| !text.is_empty());
    let labels = labels.map(|text| label(text).context("no `=`")).collect::<Result<_>>()?;
    Ok(Sample { name: name.to_owned(), labels, value })
}
