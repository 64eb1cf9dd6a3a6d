//! Layers: the `mod` lines of a crate's root are its layer order, and uses point downwards only.
//!
//! 1. Read the `mod` lines of the root (`lib.rs`, or `main.rs` of a crate without one) and the names it re-exports.
//! 2. A file below `src/x/`, or `src/x.rs`, belongs to module `x`; roots and tests belong to none.
//! 3. Wherever code of `x` says `crate::y`, `crate::{y, …}` or climbs there with `super::`, `y` must be `x` itself or be
//!    listed below it. A name that the root re-exports counts as the module that it comes from.
//!
//! Links in documentation may point anywhere: a doc comment is not a dependency.

use std::collections::BTreeMap;

use super::Problem;
use crate::repository::Repository;
use crate::source::{Kind, Line, Source, find_word, identifier, is_identifier};

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let sources = repository.sources();
    let has = |path: &str| sources.iter().any(|source| source.path == path);
    let is_root = |source: &&Source| {
        let folder =
            source.path.strip_suffix("main.rs").filter(|folder| !has(&format!("{folder}lib.rs")));
        let folder = folder.or(source.path.strip_suffix("lib.rs"));
        folder.is_some_and(|folder| folder == "src/" || folder.ends_with("/src/"))
    };
    let roots = sources.iter().filter(is_root);
    roots.flat_map(|root| check_crate(&Layers::of(root), sources)).collect()
}

fn check_crate(layers: &Layers, sources: &[Source]) -> Vec<Problem> {
    let members = sources.iter().filter_map(|source| Some((source, layers.module_of(source)?)));
    members.flat_map(|(source, module)| check_file(layers, source, &module)).collect()
}

fn check_file(layers: &Layers, source: &Source, module: &Module) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (offset, name) in uses_of_root(&source.code, module.depth) {
        let line = source.line_at(offset);
        let Some(used) = layers.index_of(name) else {
            continue;
        };
        if used < module.index && source.kind_at(line) == Kind::Production {
            let (user, upper) = (layers.name(module.index), layers.name(used));
            let text = format!(
                "module `{user}` uses `{upper}`, which {} lists above it: move what is shared down, or put `mod \
                 {upper};` below `mod {user};`",
                layers.root
            );
            problems.push(Problem::new(&source.path, line, text));
        }
    }
    problems
}

/// The modules of one crate, uppermost first.
#[derive(Debug)]
struct Layers {
    root: String,
    folder: String,
    order: Vec<String>,
    exports: BTreeMap<String, usize>,
}

/// Where a file belongs: its module's place in the order, and how many `super::` lead to the root.
#[derive(Debug)]
struct Module {
    index: usize,
    depth: usize,
}

impl Layers {
    fn of(root: &Source) -> Self {
        let folder = root.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let order: Vec<String> = root.production().filter_map(|line| module_name(&line)).collect();
        let mut layers = Self {
            root: root.path.clone(),
            folder: format!("{folder}/"),
            order,
            exports: BTreeMap::new(),
        };
        layers.exports = layers.exports_of(&root.code);
        layers
    }

    fn name(&self, index: usize) -> &str {
        self.order.get(index).map_or("?", String::as_str)
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        let module = self.order.iter().position(|module| module == name);
        module.or_else(|| self.exports.get(name).copied())
    }

    fn module_of(&self, source: &Source) -> Option<Module> {
        let inside =
            source.path.strip_prefix(&self.folder).filter(|_| source.kind == Kind::Production)?;
        let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        let index = self.order.iter().position(|module| Some(&module.as_str()) == parts.first())?;
        let own_file_in_folder = usize::from(parts.last() == Some(&"mod"));
        Some(Module { index, depth: parts.len() - own_file_in_folder })
    }

    /// The names that `use` items of the root bring to its top, each with the module that it comes from.
    fn exports_of(&self, code: &str) -> BTreeMap<String, usize> {
        let mut exports = BTreeMap::new();
        for offset in find_word(code, "use ") {
            let item = code
                .get(offset + "use ".len()..)
                .and_then(|rest| rest.split(';').next())
                .unwrap_or("");
            let path = item.trim().trim_start_matches("crate::").trim_start_matches("self::");
            let Some(index) = self.order.iter().position(|module| module == identifier(path))
            else {
                continue;
            };
            let leaves =
                path.split(['{', '}', ',']).filter_map(|part| part.split_whitespace().last());
            for leaf in
                leaves.filter_map(|leaf| leaf.rsplit("::").next()).filter(|leaf| !leaf.is_empty())
            {
                exports.entry(leaf.to_owned()).or_insert(index);
            }
        }
        exports
    }
}

/// The module that a line of the root declares.
fn module_name(line: &Line<'_>) -> Option<String> {
    let start = find_word(line.code, "mod ").next()?;
    let before = line.code.get(..start)?.trim();
    let name = identifier(line.code.get(start + "mod ".len()..)?.trim_start());
    let declares = before.is_empty() || before.starts_with("pub");
    (declares && !name.is_empty()).then(|| name.to_owned())
}

/// Every name that `code` takes directly from the crate's root, with its offset.
fn uses_of_root(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut uses = Vec::new();
    for prefix in ["crate::".to_owned(), "super::".repeat(depth)] {
        for start in code.match_indices(&prefix).map(|(start, _)| start) {
            let before = code.get(..start).and_then(|text| text.chars().next_back());
            if before.is_some_and(|c| is_identifier(c) || c == ':') {
                continue;
            }
            let from = start + prefix.len();
            let rest = code.get(from..).unwrap_or_default();
            if rest.starts_with('{') {
                uses.extend(
                    group_members(rest).into_iter().map(|(offset, name)| (from + offset, name)),
                );
            } else {
                uses.push((from, identifier(rest)));
            }
        }
    }
    uses
}

/// The first names of the members of `{a, b::c, d::{e, f}}`: `a`, `b`, `d`.
fn group_members(group: &str) -> Vec<(usize, &str)> {
    let mut members = Vec::new();
    let mut depth = 0usize;
    let mut expects_name = false;
    for (offset, c) in group.char_indices() {
        match c {
            '{' => {
                depth += 1;
                expects_name = depth == 1;
            }
            '}' => depth -= 1,
            ',' => expects_name = depth == 1,
            _ if c.is_whitespace() => {}
            _ => {
                if expects_name {
                    members.push((offset, identifier(group.get(offset..).unwrap_or_default())));
                }
                expects_name = false;
            }
        }
        if depth == 0 {
            break;
        }
    }
    members
}
