//! Processor time of processes, from `/proc`.

use rustix::process::Pid;

use crate::Failure;

/// Microseconds of a tick: Linux shows processor time in hundredths of a second.
const MICROS_PER_TICK: f64 = 10_000.0;

/// Processor time of some processes at one moment.
#[derive(Clone, Debug)]
pub struct ProcessorTime {
    micros: f64,
}

impl ProcessorTime {
    /// That of `pids`, all threads, since they started.
    ///
    /// # Errors
    /// A process is gone.
    pub fn of(pids: &[Pid]) -> Result<Self, Failure> {
        let mut micros = 0.0;
        for pid in pids {
            micros += of_file(&format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
        }
        Ok(Self { micros })
    }

    /// That of this process.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn own() -> Result<Self, Failure> {
        Ok(Self { micros: of_file("/proc/self/stat")? })
    }

    /// That of the whole machine, with its kernel, and with what its host gave to others.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn machine() -> Result<Self, Failure> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        let line = stat.lines().next().ok_or("an empty stat file")?;
        // user nice system idle iowait irq softirq steal; what follows is part of user.
        let fields = line.split_whitespace().skip(1).take(8).enumerate();
        let mut ticks = 0.0;
        for (_, field) in fields.filter(|(at, _)| !matches!(at, 3 | 4)) {
            ticks += field.parse::<f64>()?;
        }
        Ok(Self { micros: ticks * MICROS_PER_TICK })
    }

    /// That of `pids` and of this process together.
    ///
    /// # Errors
    /// A process is gone.
    pub fn with_own(pids: &[Pid]) -> Result<Self, Failure> {
        Ok(Self { micros: Self::of(pids)?.micros + Self::own()?.micros })
    }

    /// Microseconds since `earlier`.
    pub fn micros_since(&self, earlier: &Self) -> f64 {
        self.micros - earlier.micros
    }
}

fn of_file(path: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(path)?;
    // The name may hold anything; what follows its bracket are numbers.
    let (_, fields) = stat.rsplit_once(") ").ok_or("a malformed stat file")?;
    let ticks = |at: usize| -> Result<f64, Failure> {
        Ok(fields.split(' ').nth(at).ok_or("a short stat file")?.parse::<f64>()?)
    };
    Ok((ticks(11)? + ticks(12)?) * MICROS_PER_TICK)
}

/// The median; of an even number the greater one in the middle. 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
