//! Getting rid of a damaged file without losing what of it can still be read.
//!
//! Entered through `Engine::survey` and `Engine::salvage`, by whoever can get elsewhere what is lost here.
//!
//! 1. `survey` says which keys a damaged file has taken with it: of a table, the ranges of its unreadable blocks; of a value
//!    file, the keys whose pointers into it lead to damaged values.
//! 2. The caller fetches these keys and writes them here. Until then reads of them fail.
//! 3. `salvage` writes one table anew without what cannot be read: the damaged one, or one that points into the damaged
//!    value file, whose sound values are copied. The edit that swaps the tables is one, so that a crash finds the table
//!    whole or mended.
//!
//! Invariant: nothing is left out that the caller has not named; a table that is damaged elsewhere, too, stays as it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::cache::CacheUse;
use crate::compaction::{Outcome, live_lost, salvage};
use crate::entry::{Fetch, Payload};
use crate::error::Error;
use crate::files::FileKind;
use crate::finding::KeyRange;
use crate::version::{LiveTable, Version};

use super::install::Change;
use super::view::Reading;
use super::{Budget, Engine};

/// Ranges that one survey names: at 64 bytes a key 2 MiB. What is beyond is found by the next one, once these are salvaged.
const LOST_RANGES_MAX: usize = 16 * 1_024;

/// What [`Engine::survey`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// The file is not in use (any more).
    Unused,
    /// It is, and these keys cannot be read because of it: ascending, without overlap; none if all can. Some may exist that
    /// are not named, if there are very many.
    Lost(Vec<KeyRange>),
}

/// What [`Engine::salvage`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Salvaged {
    /// Nothing is left to do: the file is not in use any more.
    Done,
    /// One table was written anew, and others still need the file.
    More,
    /// One table was written anew, and still needs the file: a value was lost that was not named.
    Again,
}

impl Engine {
    /// Which keys cannot be read because `file`, which the scrub or an error named, is damaged.
    ///
    /// Cost: reads a table; for a value file, all tables that point into it and the values that they point to there. `on_read`
    /// is called with the bytes of every table. Holds no lock.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names another file that is damaged, too, and is to be salvaged first; [`Error::Disk`];
    /// [`Error::Poisoned`].
    pub fn survey(&self, file: &str, on_read: &mut dyn FnMut(u64)) -> Result<Survey, Error> {
        self.survey_file(file, on_read)
    }

    /// Writes one table anew that needs the damaged `file`, without what of the keys `mended` (ascending, without overlap)
    /// cannot be read: the table itself, or one that points into the value file. To be repeated while it says
    /// [`Salvaged::More`].
    ///
    /// What was left out is gone, and older entries of these keys show again: for values that are joins, once the caller
    /// has written all that others know of the keys.
    ///
    /// Cost: reads and writes one table, and the values that it has in the file. Waits for a running compaction, and keeps
    /// others waiting.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if other keys are lost, too: ask [`survey`](Engine::survey) again. [`Error::Disk`],
    /// [`Error::Overloaded`]: nothing changed. [`Error::Closed`], [`Error::Poisoned`].
    pub fn salvage(&self, file: &str, mended: &[KeyRange]) -> Result<Salvaged, Error> {
        self.salvage_file(file, mended)
    }

    fn survey_file(&self, file: &str, on_read: &mut dyn FnMut(u64)) -> Result<Survey, Error> {
        self.health.check_readable()?;
        let version = Arc::clone(&self.current_tree().version);
        let mut lost = match FileKind::parse(file) {
            Some((FileKind::Table, file_id)) => match find_table(&version, file_id) {
                Some((_, live)) => {
                    on_read(live.table.meta().bytes);
                    live_lost(&live)?
                }
                None => return Ok(Survey::Unused),
            },
            Some((FileKind::Segment | FileKind::Values, file_id))
                if version.values().contains_key(&file_id) =>
            {
                self.lost_values(&version, file_id, on_read)?
            }
            _ => return Ok(Survey::Unused),
        };
        lost.sort();
        lost.dedup();
        lost.truncate(LOST_RANGES_MAX);
        debug_assert!(lost.is_sorted_by(|left, right| left.last < right.first));
        Ok(Survey::Lost(lost))
    }

    fn salvage_file(&self, file: &str, mended: &[KeyRange]) -> Result<Salvaged, Error> {
        self.health.check_writable()?;
        let _compacting = self.compacting.lock();
        let version = Arc::clone(&self.current_tree().version);
        let mut leaving = BTreeSet::new();
        let table = match FileKind::parse(file) {
            Some((FileKind::Table, file_id)) => find_table(&version, file_id),
            Some((FileKind::Segment | FileKind::Values, file_id)) => {
                leaving.insert(file_id);
                find_referrer(&version, file_id)
            }
            _ => None,
        };
        let Some((level, live)) = table else {
            return Ok(Salvaged::Done);
        };
        let outcome = {
            let reading = self.reading(&version);
            let job = self.job(&reading, &leaving, Budget::default());
            salvage(&job, &version, (level, live.file_id()), mended)
        };
        drop((version, live));
        let outcome = self.health.settle(outcome)?;
        let is_emptied = outcome.damaged.is_empty();
        self.install_salvaged(outcome)?;
        let version = Arc::clone(&self.current_tree().version);
        Ok(match leaving.first().and_then(|file_id| find_referrer(&version, *file_id)) {
            None => Salvaged::Done,
            Some(_) if is_emptied => Salvaged::More,
            Some(_) => Salvaged::Again,
        })
    }

    fn install_salvaged(&self, outcome: Outcome) -> Result<(), Error> {
        self.counters.salvages.add(1);
        self.counters.count_outputs(&outcome.counts);
        self.install(Change { gives_up: true, ..outcome.into() }, None)?;
        self.sweep();
        Ok(())
    }

    /// The keys of all tables whose pointers into value file `file_id` lead to damaged values.
    fn lost_values(
        &self,
        version: &Version,
        file_id: u64,
        on_read: &mut dyn FnMut(u64),
    ) -> Result<Vec<KeyRange>, Error> {
        let reading = self.reading(version);
        let mut lost = BTreeSet::new();
        for (_, live) in version.tables().filter(|(_, live)| points_into(live, file_id)) {
            on_read(live.table.meta().bytes);
            lose_values(&reading, live, file_id, &mut lost)?;
        }
        Ok(lost.into_iter().collect())
    }
}

fn lose_values(
    reading: &Reading<'_>,
    live: &LiveTable,
    file_id: u64,
    lost: &mut BTreeSet<KeyRange>,
) -> Result<(), Error> {
    let mut cursor = live.part().table.cursor(live.key_first(), None, CacheUse::Bypass)?;
    while lost.len() < LOST_RANGES_MAX
        && let (Some(key), Some(entry)) = (cursor.key(), cursor.entry())
    {
        if let Some(Payload::Stored(pointer)) = entry.value.payload()
            && pointer.file_id == file_id
        {
            match reading.fetch(pointer) {
                Ok(_) => {}
                Err(Error::Corrupt { .. }) => {
                    let key = Bytes::copy_from_slice(key);
                    lost.insert(KeyRange { first: key.clone(), last: key });
                }
                Err(error) => return Err(error),
            }
        }
        cursor.advance()?;
    }
    Ok(())
}

fn find_table(version: &Version, file_id: u64) -> Option<(usize, LiveTable)> {
    let mut tables = version.tables();
    tables.find(|(_, live)| live.file_id() == file_id).map(|(level, live)| (level, live.clone()))
}

/// The first table that points into value file `file_id`.
fn find_referrer(version: &Version, file_id: u64) -> Option<(usize, LiveTable)> {
    let mut tables = version.tables();
    let found = tables.find(|(_, live)| points_into(live, file_id));
    found.map(|(level, live)| (level, live.clone()))
}

fn points_into(live: &LiveTable, file_id: u64) -> bool {
    live.table.references().iter().any(|reference| reference.file.file_id() == file_id)
}
