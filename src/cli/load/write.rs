//! From rows to puts: many at once, each until it is durable or cannot be.
//!
//! 1. Rows are issued in order, at most so many at once, and never further ahead than the progress allows.
//! 2. A row of which an earlier run may have written something is looked at first; if its value is there, it is done.
//! 3. A put that was refused for the moment is repeated after a pause; one whose outcome is unknown is looked at first.
//! 4. When a row fails for good nothing more is issued; those under way are waited for, and what is done is written down.
//!
//! Invariants
//! - A row counts as done only when a put was acknowledged at its level, or a get at that level showed its value.
//! - A put whose outcome is unknown is never repeated blindly.

use std::fs::File;
use std::time::Duration;

use atoll_client::{Error as ClientError, Keyspace, Level};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use indicatif::ProgressBar;

use super::progress::{AHEAD_ROWS_MAX, Prefix, Progress, Start};
use super::read::{Row, Rows};
use crate::cli::exit::Error;
use crate::cli::output::brief;

/// Attempts at one row: with the pauses between them about six seconds of overload or of a node's restart.
const ATTEMPTS_MAX: u32 = 8;

/// Pause after the first failed attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How rows are put.
pub(super) struct Loader {
    pub(super) keyspace: Keyspace,
    /// The profile's, unless it is given.
    pub(super) level: Option<Level>,
    /// Puts under way at once.
    pub(super) concurrency: usize,
    pub(super) start: Start,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Rows that this run put.
    pub(super) written: u64,
    /// Of these, rows whose key has siblings now.
    pub(super) with_siblings: u64,
    /// The first such row, for people.
    pub(super) first_sibling: Option<String>,
}

/// Whether a row is looked at before it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approach {
    /// Nothing of it was ever sent.
    Put,
    /// Something of it may have been applied.
    LookFirst,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It will not get better.
    Stop,
    /// Try again after a pause.
    Again { approach: Approach, pause: Duration },
}

/// How one row ended.
enum RowEnd {
    /// This run put it; live versions of its key.
    Written { siblings: u16 },
    /// It was there already.
    Found,
}

/// One row that ended.
struct Ended {
    index: u64,
    row: Row,
    result: Result<RowEnd, ClientError>,
}

impl Loader {
    /// Puts every row that is not done yet.
    pub(super) async fn run(
        &self,
        rows: Rows<File>,
        progress: &mut Progress,
        bar: &ProgressBar,
    ) -> Result<Loaded, Error> {
        let done = match self.start {
            Start::Fresh => 0,
            Start::Resumed { rows } => rows,
        };
        let (mut prefix, mut loaded) = (Prefix::new(done), Loaded::default());
        let mut rows = (0..).zip(rows).skip_while(|(index, _)| *index < done).peekable();
        let mut running = FuturesUnordered::new();
        let mut trouble = None;
        bar.set_position(done);
        loop {
            while trouble.is_none() && running.len() < self.concurrency {
                let next = rows.next_if(|(index, _)| progress.may_issue(*index));
                match next {
                    None => break,
                    Some((index, Ok(Ok(row)))) => running.push(self.put_row(index, row)),
                    Some((_, Ok(Err(malformed)))) => trouble = Some(changed(malformed.line)),
                    Some((_, Err(error))) => trouble = Some(Error::io("read the file")(error)),
                }
            }
            let Some(ended) = running.next().await else { break };
            match note(&mut loaded, ended) {
                Ok(index) => {
                    prefix.complete(index);
                    bar.inc(1);
                    if let Err(error) = progress.save_sometimes(prefix.done()) {
                        trouble.get_or_insert(error);
                    }
                }
                Err(error) => {
                    trouble.get_or_insert(error);
                }
            }
        }
        // A trouble with saving would only repeat itself, and the first one says more.
        let saved = progress.save(prefix.done());
        match trouble {
            None => {
                assert!(rows.peek().is_none(), "the window moves whenever nothing is under way");
                saved.map(|()| loaded)
            }
            Some(cause) => {
                let hint = format!(
                    "{} rows from the first on are loaded; the same command continues there",
                    prefix.done()
                );
                Err(Error::LoadStopped { hint, cause: Box::new(cause) })
            }
        }
    }

    async fn put_row(&self, index: u64, row: Row) -> Ended {
        let (mut approach, mut attempt) = (self.approach(index), 1);
        let result = loop {
            let error = match self.try_row(&row, approach).await {
                Ok(end) => break Ok(end),
                Err(error) => error,
            };
            match next_step(&error, approach, attempt) {
                Next::Stop => break Err(error),
                Next::Again { approach: next, pause } => {
                    tokio::time::sleep(pause).await;
                    (approach, attempt) = (next, attempt + 1);
                }
            }
        };
        Ended { index, row, result }
    }

    fn approach(&self, index: u64) -> Approach {
        match self.start {
            Start::Resumed { rows } if index < rows + AHEAD_ROWS_MAX => Approach::LookFirst,
            Start::Fresh | Start::Resumed { .. } => Approach::Put,
        }
    }

    async fn try_row(&self, row: &Row, approach: Approach) -> Result<RowEnd, ClientError> {
        if approach == Approach::LookFirst {
            let mut get = self.keyspace.get(&row.key);
            if let Some(level) = self.level {
                get = get.level(level);
            }
            let found = get.await?;
            if found.values().iter().any(|value| *value.bytes() == row.value) {
                return Ok(RowEnd::Found);
            }
        }
        let mut put = self.keyspace.put(&row.key, row.value.clone()).blind();
        if let Some(level) = self.level {
            put = put.level(level);
        }
        let written = put.await?;
        Ok(RowEnd::Written { siblings: written.siblings() })
    }
}

/// Decides what follows a failed attempt.
fn next_step(error: &ClientError, approach: Approach, attempt: u32) -> Next {
    if attempt >= ATTEMPTS_MAX || !error.is_retryable() {
        return Next::Stop;
    }
    let approach = if error.may_have_applied() { Approach::LookFirst } else { approach };
    let doubled = PAUSE_FIRST.saturating_mul(1 << (attempt - 1).min(10));
    let pause = error.retry_after().unwrap_or(doubled).min(PAUSE_MAX);
    Next::Again { approach, pause }
}

/// Takes the end of one row into account; its index, or why the load cannot go on.
fn note(loaded: &mut Loaded, ended: Ended) -> Result<u64, Error> {
    let Ended { index, row, result } = ended;
    let place = || format!("line {}, key `{}`", row.line, brief(&row.key));
    match result {
        Ok(RowEnd::Found) => {}
        Ok(RowEnd::Written { siblings }) => {
            loaded.written += 1;
            if siblings > 1 {
                loaded.with_siblings += 1;
                loaded.first_sibling.get_or_insert_with(place);
            }
        }
        Err(error) => {
            return Err(Error::Row { place: place(), cause: Box::new(Error::write(error)) });
        }
    }
    Ok(index)
}

fn changed(line: u64) -> Error {
    Error::usage(
        format!("line {line} has changed since the load began"),
        "load the file when it is complete",
    )
}

#[cfg(test)]
mod tests;
