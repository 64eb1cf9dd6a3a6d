//! Puts at a steady rate, and their latencies by phase.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use atoll_client::{Client, Context, Level};
use hdrhistogram::Histogram;
use rig::pause;

/// Puts under way at once; beyond, a put is not begun and counts as an error.
const UNDER_WAY_MAX: u64 = 4_000;

/// Longest pause between two looks at the clock.
const TICK: Duration = Duration::from_millis(1);

/// What is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) rate: u64,
    pub(crate) value_bytes: usize,
    pub(crate) keys: u64,
    pub(crate) gets_percent: u64,
    pub(crate) level: Level,
}

/// What one phase saw.
struct Phase {
    name: &'static str,
    began: Instant,
    took: Duration,
    micros: Histogram<u64>,
    errors: u64,
    error: Option<String>,
}

/// A load under way. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Load {
    shape: Shape,
    phases: Arc<Mutex<Vec<Phase>>>,
    /// The context of the last put of each key: the next one supersedes it.
    contexts: Arc<Mutex<BTreeMap<u64, Context>>>,
    under_way: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Load {
    /// Begins, in a phase without a name.
    pub(crate) fn start(client: Client, shape: Shape) -> Self {
        let load = Self {
            shape,
            phases: Arc::new(Mutex::new(vec![Phase::begin()])),
            contexts: Arc::default(),
            under_way: Arc::default(),
            stopped: Arc::default(),
        };
        tokio::spawn(load.clone().run(client));
        load
    }

    /// Ends the phase under way, under this name.
    pub(crate) fn phase(&self, name: &'static str) {
        let mut phases = self.phases();
        if let Some(last) = phases.last_mut() {
            last.name = name;
            last.took = last.began.elapsed();
        }
        phases.push(Phase::begin());
    }

    /// Begins no more puts, and waits for those under way.
    pub(crate) async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        while self.under_way.load(Ordering::Relaxed) > 0 {
            pause(TICK).await;
        }
    }

    /// All keys of acknowledged puts.
    pub(crate) fn written(&self) -> Vec<String> {
        self.contexts().keys().map(|number| key(*number)).collect()
    }

    /// Prints every phase, with ratios against the one called `baseline`.
    pub(crate) fn report(&self, baseline: &str) {
        let phases = self.phases();
        let Some(base) = phases.iter().find(|phase| phase.name == baseline) else { return };
        println!(
            "phase                seconds     ops/s  errors    p50 ms    p99 ms  p99.9 ms    max ms  p99 ratio"
        );
        for phase in phases.iter().filter(|phase| !phase.name.is_empty()) {
            let at = |quantile| phase.micros.value_at_quantile(quantile) as f64 / 1_000.0;
            let ratio = at(0.99) * 1_000.0 / base.micros.value_at_quantile(0.99).max(1) as f64;
            println!(
                "{:<20} {:>7.1} {:>9.0} {:>7} {:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>10.2}",
                phase.name,
                phase.took.as_secs_f64(),
                phase.micros.len() as f64 / phase.took.as_secs_f64().max(0.001),
                phase.errors,
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0),
                ratio
            );
        }
        for phase in phases.iter() {
            if let Some(error) = &phase.error {
                println!("first error of `{}`: {error}", phase.name);
            }
        }
    }

    fn contexts(&self) -> MutexGuard<'_, BTreeMap<u64, Context>> {
        self.contexts.lock().expect("nobody panics with it")
    }

    fn phases(&self) -> MutexGuard<'_, Vec<Phase>> {
        self.phases.lock().expect("nobody panics with it")
    }

    async fn run(self, client: Client) {
        let (began, mut number) = (Instant::now(), 0);
        let spacing = Duration::from_secs(1) / u32::try_from(self.shape.rate).unwrap_or(1);
        let keyspace = client.keyspace("default");
        while !self.stopped.load(Ordering::Relaxed) {
            let due = began + spacing * number;
            if due > Instant::now() {
                pause(TICK.min(due - Instant::now())).await;
                continue;
            }
            number += 1;
            if self.under_way.load(Ordering::Relaxed) >= UNDER_WAY_MAX {
                self.note(due, Err("too many puts under way".to_owned()));
                continue;
            }
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let (load, keyspace) = (self.clone(), keyspace.clone());
            tokio::spawn(async move {
                // A permutation of the keys.
                let key_number = u64::from(number).wrapping_mul(7_919) % load.shape.keys;
                let is_get = u64::from(number) * 37 % 100 < load.shape.gets_percent;
                let outcome = match is_get {
                    true => load.get(&keyspace, key_number).await,
                    false => load.put(&keyspace, key_number).await,
                };
                load.note(due, outcome);
                load.under_way.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }

    async fn put(&self, keyspace: &atoll_client::Keyspace, number: u64) -> Result<(), String> {
        let value = vec![b'x'; self.shape.value_bytes];
        let mut put = keyspace.put(key(number), value).level(self.shape.level);
        let context = self.contexts().get(&number).cloned();
        if let Some(context) = &context {
            put = put.after(context);
        }
        let written = put.await.map_err(|error| error.to_string())?;
        self.contexts().insert(number, written.context().clone());
        Ok(())
    }

    async fn get(&self, keyspace: &atoll_client::Keyspace, number: u64) -> Result<(), String> {
        let get = keyspace.get(key(number)).level(self.shape.level);
        get.await.map(drop).map_err(|error| error.to_string())
    }

    fn note(&self, due: Instant, outcome: Result<(), String>) {
        let mut phases = self.phases();
        let Some(phase) = phases.last_mut() else { return };
        match outcome {
            Ok(()) => {
                let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                phase.micros.saturating_record(micros);
            }
            Err(error) => {
                phase.errors += 1;
                phase.error.get_or_insert(error);
            }
        }
    }
}

impl Phase {
    fn begin() -> Self {
        Self {
            name: "",
            began: Instant::now(),
            took: Duration::ZERO,
            micros: Histogram::new_with_max(120_000_000, 3).expect("the bounds are sound"),
            errors: 0,
            error: None,
        }
    }
}

fn key(number: u64) -> String {
    format!("key-{number:08}")
}
