//! A Butler repository whose files are in a directory, or in an S3 store.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use forebay_tests::{
    Database, Delivery, Message, ObjectStore, Producer, Stack, Topic, Writer, WriterConfig,
    butler_sample, dead_letter::DeadLetter, metrics::Metrics, wait,
};

use crate::event::{Event, bytes_of};

pub const SOURCE: &str = "butler";

/// What has the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    Bucket,
}

/// Repository, topic, and the places of the files. An object of the store is a file by its key, so that
/// both kinds are looked at in the same way.
pub struct Site {
    stack: Stack,
    pub kind: Kind,
    pub database: Database,
    topic: Topic,
    producer: Producer,
    config: WriterConfig,
    pub store: Option<ObjectStore>,
    base: PathBuf,
    pub events: Vec<Event>,
}

impl Site {
    /// The bootstrap event, which all others need, is merged already.
    pub async fn create(kind: Kind, prefix: &str) -> Result<Self> {
        let stack = Stack::from_env()?;
        let database = Database::create(&stack, prefix).await?;
        database.load(&butler_sample::schema()).await?;
        let register = "select forebay.butler_add_targets()";
        database.primary().batch_execute(register).await.context("register the tables")?;
        let topic = Topic::create(stack.kafka(), prefix, 1).await?;
        let config = WriterConfig::new(&stack, &database, SOURCE, &topic).butler("public");
        let config = config.set("rejections.max_share", 1.0);
        let mut sample = butler_sample::events()?;
        let producer = Producer::new(stack.kafka())?;
        let bootstrap = producer.send(&topic, 0, None, Some(&sample.remove(0))).await?;
        let mut writer = Writer::start(&stack, config.clone())?;
        database.wait_until_merged(SOURCE, &topic, bootstrap).await?;
        writer.stop().await?;

        let directory = stack.directory(prefix)?;
        let (store, base) = match kind {
            Kind::Directory => (None, directory),
            Kind::Bucket => {
                let store = ObjectStore::create(&directory.join("s3")).await?;
                let base = store.bucket();
                (Some(store), base)
            }
        };
        let events = sample.iter().map(|payload| Event::read(payload)).collect::<Result<_>>()?;
        let site = Self { stack, kind, database, topic, producer, config, store, base, events };
        for root in [site.root(), site.staging_root()] {
            fs::create_dir_all(&root)?;
            fs::write(root.join("butler.yaml"), "")?;
        }
        Ok(site)
    }

    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Where the files of the root are.
    pub fn root(&self) -> PathBuf {
        self.base.join("data")
    }

    /// Where staged files are.
    pub fn staging_root(&self) -> PathBuf {
        self.base.join("staged")
    }

    /// What a writer calls a root.
    pub fn uri(&self, name: &str) -> String {
        match self.kind {
            Kind::Directory => format!("file://{}", self.base.join(name).display()),
            Kind::Bucket => format!("s3://{}/{name}", ObjectStore::BUCKET),
        }
    }

    /// A writer that looks for files, and copies none.
    pub fn checking(&self) -> WriterConfig {
        let config = self.config.clone().set("files.root", self.uri("data"));
        match &self.store {
            Some(store) => store.log_in(config),
            None => config,
        }
    }

    /// A writer that copies staged files.
    pub fn staging(&self) -> WriterConfig {
        self.checking().set("files.staging_root", self.uri("staged"))
    }

    pub fn start(&self, config: WriterConfig) -> Result<Writer> {
        Writer::start(&self.stack, config)
    }

    pub async fn send(&self, events: &[Event]) -> Result<Vec<Delivery>> {
        let payloads: Vec<Vec<u8>> = events.iter().map(Event::payload).collect();
        let messages =
            payloads.iter().map(|payload| Message { payload: Some(payload), ..Message::default() });
        self.producer.send_all(&self.topic, messages).await
    }

    pub async fn wait_until_merged(&self, sent: &[Delivery], writer: &Writer) -> Result<()> {
        let merged = self.database.wait_until_all_merged(SOURCE, &self.topic, sent).await;
        merged.with_context(|| writer.output().tail())
    }

    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        self.database.dead_letters(SOURCE).await
    }

    /// How many of the event's datasets the repository has, each with its record of the file.
    pub async fn datasets(&self, event: &Event) -> Result<usize> {
        let sql = "select count(*) from dataset join file_datastore_records r on r.dataset_id = id \
                   where id::text = any ($1)";
        let row = self.database.primary().query_one(sql, &[&event.ids()]).await?;
        Ok(usize::try_from(row.get::<_, i64>(0))?)
    }

    /// Checks that the whole event is merged, once.
    pub async fn check_merged(&self, event: &Event) -> Result<()> {
        assert_eq!(self.datasets(event).await?, event.ids().len());
        Ok(())
    }

    /// How many staged files are still to be removed.
    pub async fn removals(&self) -> Result<i64> {
        let sql = "select coalesce(sum(cardinality(paths)), 0) from forebay.file_removal";
        Ok(self.database.primary().query_one(sql, &[]).await?.get(0))
    }

    /// Waits until all staged files are removed that are to go.
    pub async fn wait_until_removed(&self, writer: &Writer) -> Result<()> {
        wait::until("staged files to be removed", || async {
            Ok((self.removals().await? == 0).then_some(()))
        })
        .await
        .with_context(|| writer.output().tail())
    }

    /// Waits until the store has failed at this step so often.
    pub async fn wait_for_failures(&self, writer: &Writer, step: &str, count: f64) -> Result<()> {
        wait::until(format!("failures to {step}"), || async move {
            // It may not listen yet.
            let Ok(metrics) = Metrics::of(writer).await else { return Ok(None) };
            let failures = metrics.sum("forebay_file_failures_total", &[("step", step)]);
            Ok((failures.unwrap_or(0.0) >= count).then_some(()))
        })
        .await
        .with_context(|| writer.output().tail())
    }
}

/// Writes all files of an event below a root.
pub fn fill(root: &Path, event: &Event) -> Result<()> {
    event.paths().iter().try_for_each(|path| put(root, path, &bytes_of(path)))
}

/// Writes one file.
pub fn put(root: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let place = root.join(path);
    fs::create_dir_all(place.parent().context("no parent")?)?;
    fs::write(&place, bytes).with_context(|| format!("write {}", place.display()))
}

/// Reads one file, if there is one.
pub fn get(root: &Path, path: &str) -> Option<Vec<u8>> {
    fs::read(root.join(path)).ok()
}

/// Checks that all files of an event are below a root, with their bytes.
pub fn check_all(root: &Path, event: &Event) -> Result<()> {
    for path in event.paths() {
        let found = get(root, &path);
        ensure!(found == Some(bytes_of(&path)), "{path} below {}: {found:?}", root.display());
    }
    Ok(())
}

/// All files below a root but the one that makes it a root, sorted.
pub fn files_below(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                directories.push(path);
            } else {
                files.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
    }
    files.retain(|file| file != "butler.yaml");
    files.sort_unstable();
    Ok(files)
}

/// All paths of events, sorted, each once.
pub fn all_paths<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<String> {
    let mut paths: Vec<String> = events.into_iter().flat_map(Event::paths).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}
