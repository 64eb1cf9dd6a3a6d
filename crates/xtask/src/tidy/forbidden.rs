//! Patterns that have no place here, in production code and in tests.
//!
//! Code is searched without strings and comments; the markers of unfinished work are searched in comments. A clock or a
//! spawn outside its home passes only below an `#[expect(` that names its lint, at most [`EXPECT_LINES_MAX`] lines above:
//! clippy knows the item exactly, this check knows the place.
//!
//! The needles are joined from halves so that plain searches for them do not end here.

use super::Problem;
use crate::repository::Repository;
use crate::source::{Kind, Line, Source, find_word, is_identifier};

/// How far above a use its `#[expect(` may begin: the attribute itself may take four lines.
const EXPECT_LINES_MAX: usize = 5;

/// How far above a sleep its bound may be stated.
const BOUND_LINES_MAX: usize = 2;

/// A refused pattern and what to do instead.
type Ban = (&'static str, &'static str);

const IN_PRODUCTION: [Ban; 8] = [
    (concat!("to", "do!("), "finish it, or return a typed error"),
    (concat!("unimpl", "emented!("), "finish it, or return a typed error"),
    (concat!("#[ign", "ore"), "a test runs or goes"),
    (concat!(".unw", "rap()"), "return the error, or state the invariant with `.expect(\"…\")`"),
    (concat!("unbounded_", "channel"), "every queue has a limit: use a bounded channel"),
    (concat!("thread::", "sleep"), "time comes from `Env`"),
    (concat!("#[al", "low("), "use #[expect(lint, reason = \"…\")]"),
    (concat!("#![al", "low("), "use #![expect(lint, reason = \"…\")]"),
];

const UNFINISHED: [&str; 3] = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

const CLOCKS: [&str; 2] = [concat!("Instant", "::now"), concat!("SystemTime", "::now")];
const CLOCK_HOME: [&str; 1] = ["src/env/real.rs"];

const SPAWNS: [&str; 2] = [concat!("tokio::", "spawn"), concat!("tokio::task::", "spawn")];
const SPAWN_HOMES: [&str; 2] = ["src/tasks.rs", "src/env/real.rs"];

const IN_TESTS: [Ban; 2] = [
    (concat!("#[ign", "ore"), "a test runs or goes"),
    (concat!("assert!(", "true"), "assert something that can fail"),
];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    repository.sources().iter().flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for line in source.lines() {
        let texts = match line.kind {
            Kind::Production => in_production(source, &line),
            Kind::Test => in_tests(source, &line),
        };
        problems
            .extend(texts.into_iter().map(|text| Problem::new(&source.path, line.number, text)));
    }
    problems
}

fn in_production(source: &Source, line: &Line<'_>) -> Vec<String> {
    let mut texts = banned(&IN_PRODUCTION, line.code);
    for marker in UNFINISHED {
        if has_whole_word(line.comment, marker) {
            texts.push(format!("`{marker}` marks unfinished work: finish it or open an issue"));
        }
    }
    if reads_clock(source, line.code)
        && !is_at_home(source, &CLOCK_HOME)
        && !expected_above(source, line)
    {
        texts.push(format!(
            "a clock is read outside {}: take the time as an argument, or put an #[expect(clippy::disallowed_methods, \
             reason = \"…\")] right above",
            CLOCK_HOME.join(", ")
        ));
    }
    let spawns = SPAWNS.iter().any(|spawn| find_word(line.code, spawn).next().is_some());
    if spawns && !is_at_home(source, &SPAWN_HOMES) && !expected_above(source, line) {
        texts.push(format!(
            "a task is spawned outside {}: spawn it named and joined through `tasks`, or put an \
             #[expect(clippy::disallowed_methods, reason = \"…\")] right above",
            SPAWN_HOMES.join(", ")
        ));
    }
    texts
}

fn in_tests(source: &Source, line: &Line<'_>) -> Vec<String> {
    let mut texts = banned(&IN_TESTS, line.code);
    let sleeps =
        find_word(line.code, concat!("sle", "ep(")).any(|offset| !defines(line.code, offset));
    let bounded =
        source.above(line.number, BOUND_LINES_MAX).any(|above| above.contains("// bounded poll:"));
    if sleeps && !bounded {
        texts.push(
            "a test sleeps: wait for the event, or poll in a loop with a `// bounded poll: …` line right above"
                .to_owned(),
        );
    }
    texts
}

fn banned(bans: &[Ban], code: &str) -> Vec<String> {
    let hits = bans.iter().filter(|(pattern, _)| stands_alone(code, pattern));
    hits.map(|(pattern, instead)| format!("`{pattern}` is refused: {instead}")).collect()
}

/// True if `pattern` occurs in `code`; one that begins with a letter must not continue a longer name.
fn stands_alone(code: &str, pattern: &str) -> bool {
    if pattern.starts_with(is_identifier) {
        find_word(code, pattern).next().is_some()
    } else {
        code.contains(pattern)
    }
}

/// True if the name at `offset` is being defined, not called.
fn defines(code: &str, offset: usize) -> bool {
    code.get(..offset).is_some_and(|before| before.trim_end().ends_with("fn"))
}

fn has_whole_word(text: &str, word: &str) -> bool {
    find_word(text, word).any(|offset| {
        let rest = text.get(offset + word.len()..).unwrap_or_default();
        !rest.starts_with(is_identifier)
    })
}

/// True for a call of a real clock. An `Instant` in a file that imports tokio's is virtual under paused time.
fn reads_clock(source: &Source, code: &str) -> bool {
    let virtual_time = source.code.contains("tokio::time");
    CLOCKS.iter().any(|clock| {
        find_word(code, clock).any(|offset| {
            let before = code.get(..offset).unwrap_or_default();
            before.ends_with("std::time::") || !virtual_time
        })
    })
}

fn is_at_home(source: &Source, homes: &[&str]) -> bool {
    homes.contains(&source.path.as_str())
}

fn expected_above(source: &Source, line: &Line<'_>) -> bool {
    source
        .above(line.number, EXPECT_LINES_MAX)
        .any(|above| above.trim_start().starts_with("#[expect("))
}
