//! A closed loop: a number of askers, each of which asks again when it was answered. It finds the highest rate that a
//! service sustains with so many requests under way; its latencies are those of a system that is as full as that.
//!
//! Which key comes next, what is measured and for how long is decided here, and alike for every service; an [`Asker`]
//! only asks, and keeps what it knows from one run to the next.
//!
//! It can be held to a rate: then an asker that was answered waits for its next moment, and one that is late catches up.

use std::time::{Duration, Instant};

use atoll_client::Level;
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

/// Who has one request under way at a time.
pub trait Asker: Send + 'static {
    /// Asks for what `lap` says, of the key with this number, and returns when it was answered.
    fn ask(&mut self, lap: &Loop, number: u64) -> impl Future<Output = Result<(), Failure>> + Send;
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

/// When an asker asks.
#[derive(Clone, Copy, Debug)]
struct Moments {
    /// When the loop began.
    began: Instant,
    /// When its first request begins.
    first: Instant,
    /// Least time from the beginning of one to that of the next.
    pace: Duration,
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
        Ok(Self { micros: Histogram::new(3)?, errors: 0, error: None, took: Duration::ZERO })
    }

    fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.micros.add(&other.micros)?;
        self.errors += other.errors;
        self.error = self.error.take().or_else(|| other.error.clone());
        Ok(())
    }
}

impl Loop {
    /// Writes every key once, each by the asker whose it is.
    ///
    /// # Errors
    /// The first put that fails; the askers are gone then.
    pub async fn fill<A: Asker>(&self, askers: &mut Vec<A>) -> Result<(), Failure> {
        let lap = Self { asked: Asked::Put, ..self.clone() };
        let filling: Vec<_> = (0..)
            .zip(askers.drain(..))
            .map(|(asker, one)| tokio::spawn(lap.clone().fill_own(one, asker)))
            .collect();
        for one in filling {
            askers.push(one.await??);
        }
        Ok(())
    }

    async fn fill_own<A: Asker>(self, mut one: A, asker: u64) -> Result<A, Failure> {
        let mut number = asker;
        while number < self.keys {
            one.ask(&self, number).await?;
            number += self.askers;
        }
        Ok(one)
    }

    /// Runs it. There are as many `askers` as it says.
    ///
    /// # Errors
    /// An asker panicked; requests that fail are counted.
    pub async fn run<A: Asker>(&self, askers: &mut Vec<A>) -> Result<Run, Failure> {
        self.start(askers, Duration::ZERO).await
    }

    /// Runs it with `rate` requests per second of all askers together, if they are answered in time.
    ///
    /// # Errors
    /// As of [`run`](Loop::run).
    pub async fn run_at<A: Asker>(
        &self,
        rate: f64,
        askers: &mut Vec<A>,
    ) -> Result<Run, Failure> {
        self.start(askers, Duration::from_secs_f64(askers.len() as f64 / rate)).await
    }

    /// Runs it; an asker begins a request every `pace`, or when it was answered, if that is later.
    async fn start<A: Asker>(
        &self,
        askers: &mut Vec<A>,
        pace: Duration,
    ) -> Result<Run, Failure> {
        let began = Instant::now();
        let count = askers.len().max(1) as f64;
        let asking: Vec<_> = (0..)
            .zip(askers.drain(..))
            .map(|(asker, one)| {
                // One after the other, so that the load is even.
                let first = began + pace.mul_f64(asker as f64 / count);
                let moments = Moments { began, first, pace };
                tokio::spawn(self.clone().keep_asking(one, asker, moments))
            })
            .collect();
        let mut all = Run::new()?;
        for one in asking {
            let (one, run) = one.await??;
            askers.push(one);
            all.add(&run)?;
        }
        all.took = began.elapsed();
        Ok(all)
    }

    async fn keep_asking<A: Asker>(
        self,
        mut one: A,
        asker: u64,
        at: Moments,
    ) -> Result<(A, Run), Failure> {
        let (mut run, mut random) = (Run::new()?, asker);
        let own = (self.keys / self.askers).max(1);
        let mut next = at.first;
        while at.began.elapsed() < self.span {
            if !at.pace.is_zero() {
                tokio::time::sleep_until(next.into()).await;
                next += at.pace;
            }
            random = random.wrapping_mul(NUMBERS.0).wrapping_add(NUMBERS.1);
            let number = match self.asked {
                Asked::Get => (random >> 33) % self.keys,
                Asked::Put => ((random >> 33) % own * self.askers + asker) % self.keys,
            };
            let since = Instant::now();
            match one.ask(&self, number).await {
                Ok(()) => run.micros.record(u64::try_from(since.elapsed().as_micros())?)?,
                Err(error) => {
                    run.errors += 1;
                    run.error.get_or_insert_with(|| error.to_string());
                }
            }
        }
        Ok((one, run))
    }
}

/// The key with this number: all are of the same length.
pub fn key(number: u64) -> String {
    format!("key-{number:08}")
}
