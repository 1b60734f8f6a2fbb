//! `forebay check`: looks at broker, primary and replicas, and says every problem at once.

mod broker;
mod files;
mod outbox;
mod primary;
mod replica;

use std::fmt;
use std::io::Write as _;

use crate::config::Config;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: Kind,
    place: String,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Note,
    Problem,
}

impl Finding {
    /// It is as it should be.
    fn good(place: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { kind: Kind::Good, place: place.into(), message: message.to_string() }
    }

    /// It may be as it should be; a person should know.
    fn note(place: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { kind: Kind::Note, place: place.into(), message: message.to_string() }
    }

    /// It keeps the writer, or a reader, from working.
    fn problem(place: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { kind: Kind::Problem, place: place.into(), message: message.to_string() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Good => "ok",
            Kind::Note => "note",
            Kind::Problem => "problem",
        };
        write!(f, "{kind}: {}: {}", self.place, self.message)
    }
}

/// Looks at everything, prints what it found, and says whether all is as it should be.
pub async fn check(config: &Config) -> bool {
    let (broker, primary, replicas, outbox, files) = tokio::join!(
        broker::look(config),
        primary::look(config),
        replica::look_at_all(config),
        outbox::look(config),
        files::look(config)
    );
    let findings: Vec<Finding> = [broker, primary, replicas, outbox, files].concat();
    let problems = findings.iter().filter(|finding| finding.kind == Kind::Problem).count();
    let mut stdout = std::io::stdout().lock();
    for finding in &findings {
        // The exit code tells as much if nobody reads.
        let _ = writeln!(stdout, "{finding}");
    }
    let plural = if problems == 1 { "problem" } else { "problems" };
    let _ = writeln!(stdout, "{problems} {plural}");
    problems == 0
}
