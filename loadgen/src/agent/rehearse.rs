//! Requests that nobody answers, so that the generator itself is measured (`--no-cluster`).
//!
//! A rehearsal does all that a request does here: text of the key, value, memory of contexts, numbers. Instead of the SDK
//! it gives way to the runtime once, so that its task is woken again as if by an answer.
//!
//! Invariants
//! - It counts what the request would have counted, except for what only a cluster knows: values read and siblings.

use std::hint::black_box;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use atoll_client::Context;

use super::execute::{Course, Executor};
use super::memory::Known;
use crate::plan::Writes;
use crate::workload::mix::Op;

/// The context of every answer: that of a key which one node has written once.
static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
    let context = Context::from_base64url("AQ48XItpsyT-VNL8oVxhBgABAPYVDMd-ct2y8QIAAAAAAACcvvv7");
    context.expect("it is a constant, and sound")
});

impl Executor {
    /// Goes through the request of `course`, and is answered at once.
    pub(super) async fn rehearse(&self, course: &mut Course) {
        match course.request.op {
            Op::Get => self.rehearse_get(course).await,
            Op::Put | Op::Insert => {
                let is_blind = self.writes == Writes::Blind || course.request.op == Op::Insert;
                if !is_blind && !matches!(self.memory.known(course.request.key), Known::Context(_))
                {
                    course.facts.context_reads = 1;
                    self.rehearse_get(course).await;
                }
                course.begun = self.timeline.now();
                self.rehearse_put(course).await;
            }
            Op::Update => {
                self.rehearse_get(course).await;
                self.rehearse_put(course).await;
            }
            Op::Delete => {
                course.facts.bytes_written = course.key.len() as u64;
                black_box(self.memory.known(course.request.key));
                answer().await;
            }
        }
    }

    async fn rehearse_get(&self, course: &Course) {
        let key = course.request.key;
        let writes = self.memory.writes(key);
        let context = answer().await;
        self.remember(|memory| memory.note_seen(key, &context, writes));
    }

    async fn rehearse_put(&self, course: &mut Course) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let value = black_box(self.value(course.request, sequence));
        course.facts.bytes_written = (course.key.len() + value.len()) as u64;
        let context = answer().await;
        self.remember(|memory| memory.note_written(course.request.key, &context));
    }
}

/// An answer, after the task was polled once more.
async fn answer() -> Context {
    tokio::task::yield_now().await;
    CONTEXT.clone()
}
