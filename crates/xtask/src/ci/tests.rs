//! The plan is data: its order and its scope are checked here, running it is not.

use super::{Scope, Step, plan};

#[test]
fn fast_leaves_out_the_tests_and_nothing_else() {
    let tests = Step::Cargo(&["test", "--workspace"]);
    let mut full = plan(Scope::Full);
    assert!(full.contains(&tests));
    full.retain(|step| *step != tests);
    assert_eq!(full, plan(Scope::WithoutTests));
}

#[test]
fn every_step_says_what_it_runs() {
    let described: Vec<String> = plan(Scope::Full).into_iter().map(Step::describe).collect();
    let expected = [
        "cargo fmt --all --check",
        "cargo clippy --workspace --all-targets -- -D warnings",
        "cargo xtask tidy",
        "cargo test --workspace",
        "RUSTDOCFLAGS='-D rustdoc::broken_intra_doc_links' cargo doc --workspace --no-deps",
        "cargo deny check bans licenses sources",
    ];
    assert_eq!(described, expected);
}
