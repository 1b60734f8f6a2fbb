//! What can end the work of a session, and what to do then.

use rdkafka::error::KafkaError;

use crate::catalog::CatalogError;
use crate::claim::Surprise;
use crate::consume::ConsumeError;
use crate::decode::FormatError;
use crate::extension::Unusable;
use crate::files::StoreError;
use crate::health::Component;
use crate::retry::Verdict;
use crate::server::OldPrimary;
use crate::session::DatabaseError;
use crate::start::StartError;
use crate::stopped_partition::PartitionStop;
use crate::survey::SurveyError;

/// Why a session's work ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database, or the way to it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The extension can't be used.
    #[error(transparent)]
    Extension(#[from] Unusable),
    /// The database can't be used.
    #[error("{0}")]
    Encoding(CatalogError),
    /// The configured format doesn't fit the targets.
    #[error("use the configured format: {0}")]
    Format(#[from] FormatError),
    /// The store that has the files of datasets.
    #[error(transparent)]
    Files(#[from] StoreError),
    /// The broker, or the topics.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// The configured start is none.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The Kafka client can't be made.
    #[error("make a Kafka client: {0}")]
    Client(KafkaError),
    /// A look found progress or the server other than expected.
    #[error("look at progress: {}", join(.0))]
    Surprised(Vec<Surprise>),
    /// The database is one that was left behind.
    #[error(transparent)]
    OldPrimary(#[from] OldPrimary),
    /// The consumer ended.
    #[error(transparent)]
    Consume(#[from] ConsumeError),
    /// The server warned while it committed.
    #[error(
        "commit batch: the server warned that the commit may not have reached its synchronous \
         replica; a claim finds out"
    )]
    UnknownCommit,
    /// A batch had so many rejections that a setting must be wrong: its partitions.
    #[error("{}", join(.0))]
    TooManyRejections(Vec<PartitionStop>),
    /// The runtime lost a thread that it was to do something on.
    #[error("a background task ended early")]
    Background,
}

impl Failure {
    /// What to do.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Database(error) => error.verdict(),
            Self::Files(_) => Verdict::SameBatch,
            Self::Consume(ConsumeError::Stop(_))
            | Self::Start(_)
            | Self::Extension(Unusable::Missing | Unusable::TooOld { .. })
            | Self::Encoding(_)
            | Self::Format(_) => Verdict::Stop,
            Self::Consume(ConsumeError::Partitions(_)) | Self::TooManyRejections(_) => {
                Verdict::StopPartitions
            }
            // A grant may come at any time, and is the world's, as a topic is.
            Self::Extension(Unusable::NoGrant { .. })
            | Self::Consume(ConsumeError::ClaimAgain(_))
            | Self::Survey(_)
            | Self::Client(_)
            | Self::Surprised(_)
            | Self::OldPrimary(_)
            | Self::UnknownCommit
            | Self::Background => Verdict::ClaimAgain,
        }
    }

    /// What is not as it should be.
    pub fn component(&self) -> Component {
        match self {
            Self::Database(error) if error.verdict() == Verdict::Fenced => Component::Claim,
            Self::Surprised(_) => Component::Claim,
            Self::Files(_) => Component::Files,
            Self::Database(_)
            | Self::Extension(_)
            | Self::Encoding(_)
            | Self::Format(_)
            | Self::OldPrimary(_)
            | Self::UnknownCommit
            | Self::TooManyRejections(_)
            | Self::Background => Component::Database,
            Self::Survey(_) | Self::Start(_) | Self::Client(_) | Self::Consume(_) => {
                Component::Broker
            }
        }
    }

    /// The partitions that it stops, if it stops some.
    pub fn stops(&self) -> &[PartitionStop] {
        match self {
            Self::Consume(ConsumeError::Partitions(stops)) | Self::TooManyRejections(stops) => {
                stops
            }
            _ => &[],
        }
    }

    /// Whether the outcome of a COMMIT is not known.
    pub fn leaves_commit_unknown(&self) -> bool {
        match self {
            Self::UnknownCommit => true,
            Self::Database(error) => error.leaves_commit_unknown(),
            _ => false,
        }
    }
}

impl From<CatalogError> for Failure {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Query(error) => {
                Self::Database(DatabaseError::query(crate::retry::Place::Connect, &error))
            }
            other => Self::Encoding(other),
        }
    }
}

/// A failure that a person has to look at: the process ends with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoudStop(pub String);

fn join<E: std::fmt::Display>(errors: &[E]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
