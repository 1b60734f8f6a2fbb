//! What is measured: a file of `bench/scenarios`, or a user's own.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, de::IgnoredAny};

use crate::{backlog, butler, file, growth, latency, rows, stream::Stream};

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// The name of its file, and of its results'.
    pub name: String,
    /// As the user named it.
    pub given: String,
    pub file: PathBuf,
    pub content: Content,
}

/// What its file says.
#[derive(Debug)]
pub enum Content {
    Rows(rows::Settings),
    Butler(butler::Settings),
    Latency(latency::Settings),
    Growth(growth::Settings),
    Backlog(backlog::Settings),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Rows,
    Butler,
    Latency,
    Growth,
    Backlog,
}

/// What is looked at first.
#[derive(Deserialize)]
struct Head {
    kind: Kind,
}

/// The key `kind`, for those who know it already.
pub type Known = IgnoredAny;

/// Of a transaction of whoever writes rows, if the scenario says nothing: the writer's default.
pub fn rows_per_commit() -> u64 {
    20_000
}

impl Scenario {
    /// Reads the file of a name, or at a path.
    pub fn load(given: &str) -> Result<Self> {
        let is_path = given.contains('/') || given.ends_with(".toml");
        let file = if is_path {
            PathBuf::from(given)
        } else {
            file::folder().join("scenarios").join(format!("{given}.toml"))
        };
        ensure!(
            file.is_file(),
            "there is no scenario {}: give the name of one in {}, or a path",
            file.display(),
            file::folder().join("scenarios").display()
        );
        let name = file.file_stem().and_then(|name| name.to_str()).context("a file's name")?;
        let content = Content::read(&file)?;
        let (name, given) = (name.to_owned(), given.to_owned());
        Ok(Self { name, given, content, file })
    }

    /// Reads several, of which no two have the same name.
    pub fn load_all(given: &[String]) -> Result<Vec<Self>> {
        let scenarios: Vec<_> = given.iter().map(|one| Self::load(one)).collect::<Result<_>>()?;
        for (place, one) in scenarios.iter().enumerate() {
            if let Some(other) = scenarios[..place].iter().find(|other| other.name == one.name) {
                let (one, other) = (one.file.display(), other.file.display());
                bail!("{one} and {other} have the same name, and so the same results: rename one");
            }
        }
        Ok(scenarios)
    }

    /// Its stream, if it has one.
    pub fn stream(&self) -> Result<&Stream> {
        match &self.content {
            Content::Rows(settings) => Ok(&settings.stream),
            Content::Latency(settings) => Ok(&settings.stream),
            Content::Growth(settings) => Ok(&settings.stream),
            Content::Backlog(settings) => Ok(&settings.stream),
            Content::Butler(_) => bail!("{} has no stream of rows", self.name),
        }
    }

    /// The rows of a transaction.
    pub fn rows_per_commit(&self) -> u64 {
        match &self.content {
            Content::Rows(settings) => settings.rows_per_commit,
            Content::Growth(settings) => settings.rows_per_commit,
            _ => rows_per_commit(),
        }
    }
}

impl Content {
    fn read(file: &Path) -> Result<Self> {
        let mut content = match file::read::<Head>(file)?.kind {
            Kind::Rows => Self::Rows(file::read(file)?),
            Kind::Butler => Self::Butler(file::read(file)?),
            Kind::Latency => Self::Latency(file::read(file)?),
            Kind::Growth => Self::Growth(file::read(file)?),
            Kind::Backlog => Self::Backlog(file::read(file)?),
        };
        content.complete(file).with_context(|| file.display().to_string())?;
        Ok(content)
    }

    /// Reads what the file refers to, and checks all of it.
    fn complete(&mut self, file: &Path) -> Result<()> {
        match self {
            Self::Rows(settings) => {
                settings.stream.load(file)?;
                settings.check()
            }
            Self::Butler(settings) => settings.check(),
            Self::Latency(settings) => {
                settings.stream.load(file)?;
                settings.check()
            }
            Self::Growth(settings) => {
                settings.stream.load(file)?;
                settings.check()
            }
            Self::Backlog(settings) => {
                settings.stream.load(file)?;
                settings.check()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Scenario;
    use crate::file;

    #[test]
    fn all_that_come_with_it_can_be_read() {
        let mut count = 0;
        for entry in fs::read_dir(file::folder().join("scenarios")).unwrap() {
            let path = entry.unwrap().path();
            let by_path = Scenario::load(path.to_str().unwrap()).unwrap();
            assert_eq!(Scenario::load(&by_path.name).unwrap().file, path);
            count += 1;
        }
        assert!(count >= 11, "{count}");
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let error = Scenario::load("unheard-of").unwrap_err().to_string();
        assert!(error.contains("scenarios/unheard-of.toml"), "{error}");
        let twice = ["plain", "plain"].map(str::to_owned);
        let error = Scenario::load_all(&twice).unwrap_err().to_string();
        assert!(error.contains("the same name"), "{error}");
    }
}
