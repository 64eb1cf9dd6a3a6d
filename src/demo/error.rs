//! How the demo fails: loudly, with the step and what was expected.

use std::io;

use crate::dev::DevError;

/// Why the demo did not end well.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The cluster did not do what was promised.
    #[error("step \"{step}\": {what}")]
    Failed {
        /// The step.
        step: String,
        /// What was expected and what was found.
        what: String,
    },
    /// The cluster could not be started or steered.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// The temporary folder.
    #[error("the temporary folder: {0}")]
    Folder(io::Error),
    /// A signal ended it.
    #[error("interrupted by {signal}")]
    Interrupted {
        /// The signal.
        signal: &'static str,
    },
    /// The output is gone.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}
