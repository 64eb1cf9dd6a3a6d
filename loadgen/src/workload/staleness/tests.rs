//! The overlap of levels against their arithmetic, and the judgement of answers.

use atoll_client::Level;

use super::{Sight, judge, overlap};
use crate::workload::value::{Origin, Writer};

/// Replicas per datacenter that a level waits for at least, in the worst case for an overlap, with `rf` in each of `dcs`:
/// every way to choose them as counts per datacenter.
fn ways(level: Level, own: usize, rf: usize, dcs: usize) -> Vec<Vec<usize>> {
    let majority = |n: usize| n / 2 + 1;
    let mut all = vec![vec![]];
    for _ in 0..dcs {
        all = all
            .into_iter()
            .flat_map(|way: Vec<usize>| {
                (0..=rf).map(move |count| way.iter().copied().chain([count]).collect())
            })
            .collect();
    }
    let total = |way: &[usize]| way.iter().sum::<usize>();
    all.retain(|way| match level {
        Level::One => total(way) >= 1,
        Level::Two => total(way) >= 2.min(rf * dcs),
        Level::Three => total(way) >= 3.min(rf * dcs),
        Level::LocalOne => way[own] >= 1,
        Level::LocalQuorum => way[own] >= majority(rf),
        Level::Quorum => total(way) >= majority(rf * dcs),
        Level::EachQuorum => way.iter().all(|count| *count >= majority(rf)),
        Level::All => total(way) == rf * dcs,
        Level::LocalQuorumPlus(k) => {
            let others = way.iter().enumerate().filter(|(dc, n)| *dc != own && **n > 0).count();
            way[own] >= majority(rf) && others >= usize::from(k).min(dcs - 1)
        }
    });
    all
}

/// True if every way to satisfy one level shares a replica with every way to satisfy the other.
fn always_meet(a: &[Vec<usize>], b: &[Vec<usize>], rf: usize) -> bool {
    let meet = |x: &[usize], y: &[usize]| x.iter().zip(y).any(|(m, n)| m + n > rf);
    a.iter().all(|x| b.iter().all(|y| meet(x, y)))
}

/// For every pair of levels, with `rf` replicas in each of `dcs` datacenters.
fn check_overlaps(rf: usize, dcs: usize) {
    let mut levels = Level::NAMED.to_vec();
    levels.extend([Level::LocalQuorumPlus(1), Level::LocalQuorumPlus(2)]);
    for put in &levels {
        for get in &levels {
            for get_dc in 0..dcs {
                let said = overlap((*put, 0), (*get, u16::try_from(get_dc).unwrap()));
                let real = always_meet(&ways(*put, 0, rf, dcs), &ways(*get, get_dc, rf, dcs), rf);
                assert!(real || !said, "put {put}, get {get} in dc {get_dc}, rf {rf}");
            }
        }
    }
}

#[test]
fn levels_that_are_said_to_overlap_do() {
    for rf in 1..4 {
        for dcs in 1..4 {
            check_overlaps(rf, dcs);
        }
    }
}

#[test]
fn the_usual_pairs_overlap() {
    assert!(overlap((Level::LocalQuorum, 1), (Level::LocalQuorum, 1)));
    assert!(!overlap((Level::LocalQuorum, 1), (Level::LocalQuorum, 0)));
    assert!(overlap((Level::Quorum, 1), (Level::Quorum, 0)));
    assert!(overlap((Level::EachQuorum, 1), (Level::LocalQuorum, 0)));
    assert!(!overlap((Level::Quorum, 0), (Level::LocalOne, 0)));
}

#[test]
fn only_older_values_are_stale() {
    let of = |run, process, sequence| Origin { writer: Writer { run, process }, key: 1, sequence };
    let judge = |seen: &[Origin]| judge(seen, Writer { run: 7, process: 1 }, 5);
    assert_eq!(judge(&[of(7, 1, 5)]), Sight::Fresh);
    assert_eq!(judge(&[of(7, 1, 6)]), Sight::Fresh);
    assert_eq!(judge(&[of(7, 1, 4)]), Sight::Stale);
    assert_eq!(judge(&[of(7, 1, 4), of(7, 1, 9)]), Sight::Fresh);
    assert_eq!(judge(&[of(7, 2, 1)]), Sight::Fresh, "another process of the run");
    assert_eq!(judge(&[of(6, 1, 9)]), Sight::Stale, "an earlier run");
    assert_eq!(judge(&[of(8, 1, 1)]), Sight::Fresh, "a later run");
    assert_eq!(judge(&[]), Sight::Stale);
}
