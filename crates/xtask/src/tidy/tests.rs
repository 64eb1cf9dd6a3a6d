//! Every check against small repositories made of strings: what it finds, where, and what it lets pass.
//!
//! Refused patterns are joined from halves, because this file is read by the checks too.

use super::{CHECKS, Problem};
use crate::repository::{File, Repository};

type Check = fn(&Repository) -> Vec<Problem>;

fn repository(files: &[(&str, &str)]) -> Repository {
    let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
    Repository::new(files.iter().map(file).collect())
}

/// The places that `check` names in `files`, as `path:line`.
fn places(check: Check, files: &[(&str, &str)]) -> Vec<String> {
    let problems = check(&repository(files));
    assert!(problems.iter().all(|problem| !problem.text.is_empty()));
    problems.iter().map(|problem| format!("{}:{}", problem.path, problem.line)).collect()
}

/// The lines that `check` names in one file.
fn lines(check: Check, path: &str, text: &str) -> Vec<usize> {
    check(&repository(&[(path, text)])).iter().map(|problem| problem.line).collect()
}

#[test]
fn layers_point_downwards() {
    let check = super::layers::check;
    let root = (
        "src/lib.rs",
        "pub mod upper;\nmod middle;\npub(crate) mod lower;\npub use upper::{Top, deep::Nested as Other};\n",
    );
    let cases: [(&str, &str, &[usize]); 12] = [
        ("src/upper.rs", "use crate::middle;\nuse crate::lower::X;", &[]),
        ("src/middle.rs", "use crate::upper::X;", &[1]),
        ("src/middle.rs", "use crate::{lower, upper::X};", &[1]),
        ("src/middle.rs", "use crate::{\n    lower::{self, upper},\n    upper,\n};", &[3]),
        ("src/lower/mod.rs", "fn f() { crate::middle::g() }", &[1]),
        ("src/lower/part.rs", "use crate::lower::X;\nuse super::super::upper;", &[2]),
        ("src/lower.rs", "use super::upper;", &[1]),
        ("src/lower/part.rs", "use super::upper;", &[]),
        ("src/lower.rs", "use crate::Top;\nuse crate::Other;\nuse crate::Unknown;", &[1, 2]),
        ("src/lower/tests.rs", "use crate::upper;", &[]),
        (
            "src/lower.rs",
            "//! See [`crate::upper`].\n#[cfg(test)]\nmod t {\n use crate::upper;\n}",
            &[],
        ),
        ("src/main.rs", "use crate::upper;", &[]),
    ];
    for (path, text, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|line| format!("{path}:{line}")).collect();
        assert_eq!(places(check, &[root, (path, text)]), expected, "{path}: {text}");
    }
}

#[test]
fn layers_hold_in_a_crate_with_a_main_file_only() {
    let files = [
        ("crates/tool/src/main.rs", "mod top;\nmod base;"),
        ("crates/tool/src/base.rs", "use crate::top;"),
        ("crates/tool/src/top.rs", "use crate::base;"),
    ];
    assert_eq!(places(super::layers::check, &files), ["crates/tool/src/base.rs:1"]);
}

#[test]
fn long_files_need_a_reason_and_have_a_hard_limit() {
    let check = super::length::check;
    let allow = "crates/xtask/tidy-allow.txt";
    let file = |count: usize| "//! x\n".repeat(count);
    let cases: [(usize, &str, &[&str]); 8] = [
        (400, "", &[]),
        (401, "", &["src/a.rs:1"]),
        (401, "# why\nsrc/a.rs 450 one table\n", &[]),
        (451, "src/a.rs 450 one table\n", &["src/a.rs:1"]),
        (701, "src/a.rs 700 one table\n", &["src/a.rs:1"]),
        (401, "src/a.rs 450\n", &["crates/xtask/tidy-allow.txt:1", "src/a.rs:1"]),
        (401, "src/a.rs 701 too long\n", &["crates/xtask/tidy-allow.txt:1", "src/a.rs:1"]),
        (300, "src/a.rs 450 one table\n", &["crates/xtask/tidy-allow.txt:1"]),
    ];
    for (count, entries, expected) in cases {
        assert_eq!(
            places(check, &[("src/a.rs", &file(count)), (allow, entries)]),
            expected,
            "{count} {entries}"
        );
    }
    assert_eq!(places(check, &[("src/a/tests.rs", &file(900))]), [] as [&str; 0]);
}

#[test]
fn tests_in_a_file_do_not_count_as_production() {
    let text = format!(
        "//! x\n{}#[cfg(test)]\nmod t {{\n{}}}\n",
        "fn a() {}\n".repeat(398),
        "\n".repeat(200)
    );
    assert_eq!(lines(super::length::check, "src/a.rs", &text), [] as [usize; 0]);
}

#[test]
fn long_functions_fail() {
    let function =
        |body: usize| format!("//! x\n\npub async fn f(\n) {{\n{}}}\n", "    a();\n".repeat(body));
    assert_eq!(lines(super::length::check, "src/a.rs", &function(67)), [] as [usize; 0]);
    assert_eq!(lines(super::length::check, "src/a.rs", &function(68)), [3]);
    assert_eq!(lines(super::length::check, "src/a/tests.rs", &function(68)), [] as [usize; 0]);
    assert_eq!(lines(super::length::check, "src/a.rs", "type F = fn (u8);\n"), [] as [usize; 0]);
}

#[test]
fn production_files_begin_with_an_essay() {
    let check = super::essay::check;
    assert_eq!(lines(check, "src/a.rs", "//! What it is.\n"), [] as [usize; 0]);
    assert_eq!(lines(check, "src/a.rs", "//!\nfn f() {}\n"), [1]);
    assert_eq!(lines(check, "src/a.rs", "use std::fmt;\n//! Late.\n"), [1]);
    assert_eq!(lines(check, "src/a.rs", ""), [1]);
    assert_eq!(lines(check, "src/a/tests.rs", "use super::f;\n"), [] as [usize; 0]);
}

#[test]
fn commented_out_code_is_found_in_comments_only() {
    let text = "/// let a = b;\n// let a = b;\nlet s = \"\n// let a = b;\n\";\nf(); // why: g();\n";
    assert_eq!(lines(super::comments::check, "src/a.rs", text), [2]);
}

#[test]
fn refused_patterns_are_found_in_code_only() {
    let check = super::forbidden::check;
    let refused = [
        concat!("fn f() { to", "do!() }"),
        concat!("let a = b.unwr", "ap();"),
        concat!("use tokio::sync::mpsc::unbounded_", "channel;"),
        concat!("#[al", "low(dead_code)]"),
        concat!("#![al", "low(dead_code)]"),
        concat!("// FIX", "ME later"),
        concat!("std::thread::", "sleep(d)"),
        concat!("#[ign", "ore]"),
    ];
    for text in refused {
        assert_eq!(lines(check, "src/a.rs", text), [1], "{text}");
    }
    let passing = [
        concat!("// never .unwr", "ap() here"),
        concat!("let a = \"to", "do!()\";"),
        "let a = b.unwrap_or(c);",
        "#[expect(dead_code, reason = \"…\")]",
        "// temporary names end in XXXXXX",
        concat!("let my_to", "do!(a);"),
    ];
    for text in passing {
        assert_eq!(lines(check, "src/a.rs", text), [] as [usize; 0], "{text}");
    }
}

#[test]
fn clocks_and_spawns_have_homes() {
    let check = super::forbidden::check;
    let clock = concat!("let a = std::time::Instant", "::now();");
    let spawn = concat!("tokio::", "spawn(f());");
    assert_eq!(lines(check, "src/a.rs", clock), [1]);
    assert_eq!(lines(check, "src/env/real.rs", clock), [] as [usize; 0]);
    assert_eq!(lines(check, "src/a.rs", spawn), [1]);
    assert_eq!(lines(check, "src/tasks.rs", spawn), [] as [usize; 0]);
    let expected =
        format!("#[expect(\n    clippy::disallowed_methods,\n    reason = \"x\"\n)]\n{clock}\n");
    assert_eq!(lines(check, "src/a.rs", &expected), [] as [usize; 0]);
    let imported = concat!("use std::time::Instant;\nlet a = Instant", "::now();");
    assert_eq!(lines(check, "src/a.rs", imported), [2]);
    let paused = concat!("use tokio::time::Instant;\nlet a = Instant", "::now();");
    assert_eq!(lines(check, "src/a.rs", paused), [] as [usize; 0]);
}

#[test]
fn tests_do_not_sleep_or_assert_nothing() {
    let check = super::forbidden::check;
    let path = "tests/cluster/main.rs";
    let sleep = concat!("    sle", "ep(Duration::from_millis(10)).await;");
    assert_eq!(lines(check, path, sleep), [1]);
    let bounded = format!("// bounded poll: 100 rounds of 10 ms\nlet a = 1;\n{sleep}\n");
    assert_eq!(lines(check, path, &bounded), [] as [usize; 0]);
    let too_far = format!("// bounded poll: 100 rounds\n\n\n{sleep}\n");
    assert_eq!(lines(check, path, &too_far), [4]);
    assert_eq!(lines(check, path, concat!("fn sle", "ep(d: u8) {}")), [] as [usize; 0]);
    assert_eq!(lines(check, path, concat!("assert!(", "true);")), [1]);
    assert_eq!(lines(check, path, concat!("#[ign", "ore]\nfn f() {}")), [1]);
    assert_eq!(lines(check, path, concat!("let a = b.unwr", "ap();")), [] as [usize; 0]);
}

#[test]
fn assertions_have_a_floor_in_two_crates() {
    let check = super::assertions::check;
    let code = |lines: usize, assertions: usize| {
        format!("//! x\n{}{}", "a();\n".repeat(lines), "    assert!(b);\n".repeat(assertions))
    };
    let path = "crates/storage/src/a.rs";
    let problem = ["crates/storage/src/lib.rs:1"];
    assert_eq!(places(check, &[(path, &code(59, 0))]), [] as [&str; 0]);
    assert_eq!(places(check, &[(path, &code(60, 0))]), problem);
    assert_eq!(places(check, &[(path, &code(118, 1))]), [] as [&str; 0]);
    assert_eq!(places(check, &[(path, &code(119, 1))]), problem);
    assert_eq!(places(check, &[("crates/client/src/a.rs", &code(600, 0))]), [] as [&str; 0]);
    let in_tests = ("crates/storage/src/tests.rs", "assert!(b);");
    assert_eq!(places(check, &[(path, &code(60, 0)), in_tests]), problem);
}

#[test]
fn topologies_parse() {
    let check = super::topology::check;
    assert_eq!(lines(check, "topology/a.toml", "[cluster]\nname = \"a\"\n"), [] as [usize; 0]);
    assert_eq!(lines(check, "topology/a.toml", "[cluster]\nname = \n"), [2]);
    assert_eq!(lines(check, "other/a.toml", "name = \n"), [] as [usize; 0]);
}

#[test]
fn pages_have_one_title() {
    let check = super::markdown::check;
    assert_eq!(lines(check, "a/b.md", "# Title\n\n```sh\n# a comment\n```\n"), [] as [usize; 0]);
    assert_eq!(lines(check, "a/b.md", "text\n"), [1]);
    assert_eq!(lines(check, "a/b.md", "# One\n\n# Two\n"), [3]);
}

#[test]
fn relative_links_lead_somewhere() {
    let text = "# T\n[a](docs/A.md#part) ![b](img/b.svg \"t\") [c](https://example.org/c) [d](#e) [f](docs)\n\
                [g](docs/gone.md) `[h](gone)`\n[i]: gone.md\n";
    let files = [
        ("README.md", text),
        ("docs/A.md", "# A\n[up](../README.md) [no](README.md)\n"),
        ("img/b.svg", ""),
    ];
    let expected = ["README.md:3", "README.md:4", "docs/A.md:2"];
    assert_eq!(places(super::markdown::check, &files), expected);
}

#[test]
fn constants_with_a_unit_are_explained() {
    let check = super::units::check;
    let table: [(&str, &[usize]); 7] = [
        ("const KEY_BYTES: usize = 8;", &[1]),
        ("/// Why.\npub const KEY_BYTES: usize = 8;", &[]),
        ("/// Why.\n#[doc(alias = \"k\")]\npub(crate) const KEY_BYTES: usize = 8;", &[]),
        ("const KEY_BYTES: usize = 8; // a token", &[]),
        ("pub const DELAY_MAX: std::time::Duration = D;", &[1]),
        ("const MESSAGE_MAX: &str = \"x\";", &[]),
        ("const fn key_max() -> u8 { 1 }", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(lines(check, "src/a.rs", text), expected, "{text}");
    }
}

#[test]
fn paths_of_one_machine_leak() {
    let check = super::leaks::check;
    let leaks = [
        concat!("cd /wo", "rk/main"),
        concat!("\"/fa", "rm/x\""),
        concat!("see .libr", "ary/x"),
        concat!("https://regis", "try.npmjs.org/x"),
        concat!("http://ind", "ex.crates.io"),
    ];
    for text in leaks {
        assert_eq!(lines(check, "docs/a.md", text), [1], "{text}");
        assert_eq!(lines(check, "Cargo.lock", text), [] as [usize; 0]);
    }
    for text in ["docs/work/plan.md", "network/", "https://example.org/index.html", "registry = 1"]
    {
        assert_eq!(lines(check, "docs/a.md", text), [] as [usize; 0], "{text}");
    }
}

#[test]
fn formats_are_described() {
    let check = super::formats::check;
    let test = ("crates/protocol/src/frame/tests.rs", "// format: frame\nfn golden() {}\n");
    let problem = ["crates/protocol/src/frame/tests.rs:1"];
    assert_eq!(places(check, &[test]), problem);
    assert_eq!(places(check, &[test, ("docs/formats.md", "# F\n## frame\n")]), [] as [&str; 0]);
    assert_eq!(places(check, &[test, ("docs/formats.md", "# F\nframework\n")]), problem);
}

#[test]
fn the_lockfile_keeps_its_floors() {
    let package = |name: &str, version: &str, dependency: &str| {
        format!(
            "version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\ndependencies = [\n \"{dependency}\",\n]\n"
        )
    };
    let cases = [
        ("bytes", "1.11.1", "serde", true),
        ("bytes", "1.11.0", "serde", false),
        ("quinn-proto", "0.11.19", "ring", true),
        ("quinn-proto", "0.11.9", "bytes", false),
        ("rustls", "0.23.46", "ring 0.17.14", false),
        ("bincode", "2.0.1", "serde", true),
        ("bincode", "3.0.0", "serde", false),
        ("ring", "0.17.14", "cc", true),
        ("native-tls", "0.2.0", "cc", false),
        ("toml", "1.2.1+spec-1.1.0", "serde", true),
    ];
    for (name, version, dependency, passes) in cases {
        let found =
            lines(super::lockfile::check, "Cargo.lock", &package(name, version, dependency));
        assert_eq!(found.is_empty(), passes, "{name} {version} {dependency}: {found:?}");
        assert!(found.iter().all(|line| *line == 3));
    }
    assert_eq!(places(super::lockfile::check, &[]), ["Cargo.lock:1"]);
}

#[test]
fn all_problems_are_reported_once_and_in_order() {
    let files = [("src/b.rs", "fn f() {}\n"), ("src/a.rs", "// let a = b;\n"), ("Cargo.lock", "")];
    let report: Vec<String> = super::problems(&repository(&files))
        .iter()
        .map(|p| format!("{}:{}", p.path, p.line))
        .collect();
    assert_eq!(report, ["src/a.rs:1", "src/a.rs:1", "src/b.rs:1"]);
    assert_eq!(CHECKS.len(), 12);
}
