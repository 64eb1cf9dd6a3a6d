//! The child: one scenario of one engine, from an empty directory to a report.
//!
//! 1. `bulk`: fill and settle; read; mix and settle; scan; close, empty the caches, open again and read cold.
//! 2. `cached`: fill and settle; read until everything is in the cache; read measured.
//! 3. `durable`: a store of its own per number of writers.
//!
//! Before the first read phase, and after the mix, all files are read once through the page cache ([`files::preload`]);
//! before a read phase its clients run unmeasured for a while, so that the block cache is in its steady state.

use std::path::Path;
use std::time::Duration;

use crate::Outcome;
use crate::args::{Knobs, RunArgs};
use crate::clients::{Choice, Filler, Mixer, Population, Reader, scan_digests, scan_pairs};
use crate::drive::{Driven, Stop, drive};
use crate::engine::{Durability, Engine, Setup, Writes};
use crate::files;
use crate::latency::Latencies;
use crate::measure::{Usage, peak_memory_bytes, reset_peak_memory, thread_cpu};
use crate::phase::{Phase, Scenario};
use crate::random::mix;
use crate::report::{Cost, PhaseReport, RunReport};
use crate::ticker::while_syncing;
use crate::zipf::Zipf;

/// A cold phase reads this fraction of the records: few enough that most reads still find the page cache empty.
const COLD_FRACTION: u64 = 40;

/// Unmeasured reads per record of a store that fits the cache: e^-3, or 5 %, of the records are still missed.
const CACHED_WARM_UP_ROUNDS: u64 = 3;

/// First number of the threads that are measured.
const MEASURED_THREADS: usize = 0;

/// First number of the threads that read unmeasured: with those of the measured ones they would choose the same keys, and
/// whoever keeps what came first would find all of them.
const WARM_UP_THREADS: usize = 2_000;

/// Runs the phases that `args` asks for.
pub(crate) fn run(args: &RunArgs) -> Outcome<RunReport> {
    std::fs::create_dir_all(&args.knobs.dir)?;
    let directory = tempfile::tempdir_in(&args.knobs.dir)?;
    let knobs = &args.knobs;
    let population =
        Population { records: knobs.records(args.scenario, args.value), value_bytes: args.value };
    let bench = Bench { args, knobs, population, directory: directory.path() };
    let phases = match args.scenario {
        Scenario::Bulk => bench.bulk()?,
        Scenario::Cached => bench.cached()?,
        Scenario::Durable => bench.durable()?,
    };
    directory.close()?;
    Ok(RunReport {
        engine: args.engine,
        scenario: args.scenario,
        value_bytes: args.value,
        records: population.records,
        cache_bytes: knobs.cache_bytes(args.scenario),
        round: args.round,
        phases,
    })
}

struct Bench<'a> {
    args: &'a RunArgs,
    knobs: &'a Knobs,
    population: Population,
    directory: &'a Path,
}

impl Bench<'_> {
    fn bulk(&self) -> Outcome<Vec<PhaseReport>> {
        let mut reports = Vec::new();
        let engine = self.open()?;
        reports.push(self.fill(&*engine)?);
        files::preload(self.directory)?;
        for phase in [Phase::Uniform, Phase::Zipf, Phase::Miss] {
            if self.knobs.wants(phase) {
                reports.push(self.read(&*engine, phase)?);
            }
        }
        if self.knobs.wants(Phase::Mix) {
            reports.push(self.mix(&*engine)?);
            files::preload(self.directory)?;
        }
        for phase in [Phase::Scan, Phase::Digests] {
            if self.knobs.wants(phase) {
                reports.push(self.scan(&*engine, phase)?);
            }
        }
        engine.close()?;
        for phase in [Phase::Cold, Phase::Cold16] {
            if self.knobs.wants(phase) {
                reports.push(self.cold(phase)?);
            }
        }
        Ok(reports)
    }

    fn cached(&self) -> Outcome<Vec<PhaseReport>> {
        let mut reports = Vec::new();
        let engine = self.open()?;
        self.fill(&*engine)?;
        files::preload(self.directory)?;
        let everything = Stop::After(CACHED_WARM_UP_ROUNDS * self.population.records);
        drive(
            self.readers(WARM_UP_THREADS, &*engine, Phase::CachedUniform, Choice::Uniform),
            everything,
        )?;
        for phase in [Phase::CachedUniform, Phase::CachedZipf] {
            if self.knobs.wants(phase) {
                reports.push(self.read(&*engine, phase)?);
            }
        }
        engine.close()?;
        Ok(reports)
    }

    fn durable(&self) -> Outcome<Vec<PhaseReport>> {
        let mut reports = Vec::new();
        for phase in Phase::of(Scenario::Durable).filter(|phase| self.knobs.wants(*phase)) {
            let directory = self.directory.join(phase.to_string());
            std::fs::create_dir(&directory)?;
            let setup = Setup { directory: &directory, ..self.setup(Durability::Synced) };
            let target = self.args.engine.open_synced(setup)?;
            drive(self.fillers(&*target, phase), self.warm_up())?;
            let clients = self.fillers(&*target, phase);
            let work = || self.measure(phase, || drive(clients, self.time()));
            let (report, device_write_bytes) = self.count_device(work)?;
            reports.push(PhaseReport { live_bytes: 0, device_write_bytes, ..report });
        }
        Ok(reports)
    }

    fn fill(&self, engine: &dyn Engine) -> Outcome<PhaseReport> {
        let clients = self.fillers(engine, Phase::Fill);
        let all = Stop::After(self.population.records);
        self.measure_writing(engine, Phase::Fill, || drive(clients, all))
    }

    fn mix(&self, engine: &dyn Engine) -> Outcome<PhaseReport> {
        let zipf = Zipf::new(self.population.records);
        let readers = self.readers(MEASURED_THREADS, engine, Phase::Mix, Choice::Zipf(&zipf));
        let seed = |thread: usize| self.seed(Phase::Mix, 1_000 + thread);
        let clients = readers.into_iter().zip(0..);
        let clients = clients.map(|(reader, thread)| Mixer::new(reader, seed(thread))).collect();
        let as_many = Stop::After(self.population.records);
        self.measure_writing(engine, Phase::Mix, || drive(clients, as_many))
    }

    fn read(&self, engine: &dyn Engine, phase: Phase) -> Outcome<PhaseReport> {
        let zipf;
        let choice = match phase {
            Phase::Zipf | Phase::CachedZipf => {
                zipf = Zipf::new(self.population.records);
                Choice::Zipf(&zipf)
            }
            Phase::Miss => Choice::Absent,
            _ => Choice::Uniform,
        };
        drive(self.readers(WARM_UP_THREADS, engine, phase, choice), self.warm_up())?;
        let clients = self.readers(MEASURED_THREADS, engine, phase, choice);
        let report = self.measure(phase, || drive(clients, self.time()))?;
        Ok(PhaseReport { notes: engine.notes(), ..report })
    }

    fn scan(&self, engine: &dyn Engine, phase: Phase) -> Outcome<PhaseReport> {
        self.measure(phase, || {
            let cpu_before = thread_cpu();
            let operations = match phase {
                Phase::Digests => scan_digests(engine, self.population)?,
                _ => scan_pairs(engine, self.population)?,
            };
            Ok(Driven {
                operations,
                user_bytes_written: 0,
                client_cpu: thread_cpu().saturating_sub(cpu_before),
                latencies: Latencies::new(),
            })
        })
    }

    /// Opening may read, write and compact; only then are the caches emptied.
    fn cold(&self, phase: Phase) -> Outcome<PhaseReport> {
        let engine = self.open()?;
        engine.settle()?;
        files::forget(self.directory)?;
        let clients = self.readers(MEASURED_THREADS, &*engine, phase, Choice::Uniform);
        let few = Stop::After((self.population.records / COLD_FRACTION).max(1));
        let report = self.measure(phase, || drive(clients, few))?;
        let report = PhaseReport { notes: engine.notes(), ..report };
        engine.close()?;
        Ok(report)
    }

    /// A phase that writes, and the work that it leaves behind.
    fn measure_writing(
        &self,
        engine: &dyn Engine,
        phase: Phase,
        work: impl FnOnce() -> Outcome<Driven>,
    ) -> Outcome<PhaseReport> {
        let interval = Duration::from_millis(self.knobs.sync_interval_ms);
        let whole = || {
            let report = self.measure(phase, work)?;
            let before = Usage::now()?;
            engine.settle()?;
            let settled = Usage::now()?.since(&before);
            Ok(PhaseReport { settle: Some(Cost::from(settled)), ..report })
        };
        let (report, device_write_bytes) =
            self.count_device(|| while_syncing(engine, interval, whole))?;
        Ok(PhaseReport {
            device_write_bytes,
            disk_bytes: files::disk_bytes(self.directory)?,
            notes: engine.notes(),
            ..report
        })
    }

    /// Does `work` from a clean page cache to a clean page cache, and counts what the device was sent.
    fn count_device<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Option<u64>)> {
        files::write_back(self.directory)?;
        let before = files::device_written_bytes(self.directory)?;
        let result = work()?;
        files::write_back(self.directory)?;
        let after = files::device_written_bytes(self.directory)?;
        Ok((result, after.zip(before).map(|(after, before)| after - before)))
    }

    fn measure(
        &self,
        phase: Phase,
        work: impl FnOnce() -> Outcome<Driven>,
    ) -> Outcome<PhaseReport> {
        eprintln!("  {} {} B: {phase}", self.args.engine, self.population.value_bytes);
        reset_peak_memory()?;
        let before = Usage::now()?;
        let driven = work()?;
        let spent = Usage::now()?.since(&before);
        let timed = !matches!(phase, Phase::Scan | Phase::Digests);
        Ok(PhaseReport {
            phase,
            threads: self.threads(phase),
            operations: driven.operations,
            user_bytes_written: driven.user_bytes_written,
            client_cpu_seconds: driven.client_cpu.as_secs_f64(),
            latency: timed.then(|| driven.latencies.summary()),
            cost: Cost::from(spent),
            settle: None,
            device_write_bytes: None,
            peak_memory_bytes: peak_memory_bytes()?,
            disk_bytes: files::disk_bytes(self.directory)?,
            live_bytes: RunReport::live_bytes(self.population.records, self.population.value_bytes),
            notes: String::new(),
        })
    }

    fn open(&self) -> Outcome<Box<dyn Engine>> {
        self.args.engine.open(self.setup(Durability::Periodic))
    }

    fn setup(&self, durability: Durability) -> Setup<'_> {
        let cache_bytes = self.knobs.cache_bytes(self.args.scenario);
        let separate_from = self.knobs.separate_from;
        Setup { directory: self.directory, cache_bytes, durability, separate_from }
    }

    fn fillers<'a>(&self, target: &'a dyn Writes, phase: Phase) -> Vec<Filler<'a>> {
        let value_bytes = self.population.value_bytes;
        let filler = |thread| Filler::new(target, value_bytes, self.seed(phase, thread));
        (0..self.threads(phase)).map(filler).collect()
    }

    /// Readers with the numbers of threads from `first` on.
    fn readers<'a>(
        &self,
        first: usize,
        engine: &'a dyn Engine,
        phase: Phase,
        choice: Choice<'a>,
    ) -> Vec<Reader<'a>> {
        let reader =
            |thread| Reader::new(engine, self.population, choice, self.seed(phase, thread));
        (first..first + self.threads(phase)).map(reader).collect()
    }

    fn threads(&self, phase: Phase) -> usize {
        phase.threads().unwrap_or(self.knobs.threads)
    }

    fn time(&self) -> Stop {
        Stop::When(Duration::from_secs_f64(self.knobs.seconds))
    }

    fn warm_up(&self) -> Stop {
        Stop::When(Duration::from_secs_f64(self.knobs.seconds / 4.0))
    }

    /// The same for every engine, different for every round, phase and thread.
    fn seed(&self, phase: Phase, thread: usize) -> u64 {
        mix(u64::from(self.args.round) << 32 | (phase as u64) << 16 | thread as u64)
    }
}
