//! One client's rounds on its own keys: put, get, delete, get.
//!
//! 1. Put a value that was never there before, blind or with the context of the last get.
//! 2. Get it at QUORUM.
//! 3. Delete what was seen, until that is acknowledged.
//! 4. Get at QUORUM: what is deleted is not there.
//!
//! Invariants
//! - Nobody else writes the keys, and no two writes of a key are under way, but for those without an answer.
//! - A write that may have been applied is never repeated as if it had not been: a put gets another value, a delete
//!   carries the same context.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atoll_client::{Context, Error, Keyspace, Level, Versions};

use super::prng::Prng;
use super::truth::{Breach, Reach, Truth};
use rig::Failure;
use rig::pause;

/// Longest that an operation is repeated: longer than all faults together that overlap.
const STUCK_MAX: Duration = Duration::from_secs(120);

/// Between two attempts.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Longest that one attempt takes.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);

/// One in so many writes is at `LOCAL_QUORUM`.
const LOCAL_ONCE_IN: usize = 4;

/// Breaches that are printed.
const PRINTED_MAX: u64 = 50;

/// What all clients counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) puts_unknown: AtomicU64,
    pub(crate) deletes: AtomicU64,
    pub(crate) deletes_unknown: AtomicU64,
    pub(crate) gets: AtomicU64,
    pub(crate) refused: AtomicU64,
    /// Gets that saw what was deleted at a local level only.
    pub(crate) stale: AtomicU64,
    pub(crate) resurrections: AtomicU64,
    pub(crate) losses: AtomicU64,
    pub(crate) inventions: AtomicU64,
}

/// A key and what is known of it.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) key: String,
    pub(crate) truth: Truth,
    /// Of the last get, with the values that it covers.
    seen: Option<(Context, Vec<String>)>,
    attempts: u64,
}

/// One client.
pub(crate) struct Worker {
    pub(crate) keyspace: Keyspace,
    pub(crate) keys: Vec<Owned>,
    pub(crate) prng: Prng,
    pub(crate) tally: Arc<Tally>,
    /// Shortest time from one round to the next.
    pub(crate) spacing: Duration,
}

/// What one attempt of a write did.
enum Attempt {
    Done,
    Unknown,
}

impl Owned {
    pub(crate) fn new(key: String) -> Self {
        Self { key, truth: Truth::default(), seen: None, attempts: 0 }
    }
}

impl Tally {
    fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and prints promises that were not kept.
    pub(crate) fn note(&self, when: &str, owned: &Owned, breaches: &[(String, Breach)]) {
        for (value, breach) in breaches {
            let counter = match breach {
                Breach::Resurrected => &self.resurrections,
                Breach::Lost => &self.losses,
                Breach::Invented => &self.inventions,
            };
            if counter.fetch_add(1, Ordering::Relaxed) < PRINTED_MAX {
                let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
                println!("{now:.3} BREACH {when}: {}: {value}: {breach:?}", owned.key);
            }
        }
    }

    /// Promises that were not kept.
    pub(crate) fn breaches(&self) -> u64 {
        let all = [&self.resurrections, &self.losses, &self.inventions];
        all.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

impl Worker {
    /// Does `rounds` of them, over its keys in turn; then every second key gets a value that stays.
    pub(crate) async fn run(mut self, rounds: usize) -> Result<Vec<Owned>, Failure> {
        let mut keys = std::mem::take(&mut self.keys);
        let count = keys.len();
        for round in 0..rounds {
            let since = Instant::now();
            self.round(&mut keys[round % count]).await?;
            pause(self.spacing.saturating_sub(since.elapsed())).await;
            Tally::add(&self.tally.rounds);
        }
        for owned in keys.iter_mut().step_by(2) {
            while let Attempt::Unknown = self.put(owned, Level::Quorum).await? {}
        }
        Ok(keys)
    }

    async fn round(&mut self, owned: &mut Owned) -> Result<(), Failure> {
        let level = self.level();
        self.put(owned, level).await?;
        self.get(owned, "after a put").await?;
        let level = self.level();
        self.delete(owned, level).await?;
        self.get(owned, "after a delete").await?;
        Ok(())
    }

    fn level(&mut self) -> Level {
        if self.prng.once_in(LOCAL_ONCE_IN) { Level::LocalQuorum } else { Level::Quorum }
    }

    async fn put(&mut self, owned: &mut Owned, level: Level) -> Result<Attempt, Failure> {
        owned.attempts += 1;
        let value = format!("{}/{}", owned.key, owned.attempts);
        let seen = if self.prng.once_in(2) { None } else { owned.seen.take() };
        let since = Instant::now();
        let attempt = loop {
            let mut put = self.keyspace.put(&owned.key, value.clone()).level(level);
            if let Some((context, _)) = &seen {
                put = put.after(context);
            }
            match put.deadline(ATTEMPT_MAX).await {
                Ok(_) => break Attempt::Done,
                Err(error) if error.may_have_applied() => break Attempt::Unknown,
                Err(error) => self.refused("a put", since, &error).await?,
            }
        };
        Tally::add(&self.tally.puts);
        if let Attempt::Unknown = attempt {
            Tally::add(&self.tally.puts_unknown);
        }
        let reach = attempt.reach(level);
        if let Some((_, values)) = &seen {
            owned.truth.on_superseded(values, reach);
        }
        owned.truth.on_put(&value, reach);
        Ok(attempt)
    }

    async fn delete(&self, owned: &mut Owned, level: Level) -> Result<(), Failure> {
        let Some((context, values)) = owned.seen.clone() else { return Ok(()) };
        let since = Instant::now();
        loop {
            let delete = self.keyspace.delete(&owned.key).after(&context).level(level);
            let error = match delete.deadline(ATTEMPT_MAX).await {
                Ok(_) => break,
                Err(error) => error,
            };
            if error.may_have_applied() {
                Tally::add(&self.tally.deletes_unknown);
                owned.truth.on_superseded(&values, Reach::Unknown);
            }
            self.refused("a delete", since, &error).await?;
        }
        Tally::add(&self.tally.deletes);
        owned.truth.on_superseded(&values, Attempt::Done.reach(level));
        Ok(())
    }

    async fn get(&self, owned: &mut Owned, when: &str) -> Result<(), Failure> {
        let since = Instant::now();
        let found = loop {
            let get = self.keyspace.get(&owned.key).level(Level::Quorum);
            match get.deadline(ATTEMPT_MAX).await {
                Ok(found) => break found,
                Err(error) => self.refused("a get", since, &error).await?,
            }
        };
        Tally::add(&self.tally.gets);
        let shown = shown(&found);
        if shown.iter().any(|value| owned.truth.is_leaving(value)) {
            Tally::add(&self.tally.stale);
        }
        let breaches = owned.truth.on_get(&shown);
        self.tally.note(when, owned, &breaches);
        owned.seen = Some((found.context().clone(), shown));
        Ok(())
    }

    /// Waits before the next attempt, unless there were too many.
    async fn refused(&self, what: &str, since: Instant, error: &Error) -> Result<(), Failure> {
        Tally::add(&self.tally.refused);
        if since.elapsed() > STUCK_MAX {
            return Err(format!("{what} did not succeed within {STUCK_MAX:?}: {error}").into());
        }
        pause(RETRY_AFTER).await;
        Ok(())
    }
}

impl Attempt {
    fn reach(&self, level: Level) -> Reach {
        match (self, level) {
            (Self::Unknown, _) => Reach::Unknown,
            (Self::Done, Level::Quorum) => Reach::Quorum,
            (Self::Done, _) => Reach::Local,
        }
    }
}

/// The values, as text.
pub(crate) fn shown(found: &Versions) -> Vec<String> {
    let text = |value: &atoll_client::Value| String::from_utf8_lossy(value.bytes()).into_owned();
    found.values().iter().map(text).collect()
}
