//! Resident memory of a process, from `/proc`.

use rig::Failure;
use rustix::process::Pid;

/// Memory of one process at one moment, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    /// `VmRSS`: pages in memory, those of its files among them.
    pub(crate) rss_kib: f64,
    /// `VmHWM`: the most that `VmRSS` ever was.
    pub(crate) peak_kib: f64,
    /// `Pss` of `smaps_rollup`: pages that several processes share count in part.
    pub(crate) pss_kib: f64,
    /// `Anonymous` of it: memory that is not that of files.
    pub(crate) anonymous_kib: f64,
}

impl Resident {
    /// That of `pid`.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(pid: Pid) -> Result<Self, Failure> {
        let pid = pid.as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self {
            rss_kib: kib(&status, "VmRSS:")?,
            peak_kib: kib(&status, "VmHWM:")?,
            pss_kib: kib(&rollup, "Pss:")?,
            anonymous_kib: kib(&rollup, "Anonymous:")?,
        })
    }

    /// A line of a table, in MiB.
    pub(crate) fn print(&self, when: &str) {
        let mib = |kib: f64| kib / 1_024.0;
        println!(
            "{when:<34} {:>8.1} {:>8.1} {:>10.1} {:>9.1}",
            mib(self.rss_kib),
            mib(self.pss_kib),
            mib(self.anonymous_kib),
            mib(self.peak_kib)
        );
    }
}

/// Prints the head of the table.
pub(crate) fn print_head() {
    println!("{:<34} {:>8} {:>8} {:>10} {:>9}", "MiB", "VmRSS", "Pss", "anonymous", "VmHWM");
}

fn kib(file: &str, field: &str) -> Result<f64, Failure> {
    let line = file.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
