//! One attempt: one request to one node over its link, until an answer or a point in time.
//!
//! Invariants
//! - The node is told a budget that ends before ours, so that its own account of a deadline arrives in time.
//! - `NotSent` means that this node has not got the request and will not.

use std::time::{Duration, Instant};

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::Epoch;
use atoll_protocol::wire::{self, Envelope, Failure, Kind, Reply};

use super::{Answer, Job};
use crate::error::Error;
use crate::link::{CallError, Link};
use crate::runtime;

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// An answer.
    Answered(Answer, Epoch),
    /// The node says that it failed.
    Failed(Failure, Epoch),
    /// It was not sent, and why.
    NotSent(String),
    /// The connection broke after it was sent.
    Lost(String),
    /// No answer came in time.
    TimedOut,
    /// The answer makes no sense, or the request cannot be framed.
    Hopeless(Error),
}

/// Asks the node of `link` and waits until `until`.
pub(super) async fn attempt(link: &Link, job: &Job, epoch: Epoch, until: Instant) -> Attempt {
    let left = until.saturating_duration_since(runtime::now());
    let budget = Some(budget_for(left, link.rtt()));
    let envelope = Envelope { request: 0, epoch, budget };
    let frame = match wire::to_frame(&job.request, job.payload.clone(), envelope) {
        Ok(frame) => frame,
        Err(error) => return Attempt::Hopeless(Error::message(&error)),
    };
    match tokio::time::timeout_at(until.into(), link.call(frame)).await {
        Ok(Ok(frame)) => read(link, job, &frame),
        Ok(Err(CallError::NotSent(reason))) => Attempt::NotSent(reason),
        Ok(Err(CallError::Lost(reason))) => Attempt::Lost(reason),
        Err(_) => {
            link.suspect(runtime::now());
            Attempt::TimedOut
        }
    }
}

/// The time that the node may take: what is left without the way back and a twentieth for everything else.
fn budget_for(left: Duration, rtt: Duration) -> Duration {
    left.saturating_sub(rtt).saturating_sub(left / 20).max(left / 2)
}

fn read(link: &Link, job: &Job, frame: &Frame) -> Attempt {
    let (node, operation, epoch) = (link.node().clone(), job.operation, frame.epoch);
    if Kind::from_byte(frame.kind) != Some(Kind::Reply) {
        let detail = format!("frame kind {}", frame.kind);
        return Attempt::Hopeless(Error::Malformed { node, operation, detail });
    }
    match wire::from_frame(frame) {
        Ok(Reply::Failed(failure)) => Attempt::Failed(failure, epoch),
        Ok(reply) => {
            let payload = frame.payload.clone();
            Attempt::Answered(Answer { node, operation, reply, payload }, epoch)
        }
        Err(error) => {
            let detail = error.to_string();
            Attempt::Hopeless(Error::Malformed { node, operation, detail })
        }
    }
}
