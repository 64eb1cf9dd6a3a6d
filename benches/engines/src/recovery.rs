//! `recover`: how long Atoll's engine takes to open a store whose whole log has to be replayed.
//!
//! ```text
//! parent ──▶ child (`recover-victim`): fills, syncs, says so, waits
//!    │ kill -9
//!    ▼ the page cache is emptied; then the store is opened in the parent, timed, and read
//! ```
//!
//! 1. The memtable of the child is too large to be sealed: everything it wrote is in one segment of the log, and nowhere
//!    else. No node lets it come to that: it bounds its log by its memtables.
//! 2. An open replays the log, writes it again and syncs that, before anything is served.
//! 3. Afterwards every record must be there; a thousand of them are read.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use atoll_storage::{Batch, Durability, Engine, Options, RealDisk};

use crate::Outcome;
use crate::args::{RecoverArgs, mebibytes};
use crate::engine::LastOperand;
use crate::files;
use crate::records::{KEY_BYTES, ValueWriter, index_of, key};

const MIB: u64 = 1_024 * 1_024;

/// Records that are read after recovery.
const SAMPLES: u64 = 1_000;

/// Kills a store of `args.gib` and opens it, as often as asked.
pub(crate) fn recover(args: &RecoverArgs) -> Outcome<String> {
    std::fs::create_dir_all(&args.dir)?;
    let mut output = String::from("| round | log GiB | open s | s per GiB |\n|---|---|---|---|\n");
    let mut rates = Vec::new();
    for round in 0..args.runs {
        let directory = tempfile::tempdir_in(&args.dir)?;
        kill_after_fill(args, directory.path())?;
        files::forget(directory.path())?;
        let gib = as_gib(files::disk_bytes(directory.path())?);
        let begin = Instant::now();
        let engine = open(directory.path())?;
        let seconds = begin.elapsed().as_secs_f64();
        check(&engine, args)?;
        rates.push(seconds / gib);
        writeln!(output, "| {round} | {gib:.2} | {seconds:.2} | {:.2} |", seconds / gib)?;
    }
    rates.sort_by(f64::total_cmp);
    let median = rates.get(rates.len() / 2).ok_or("no round was asked for")?;
    writeln!(output, "\nmedian: {median:.2} s per GiB of log (target: below 10)")?;
    Ok(output)
}

/// The child: fills and waits to be killed. It ends by itself if its parent does.
pub(crate) fn fill_and_wait(args: &RecoverArgs) -> Outcome<String> {
    let engine = open(&args.dir)?;
    let mut values = ValueWriter::new(args.value, 1);
    for index in 0..records(args) {
        let mut batch = Batch::new();
        batch.put(&key(index), values.write(index, 0));
        engine.write(batch)?;
    }
    engine.sync()?;
    let statistics = engine.statistics();
    if statistics.levels.iter().any(|level| level.tables > 0) {
        return Err("a table was written: part of the log need not be replayed".into());
    }
    let mut out = std::io::stdout();
    writeln!(out, "filled")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Err("the parent has gone".into())
}

fn kill_after_fill(args: &RecoverArgs, directory: &Path) -> Outcome<()> {
    let mut child = Command::new("/proc/self/exe")
        .arg("recover-victim")
        .arg(format!("--gib={}", args.gib))
        .arg(format!("--value={}", args.value))
        .arg(format!("--dir={}", directory.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("the child has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    child.kill()?;
    let status = child.wait()?;
    if line.trim() == "filled" { Ok(()) } else { Err(format!("the child ended: {status}").into()) }
}

fn open(directory: &Path) -> Outcome<Engine> {
    let options = Options {
        memtable_bytes_max: u64::MAX,
        wal_segment_bytes_max: u64::MAX,
        durability: Durability::Periodic,
        ..Options::default()
    };
    Ok(Engine::open(Arc::new(RealDisk::new(directory)), options, Arc::new(LastOperand))?)
}

fn check(engine: &Engine, args: &RecoverArgs) -> Outcome<()> {
    let (records, visible) = (records(args), engine.statistics().sequence_visible);
    if visible != records {
        return Err(format!("{records} records were synced, {visible} came back").into());
    }
    for index in (0..records).step_by(usize::try_from((records / SAMPLES).max(1))?) {
        let value = engine.get(&key(index))?.ok_or("a synced record is lost")?;
        if index_of(&value, args.value) != Some(index) {
            return Err("a record came back as another".into());
        }
    }
    Ok(())
}

fn records(args: &RecoverArgs) -> u64 {
    mebibytes(args.gib) * MIB / (KEY_BYTES + args.value) as u64
}

#[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^53 bytes")]
fn as_gib(bytes: u64) -> f64 {
    bytes as f64 / (1_024 * MIB) as f64
}
