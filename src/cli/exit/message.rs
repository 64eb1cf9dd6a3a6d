//! The text of an error.
//!
//! The first line says what happened, the indented ones why and what to do. What lower layers said stays word for word; a
//! line is added where their text does not say what to do.
//!
//! Invariants
//! - A failed write always says whether it may have been applied (promise P11), and only once.

use atoll_client::{Error as ClientError, ErrorKind, ProfileError, Tried};

use super::{Error, Intent};
use crate::config::ConfigError;
use crate::node::StartError;

/// The text for stderr, several lines, without a newline at the end.
pub(crate) fn message(error: &Error) -> String {
    let (what, more) = parts(error);
    let mut lines = what.lines();
    let mut out = format!("error: {}", lines.next().unwrap_or_default());
    for line in lines.chain(more.iter().flat_map(|text| text.lines())) {
        out.push_str("\n  ");
        out.push_str(line.trim_end());
    }
    out
}

/// What happened, and the lines below it.
fn parts(error: &Error) -> (String, Vec<String>) {
    let plain = |text: &dyn ToString| (text.to_string(), Vec::new());
    match error {
        Error::Usage { what, fixes } => (what.clone(), fixes.clone()),
        Error::Profile(ProfileError::Content { path, problems }) => {
            let place = path.as_ref().map(|path| format!(" {}", path.display()));
            let what = format!("the profile{} is not usable", place.unwrap_or_default());
            (what, problems.iter().map(ToString::to_string).collect())
        }
        Error::Profile(error) => plain(error),
        Error::Client { error: ClientError::Configuration { problems }, .. } => {
            ("the client is not configured correctly".to_owned(), problems.clone())
        }
        Error::Client { error, intent } => parts_of_client(error, *intent),
        Error::NotFound { what } => plain(what),
        Error::Siblings { what, fix } => (what.clone(), vec![fix.clone()]),
        Error::Degraded { problems } => ("the cluster is degraded".to_owned(), problems.clone()),
        Error::Damaged { store, count } => {
            let what = format!("{} is damaged: {count} problem(s)", store.display());
            let more = "nothing was changed; the other replicas of this data are on other nodes";
            (what, vec![more.to_owned()])
        }
        Error::Row { place, cause } => {
            let (what, more) = parts(cause);
            (format!("{place}: {what}"), more)
        }
        Error::LoadStopped { hint, cause } => {
            let (what, mut more) = parts(cause);
            more.push(hint.clone());
            (what, more)
        }
        Error::Node(error) => (error.to_string(), advice_to_start(error)),
        Error::Config(ConfigError::Invalid { path, problems }) => {
            let lines = problems.iter().map(|problem| problem.trim_start().to_owned());
            (format!("{path}: {} problem(s)", problems.len()), lines.collect())
        }
        Error::Config(error) => plain(error),
        Error::Check { path, problems } => {
            let what = format!("{}: {} problem(s)", path.display(), problems.len());
            let more = problems.iter().map(|problem| {
                let (what, more) = parts(problem);
                std::iter::once(what).chain(more).collect::<Vec<_>>().join("\n")
            });
            (what, more.collect())
        }
        Error::Cert(error) => plain(error),
        Error::Dev(error) => plain(error),
        Error::Fault(error) => plain(error),
        Error::Demo(error) => plain(error),
        Error::Io { action, source } => (format!("cannot {action}: {source}"), Vec::new()),
        Error::Output(error) => (format!("cannot write to stdout: {error}"), Vec::new()),
    }
}

fn parts_of_client(error: &ClientError, intent: Intent) -> (String, Vec<String>) {
    let (what, mut more) = match error {
        ClientError::Failed { node, failure, .. } => {
            (failure.to_string(), vec![format!("answered by {node}")])
        }
        ClientError::Unreachable { hint, tried } => {
            let hint = hint.as_deref().unwrap_or_default();
            // Most reasons begin with the address that was tried.
            let lines =
                tried.iter().map(|Tried { node, reason }| match reason.strip_prefix(node) {
                    Some(_) => reason.clone(),
                    None => format!("{node}: {reason}"),
                });
            (format!("no node could be reached{hint}"), lines.collect())
        }
        _ => (error.to_string(), Vec::new()),
    };
    let last = outcome(error, intent, &what).into_iter().chain(advice(error.kind()));
    more.extend(last.map(str::to_owned));
    (what, more)
}

/// What to do about a node that does not start, where the text itself does not say.
fn advice_to_start(error: &StartError) -> Vec<String> {
    match error {
        StartError::Storage(atoll_storage::Error::Locked { .. }) => {
            vec!["another process uses this data directory: stop it, or give this node another data_dir".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// What became of a write, unless `said` says it already.
fn outcome(error: &ClientError, intent: Intent, said: &str) -> Option<&'static str> {
    if intent == Intent::Read {
        return None;
    }
    if error.may_have_applied() {
        return Some("it may have been applied, now or later: read the key before writing again");
    }
    (!said.contains("nothing was written")).then_some("nothing was written")
}

/// What to do about it, where the text itself does not say.
fn advice(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Unavailable => Some(
            "try: a lower --level, or bring the missing nodes back (`atoll status` names them)",
        ),
        ErrorKind::Unreachable => Some("try: see that the nodes run and that UDP reaches them"),
        ErrorKind::Deadline => Some("try: a longer --deadline or a lower --level"),
        ErrorKind::Overloaded => Some("try: again in a moment, with less at once"),
        ErrorKind::Storage | ErrorKind::Internal => Some("the node's log has more"),
        _ => None,
    }
}
