//! A closed loop: a number of askers, each of which asks again when it was answered. It finds the highest rate that a
//! cluster sustains with so many requests under way; its latencies are those of a system that is as full as that.

use std::time::{Duration, Instant};

use atoll_client::{Client, Context, Keyspace, Level};
use hdrhistogram::Histogram;

use crate::Failure;

/// Multiplier and increment of a generator of numbers (Knuth, MMIX).
const NUMBERS: (u64, u64) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Any of the keys.
    Get,
    /// Each asker has keys of its own, whose last version it supersedes.
    Put,
}

/// A closed loop that has not begun.
#[derive(Clone, Debug)]
pub struct Loop {
    /// What is asked.
    pub asked: Asked,
    /// At this level.
    pub level: Level,
    /// Requests under way.
    pub askers: u64,
    /// Different keys.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// For so long.
    pub span: Duration,
}

/// What a loop came to.
#[derive(Debug)]
pub struct Run {
    /// Latencies of what was answered well, in microseconds.
    pub micros: Histogram<u64>,
    /// What was not.
    pub errors: u64,
    /// The first of them.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Answers per second.
    pub fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.took.as_secs_f64().max(0.001)
    }

    fn new() -> Result<Self, Failure> {
        Ok(Self {
            micros: Histogram::new(3)?,
            errors: 0,
            error: None,
            took: Duration::ZERO,
        })
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.micros.add(&other.micros)?;
        self.errors += other.errors;
        self.error = self.error.take().or_else(|| other.error.clone());
        Ok(())
    }
}

impl Loop {
    /// Writes every key once.
    ///
    /// # Errors
    /// The first put that fails.
    pub async fn fill(&self, client: &Client) -> Result<(), Failure> {
        let keyspace = client.keyspace("default");
        let numbers: Vec<u64> = (0..self.keys).collect();
        for some in numbers.chunks(64) {
            let puts: Vec<_> = some
                .iter()
                .map(|number| {
                    let put = keyspace.put(key(*number), vec![b'x'; self.value_bytes]);
                    tokio::spawn(async move { put.await.map(drop) })
                })
                .collect();
            for put in puts {
                put.await??;
            }
        }
        Ok(())
    }

    /// Runs it; askers are dealt to `clients`.
    ///
    /// # Errors
    /// An asker panicked; requests that fail are counted.
    pub async fn run(&self, clients: &[Client]) -> Result<Run, Failure> {
        let began = Instant::now();
        let askers: Vec<_> = (0..self.askers)
            .zip(clients.iter().cycle())
            .map(|(number, client)| {
                tokio::spawn(self.clone().ask(client.keyspace("default"), number, began))
            })
            .collect();
        let mut all = Run::new()?;
        for asker in askers {
            all.add(&asker.await??)?;
        }
        all.took = began.elapsed();
        Ok(all)
    }

    async fn ask(self, keyspace: Keyspace, asker: u64, began: Instant) -> Result<Run, Failure> {
        let (mut run, mut random) = (Run::new()?, asker);
        let own = (self.keys / self.askers).max(1);
        let mut contexts: Vec<Option<Context>> = vec![None; usize::try_from(own)?];
        let value = vec![b'x'; self.value_bytes];
        while began.elapsed() < self.span {
            random = random.wrapping_mul(NUMBERS.0).wrapping_add(NUMBERS.1);
            let since = Instant::now();
            let outcome = match self.asked {
                Asked::Get => {
                    let get = keyspace.get(key((random >> 33) % self.keys)).level(self.level);
                    get.await.map(drop)
                }
                Asked::Put => {
                    let slot = (random >> 33) % own;
                    let context = contexts.get_mut(usize::try_from(slot)?).ok_or("no such slot")?;
                    let number = (slot * self.askers + asker) % self.keys;
                    let mut put = keyspace.put(key(number), value.clone()).level(self.level);
                    if let Some(context) = context.as_ref() {
                        put = put.after(context);
                    }
                    put.await.map(|written| *context = Some(written.context().clone()))
                }
            };
            match outcome {
                Ok(()) => {
                    let micros = u64::try_from(since.elapsed().as_micros())?;
                    run.micros.record(micros)?;
                }
                Err(error) => {
                    run.errors += 1;
                    run.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Ok(run)
    }
}

fn key(number: u64) -> String {
    format!("key-{number:08}")
}
