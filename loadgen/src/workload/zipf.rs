//! Zipf's law in constant time: rank `k` of `n` with probability proportional to `1 / k^s`.
//!
//! Rejection-inversion: invert the integral of the density's hat, round to a rank, and reject the few points that are
//! above the histogram. At most about 1.1 draws per sample for any `n` and `s`; no table, so `n` may grow between
//! samples for free. (The formula of Gray et al. that YCSB copies is only approximate, and needs `zeta(n)`.)
//!
//! Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions",
//! ACM TOMACS 6(3), 1996; names as in Apache Commons RNG's `RejectionInversionZipfSampler`.

use crate::chance::Chance;
use crate::units;

#[cfg(test)]
mod tests;

/// Below this, series are exact to the last bit where the closed forms cancel.
const SMALL: f64 = 1e-8;

/// The law for one `n` and one exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zipf {
    ranks: f64,
    exponent: f64,
    integral_first: f64,
    integral_last: f64,
    threshold: f64,
}

impl Zipf {
    /// Ranks from 1 to `ranks`, with an exponent above zero.
    pub(super) fn new(ranks: u64, exponent: f64) -> Self {
        assert!(ranks > 0 && exponent > 0.0 && exponent.is_finite());
        let mut law = Self {
            ranks: ranks as f64,
            exponent,
            integral_first: 0.0,
            integral_last: 0.0,
            threshold: 0.0,
        };
        law.integral_first = law.integral(1.5) - 1.0;
        law.integral_last = law.integral(law.ranks + 0.5);
        law.threshold = 2.0 - law.inverse(law.integral(2.5) - law.density(2.0));
        law
    }

    /// Draws a rank, from 1 to `ranks`.
    pub(super) fn draw(&self, chance: &mut Chance) -> u64 {
        loop {
            let span = self.integral_first - self.integral_last;
            let point = self.integral_last + chance.unit() * span;
            let x = self.inverse(point);
            let rank = (x + 0.5).floor().clamp(1.0, self.ranks);
            let is_below = rank - x <= self.threshold
                || point >= self.integral(rank + 0.5) - self.density(rank);
            if is_below {
                return units::floor(rank);
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        (-self.exponent * x.ln()).exp()
    }

    /// The integral of the density from 1 to `x`.
    fn integral(&self, x: f64) -> f64 {
        let log = x.ln();
        expm1_over((1.0 - self.exponent) * log) * log
    }

    fn inverse(&self, y: f64) -> f64 {
        // Rounding may lead below the pole of the logarithm.
        let t = (y * (1.0 - self.exponent)).max(-1.0);
        (log1p_over(t) * y).exp()
    }
}

/// `(e^x - 1) / x`, and its limit at 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > SMALL { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// `ln(1 + x) / x`, and its limit at 0.
fn log1p_over(x: f64) -> f64 {
    if x.abs() > SMALL { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}
