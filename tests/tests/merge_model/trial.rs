//! One stream on both sides.

use std::collections::BTreeMap;

use anyhow::{Context, Error, Result, bail};
use rand::{Rng, rngs::StdRng};
use tokio_postgres::Client;

use crate::ddl::{Copy, columns};
use crate::merge::{Merge, Rejection};
use crate::reference::{self, Rejections};
use crate::schema::{Origin, Schema};
use crate::stream::Event;
use crate::tally::Tally;

/// A schema that is there twice, and the merge of one of the copies.
pub struct Trial<'a, 'b> {
    client: &'a Client,
    schema: &'a Schema,
    merge: &'a mut Merge<'b>,
}

/// How the merge and the reference differ, in words.
pub type Difference = String;

impl<'a, 'b> Trial<'a, 'b> {
    /// Makes both copies.
    pub async fn prepare(
        client: &'a Client,
        schema: &'a Schema,
        merge: &'a mut Merge<'b>,
    ) -> Result<Self> {
        for sql in [schema.create(Copy::Merged), schema.create(Copy::Reference), schema.register()]
        {
            client.batch_execute(&sql).await.with_context(|| sql.clone())?;
        }
        Ok(Self { client, schema, merge })
    }

    /// Now and then few rows are too few for a set, rows are taken for new, changed or stored, and are said
    /// to be ordered, so that all ways are met.
    pub async fn randomize_ways(&mut self, rng: &mut StdRng) -> Result<()> {
        let rows = [0, 0, 0, 8, 1000][rng.random_range(0..5)];
        let expected = ["", "", "new", "new", "changed", "same"][rng.random_range(0..6)];
        let set_based = rng.random_bool(0.7);
        self.merge.say_ordered(rng.random_bool(0.5));
        let sql = format!(
            "set forebay.walk_below = {rows}; set forebay.expected = '{expected}';
             set forebay.set_based_foreign_keys = {set_based}"
        );
        self.client.batch_execute(&sql).await?;
        Ok(())
    }

    /// Applies a stream to both, walking only what must be walked, with the merge and with a mutant of
    /// it. Answers how the mutant shows, if it does: in the outcome, or, for `dead_parents`, whose
    /// children the foreign keys themselves catch, in what the merge does not foresee any more.
    pub async fn run_mutant(
        &mut self,
        mutant: &str,
        batches: &[Vec<Event>],
    ) -> Result<Option<Difference>> {
        let (mut sane, mut mutated) = (Tally::default(), Tally::default());
        let expected = match mutant {
            "unseen_changes" => "same",
            "uncounted_updates" => "changed",
            _ => "",
        };
        let sql = format!(
            "set forebay.walk_below = 0; set forebay.expected = '{expected}'; reset forebay.mutant;
             reset forebay.set_based_foreign_keys"
        );
        self.client.batch_execute(&sql).await?;
        if let Some(difference) = self.run(batches, &mut sane).await? {
            bail!("without the mutant: {difference}");
        }
        self.client.batch_execute(&format!("set forebay.mutant = '{mutant}'")).await?;
        let difference = self.run(batches, &mut mutated).await?;
        let foresees_less = mutant == "dead_parents" && mutated.unforeseen > sane.unforeseen;
        Ok(difference.or_else(|| foresees_less.then(|| "it foresees less".to_owned())))
    }

    /// Applies a stream to both, from nothing, and compares.
    pub async fn run(
        &mut self,
        batches: &[Vec<Event>],
        tally: &mut Tally,
    ) -> Result<Option<Difference>> {
        tally.count_stream(self.schema);
        self.client.batch_execute(&self.schema.empty()).await.context("empty")?;
        let events: Vec<_> = batches.iter().flatten().collect();
        let expected = reference::apply(self.client, self.schema, &events).await?;
        let mut rejected = BTreeMap::new();
        let mut first = 0;
        for batch in batches {
            let answer = match self.merge.apply(self.schema, batch).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Some(raised(&error))),
            };
            tally.count(batch.len(), &answer);
            rejected.extend(answer.rejected.into_iter().map(|one| (first + one.event, one)));
            first += batch.len();
        }
        if let Some(difference) = compare_rejections(&expected, &rejected, tally) {
            return Ok(Some(difference));
        }
        self.compare_rows().await
    }

    async fn compare_rows(&self) -> Result<Option<Difference>> {
        for table in &self.schema.tables {
            let compared: Vec<_> = (0..table.columns.len())
                .filter(|place| table.columns[*place].origin != Origin::Identity)
                .collect();
            let rows = |copy| {
                let name = self.schema.table_name(copy, table);
                format!("select row({})::text as r from {name}", columns(table, &compared))
            };
            let sql = format!(
                "with merged as ({}), expected as ({}),
                 more as (select r from merged except all select r from expected),
                 missing as (select r from expected except all select r from merged)
                 select (select string_agg(r, ' ') from more), (select string_agg(r, ' ') from missing)",
                rows(Copy::Merged),
                rows(Copy::Reference)
            );
            let row = self.client.query_one(&sql, &[]).await.context("compare")?;
            let (more, missing): (Option<String>, Option<String>) = (row.get(0), row.get(1));
            if more.is_some() || missing.is_some() {
                let name = &table.name;
                let difference = format!("{name} holds {more:?}, and should hold {missing:?}");
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    /// Leaves out events and rows as long as the sides still differ.
    pub async fn shrink(&mut self, mut batches: Vec<Vec<Event>>) -> Result<Vec<Vec<Event>>> {
        let mut place = 0;
        while let Some(smaller) = without(&batches, place) {
            if self.run(&smaller, &mut Tally::default()).await?.is_some() {
                batches = smaller;
            } else {
                place += 1;
            }
        }
        Ok(batches)
    }
}

/// An error of the merge, without the extension's backtrace.
fn raised(error: &Error) -> String {
    match error.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.as_db_error()) {
        Some(error) => format!("the merge raises {}: {}", error.code().code(), error.message()),
        None => format!("{error:#}"),
    }
}

/// The stream without its event or row number `place`, counted from the end: first the events,
/// then the rows of the events that have several.
fn without(batches: &[Vec<Event>], place: usize) -> Option<Vec<Vec<Event>>> {
    let mut smaller = batches.to_vec();
    let mut left = place;
    for batch in smaller.iter_mut().rev() {
        if left < batch.len() {
            let event = batch.len() - 1 - left;
            batch.remove(event);
            smaller.retain(|batch| !batch.is_empty());
            return Some(smaller);
        }
        left -= batch.len();
    }
    for event in smaller.iter_mut().flatten().filter(|event| event.rows.len() > 1) {
        if left < event.rows.len() {
            event.rows.remove(left);
            return Some(smaller);
        }
        left -= event.rows.len();
    }
    None
}

/// The same events must be rejected, each for something that is wrong with it. A row that the
/// reference could not make may break any constraint besides; other rows show at least the class.
fn compare_rejections(
    expected: &Rejections,
    rejected: &BTreeMap<usize, Rejection>,
    tally: &mut Tally,
) -> Option<Difference> {
    let missed = expected.iter().find(|(event, _)| !rejected.contains_key(event));
    if let Some((event, violations)) = missed {
        return Some(format!(
            "event {event} is merged, and rejected by the reference: {violations:?}"
        ));
    }
    let wronged = rejected.iter().find(|(event, _)| !expected.contains_key(event));
    if let Some((event, rejection)) = wronged {
        return Some(format!("event {event} is rejected, and not by the reference: {rejection:?}"));
    }
    for (event, violations) in expected {
        let rejection = &rejected[event];
        let is_seen = violations.iter().any(|(state, _)| match &rejection.sqlstate[..2] {
            "23" => state.starts_with("23") || state.starts_with("22"),
            // A row that names no version may have a null key besides.
            "22" if rejection.sqlstate == "22004" => matches!(state.as_str(), "22004" | "23502"),
            _ => *state == rejection.sqlstate,
        });
        if !is_seen {
            let difference =
                format!("event {event}: {rejection:?}, and the reference {violations:?}");
            return Some(difference);
        }
        tally.reasons += 1;
        tally.exact_reasons += usize::from(violations.iter().any(|(state, constraint)| {
            *state == rejection.sqlstate
                && (constraint.is_empty() || rejection.constraint.as_ref() == Some(constraint))
        }));
    }
    None
}
