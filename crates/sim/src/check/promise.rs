//! The names under which broken promises are reported: invariants `I…` and the promises `P…` behind them.

pub(super) const LOST: &str = "I1/P1 no lost acked write";
pub(super) const OUTDATED: &str = "I1/P2 a write beats what its client had seen";
pub(super) const KEPT: &str = "I6/P2 nothing kept that was superseded";
pub(super) const TOGETHER: &str = "I6/P2 siblings are concurrent";
pub(super) const DISHONEST: &str = "I6/P2 a context covers only what was seen";
pub(super) const RESURRECTED: &str = "I4/P6 deletes stay deleted";
pub(super) const STALE: &str = "I5b/P3 a read sees every acked write";
pub(super) const BACKWARD: &str = "I5b/P3 reads go forward";
pub(super) const DAMAGED: &str = "I15/P8 corruption is never an answer";
pub(super) const INVENTED: &str = "I15/P8 every value was written";
pub(super) const MALFORMED: &str = "I5b an answer is of one piece";
pub(super) const EXPIRED: &str = "I5b expired values are not returned";
pub(super) const DOT: &str = "I7 dots are unique";
pub(super) const CLONED: &str = "I7 incarnations are unique";
pub(super) const ACK: &str = "I10/P1 an ack counts durable copies";
pub(super) const ANSWERED: &str = "I10/P3 an answer counts replicas that answered";
pub(super) const APPLIED: &str = "P11 a refused write is not applied";
pub(super) const UNSAID: &str = "P11 unknown is said";
pub(super) const INTERNAL: &str = "P11 no internal errors";
pub(super) const APART: &str = "I3/P7 owners converge";
pub(super) const SESSION_READ: &str = "I2/P4 a session reads what it has seen";
pub(super) const SESSION_WRITE: &str = "I2/P4 a session writes above what it has seen";
pub(super) const SESSION_REFUSED: &str = "I2/P4 only a session that has seen something is refused";

/// Every name above: the tests show each of them broken.
#[cfg(test)]
pub(super) const ALL: [&str; 23] = [
    LOST,
    OUTDATED,
    KEPT,
    TOGETHER,
    DISHONEST,
    RESURRECTED,
    STALE,
    BACKWARD,
    DAMAGED,
    INVENTED,
    MALFORMED,
    EXPIRED,
    DOT,
    CLONED,
    ACK,
    ANSWERED,
    APPLIED,
    UNSAID,
    INTERNAL,
    APART,
    SESSION_READ,
    SESSION_WRITE,
    SESSION_REFUSED,
];
