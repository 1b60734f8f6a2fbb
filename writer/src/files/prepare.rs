//! Gets the files of a batch ready for its merge.

use std::borrow::Cow;
use std::collections::BTreeMap;

use futures_util::FutureExt as _;

use super::Files;
use super::directory::UNFINISHED;
use super::lanes::in_parallel;
use super::look::{Found, Look, StoreError};
use super::standing::{Facts, Mention, Standing};
use crate::decode::files_of;
use crate::event_batch::EventBatch;
use crate::failpoint;
use crate::reject::Refused;
use crate::rejection::{Rejection, SqlState};

/// What came of it.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The events that have to be rejected for their files.
    pub refused: Vec<Refused>,
    /// Files that are in their final places, and staged as well.
    pub staged: Vec<StagedFile>,
}

/// A staged file whose bytes are in the final place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Relative to both roots.
    pub path: String,
    /// Which file it was.
    pub version: String,
    /// The events that name it.
    pub events: Vec<i32>,
}

/// A file that was looked at, with what its events say of it.
#[derive(Debug)]
struct Looked<'a> {
    path: &'a str,
    mentions: &'a [Mention],
    standing: Standing,
}

/// The files of a batch, each with what its events say of it.
#[derive(Debug, Default)]
struct Named<'a> {
    mentions: BTreeMap<Cow<'a, str>, Vec<Mention>>,
    refusals: Refusals,
}

/// Events to reject, each for the first of its files that is to blame.
#[derive(Debug, Default)]
struct Refusals(BTreeMap<i32, (usize, Rejection)>);

impl Files {
    /// Looks at the files of a batch, which must be sealed, and copies those that are staged. An
    /// event that has to be rejected is, with none of its files copied for it.
    ///
    /// # Errors
    /// What keeps the store from answering. It can be called again.
    pub async fn prepare(&self, batch: &EventBatch) -> Result<Prepared, StoreError> {
        let Named { mentions, mut refusals } = self.named(batch);
        let mentions: Vec<(Cow<'_, str>, Vec<Mention>)> = mentions.into_iter().collect();
        let files = self.look_at_all(&mentions).await?;
        for Looked { path, mentions, standing } in &files {
            for mention in *mentions {
                let rejection = standing.contradicts(mention, path, &self.config);
                self.count(standing, rejection.is_some());
                if let Some(rejection) = rejection {
                    refusals.add(mention.event, mention.file, rejection);
                }
            }
        }
        let is_named =
            |file: &&Looked<'_>| file.mentions.iter().any(|mention| !refusals.has(mention.event));
        let files: Vec<&Looked<'_>> = files.iter().filter(is_named).collect();
        self.put_all_in_place(&files).await?;
        failpoint::hit(failpoint::FILES_BEFORE_STAGE).await;
        let staged = files.into_iter().filter_map(|file| {
            let version = file.standing.staged()?.version.clone();
            let events = file.mentions.iter().map(|mention| mention.event);
            let events = events.filter(|event| !refusals.has(*event)).collect();
            Some(StagedFile { path: file.path.to_owned(), version, events })
        });
        Ok(Prepared { staged: staged.collect(), refused: refusals.into_refused() })
    }

    fn named<'a>(&self, batch: &'a EventBatch) -> Named<'a> {
        let mut named = Named::default();
        let mut undecoded = batch.rejections().map(|(event, _)| event).peekable();
        for event in 0..i32::try_from(batch.event_count()).unwrap_or(i32::MAX) {
            if undecoded.next_if_eq(&event).is_some() {
                continue;
            }
            let payload = batch.event(event).and_then(|event| event.payload).unwrap_or_default();
            match files_of(payload, &self.config.datastore_root) {
                Ok(files) => {
                    for (file, of_event) in files.into_iter().enumerate() {
                        let mention = Mention {
                            event,
                            file,
                            size: of_event.size,
                            checksum: of_event.checksum,
                        };
                        named.mentions.entry(of_event.path).or_default().push(mention);
                    }
                }
                Err(rejection) => named.refusals.add(event, 0, rejection),
            }
        }
        named
    }

    async fn look_at_all<'a>(
        &'a self,
        mentions: &'a [(Cow<'a, str>, Vec<Mention>)],
    ) -> Result<Vec<Looked<'a>>, StoreError> {
        let look = |(path, mentions): &'a (Cow<'a, str>, Vec<Mention>)| {
            async move {
                let _place = self.places.acquire().await;
                let is_summed = mentions.iter().any(|mention| mention.checksum.is_some());
                let standing = self.look_at(path, is_summed).await?;
                Ok(Looked { path, mentions, standing })
            }
            .boxed()
        };
        let looked = in_parallel(mentions, self.config.parallelism, look).await;
        let looked = looked.inspect_err(|_| self.failed("look"))?;
        if looked.iter().any(|file| file.standing == Standing::Missing) {
            self.store.probe().await.inspect_err(|_| self.failed("look"))?;
        }
        Ok(looked)
    }

    async fn put_all_in_place<'a>(&'a self, files: &'a [&Looked<'a>]) -> Result<(), StoreError> {
        let put = |file: &'a &Looked<'a>| self.put_in_place(file.path, &file.standing).boxed();
        let put = in_parallel(files, self.config.parallelism, put).await;
        put.map(drop).inspect_err(|_| self.failed("copy"))
    }

    /// Looks where a file stands. Checksums are computed of what may be copied alone, and if an event
    /// says one.
    async fn look_at(&self, path: &str, is_summed: bool) -> Result<Standing, StoreError> {
        if path.split('/').any(|segment| segment.starts_with(UNFINISHED)) {
            return Ok(Standing::Unfit(format!("has a name that begins with {UNFINISHED}")));
        }
        let last = self.store.look(path).await?;
        let staged = self.store.look_staged(path).await?;
        let is_summed = is_summed && self.config.staging_root.is_some();
        match (last, staged) {
            (Look::Unfit(reason), _) => Ok(Standing::Unfit(reason)),
            (_, Look::Unfit(reason)) => Ok(Standing::UnfitStaged(reason)),
            (Look::Missing, Look::Missing) => Ok(Standing::Missing),
            (Look::File(found), Look::Missing) => {
                let checksum = match is_summed {
                    true => Some(self.store.checksum(path, &found).await?),
                    false => None,
                };
                Ok(Standing::Final(Facts { size: found.size, checksum }))
            }
            (Look::Missing, Look::File(found)) => {
                let checksum = match is_summed {
                    true => Some(self.store.checksum_staged(path, &found).await?),
                    false => None,
                };
                Ok(Standing::Staged(Facts { size: found.size, checksum }, found))
            }
            (Look::File(found), Look::File(staged)) => self.compare(path, &found, staged).await,
        }
    }

    async fn compare(
        &self,
        path: &str,
        found: &Found,
        staged: Found,
    ) -> Result<Standing, StoreError> {
        if self.store.is_one_file(found, &staged) {
            let reason = "is the same file as the one in the final place".to_owned();
            return Ok(Standing::UnfitStaged(reason));
        }
        if found.size != staged.size {
            return Ok(Standing::Different);
        }
        let checksum = self.store.checksum_staged(path, &staged).await?;
        if checksum != self.store.checksum(path, found).await? {
            return Ok(Standing::Different);
        }
        Ok(Standing::Both(Facts { size: found.size, checksum: Some(checksum) }, staged))
    }

    async fn put_in_place(&self, path: &str, standing: &Standing) -> Result<(), StoreError> {
        let _place = self.places.acquire().await;
        match standing {
            Standing::Staged(facts, found) => {
                self.store.copy(path, found).await?;
                self.metrics.files_copied.inc();
                self.metrics.files_copied_bytes.inc_by(facts.size);
                Ok(())
            }
            Standing::Both(..) => self.store.sweep(path).await,
            _ => Ok(()),
        }
    }

    fn count(&self, standing: &Standing, is_rejected: bool) {
        let outcome = match standing {
            Standing::Missing => "missing",
            _ if is_rejected => "rejected",
            Standing::Staged(..) => "staged",
            _ => "present",
        };
        self.metrics.files_checked.with_label_values(&[outcome]).inc();
    }

    pub(super) fn failed(&self, step: &str) {
        self.metrics.file_failures.with_label_values(&[step]).inc();
    }
}

impl Refusals {
    fn add(&mut self, event: i32, file: usize, rejection: Rejection) {
        match self.0.get(&event) {
            Some((first, _)) if *first <= file => {}
            _ => {
                let within = match rejection.sqlstate {
                    SqlState::FILE_MISSING | SqlState::FILE_UNFIT | SqlState::FILE_DIFFERENT => {
                        rejection.within(format_args!("datasets[{file}]"))
                    }
                    _ => rejection,
                };
                self.0.insert(event, (file, within));
            }
        }
    }

    fn has(&self, event: i32) -> bool {
        self.0.contains_key(&event)
    }

    fn into_refused(self) -> Vec<Refused> {
        let refused = |(event, (_, rejection)): (i32, (usize, Rejection))| Refused {
            event,
            reason: (&rejection).into(),
        };
        self.0.into_iter().map(refused).collect()
    }
}
