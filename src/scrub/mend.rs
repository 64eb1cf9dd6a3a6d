//! One damaged file, mended: what it has lost is gathered from all other replicas, and then given up here.
//!
//! 1. Survey: which keys cannot be read because of it. Of a file that only a read complained of, and that can be read now,
//!    nothing is done: the scrub will see.
//! 2. Gather: every other replica's records of these keys are joined here, durably. Reads go on failing meanwhile.
//! 3. A new incarnation: what this node minted for a lost key may be on its way to others still, or wait in a hint, and a
//!    later counter of the same incarnation would claim to have seen it.
//! 4. Salvage, one table after the other, and hash again what changed.
//!
//! Invariant: a key is given up only behind its gathering; the engine refuses to give up another.

use std::time::Duration;

use atoll_protocol::ids::Incarnation;
use atoll_storage::{Error, KeyRange, Salvaged, Survey};

use super::{Evidence, Scrub};
use crate::repair::Gathered;

/// Pause before a file is tried again for the first time: a peer may be busy, or not connected yet.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Longest pause before a file is tried again: a survey reads tables, and what is missing may stay so for days.
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(16);

/// What became of a damaged file.
#[derive(Debug, PartialEq, Eq)]
enum Mended {
    /// It is not in use any more: salvaged here, or emptied by a compaction of what was left.
    Gone,
    /// It can be read.
    Sound,
    /// Others have to answer first, or more was lost.
    Again,
    /// Something is missing.
    Later(String),
    /// Of its keys there is no other replica.
    Alone,
}

impl Scrub {
    /// Mends `file`, or has it tried again.
    pub(super) async fn mend(&self, file: &str, evidence: Evidence) {
        let mended = self.try_mend(file, evidence).await;
        let now = self.parts.env.mono();
        let mut state = self.state.lock();
        let Some(damaged) = state.damaged.get_mut(file) else { return };
        damaged.attempts += 1;
        damaged.due = now.after(pause_after(damaged.attempts));
        let was_alone = std::mem::replace(&mut damaged.is_alone, mended == Mended::Alone);
        let is_certain = damaged.evidence == Evidence::Checked;
        match mended {
            Mended::Gone => {
                if is_certain {
                    tracing::warn!(file, "a damaged file was mended from other replicas");
                }
                state.status.mended += u64::from(is_certain);
                state.damaged.remove(file);
            }
            Mended::Sound => drop(state.damaged.remove(file)),
            Mended::Again => {}
            Mended::Later(reason) => {
                tracing::warn!(file, reason, "a damaged file cannot be mended yet; trying again");
            }
            Mended::Alone if was_alone => {}
            Mended::Alone => {
                tracing::error!(
                    file,
                    "ALARM: keys are lost with a damaged file; no other replica has them"
                );
            }
        }
    }

    async fn try_mend(&self, file: &str, evidence: Evidence) -> Mended {
        let (engine, name) = (self.parts.engine.clone(), file.to_owned());
        let mut bytes = 0;
        let survey = move || {
            let survey = engine.survey(&name, &mut |read| bytes += read);
            (survey, bytes)
        };
        let (survey, bytes) = self.parts.env.blocking(survey).await;
        let lost = match survey {
            Ok(Survey::Unused) => return Mended::Gone,
            Ok(Survey::Lost(lost)) => lost,
            Err(error) => return self.failed(file, &error),
        };
        if lost.is_empty() && evidence == Evidence::Read {
            return Mended::Sound;
        }
        self.note(file, Evidence::Checked, self.parts.env.mono());
        self.parts.env.sleep(self.parts.pacing.rest(bytes)).await;
        if !lost.is_empty() {
            match self.parts.repair.gather(&lost).await {
                Gathered::Complete(records) => {
                    tracing::info!(file, records, "gathered what a damaged file has lost");
                    self.state.lock().status.gathered += records as u64;
                }
                Gathered::Alone => return Mended::Alone,
                Gathered::Busy => return Mended::Again,
                Gathered::Missing(reason) => return Mended::Later(reason),
            }
            if let Err(reason) = self.begin_incarnation().await {
                return Mended::Later(reason);
            }
        }
        self.salvage(file, lost).await
    }

    /// Has every table written anew that needs `file`.
    async fn salvage(&self, file: &str, lost: Vec<KeyRange>) -> Mended {
        loop {
            let (engine, name, mended) = (self.parts.engine.clone(), file.to_owned(), lost.clone());
            let salvage = move || engine.salvage(&name, &mended);
            let salvaged = self.parts.env.blocking(salvage).await;
            self.parts.repair.rehash(&lost);
            match salvaged {
                Ok(Salvaged::Done) => return Mended::Gone,
                Ok(Salvaged::More) => {
                    let began = self.parts.env.mono();
                    self.parts.replica.yield_to_requests(began).await;
                }
                Ok(Salvaged::Again) => return Mended::Again,
                Err(error) => return self.failed(file, &error),
            }
        }
    }

    /// Makes durable what was gathered, and mints under another incarnation from now on.
    async fn begin_incarnation(&self) -> Result<(), String> {
        let (engine, meta) = (self.parts.engine.clone(), self.parts.meta.clone());
        let fresh = Incarnation(self.parts.env.random_u64());
        let renew = move || {
            engine.sync().map_err(|error| error.to_string())?;
            meta.renew_life(fresh).map_err(|error| error.to_string())
        };
        self.parts.env.blocking(renew).await?;
        self.parts.replica.begin_incarnation(fresh);
        tracing::warn!(incarnation = %fresh, "records were lost to damage: new incarnation");
        Ok(())
    }

    /// What an engine's error means for `file`: another file may have to be mended first.
    fn failed(&self, file: &str, error: &Error) -> Mended {
        match error {
            Error::Corrupt { file: other, .. } => {
                if other != file {
                    self.note(other, Evidence::Read, self.parts.env.mono());
                }
                Mended::Again
            }
            error => Mended::Later(error.to_string()),
        }
    }
}

/// The pause after so many attempts.
fn pause_after(attempts: u32) -> Duration {
    AGAIN_AFTER.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(AGAIN_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::pause_after;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let seconds = |attempts| pause_after(attempts).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 99].map(seconds), [1, 2, 4, 8, 16, 16, 16]);
    }
}
