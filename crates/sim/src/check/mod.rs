//! To come.

use crate::history::{History, Violation};

/// To come.
pub fn check(history: &History) -> Vec<Violation> {
    history.findings.clone()
}
