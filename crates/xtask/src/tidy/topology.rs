//! Every `topology/*.toml` parses, so that no example of ours fails in a user's hands.

use super::Problem;
use crate::repository::{File, Repository};

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let files = repository.files().iter();
    let topologies =
        files.filter(|file| file.path.starts_with("topology/") && file.path.ends_with(".toml"));
    topologies.filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Problem> {
    let error = file.text.parse::<toml::Table>().err()?;
    let before = error.span().and_then(|span| file.text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    Some(Problem::new(&file.path, line, format!("not a TOML document: {}", error.message())))
}
