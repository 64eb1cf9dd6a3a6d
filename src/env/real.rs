//! The real environment: the machine's clocks and random source, tokio's tasks and threads.
//!
//! The only file of the node that reads a clock or draws randomness.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use atoll_protocol::time::{MonoTime, WallTime};

use super::{BoxFuture, Env, EnvBackend};

/// Exit code of a process that stopped itself; the same as for any internal error.
const EXIT_INTERNAL: i32 = 1;

/// The environment of a real process. Must be used inside a tokio runtime.
pub struct RealEnv {
    start: Instant,
    runtime: tokio::runtime::Handle,
}

impl RealEnv {
    /// The environment of this process, on the current tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the real Env")]
    pub fn create() -> Env {
        Env::new(Arc::new(Self {
            start: Instant::now(),
            runtime: tokio::runtime::Handle::current(),
        }))
    }
}

/// Threads for requests in each of `nodes` nodes that share this machine: one processor is left to what else goes on, the
/// kernel's network and disk, syncs, flushes and compactions, and each node gets its part of the others.
///
/// Measured with two processors (64 requests under way, client on the same machine): one thread instead of two serves
/// 1.14 times the gets of one node, and 1.26 times the puts of three, with the same 99th percentile: a thread that finds
/// work by itself needs no waking.
pub fn spare_processors(nodes: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (processors.saturating_sub(1) / nodes.max(1)).max(1)
}

impl EnvBackend for RealEnv {
    fn mono(&self) -> MonoTime {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        MonoTime::from_nanos(nanos)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the real Env")]
    fn wall(&self) -> WallTime {
        // A clock before 1970 counts as 1970: timestamps are pushed forward by what was seen anyway.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }

    fn sleep_until(&self, at: MonoTime) -> BoxFuture<'static, ()> {
        let instant = self.start + std::time::Duration::from_nanos(at.as_nanos());
        Box::pin(tokio::time::sleep_until(instant.into()))
    }

    fn random(&self, out: &mut [u8]) {
        if let Err(error) = fill_from_system(out) {
            self.exit(&format!("the operating system gives no randomness: {error}"));
        }
    }

    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.runtime.spawn(task);
    }

    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        self.runtime.spawn_blocking(job);
    }

    fn exit(&self, reason: &str) -> ! {
        tracing::error!(reason, "stopping at once");
        std::process::exit(EXIT_INTERNAL);
    }

    fn parallelism(&self) -> usize {
        self.runtime.metrics().num_workers()
    }
}

fn fill_from_system(out: &mut [u8]) -> rustix::io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}
