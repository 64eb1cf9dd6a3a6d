//! Adding is exact, and the text form loses nothing.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::Histo;

fn spans() -> impl Strategy<Value = Vec<u64>> {
    let span = prop_oneof![0u64..10_000, 100_000u64..50_000_000, Just(7_200_000_000_000)];
    vec(span, 0..200)
}

fn of(spans: &[u64]) -> Histo {
    let mut histo = Histo::default();
    spans.iter().for_each(|span| histo.record(*span));
    histo
}

proptest! {
    #[test]
    fn parts_add_up_to_the_whole(a in spans(), b in spans()) {
        let mut sum = of(&a);
        sum.add(&of(&b));
        let whole = of(&[a, b].concat());
        prop_assert_eq!(sum.len(), whole.len());
        prop_assert_eq!(sum.counts().collect::<Vec<_>>(), whole.counts().collect::<Vec<_>>());
        for quantile in [0.0, 0.5, 0.9, 0.99, 0.999, 1.0] {
            prop_assert_eq!(sum.at(quantile), whole.at(quantile));
        }
    }

    #[test]
    fn the_text_form_loses_nothing(spans in spans()) {
        let histo = of(&spans);
        let json = serde_json::to_string(&histo).unwrap();
        let back: Histo = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back.counts().collect::<Vec<_>>(), histo.counts().collect::<Vec<_>>());
        prop_assert_eq!(back.at(0.99), histo.at(0.99));
    }

    #[test]
    fn quantiles_are_within_a_thousandth(mut spans in vec(1_000u64..1_000_000_000, 1..300)) {
        let histo = of(&spans);
        spans.sort_unstable();
        for quantile in [0.5, 0.9, 0.99] {
            let rank = crate::units::floor((spans.len() as f64 * quantile).ceil());
            let rank = usize::try_from(rank).unwrap().max(1) - 1;
            let (got, exact) = (histo.at(quantile) as f64, spans[rank] as f64);
            prop_assert!((got - exact).abs() <= exact / 500.0 + 1_024.0, "{got} for {exact}");
        }
    }
}

#[test]
fn damaged_texts_are_refused() {
    for text in ["", "!", "AAAA", "SGVsbG8gd29ybGQ="] {
        assert!(Histo::from_text(text).is_err(), "{text}");
    }
}
