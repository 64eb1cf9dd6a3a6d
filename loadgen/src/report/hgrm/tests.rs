//! The distribution is read back, and its lines look like those of other tools.

use super::{parse, render};
use crate::measure::Histo;

#[test]
fn a_distribution_is_read_back() {
    let mut histo = Histo::default();
    (1..=1_000).for_each(|tenth| histo.record(tenth * 100_000));
    let text = render(&histo);
    assert!(
        text.starts_with("       Value     Percentile TotalCount 1/(1-Percentile)\n\n"),
        "{text}"
    );
    let (rows, total) = parse(&text).unwrap();
    assert_eq!(total, 1_000);
    let median = rows.iter().find(|(_, quantile)| *quantile >= 0.5).unwrap().0;
    assert!((median - 50.0).abs() < 0.2, "{median}");
    let (last, quantile) = rows.last().unwrap();
    assert!((last - 100.0).abs() < 0.2 && (quantile - 1.0).abs() < 1e-9, "{last} {quantile}");
    assert!(text.contains("Total count    =         1000]"), "{text}");
}

#[test]
fn other_texts_are_refused() {
    for text in ["", "hello", "1.0 x\n", "Value Percentile\n"] {
        assert!(parse(text).is_err(), "{text}");
    }
}
