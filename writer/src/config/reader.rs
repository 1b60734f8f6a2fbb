//! Reads settings out of a TOML file and the environment, and collects every problem.
//!
//! A variable `FOREBAY_<SECTION>_<KEY>` wins over the file. Whatever is there and was never asked
//! for is a problem too, so a misspelt key is never silently ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};
use super::setting::{Setting, Value};

/// Environment variables by name.
pub type Variables = BTreeMap<String, String>;

/// What all of the writer's environment variables begin with.
pub const PREFIX: &str = "FOREBAY_";

/// How alike a word must be to a known one to be taken for a slip of it (Jaro-Winkler).
const ALIKE: f64 = 0.85;

/// A configuration file and the environment, being read.
pub struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    table: DeTable<'a>,
    variables: &'a Variables,
    asked: BTreeMap<&'static str, Vec<&'static str>>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Starts to read; syntax errors are the first problems.
    pub fn new(path: &'a Path, text: &'a str, variables: &'a Variables) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            path,
            text,
            table: table.into_inner(),
            variables,
            asked: BTreeMap::new(),
            problems: Vec::new(),
        };
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            let message = format!("not TOML: {}", error.message().trim_end());
            let place = reader.line(start);
            reader.problem(place, message, "correct the syntax of this line");
        }
        reader
    }

    /// Where the file that is read is: relative paths in it begin there.
    pub fn directory(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// The setting `section.key`, if it was given.
    pub fn setting(&mut self, section: &'static str, key: &'static str) -> Option<Setting> {
        let asked = self.asked.entry(section).or_default();
        if !asked.contains(&key) {
            asked.push(key);
        }
        let name = format!("{section}.{key}");
        let variable = format!("{PREFIX}{section}_{key}").to_uppercase();
        if let Some(text) = self.variables.get(&variable) {
            let value = Value::Variable(text.clone());
            return Some(Setting { name, value, place: Place::Variable(variable) });
        }
        let item = self.table.get(section)?.get_ref().as_table()?.get(key)?;
        let place = self.line(item.span().start);
        let Some(value) = Value::from_toml(item.get_ref()) else {
            let message = format!("{name} is {}", item.get_ref().type_str());
            self.problem(place, message, "give a string, a number or a list of strings");
            return None;
        };
        Some(Setting { name, value, place })
    }

    /// Takes note of a problem.
    pub fn problem(&mut self, place: Place, message: impl Into<String>, advice: impl Into<String>) {
        self.problems.push(Problem { place, message: message.into(), advice: advice.into() });
    }

    /// Takes note that a setting is missing: where its section begins, or in the whole file.
    pub fn missing(&mut self, section: &'static str, key: &'static str, example: &str) {
        let begins = self
            .table
            .iter()
            .find(|(name, _)| name.get_ref() == section)
            .map(|(name, _)| name.span());
        let place = match begins {
            Some(span) => self.line(span.start),
            None => Place::File(self.path.to_owned()),
        };
        let variable = format!("{PREFIX}{section}_{key}").to_uppercase();
        self.problem(
            place,
            format!("{section}.{key} is missing"),
            format!("add `{key} = {example}` under [{section}], or set {variable}"),
        );
    }

    /// Ends reading: what was never asked for is a problem. Gives all problems, in the order of the
    /// file.
    pub fn finish(mut self) -> Vec<Problem> {
        let mut unknown = Vec::new();
        for (section, content) in &self.table {
            let Some(keys) = self.asked.get(section.get_ref().as_ref()) else {
                let known = self.asked.keys().copied();
                unknown.push((
                    self.line(section.span().start),
                    format!("there is no section or key `{}`", section.get_ref()),
                    did_you_mean(section.get_ref(), known),
                ));
                continue;
            };
            let DeValue::Table(content) = content.get_ref() else {
                unknown.push((
                    self.line(section.span().start),
                    format!("`{}` is a section, not a value", section.get_ref()),
                    format!("write [{}] on a line of its own", section.get_ref()),
                ));
                continue;
            };
            for key in content.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
                unknown.push((
                    self.line(key.span().start),
                    format!("there is no setting `{}.{}`", section.get_ref(), key.get_ref()),
                    did_you_mean(key.get_ref(), keys.iter().copied()),
                ));
            }
        }
        unknown.extend(self.unknown_variables());
        for (place, message, advice) in unknown {
            self.problem(place, message, advice);
        }
        let line = |problem: &Problem| match problem.place {
            Place::File(_) => 0,
            Place::Line { line, .. } => line,
            Place::Variable(_) => usize::MAX,
        };
        self.problems.sort_by_key(line);
        self.problems
    }

    /// Variables that look like a slip of a setting's. Others that begin alike are let be: a
    /// cluster puts `FOREBAY_SERVICE_HOST` and the like into every process beside a service of
    /// that name.
    fn unknown_variables(&self) -> Vec<(Place, String, String)> {
        let known: Vec<String> = self
            .asked
            .iter()
            .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}_{key}")))
            .map(|name| format!("{PREFIX}{name}").to_uppercase())
            .collect();
        let sections: Vec<String> =
            self.asked.keys().map(|name| format!("{PREFIX}{name}_").to_uppercase()).collect();
        self.variables
            .keys()
            .filter(|name| sections.iter().any(|section| name.starts_with(section.as_str())))
            .filter(|name| !known.contains(name))
            .filter_map(|name| {
                let meant = closest(name, known.iter().map(String::as_str), 0.93)?;
                Some((
                    Place::Variable(name.clone()),
                    "there is no such setting".to_owned(),
                    format!("did you mean {meant}?"),
                ))
            })
            .collect()
    }

    fn line(&self, byte: usize) -> Place {
        let line = 1 + self.text.bytes().take(byte).filter(|byte| *byte == b'\n').count();
        Place::Line { path: self.path.to_owned(), line }
    }
}

fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match closest(word, known.clone(), ALIKE) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>, alike: f64) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(likeness, _)| *likeness > alike)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
