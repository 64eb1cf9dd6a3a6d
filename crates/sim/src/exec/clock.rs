//! The clocks of a process: monotonic from its start, and a wall clock that is wrong.
//!
//! Both run `ppm` parts per million too fast. Monotonic time goes on while a process is paused, as CLOCK_MONOTONIC
//! does during SIGSTOP.

use atoll_protocol::time::{MonoTime, WallTime};

/// Wall time when a world begins: 2026-01-01T00:00:00Z in microseconds.
const EPOCH_MICROS: u64 = 1_767_225_600_000_000;

const MILLION: i128 = 1_000_000;

/// How wrong a clock is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockSetting {
    /// Wall clock against the world's at the start, in milliseconds.
    pub skew_ms: i64,
    /// Drift in parts per million.
    pub drift_ppm: i32,
}

pub(super) struct Clock {
    offset_micros: i64,
    drift_ppm: i32,
    booted: u64,
}

impl Clock {
    pub(super) fn new(setting: ClockSetting) -> Self {
        let offset_micros = setting.skew_ms.saturating_mul(1_000);
        Self { offset_micros, drift_ppm: setting.drift_ppm, booted: 0 }
    }

    pub(super) fn boot(&mut self, now: u64) {
        self.booted = now;
    }

    pub(super) fn jump(&mut self, by_ms: i64) {
        self.offset_micros = self.offset_micros.saturating_add(by_ms.saturating_mul(1_000));
    }

    /// Time since the process started, by its own clock.
    pub(super) fn mono(&self, now: u64) -> MonoTime {
        MonoTime::from_nanos(self.run(now.saturating_sub(self.booted)))
    }

    /// The world's time at which the process's clock shows `at`, rounded up.
    pub(super) fn world(&self, at: MonoTime) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        let nanos = (i128::from(at.as_nanos()) * MILLION + rate - 1) / rate.max(1);
        self.booted.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    pub(super) fn wall(&self, now: u64) -> WallTime {
        let micros = EPOCH_MICROS.saturating_add(self.run(now) / 1_000);
        WallTime::from_micros(micros.saturating_add_signed(self.offset_micros))
    }

    fn run(&self, nanos: u64) -> u64 {
        let rate = MILLION + i128::from(self.drift_ppm);
        u64::try_from(i128::from(nanos) * rate / MILLION).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, ClockSetting, EPOCH_MICROS};
    use atoll_protocol::time::MonoTime;

    #[test]
    fn clocks_drift_jump_and_are_invertible() {
        let mut clock = Clock::new(ClockSetting { skew_ms: -5, drift_ppm: 1_000 });
        clock.boot(1_000_000_000);
        assert_eq!(clock.mono(2_000_000_000).as_nanos(), 1_001_000_000);
        for nanos in [0, 1, 999, 1_001_000_000, 77_777_777_777] {
            let at = MonoTime::from_nanos(nanos);
            assert!(
                clock.mono(clock.world(at)) >= at,
                "a sleeper that wakes has waited long enough"
            );
        }
        assert_eq!(clock.wall(0).as_micros(), EPOCH_MICROS - 5_000);
        clock.jump(7);
        assert_eq!(clock.wall(0).as_micros(), EPOCH_MICROS + 2_000);
    }
}
