//! The plan is data: its order and its scope are checked here, running it is not.

use super::{Scope, Step, plan};

#[test]
fn fast_leaves_out_the_tests_and_nothing_else() {
    let is_test = |step: &Step| {
        let described = step.describe();
        described == "cargo test --workspace" || described.starts_with("cargo xtask sim")
    };
    let mut full = plan(Scope::Full);
    assert_eq!(full.iter().filter(|step| is_test(step)).count(), 4);
    full.retain(|step| !is_test(step));
    assert_eq!(full, plan(Scope::WithoutTests));
}

#[test]
fn every_step_says_what_it_runs() {
    let described: Vec<String> = plan(Scope::Full).into_iter().map(Step::describe).collect();
    let expected = [
        "cargo fmt --all --check",
        "cargo clippy --workspace --all-targets -- -D warnings",
        "cargo xtask tidy",
        "cargo xtask sim --seeds 1000 --time 3m",
        "cargo xtask sim --tier quic --seeds 100 --time 1m",
        "cargo xtask sim enumerate --images 30000",
        "cargo test --workspace",
        "RUSTDOCFLAGS='-D rustdoc::broken_intra_doc_links' cargo doc --workspace --no-deps",
        "cargo deny check bans licenses sources",
    ];
    assert_eq!(described, expected);
}
