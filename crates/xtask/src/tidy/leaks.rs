//! Nothing in the repository names one machine's folders or a package registry's host.
//!
//! Such lines are accidents of the place where they were written and mean nothing to a reader elsewhere. Lockfiles are
//! exempt: their registry is their content. The needles are joined from halves so that this file passes itself.

use super::Problem;
use crate::repository::{File, Repository};

/// Absolute folders of build machines.
const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/fa", "rm/")];

const LIBRARY: &str = concat!(".libr", "ary/");

/// How the host names of package registries begin, after the scheme.
const HOSTS: [&str; 3] = [concat!("regis", "try."), concat!("ind", "ex."), concat!("sta", "tic.")];

const LOCKFILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    repository.files().iter().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    if LOCKFILES.iter().any(|name| file.path.ends_with(name)) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let leaks = lines.filter_map(|(index, line)| Some((index + 1, leak(line)?)));
    leaks.map(|(line, what)| Problem::new(&file.path, line, format!("{what}: remove it"))).collect()
}

fn leak(line: &str) -> Option<&'static str> {
    let begins_path = |offset: usize| {
        let before = line.get(..offset).and_then(|text| text.chars().next_back());
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
    };
    let names_folder = FOLDERS
        .iter()
        .any(|folder| line.match_indices(folder).any(|(offset, _)| begins_path(offset)));
    let names_host = ["http://", "https://"].iter().any(|scheme| {
        line.split(scheme).skip(1).any(|rest| HOSTS.iter().any(|host| rest.starts_with(host)))
    });
    if names_folder || line.contains(LIBRARY) {
        Some("a path of one machine")
    } else if names_host {
        Some("the host of a package registry")
    } else {
        None
    }
}
