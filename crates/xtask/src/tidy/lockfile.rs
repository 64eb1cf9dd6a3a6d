//! What `Cargo.lock` may contain: floors against known vulnerabilities, pins, and crates that must stay out.
//!
//! `ring` cannot be absent from the file: quinn-proto and rustls-webpki name it for wasm targets, and a lockfile joins
//! all targets. What would link it here is a feature of another crate, and then that crate names it too: so it is refused
//! as a dependency of anything else. cargo-deny checks the same on the resolved graph.

use super::Problem;
use crate::repository::Repository;

/// The file that is checked.
const LOCKFILE: &str = "Cargo.lock";

/// Lowest versions that are acceptable wherever the crate occurs, with the reason.
const FLOORS: [(&str, [u64; 3], &str); 4] = [
    ("bytes", [1, 11, 1], "integer overflow in `reserve` (RUSTSEC-2026-0007)"),
    ("lz4_flex", [0, 12, 1], "hostile input leaks old buffers (RUSTSEC-2026-0041)"),
    ("quinn-proto", [0, 11, 19], "remote memory exhaustion and panics (RUSTSEC-2026-0185, -0037)"),
    ("rustls-webpki", [0, 103, 13], "a revocation list can panic the parser (RUSTSEC-2026-0104)"),
];

/// Exact versions.
const PINS: [(&str, [u64; 3], &str); 1] =
    [("bincode", [2, 0, 1], "3.0 is a tombstone, other versions write other bytes")];

/// Crates that must not occur, with the crates that may still name them.
const BANNED: [(&str, &[&str]); 4] = [
    ("native-tls", &[]),
    ("openssl", &[]),
    ("openssl-sys", &[]),
    ("ring", &["quinn-proto", "rustls-webpki"]),
];

pub(super) fn check(repository: &Repository) -> Vec<Problem> {
    let Some(text) = repository.text(LOCKFILE) else {
        return vec![Problem::new(LOCKFILE, 1, "commit the lockfile: builds are reproducible")];
    };
    packages(text).iter().flat_map(check_package).collect()
}

/// One package of the lockfile.
#[derive(Debug, Default)]
struct Package<'a> {
    line: usize,
    name: &'a str,
    version: &'a str,
    dependencies: Vec<&'a str>,
}

/// Reads the lockfile's own, regular layout: one key or one list member on each line.
fn packages(text: &str) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line == "[[package]]" {
            packages.push(Package { line: index + 1, ..Package::default() });
        }
        let Some(package) = packages.last_mut() else {
            continue;
        };
        let quoted = line.split('"').nth(1).unwrap_or_default();
        if line.starts_with("name = ") {
            package.name = quoted;
        } else if line.starts_with("version = ") {
            package.version = quoted;
        } else if line.starts_with(" \"") {
            package.dependencies.push(quoted.split(' ').next().unwrap_or_default());
        }
    }
    packages
}

fn check_package(package: &Package<'_>) -> Vec<Problem> {
    let mut texts = Vec::new();
    let version = numbers(package.version);
    for (name, floor, reason) in FLOORS {
        if package.name == name && version < floor {
            texts.push(format!("{name} {} is below {}: {reason}", package.version, dotted(floor)));
        }
    }
    for (name, pin, reason) in PINS {
        if package.name == name && version != pin {
            texts.push(format!("{name} {} is not {}: {reason}", package.version, dotted(pin)));
        }
    }
    for (name, exempt) in BANNED {
        if package.name == name && exempt.is_empty() {
            texts.push(format!("{name} is banned: find who brings it with `cargo tree -i {name}`"));
        } else if package.dependencies.contains(&name) && !exempt.contains(&package.name) {
            texts.push(format!(
                "{} depends on {name}, which is banned: turn that feature off",
                package.name
            ));
        }
    }
    texts.into_iter().map(|text| Problem::new(LOCKFILE, package.line, text)).collect()
}

/// `1.2.3-rc1+meta` as `[1, 2, 3]`. A pre-release counts as its release.
fn numbers(version: &str) -> [u64; 3] {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = release.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    [next(), next(), next()]
}

fn dotted([major, minor, patch]: [u64; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}
