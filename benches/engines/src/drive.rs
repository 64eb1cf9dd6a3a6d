//! Client threads: a closed loop per thread, measured one operation at a time.
//!
//! 1. [`drive`] starts the threads behind a barrier and gives each a [`Client`].
//! 2. A thread takes a stretch of operation numbers, and does one [`Client::step`] for each, until [`Stop`] says so.
//! 3. A step times its engine call with [`Meter::time`]; choosing a key and making a value is outside.
//! 4. Histograms and CPU times are joined at the end.
//!
//! Invariant: with [`Stop::After`] every number below the count is given out exactly once.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::latency::Latencies;
use crate::measure::thread_cpu;

/// Operations that a thread takes at once: few enough that all threads end together.
const STRETCH: u64 = 64;

/// When the clients are done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// After this many operations of all threads together.
    After(u64),
    /// When the time is over.
    When(Duration),
}

/// What one thread does.
pub(crate) trait Client: Send {
    /// Does operation `number`.
    fn step(&mut self, number: u64, meter: &mut Meter) -> Outcome<()>;
}

/// Times the calls of one thread.
#[derive(Debug)]
pub(crate) struct Meter {
    latencies: Latencies,
    user_bytes_written: u64,
    now: Instant,
}

impl Meter {
    fn new() -> Meter {
        Meter { latencies: Latencies::new(), user_bytes_written: 0, now: Instant::now() }
    }

    /// Counts `call` as one operation and records what it takes.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let result = call();
        self.now = Instant::now();
        self.latencies.record(self.now.duration_since(begin));
        result
    }

    /// Counts bytes that were written.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.user_bytes_written += bytes as u64;
    }
}

/// What all threads did.
#[derive(Debug)]
pub(crate) struct Driven {
    /// Operations.
    pub(crate) operations: u64,
    /// Bytes of keys and values written.
    pub(crate) user_bytes_written: u64,
    /// CPU time of the threads.
    pub(crate) client_cpu: Duration,
    /// Latencies of all threads.
    pub(crate) latencies: Latencies,
}

/// Runs one client per thread until `stop`.
pub(crate) fn drive<C: Client>(clients: Vec<C>, stop: Stop) -> Outcome<Driven> {
    let shared = Shared {
        next: AtomicU64::new(0),
        count: match stop {
            Stop::After(count) => count,
            Stop::When(_) => u64::MAX,
        },
        time: match stop {
            Stop::After(_) => None,
            Stop::When(time) => Some(time),
        },
        start: Barrier::new(clients.len()),
    };
    let results: Vec<Outcome<Driven>> = thread::scope(|scope| {
        let run = |client| scope.spawn(|| shared.run(client));
        let threads: Vec<_> = clients.into_iter().map(run).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|_| Err("a client has panicked".into()))
        };
        threads.into_iter().map(join).collect()
    });
    let mut all = Driven {
        operations: 0,
        user_bytes_written: 0,
        client_cpu: Duration::ZERO,
        latencies: Latencies::new(),
    };
    for one in results {
        let one = one?;
        all.operations += one.operations;
        all.user_bytes_written += one.user_bytes_written;
        all.client_cpu += one.client_cpu;
        all.latencies.merge(&one.latencies);
    }
    Ok(all)
}

struct Shared {
    next: AtomicU64,
    count: u64,
    time: Option<Duration>,
    start: Barrier,
}

impl Shared {
    fn run(&self, mut client: impl Client) -> Outcome<Driven> {
        let mut meter = Meter::new();
        self.start.wait();
        let cpu_before = thread_cpu();
        let deadline = self.time.map(|time| Instant::now() + time);
        let mut operations = 0;
        'run: loop {
            let first = self.next.fetch_add(STRETCH, Ordering::Relaxed);
            if first >= self.count {
                break;
            }
            for number in first..self.count.min(first + STRETCH) {
                client.step(number, &mut meter)?;
                operations += 1;
                if deadline.is_some_and(|deadline| meter.now >= deadline) {
                    break 'run;
                }
            }
        }
        Ok(Driven {
            operations,
            user_bytes_written: meter.user_bytes_written,
            client_cpu: thread_cpu().saturating_sub(cpu_before),
            latencies: meter.latencies,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::{Client, Meter, Stop, drive};
    use crate::Outcome;

    struct Collector<'a>(&'a Mutex<Vec<u64>>);

    impl Client for Collector<'_> {
        fn step(&mut self, number: u64, meter: &mut Meter) -> Outcome<()> {
            meter.time(|| self.0.lock().unwrap().push(number));
            meter.wrote(10);
            Ok(())
        }
    }

    #[test]
    fn every_number_is_given_out_once() {
        let numbers = Mutex::default();
        let clients = (0..3).map(|_| Collector(&numbers)).collect();
        let driven = drive(clients, Stop::After(1_000)).unwrap();
        assert_eq!((driven.operations, driven.user_bytes_written), (1_000, 10_000));
        let mut numbers = numbers.into_inner().unwrap();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..1_000));
    }
}
