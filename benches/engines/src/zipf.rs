//! Zipfian choice of records: a few are wanted often, most hardly ever.
//!
//! 1. [`Zipf::new`] sums the generalised harmonic number once per process.
//! 2. [`Zipf::rank`] draws a rank with one power function; rank 0 is the most popular.
//! 3. [`Zipf::record`] scatters ranks over records. Without that, the popular records would be the ones that were
//!    filled first and lie side by side in one file, which flatters engines that keep the order of writing.
//!
//! Two ranks may share a record (as in YCSB's scrambled generator); the skew stays the same.
//!
//! Source: Gray et al., "Quickly Generating Billion-Record Synthetic Databases", SIGMOD 1994; YCSB.

use crate::random::{Random, mix};

/// The skew of YCSB.
const THETA: f64 = 0.99;

/// A zipfian distribution over `0..records`.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    records: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
    half_power: f64,
}

impl Zipf {
    /// A distribution over `records` records, of which there is at least one. Cost: one power per record.
    pub(crate) fn new(records: u64) -> Zipf {
        assert!(records > 0);
        let zeta: f64 = (1..=records).map(|rank| (rank as f64).powf(-THETA)).sum();
        let zeta_two = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / records as f64).powf(1.0 - THETA)) / (1.0 - zeta_two / zeta);
        Zipf { records, zeta, alpha: 1.0 / (1.0 - THETA), eta, half_power: 0.5f64.powf(THETA) }
    }

    /// A record, the same ones popular in every thread.
    pub(crate) fn record(&self, random: &mut Random) -> u64 {
        let product = u128::from(mix(self.rank(random) + 1)) * u128::from(self.records);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// A popularity rank, 0 the most popular.
    fn rank(&self, random: &mut Random) -> u64 {
        let fraction = random.fraction();
        let scaled = fraction * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + self.half_power {
            return 1.min(self.records - 1);
        }
        let rank = self.records as f64 * (self.eta * fraction - self.eta + 1.0).powf(self.alpha);
        whole(rank).min(self.records - 1)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is 0 or more, and far below 2^53"
)]
fn whole(rank: f64) -> u64 {
    rank as u64
}

#[cfg(test)]
mod tests {
    use super::Zipf;
    use crate::random::Random;

    #[test]
    fn the_skew_is_that_of_theta_099() {
        let zipf = Zipf::new(100_000);
        let mut random = Random::new(1);
        let draws = 200_000;
        let (mut first, mut top_percent) = (0, 0);
        for _ in 0..draws {
            let rank = zipf.rank(&mut random);
            assert!(rank < 100_000);
            first += u32::from(rank == 0);
            top_percent += u32::from(rank < 1_000);
        }
        // 1 / zeta(100 000, 0.99) = 7.8 %; the top 1 % gets zeta(1 000) / zeta(100 000) = 60 %.
        let share = |count: u32| f64::from(count) / f64::from(draws);
        assert!((0.07..0.09).contains(&share(first)), "{}", share(first));
        assert!((0.55..0.65).contains(&share(top_percent)), "{}", share(top_percent));
    }

    #[test]
    fn popular_records_are_scattered() {
        let zipf = Zipf::new(1_000);
        let mut random = Random::new(2);
        let mut hits = vec![0u32; 1_000];
        for _ in 0..100_000 {
            hits[usize::try_from(zipf.record(&mut random)).unwrap()] += 1;
        }
        let low: u32 = hits.iter().take(500).sum();
        assert!((15_000..85_000).contains(&low), "{low} of 100 000 in the lower half");
        assert!(hits.iter().max().unwrap() > &10_000);
    }

    #[test]
    fn one_record_is_enough() {
        assert_eq!(Zipf::new(1).record(&mut Random::new(3)), 0);
    }
}
