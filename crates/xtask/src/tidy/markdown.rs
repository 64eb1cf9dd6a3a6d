//! Pages: one title each, and relative links that lead somewhere.
//!
//! Every markdown page has exactly one `# ` line. In `README.md`, `CONTRIBUTING.md` and `docs/`, each relative link names
//! a file or folder of the repository. Code blocks and code spans are not read.

use super::Problem;
use crate::repository::{File, Repository};

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let exists = |path: &str| {
        let folder = format!("{path}/");
        path.is_empty()
            || repository
                .files()
                .iter()
                .any(|file| file.path == path || file.path.starts_with(&folder))
    };
    let pages = repository.files().iter().filter(|file| file.path.ends_with(".md"));
    let mut problems = Vec::new();
    for page in pages {
        problems.extend(check_title(page));
        if matches!(page.path.as_str(), "README.md" | "CONTRIBUTING.md")
            || page.path.starts_with("docs/")
        {
            problems.extend(check_links(page, exists));
        }
    }
    problems
}

fn check_title(page: &File) -> Option<Problem> {
    let titles: Vec<usize> = prose(&page.text)
        .filter(|(_, line)| line.starts_with("# "))
        .map(|(number, _)| number)
        .collect();
    match titles.as_slice() {
        [_] => None,
        [] => Some(Problem::new(&page.path, 1, "give the page a `# ` title")),
        [_, second, ..] => Some(Problem::new(
            &page.path,
            *second,
            "a page has one `# ` title: make this a `## ` section",
        )),
    }
}

fn check_links(page: &File, exists: impl Fn(&str) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in prose(&page.text) {
        for target in links(&without_code_spans(line)) {
            let leads_nowhere = resolve(&page.path, &target).is_some_and(|path| !exists(&path));
            if leads_nowhere {
                let text = format!("the link `{target}` leads to no file: correct or remove it");
                problems.push(Problem::new(&page.path, number, text));
            }
        }
    }
    problems
}

/// The lines outside fenced code blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fence: Option<&str> = None;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (mark, fence) {
            (Some(_), None) => {
                fence = mark;
                None
            }
            (Some(mark), Some(open)) if mark == open => {
                fence = None;
                None
            }
            (_, Some(_)) => None,
            (None, None) => Some((index + 1, line)),
        }
    })
}

fn without_code_spans(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of inline links and images, and of a link definition.
fn links(line: &str) -> Vec<String> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let definition =
        line.starts_with('[').then(|| line.split_once("]: ")).flatten().map(|(_, target)| target);
    let targets = inline.chain(definition).filter_map(|target| target.split_whitespace().next());
    targets.map(|target| target.trim_matches(['<', '>']).to_owned()).collect()
}

/// The path that a relative `target` names from `page`; `None` for anchors and addresses.
fn resolve(page: &str, target: &str) -> Option<String> {
    let path = target.split(['#', '?']).next().filter(|path| !path.is_empty())?;
    if path.contains("://") || path.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}
