//! Logging, to stderr and nowhere else.
//!
//! A node logs always. Every other command says what it has to say through the console, and logs only when `ATOLL_LOG` is
//! set: that is for finding out what the SDK does.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use super::exit::Error;

/// The variable that says what to log.
pub(super) const VARIABLE: &str = "ATOLL_LOG";

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line of text for each event.
    Human,
    /// A JSON object for each event.
    Json,
    /// Human on a terminal, JSON elsewhere.
    Auto,
}

/// Accepts what the logger accepts.
pub(super) fn check_filter(text: &str) -> Result<String, String> {
    let filter = EnvFilter::try_new(text);
    filter.map(|_| text.to_owned()).map_err(|error| {
        format!("{error}; write error, warn, info, debug or trace, or module=level pairs")
    })
}

/// Logs what `filter` lets through from now on.
///
/// # Errors
/// A filter that [`check_filter`] would refuse.
pub(super) fn start(filter: &str, format: LogFormat) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Error::usage(format!("log filter `{filter}`: {error}"), "write for example info")
    })?;
    let is_json = match format {
        LogFormat::Human => false,
        LogFormat::Json => true,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let builder = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false);
    let builder = builder.with_env_filter(filter);
    if is_json {
        builder.json().flatten_event(true).init();
    } else {
        builder.init();
    }
    Ok(())
}

/// Logs if the environment asks for it.
///
/// # Errors
/// A filter that cannot be read.
pub(super) fn start_if_asked() -> Result<(), Error> {
    match std::env::var(VARIABLE) {
        Ok(filter) if !filter.is_empty() => start(&filter, LogFormat::Human),
        _ => Ok(()),
    }
}
