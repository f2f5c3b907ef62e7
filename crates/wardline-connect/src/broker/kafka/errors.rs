//! What a broker's numbers mean, and what follows from them.

use super::super::fault::Fault;

pub(super) const NONE: i16 = 0;
pub(super) const OFFSET_OUT_OF_RANGE: i16 = 1;
pub(super) const CORRUPT: i16 = 2;
pub(super) const UNKNOWN_TOPIC: i16 = 3;
pub(super) const NO_LEADER: i16 = 5;
pub(super) const NOT_LEADER: i16 = 6;
pub(super) const COORDINATOR_LOADING: i16 = 14;
pub(super) const NO_COORDINATOR: i16 = 15;
pub(super) const NOT_COORDINATOR: i16 = 16;
pub(super) const ILLEGAL_GENERATION: i16 = 22;
pub(super) const INCONSISTENT_PROTOCOL: i16 = 23;
pub(super) const UNKNOWN_MEMBER: i16 = 25;
pub(super) const REBALANCING: i16 = 27;
pub(super) const SASL_MECHANISM: i16 = 33;
pub(super) const VERSION: i16 = 35;
pub(super) const DUPLICATE_SEQUENCE: i16 = 46;
pub(super) const MEMBER_ID_REQUIRED: i16 = 79;

/// Its name, as Kafka's documentation has it.
const fn name(code: i16) -> &'static str {
    match code {
        -1 => "UNKNOWN_SERVER_ERROR",
        OFFSET_OUT_OF_RANGE => "OFFSET_OUT_OF_RANGE",
        CORRUPT => "CORRUPT_MESSAGE",
        UNKNOWN_TOPIC => "UNKNOWN_TOPIC_OR_PARTITION",
        NO_LEADER => "LEADER_NOT_AVAILABLE",
        NOT_LEADER => "NOT_LEADER_OR_FOLLOWER",
        7 => "REQUEST_TIMED_OUT",
        8 => "BROKER_NOT_AVAILABLE",
        9 => "REPLICA_NOT_AVAILABLE",
        10 => "MESSAGE_TOO_LARGE",
        13 => "NETWORK_EXCEPTION",
        COORDINATOR_LOADING => "COORDINATOR_LOAD_IN_PROGRESS",
        NO_COORDINATOR => "COORDINATOR_NOT_AVAILABLE",
        NOT_COORDINATOR => "NOT_COORDINATOR",
        17 => "INVALID_TOPIC_EXCEPTION",
        18 => "RECORD_LIST_TOO_LARGE",
        19 => "NOT_ENOUGH_REPLICAS",
        20 => "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        ILLEGAL_GENERATION => "ILLEGAL_GENERATION",
        INCONSISTENT_PROTOCOL => "INCONSISTENT_GROUP_PROTOCOL",
        24 => "INVALID_GROUP_ID",
        UNKNOWN_MEMBER => "UNKNOWN_MEMBER_ID",
        26 => "INVALID_SESSION_TIMEOUT",
        REBALANCING => "REBALANCE_IN_PROGRESS",
        29 => "TOPIC_AUTHORIZATION_FAILED",
        30 => "GROUP_AUTHORIZATION_FAILED",
        31 => "CLUSTER_AUTHORIZATION_FAILED",
        32 => "INVALID_TIMESTAMP",
        SASL_MECHANISM => "UNSUPPORTED_SASL_MECHANISM",
        34 => "ILLEGAL_SASL_STATE",
        VERSION => "UNSUPPORTED_VERSION",
        44 => "POLICY_VIOLATION",
        45 => "OUT_OF_ORDER_SEQUENCE_NUMBER",
        DUPLICATE_SEQUENCE => "DUPLICATE_SEQUENCE_NUMBER",
        47 => "INVALID_PRODUCER_EPOCH",
        56 => "KAFKA_STORAGE_ERROR",
        58 => "SASL_AUTHENTICATION_FAILED",
        59 => "UNKNOWN_PRODUCER_ID",
        74 => "FENCED_LEADER_EPOCH",
        75 => "UNKNOWN_LEADER_EPOCH",
        76 => "UNSUPPORTED_COMPRESSION_TYPE",
        78 => "OFFSET_NOT_AVAILABLE",
        MEMBER_ID_REQUIRED => "MEMBER_ID_REQUIRED",
        81 => "GROUP_MAX_SIZE_REACHED",
        87 => "INVALID_RECORD",
        89 => "THROTTLING_QUOTA_EXCEEDED",
        _ => "an error",
    }
}

/// Whether a partition may be led by another by now, so that it is worth asking again.
pub(super) const fn leader_moved(code: i16) -> bool {
    matches!(
        code,
        UNKNOWN_TOPIC | NO_LEADER | NOT_LEADER | 7 | 8 | 9 | 13 | 56 | 74 | 75 | 78
    )
}

/// The fault that a number is. `on` says what was asked of what.
pub(super) fn fault(code: i16, on: &str) -> Fault {
    let text = format!("{on}: {} ({code})", name(code));
    match code {
        29 | 30 | 31 | 53 | 58 => Fault::Credentials(text),
        // The same will be refused again.
        10 | 17 | 18 | 87 => Fault::Unsendable(text),
        VERSION => Fault::Spoken(text),
        // The number of a producer is not good any more: another is asked for.
        45 | 47 | 59 => Fault::Lost(text),
        _ => Fault::Refused(text),
    }
}
