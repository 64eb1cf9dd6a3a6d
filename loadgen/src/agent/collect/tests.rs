//! Seconds are cut at the end of the warm-up.

use super::part;
use crate::measure::Phase;

const S: u64 = 1_000_000_000;

#[test]
fn a_span_is_cut_at_the_warm_up() {
    for (span, warmup, of_warmup, of_measured) in [
        ((0, S), 2 * S, (-2.0, 1.0), (0.0, 0.0)),
        ((S, 2 * S), 3 * S / 2, (-0.5, 0.5), (0.0, 0.5)),
        ((2 * S, 3 * S), 0, (0.0, 0.0), (2.0, 1.0)),
    ] {
        assert_eq!(part(Phase::Warmup, span, warmup), of_warmup, "{span:?}");
        assert_eq!(part(Phase::Measured, span, warmup), of_measured, "{span:?}");
    }
}
