use std::collections::BTreeSet;

use crate::{Mutant, ParseMutantError};

#[cfg(not(feature = "seeded_bug"))]
#[test]
fn without_the_feature_every_mutant_is_the_constant_false() {
    const { assert!(!crate::seeded_bug(Mutant::AckBeforeFsync)) };
    assert!(Mutant::ALL.iter().all(|mutant| !crate::seeded_bug(*mutant)));
}

#[cfg(feature = "seeded_bug")]
#[test]
fn one_mutant_at_a_time_is_armed_and_its_line_counted() {
    use crate::{arm, armed, reached, seeded_bug};
    assert!(!Mutant::ALL.iter().any(|mutant| seeded_bug(*mutant)));
    for &mutant in Mutant::ALL {
        arm(Some(mutant));
        assert_eq!((armed(), reached()), (Some(mutant), 0));
        let on: Vec<_> = Mutant::ALL.iter().copied().filter(|other| seeded_bug(*other)).collect();
        assert_eq!(on, [mutant]);
        assert_eq!(reached(), 1);
    }
    arm(None);
    assert_eq!((armed(), reached()), (None, 0));
    assert!(!Mutant::ALL.iter().any(|mutant| seeded_bug(*mutant)));
}

#[test]
fn names_are_the_variants_in_kebab_case_and_read_back() {
    let mut names = BTreeSet::new();
    for &mutant in Mutant::ALL {
        let mut kebab = String::new();
        for c in format!("{mutant:?}").chars() {
            if c.is_ascii_uppercase() && !kebab.is_empty() {
                kebab.push('-');
            }
            kebab.push(c.to_ascii_lowercase());
        }
        assert_eq!(mutant.name(), kebab);
        assert_eq!(mutant.name().parse(), Ok(mutant));
        assert!(names.insert(mutant.name()));
    }
    let text = "no-such-bug".to_owned();
    assert_eq!(text.parse::<Mutant>(), Err(ParseMutantError { text }));
}

#[test]
fn every_row_is_filled_in() {
    for (position, mutant) in Mutant::ALL.iter().enumerate() {
        assert_eq!(mutant.position(), position);
        assert!(mutant.source().contains(' '), "{mutant}: catalogue id and report");
        assert!(mutant.breaks().starts_with('P'), "{mutant}: a promise");
        let line = mutant.describe();
        assert!(!line.is_empty() && line.len() <= 100 && !line.ends_with('.'), "{mutant}: {line}");
    }
}
