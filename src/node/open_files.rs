//! The process's limit on open files: every table and every value file of the engine is one.
//!
//! Systems hand out a low soft limit for the sake of programs that use `select`, and a high hard one for those that raise
//! it. A node raises it as far as it may.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that a node should be able to have: with tables of 16 MiB and value files of 64 MiB, about 100 GiB of data,
/// connections beside them.
const OPEN_FILES_MIN: u64 = 4_096;

/// What becomes of the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// It is as high as it may be.
    Keep,
    /// To the hard limit; `None` is none.
    Raise(Option<u64>),
}

/// Raises the soft limit to the hard one, says so, and warns if that is little.
pub(super) fn raise_open_files() {
    let found = getrlimit(Resource::Nofile);
    if let Plan::Raise(to) = plan(&found) {
        let (from, to) = (shown(found.current), shown(to));
        match setrlimit(Resource::Nofile, Rlimit { current: found.maximum, ..found }) {
            Ok(()) => tracing::info!(from, to, "limit on open files raised"),
            Err(error) => tracing::warn!(from, to, %error, "limit on open files not raised"),
        }
    }
    let limit = getrlimit(Resource::Nofile).current;
    if is_low(limit) {
        tracing::warn!(
            limit = shown(limit),
            wanted = OPEN_FILES_MIN,
            "the limit on open files is low: every table and value file is one; raise the hard limit (ulimit -Hn, \
             LimitNOFILE=)"
        );
    }
}

fn plan(found: &Rlimit) -> Plan {
    if found.current == found.maximum { Plan::Keep } else { Plan::Raise(found.maximum) }
}

fn is_low(limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| limit < OPEN_FILES_MIN)
}

fn shown(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit};

    use super::{Plan, is_low, plan, raise_open_files};

    #[test]
    fn the_soft_limit_follows_the_hard_one() {
        let rows = [
            ((Some(1_024), Some(1_048_576)), Plan::Raise(Some(1_048_576))),
            ((Some(1_024), None), Plan::Raise(None)),
            ((Some(1_024), Some(1_024)), Plan::Keep),
            ((None, None), Plan::Keep),
        ];
        for ((current, maximum), expected) in rows {
            let found = Rlimit { current, maximum };
            assert_eq!(plan(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn low_limits_are_told_from_sufficient_ones() {
        let rows = [(Some(0), true), (Some(4_095), true), (Some(4_096), false), (None, false)];
        for (limit, expected) in rows {
            assert_eq!(is_low(limit), expected, "{limit:?}");
        }
    }

    #[test]
    fn this_process_is_raised_and_a_second_time_changes_nothing() {
        for _ in 0..2 {
            raise_open_files();
            let found = getrlimit(Resource::Nofile);
            assert_eq!(found.current, found.maximum);
        }
    }
}
