//! `cargo xtask sim …`: builds the simulator and hands the arguments on.
//!
//! `--seeds`, `--seed` and whatever else begins with a dash is `run`; the other commands have names. Seeded bugs are
//! compiled in only for commands that arm one. Files are named from the folder where the command is typed.

use std::process::{Command, ExitCode};

/// Commands of the simulator that are written out.
const COMMANDS: [&str; 5] = ["run", "replay", "shrink", "enumerate", "mutants"];

/// Runs the simulator; its exit code is ours. `None` if the arguments name no command.
pub(crate) fn run(arguments: &[&str]) -> Option<ExitCode> {
    let arguments = cargo_arguments(arguments)?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let code = match cargo.args(arguments).status() {
        Ok(status) => status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            eprintln!("sim: cannot start cargo: {error}");
            1
        }
    };
    Some(ExitCode::from(code))
}

/// The arguments of cargo for those of `cargo xtask sim`.
fn cargo_arguments<'a>(arguments: &[&'a str]) -> Option<Vec<&'a str>> {
    let first = arguments.first().copied()?;
    let is_option = first.starts_with('-');
    if !is_option && !COMMANDS.contains(&first) {
        return None;
    }
    let is_help = matches!(first, "-h" | "--help");
    let arms = first == "mutants"
        || arguments.iter().any(|a| *a == "--mutant" || a.starts_with("--mutant="));
    let mut all = vec!["run", "--quiet", "-p", "atoll-sim"];
    if arms {
        all.extend(["--features", "seeded_bug"]);
    }
    all.push("--");
    if is_option && !is_help {
        all.push("run");
    }
    all.extend(arguments);
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::cargo_arguments;

    fn mapped(arguments: &str) -> Option<String> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        cargo_arguments(&words).map(|all| all.join(" "))
    }

    #[test]
    fn commands_become_those_of_the_simulator() {
        let plain = |rest: &str| Some(format!("run --quiet -p atoll-sim -- {rest}"));
        assert_eq!(mapped("--seeds 9 --time 5m"), plain("run --seeds 9 --time 5m"));
        assert_eq!(mapped("--seed 3 --trace"), plain("run --seed 3 --trace"));
        assert_eq!(mapped("replay x.json"), plain("replay x.json"));
        assert_eq!(mapped("shrink x.json"), plain("shrink x.json"));
        assert_eq!(mapped("enumerate"), plain("enumerate"));
        assert_eq!(mapped("--help"), plain("--help"));
        assert_eq!((mapped(""), mapped("sedes 9")), (None, None));
    }

    #[test]
    fn only_what_arms_a_mutant_compiles_them_in() {
        let with =
            |rest: &str| Some(format!("run --quiet -p atoll-sim --features seeded_bug -- {rest}"));
        assert_eq!(mapped("mutants --only x"), with("mutants --only x"));
        assert_eq!(mapped("--seed 1 --mutant x"), with("run --seed 1 --mutant x"));
    }
}
