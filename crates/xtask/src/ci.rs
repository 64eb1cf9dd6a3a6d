//! `cargo xtask ci`: what CI runs, in order, stopping at the first failure with that step's exit code.
//!
//! The steps are data (`plan`), running them is a loop (`run`). Each step prints its command before it starts and its
//! duration when it ends. cargo-deny is optional: where it is not installed the step says so and passes.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::{say, tidy};

/// How much of the plan to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    Full,
    /// Everything but the tests: a minute between two edits.
    WithoutTests,
}

/// One step of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// `cargo` with these arguments.
    Cargo(&'static [&'static str]),
    /// `cargo doc` with broken links denied.
    Docs(&'static [&'static str]),
    /// The rules in `tidy`, in this process.
    Tidy,
    /// cargo-deny with these arguments, if it is installed.
    Deny(&'static [&'static str]),
}

/// Rustdoc lints that make a broken link an error.
const RUSTDOCFLAGS: &str = "-D rustdoc::broken_intra_doc_links";

/// Runs the steps of `scope`.
pub(crate) fn run(root: &Path, scope: Scope) -> ExitCode {
    for step in plan(scope) {
        say(&format!("==> {}", step.describe()));
        let started = now();
        let code = step.perform(root);
        let took = started.elapsed();
        if code != 0 {
            say(&format!(
                "ci: `{}` failed after {} with exit code {code}",
                step.describe(),
                seconds(took)
            ));
            return ExitCode::from(code);
        }
        say(&format!("    {} in {}", step.describe(), seconds(took)));
    }
    say("ci: all steps passed");
    ExitCode::SUCCESS
}

/// The steps in order: cheap and telling ones first.
fn plan(scope: Scope) -> Vec<Step> {
    let mut steps = vec![
        Step::Cargo(&["fmt", "--all", "--check"]),
        Step::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::Tidy,
    ];
    if scope == Scope::Full {
        steps.push(Step::Cargo(&["xtask", "sim", "--seeds", "1000", "--time", "3m"]));
        steps.push(Step::Cargo(&[
            "xtask", "sim", "--tier", "quic", "--seeds", "100", "--time", "1m",
        ]));
        steps.push(Step::Cargo(&["xtask", "sim", "enumerate", "--images", "30000"]));
        steps.push(Step::Cargo(&["test", "--workspace"]));
    }
    steps.push(Step::Docs(&["doc", "--workspace", "--no-deps"]));
    steps.push(Step::Deny(&["deny", "check", "bans", "licenses", "sources"]));
    steps
}

impl Step {
    fn describe(self) -> String {
        match self {
            Self::Cargo(arguments) | Self::Deny(arguments) => {
                format!("cargo {}", arguments.join(" "))
            }
            Self::Docs(arguments) => {
                format!("RUSTDOCFLAGS='{RUSTDOCFLAGS}' cargo {}", arguments.join(" "))
            }
            Self::Tidy => "cargo xtask tidy".to_owned(),
        }
    }

    /// Performs the step and returns its exit code; 0 is success.
    fn perform(self, root: &Path) -> u8 {
        match self {
            Self::Cargo(arguments) => exit_code(cargo(root).args(arguments)),
            Self::Docs(arguments) => {
                exit_code(cargo(root).args(arguments).env("RUSTDOCFLAGS", RUSTDOCFLAGS))
            }
            Self::Tidy => u8::from(tidy::report(root) != 0),
            Self::Deny(arguments) if deny_is_installed(root) => {
                exit_code(cargo(root).args(arguments))
            }
            Self::Deny(_) => {
                say("    skipped: cargo-deny is not installed");
                0
            }
        }
    }
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn deny_is_installed(root: &Path) -> bool {
    let mut version = cargo(root);
    version.args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Runs `command` to its end. A command that cannot start or dies from a signal counts as 1.
fn exit_code(command: &mut Command) -> u8 {
    match command.status() {
        Ok(status) => status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("ci: cannot start {:?}: {error}", command.get_program());
            1
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool may time itself")]
fn now() -> Instant {
    Instant::now()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests;
