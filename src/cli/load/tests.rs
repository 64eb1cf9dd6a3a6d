use super::read::Malformed;
use super::*;
use crate::cli::exit::{exit_code, message};

#[test]
fn every_malformed_row_is_listed_up_to_a_number() {
    let listed = (2..22).map(|line| Malformed { line, problem: "x".into() }).collect();
    let found = Survey { rows: 5, listed, malformed: 27 };
    let error = refuse_malformed(Path::new("a.csv"), &found).unwrap_err();
    assert_eq!(exit_code(&error), 2);
    let text = message(&error);
    assert!(text.starts_with("error: a.csv has 27 malformed row(s)\n  line 2: x\n"), "{text}");
    assert!(text.ends_with("\n  line 21: x\n  and 7 more\n  nothing was loaded"), "{text}");
    assert!(refuse_malformed(Path::new("a.csv"), &Survey::default()).is_ok());
}

#[test]
fn the_progress_lies_beside_the_file() {
    let path = with_suffix(Path::new("data/a.csv"), ".atoll-progress");
    assert_eq!(path, Path::new("data/a.csv.atoll-progress"));
}

#[test]
fn the_bar_is_drawable() {
    assert!(progress_bar(10).is_ok());
}
