//! The bare cost of durable puts: three logs on one disk, each with group commit, and nothing else.
//!
//! So many puts are under way. Each is queued at all three logs and over once two have synced it; then the next begins in its
//! place. A log takes what has queued up, appends it with one write and syncs: what queues meanwhile is the next group.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rig::Failure;
use rustix::fs::fdatasync;

const LOGS: usize = 3;

/// Syncs that end a put.
const QUORUM: u8 = 2;

/// What waits for one log.
#[derive(Default)]
struct Queue {
    puts: Mutex<Vec<usize>>,
    more: Condvar,
}

/// One of the puts that are under way: whose turn it is, and who has synced it.
#[derive(Default)]
struct Slot {
    number: u64,
    synced: u8,
}

struct Bench {
    queues: [Queue; LOGS],
    /// By place; a log remembers which number it was given.
    slots: Vec<Mutex<Slot>>,
    done: AtomicU64,
    stopped: AtomicBool,
}

/// Puts per second of `record_bytes`, `under_way` at once, with logs in `dir`.
pub(crate) fn measure(
    dir: &Path,
    (under_way, record_bytes): (usize, usize),
    span: Duration,
) -> Result<f64, Failure> {
    std::fs::create_dir_all(dir)?;
    let slots = (0..under_way).map(|_| Mutex::default()).collect();
    let (done, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let bench = Bench { queues: Default::default(), slots, done, stopped };
    (0..under_way).for_each(|place| bench.queue(place));
    let began = Instant::now();
    let written: Result<Vec<()>, Failure> = std::thread::scope(|scope| {
        let logs: Vec<_> = (0..LOGS)
            .map(|log| {
                let (bench, path) = (&bench, dir.join(format!("bare-{log}.log")));
                scope.spawn(move || bench.keep_writing(log, &path, record_bytes))
            })
            .collect();
        // bounded poll: once, for as long as is measured
        std::thread::sleep(span);
        bench.stopped.store(true, Ordering::Relaxed);
        bench.queues.iter().for_each(|queue| queue.more.notify_all());
        logs.into_iter().map(|log| log.join().map_err(|_| "a log panicked")?).collect()
    });
    written?;
    Ok(bench.done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64())
}

impl Bench {
    fn queue(&self, place: usize) {
        for queue in &self.queues {
            queue.puts.lock().unwrap_or_else(PoisonError::into_inner).push(place);
            queue.more.notify_one();
        }
    }

    fn keep_writing(&self, log: usize, path: &Path, record_bytes: usize) -> Result<(), Failure> {
        let mut file = File::create(path)?;
        let record = vec![b'x'; record_bytes];
        let queue = self.queues.get(log).ok_or("no such log")?;
        let mut given = vec![0; self.slots.len()];
        while !self.stopped.load(Ordering::Relaxed) {
            let group = {
                let mut puts = queue.puts.lock().unwrap_or_else(PoisonError::into_inner);
                if puts.is_empty() {
                    // Woken at the latest by the end of the measurement, or looks again.
                    let waited = queue.more.wait_timeout(puts, Duration::from_millis(50));
                    puts = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                std::mem::take(&mut *puts)
            };
            if group.is_empty() {
                continue;
            }
            file.write_all(&record.repeat(group.len()))?;
            fdatasync(&file)?;
            for place in group {
                let (slot, number) =
                    self.slots.get(place).zip(given.get_mut(place)).ok_or("no such put")?;
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                // The third log may be a put behind.
                let is_current = slot.number == *number;
                *number += 1;
                if !is_current {
                    continue;
                }
                slot.synced += 1;
                if slot.synced == QUORUM {
                    *slot = Slot { number: slot.number + 1, synced: 0 };
                    drop(slot);
                    self.done.fetch_add(1, Ordering::Relaxed);
                    self.queue(place);
                }
            }
        }
        Ok(())
    }
}
