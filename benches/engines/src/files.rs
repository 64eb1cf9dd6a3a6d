//! An engine's files as a whole: their size on disk, and whether the page cache holds them.
//!
//! 1. [`disk_bytes`] sums allocated blocks, so that preallocated space counts and holes do not.
//! 2. [`preload`] reads every file once, so that engines which write around the page cache start a read phase from the
//!    same state as those which write through it.
//! 3. [`device_written_bytes`] is the device's own count.
//! 4. [`forget`] writes everything back and drops the page cache of these files, and of no others.
//!
//! Invariant: files may vanish while they are visited, because engines work in the background.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise, syncfs};

use crate::Outcome;

const READ_BYTES: usize = 1024 * 1024;

/// `st_blocks` and sectors count in these, whatever the size of a block.
const BLOCK_BYTES: u64 = 512;

/// Bytes allocated on disk to everything below `directory`.
pub(crate) fn disk_bytes(directory: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for path in files(directory)? {
        if let Some(metadata) = unless_gone(fs::metadata(path))? {
            bytes += metadata.blocks() * BLOCK_BYTES;
        }
    }
    Ok(bytes)
}

/// Reads every file below `directory` through the page cache.
pub(crate) fn preload(directory: &Path) -> Outcome<()> {
    let mut buffer = vec![0; READ_BYTES];
    for path in files(directory)? {
        if let Some(mut file) = unless_gone(File::open(path))? {
            while file.read(&mut buffer)? > 0 {}
        }
    }
    Ok(())
}

/// Writes back everything below `directory` and drops it from the page cache.
pub(crate) fn forget(directory: &Path) -> Outcome<()> {
    write_back(directory)?;
    for path in files(directory)? {
        if let Some(file) = unless_gone(File::open(path))? {
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Writes back the file system that holds `directory`, and waits for it.
pub(crate) fn write_back(directory: &Path) -> Outcome<()> {
    Ok(syncfs(File::open(directory)?)?)
}

/// Bytes that the device below `directory` has been sent since it was attached, by everybody; `None` if the file
/// system has no device of its own. Complete after a [`write_back`].
pub(crate) fn device_written_bytes(directory: &Path) -> Outcome<Option<u64>> {
    let device = fs::metadata(directory)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let statistics = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"));
    let Some(statistics) = unless_gone(statistics)? else { return Ok(None) };
    // Fields: reads, merged, sectors, ms; writes, merged, sectors, ...
    let sectors: Option<u64> =
        statistics.split_whitespace().nth(6).and_then(|word| word.parse().ok());
    Ok(sectors.map(|sectors| sectors * BLOCK_BYTES))
}

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(next) = directories.pop() {
        let Some(entries) = unless_gone(fs::read_dir(next))? else { continue };
        for entry in entries {
            let entry = entry?;
            match unless_gone(entry.file_type())? {
                Some(kind) if kind.is_dir() => directories.push(entry.path()),
                Some(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
