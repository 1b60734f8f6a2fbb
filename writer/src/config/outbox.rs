//! Section `[outbox]`.

use std::path::PathBuf;

use bytesize::ByteSize;

use super::database::parse;
use super::{DatabaseConfig, Dsn, FormatConfig, Reader, Secret, SourceConfig, value};

/// Where merged batches are told of, and how.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// The topic.
    pub topic: String,
    /// What its messages name as the service that the datasets come from.
    pub origin: String,
    /// Where the ids are written; none: they stand in the messages.
    pub files: Option<BatchFiles>,
    /// The length of a message at most; ids that don't fit go into the next one.
    pub max_message_bytes: ByteSize,
    /// A batch is told of when all of these have replayed it.
    pub replicas: Vec<Dsn>,
}

/// Files with the ids of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFiles {
    /// Where they are written.
    pub directory: PathBuf,
    /// What a message has in front of a file's name.
    pub prefix: String,
}

const SECTION: &str = "outbox";

/// As the service that Forebay replaces calls itself.
const ORIGIN: &str = "prompt_processing";

/// None if nothing is published, or something is wrong.
pub(super) fn outbox(
    reader: &mut Reader<'_>,
    source: Option<&SourceConfig>,
    database: Option<&DatabaseConfig>,
    format: Option<&FormatConfig>,
) -> Option<OutboxConfig> {
    let topic = value::text(reader, SECTION, "topic");
    let origin = value::text(reader, SECTION, "origin");
    let directory = value::text(reader, SECTION, "directory");
    let prefix = value::text(reader, SECTION, "file_prefix");
    let range = (ByteSize::kib(64), ByteSize::mib(64));
    let max_message_bytes =
        value::size(reader, SECTION, "max_message_bytes", ByteSize::kib(512), range);
    let replicas = replicas(reader, database);
    let Some(topic) = topic else {
        require_topic(reader);
        return None;
    };
    if let Some(setting) = reader.setting(SECTION, "topic") {
        if source.is_some_and(|source| source.topics.contains(&topic)) {
            let message = format!("{} is one of source.topics", setting.name);
            reader.problem(setting.place, message, "name another one, or it would read its own");
        } else if format.is_some_and(|format| !matches!(format, FormatConfig::Butler { .. })) {
            let message = format!("{} is given, and this format has nothing to say", setting.name);
            reader.problem(setting.place, message, "remove it, or set format.kind to \"butler\"");
        }
    }
    if directory.is_none()
        && let Some(setting) = reader.setting(SECTION, "file_prefix")
    {
        let message = format!("{} is given without outbox.directory", setting.name);
        reader.problem(setting.place, message, "name the directory, or remove it");
    }
    let base = reader.directory();
    let files = directory.map(|directory| BatchFiles {
        directory: base.join(directory),
        prefix: prefix.unwrap_or_default(),
    });
    let origin = origin.unwrap_or_else(|| ORIGIN.to_owned());
    Some(OutboxConfig { topic, origin, files, max_message_bytes, replicas })
}

/// Whoever sets something of the outbox wants to publish.
fn require_topic(reader: &mut Reader<'_>) {
    if reader.setting(SECTION, "topic").is_some() {
        return;
    }
    let others = ["origin", "directory", "file_prefix", "max_message_bytes", "replicas"];
    if others.into_iter().any(|key| reader.setting(SECTION, key).is_some()) {
        reader.missing(SECTION, "topic", "\"…\"");
    }
}

/// The password of the primary's user is also theirs, unless they have one.
fn replicas(reader: &mut Reader<'_>, database: Option<&DatabaseConfig>) -> Vec<Dsn> {
    let texts = value::list(reader, SECTION, "replicas").unwrap_or_default();
    let Some(place) = reader.setting(SECTION, "replicas").map(|setting| setting.place) else {
        return Vec::new();
    };
    let mut dsns = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let name = format!("outbox.replicas[{index}]");
        let Some(mut dsn) = parse(reader, text, &name, place.clone()) else { continue };
        let primary = database.map(|database| database.dsn.parameters());
        if let Some(primary) = primary
            && let Some(password) = primary.get_password()
            && primary.get_user() == dsn.parameters().get_user()
            && !dsn.has_password()
        {
            dsn.set_password(&Secret::new(String::from_utf8_lossy(password).into_owned()));
        }
        dsns.push(dsn);
    }
    dsns
}
