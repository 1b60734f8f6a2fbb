//! One batch, one transaction.

use std::time::Instant;

use super::{PreparedFiles, Worker};
use crate::acknowledge::{Committed, Steps};
use crate::dead_letter;
use crate::event_batch::{BatchPosition, EventBatch};
use crate::failpoint;
use crate::failure::Failure;
use crate::files::record_removals;
use crate::merge::{MergeAnswer, merge};
use crate::outbox;
use crate::reject::Rejected;
use crate::resolve::{Lessons, Resolved, finish, register, resolve};
use crate::retry::Place;
use crate::session::Commit;
use crate::stage::{Staged, stage};
use crate::stopped_partition::PartitionStop;

/// How many reasons a message about too many rejections names.
const REASONS: usize = 3;

impl Worker {
    /// Begin, stage, resolve, merge, record, commit. The batch must be sealed, and its files ready. Events that raise the
    /// SQLSTATE `suspected` are rejected, if others are merged.
    ///
    /// # Errors
    /// What went wrong; the transaction may be open then.
    pub(super) async fn transact(
        &self,
        batch: &EventBatch,
        files: &PreparedFiles,
        suspected: Option<&str>,
    ) -> Result<Committed, Failure> {
        let session = self.session();
        let config = &self.surroundings.config;
        let source = config.source.name.as_str();
        let positions = batch.positions();
        let mut steps = Steps { files: files.took, ..Steps::default() };
        let mut rejected = Rejected::default();
        rejected.add_decoded(batch.rejections());

        let mut answer =
            self.apply(batch, files, suspected, &positions, &mut rejected, &mut steps).await?;
        rejected.add(std::mem::take(&mut answer.rejected));
        let mut started = Instant::now();
        let mut lap = || std::mem::replace(&mut started, Instant::now()).elapsed();
        let limit = &config.rejections;
        if rejected.is_too_many(batch.event_count(), limit.max_share, limit.min_events) {
            session.roll_back(Place::Merge).await?;
            return Err(too_many(&rejected, batch));
        }
        dead_letter::record(session, source, batch, &rejected).await?;
        steps.dead_letters = lap();
        if config.outbox.is_some() {
            let (claim, decoder) = (&self.claim, &self.database.decoder);
            outbox::record(session, source, claim, decoder, batch, &rejected).await?;
        }
        steps.outbox = lap();
        if let Some(of_process) = &self.surroundings.files {
            record_removals(session, source, of_process, &files.prepared, &rejected).await?;
        }
        failpoint::hit(failpoint::MERGE_BEFORE_COMMIT).await;
        lap();
        match session.commit().await? {
            Commit::Done => {}
            Commit::Unknown => return Err(Failure::UnknownCommit),
        }
        steps.commit = lap();
        failpoint::hit(failpoint::MERGE_AFTER_COMMIT).await;
        Ok(Committed { positions, answer, rejected, steps })
    }

    /// Begin, stage, resolve, merge; again, if that shows what should have been known before. Adds the
    /// events that the merge did not reject itself.
    async fn apply(
        &self,
        batch: &EventBatch,
        files: &PreparedFiles,
        suspected: Option<&str>,
        positions: &[BatchPosition],
        rejected: &mut Rejected,
        steps: &mut Steps,
    ) -> Result<MergeAnswer, Failure> {
        let (session, decoder) = (self.session(), &self.database.decoder);
        let source = self.surroundings.config.source.name.as_str();
        let mut lessons = Lessons::default();
        lessons.excluded.clone_from(&files.prepared.refused);
        loop {
            let (staged, mut resolved) = self.resolve(batch, &mut lessons, steps).await?;
            failpoint::hit(failpoint::STAGE_BEFORE_MERGE).await;
            let started = Instant::now();
            let claim = &self.claim;
            let answer =
                merge(session, source, claim, decoder, positions, &staged, &resolved, suspected);
            let answer = answer.await?;
            let all = resolved.rejected.iter().chain(&answer.rejected);
            let events: Vec<i32> = all.map(|refused| refused.event).collect();
            let exclude = finish(session, &resolved, &events).await?;
            steps.merge += started.elapsed();
            if exclude.is_empty() {
                rejected.add(std::mem::take(&mut resolved.rejected));
                return Ok(answer);
            }
            session.roll_back(Place::Resolve).await?;
            lessons.exclude(&exclude, answer.rejected)?;
        }
    }

    /// Begin, stage, resolve; registers first what has to be. Among what is rejected are then the events
    /// that staging and earlier tries have rejected.
    async fn resolve(
        &self,
        batch: &EventBatch,
        lessons: &mut Lessons,
        steps: &mut Steps,
    ) -> Result<(Staged, Resolved), Failure> {
        let (session, decoder) = (self.session(), &self.database.decoder);
        loop {
            let started = Instant::now();
            let mut staged = stage(session, decoder, batch).await?;
            steps.stage += started.elapsed();
            let started = Instant::now();
            let mut excluded = lessons.excluded.clone();
            excluded.append(&mut staged.refused);
            let mut resolved = resolve(session, decoder, &staged, lessons, &excluded).await?;
            steps.resolve += started.elapsed();
            if resolved.unregistered.is_empty() {
                resolved.rejected.append(&mut excluded);
                return Ok((staged, resolved));
            }
            session.roll_back(Place::Resolve).await?;
            register(session, decoder, resolved.unregistered, lessons).await?;
        }
    }
}

fn too_many(rejected: &Rejected, batch: &EventBatch) -> Failure {
    let reason = |(number, reason): (i32, &crate::reject::Reason)| {
        let place = batch.event(number).map_or_else(String::new, |event| {
            format!("{}/{} offset {}: ", event.topic, event.partition, event.offset)
        });
        format!("{place}{} (SQLSTATE {})", reason.message, reason.sqlstate)
    };
    let reasons: Vec<String> = rejected.iter().take(REASONS).map(reason).collect();
    let message = format!(
        "{} of a batch's {} events were rejected, more than rejections.max_share allows; the batch \
         was rolled back. The first reasons: {}. Correct the producers, the format or the targets, \
         or raise rejections.max_share to send them to the dead letters; then start the writer again",
        rejected.len(),
        batch.event_count(),
        reasons.join("; "),
    );
    let stop = |position: BatchPosition| PartitionStop {
        topic: position.topic,
        partition: position.partition,
        message: message.clone(),
    };
    Failure::TooManyRejections(batch.positions().into_iter().map(stop).collect())
}
