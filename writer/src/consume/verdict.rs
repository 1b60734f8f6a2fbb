//! What to do about an error of the consumer: one table, by librdkafka's code.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::stopped_partition::PartitionStop;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// librdkafka tries again by itself.
    GoOn,
    /// Look at the topics again, and claim again.
    ClaimAgain,
    /// Stop the partition that it is about: a person has to look.
    StopPartition,
}

/// Why a consumer ended without being told to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumeError {
    /// Another consumer may do better.
    #[error("{0}")]
    ClaimAgain(String),
    /// These partitions can't go on; another consumer can read the others.
    #[error("{}", join(.0))]
    Partitions(Vec<PartitionStop>),
    /// Going on could lose or skip records.
    #[error("{0}")]
    Stop(String),
}

fn join(stops: &[PartitionStop]) -> String {
    stops.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Judges an error.
pub fn verdict(error: &KafkaError) -> Verdict {
    if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
        return Verdict::ClaimAgain;
    }
    match error.rdkafka_error_code() {
        // The way to a broker, or a broker that is busy with itself.
        Some(
            Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::KafkaStorageError
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::NodeUpdate
            | Code::Retry
            | Code::SSL
            | Code::Authentication,
        ) => Verdict::GoOn,
        // A broker that comes up may not know its topics yet. If the topic is really gone, the
        // next survey says so, and goes on asking.
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            Verdict::ClaimAgain
        }
        // The log does not have the offset any more. The next claim compares both, and says how.
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Verdict::ClaimAgain,
        // A grant may come at any time.
        Some(
            Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed,
        ) => Verdict::ClaimAgain,
        // Bad checksums, and whatever else.
        _ => Verdict::StopPartition,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

    use super::{Verdict, verdict};

    #[test]
    fn stops_unless_it_is_known_to_pass() {
        let table = [
            (Code::BrokerTransportFailure, Verdict::GoOn),
            (Code::AllBrokersDown, Verdict::GoOn),
            (Code::UnknownTopicOrPartition, Verdict::ClaimAgain),
            (Code::AutoOffsetReset, Verdict::ClaimAgain),
            (Code::OffsetOutOfRange, Verdict::ClaimAgain),
            (Code::TopicAuthorizationFailed, Verdict::ClaimAgain),
            (Code::BadMessage, Verdict::StopPartition),
            (Code::BadCompression, Verdict::StopPartition),
            (Code::InvalidMessage, Verdict::StopPartition),
            (Code::MessageSizeTooLarge, Verdict::StopPartition),
            (Code::NotImplemented, Verdict::StopPartition),
            (Code::Unknown, Verdict::StopPartition),
        ];
        for (code, expected) in table {
            assert_eq!(verdict(&KafkaError::MessageConsumption(code)), expected, "{code:?}");
        }
    }
}
