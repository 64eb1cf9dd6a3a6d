//! A figure beside its target.

/// Says whether `figure` is at most `target`; both are in `unit`.
pub(crate) fn report(what: &str, figure: f64, (target, unit): (f64, &str)) {
    let verdict = if figure <= target { "met" } else { "MISSED" };
    println!("{what}: {figure:.2} {unit}, target at most {target:.2} {unit}: {verdict}");
}
