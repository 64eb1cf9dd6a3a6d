//! Fills the page cache with junk, so that what engines write goes into recycled pages.
//!
//! Why: see [`Command::WarmPageCache`](crate::args::Command).
//!
//! 1. Allocate a file of unwritten extents: no byte of it goes to the device, reading it yields zeroes.
//! 2. Read it: the page cache takes a page for every 4 KiB.
//! 3. Keep it: removing the file would hand its pages back. The next call removes it first.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use rustix::fs::{FallocateFlags, fallocate};

use crate::Outcome;
use crate::args::{WarmArgs, mebibytes};

const MIB: u64 = 1_024 * 1_024;

/// Share of the available memory that is filled: the rest is for the engine and its caches.
const SHARE_PERCENT: u64 = 92;

/// Fills the cache and says what it did.
pub(crate) fn warm(args: &WarmArgs) -> Outcome<String> {
    fs::create_dir_all(&args.dir)?;
    let path = args.dir.join("page-cache-junk");
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let bytes = match args.gib {
        Some(gib) => mebibytes(gib) * MIB,
        None => available_bytes()? / 100 * SHARE_PERCENT,
    };
    let begin = Instant::now();
    let read = fill(&path, bytes)?;
    let (seconds, mib) = (begin.elapsed().as_secs_f64(), read / MIB);
    Ok(format!("{mib} MiB of page cache taken in {seconds:.1} s; keep {}", path.display()))
}

/// Takes again the pages that the last run gave back, if the cache was filled before.
pub(crate) fn refill(dir: &Path) -> Outcome<()> {
    let path = dir.join("page-cache-junk");
    if path.exists() {
        read(&path)?;
    }
    Ok(())
}

fn fill(path: &Path, bytes: u64) -> Outcome<u64> {
    let file = OpenOptions::new().create_new(true).write(true).open(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
    read(path)
}

fn read(path: &Path) -> Outcome<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1_024 * 1_024];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}

fn available_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("/proc/meminfo does not say what is available")?
        .parse()?;
    Ok(kib * 1_024)
}
