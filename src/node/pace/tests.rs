use super::*;

const MIB: u64 = 1 << 20;

fn pacing(bytes_per_second_max: u64) -> Pacing {
    Pacing { bytes_per_second_max, tables_l0_max: 12, memtables_sealed_max: 3 }
}

fn debt(tables_l0: u64, memtables_sealed: u64) -> Debt {
    Debt { tables_l0, memtables_sealed }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> MonoTime {
    MonoTime::from_nanos(millis * 1_000_000)
}

#[test]
fn pacing_takes_the_bounds_of_the_engine() {
    let options = Options::default();
    let bounds = Pacing {
        bytes_per_second_max: MIB,
        tables_l0_max: options.tables_l0_max as u64,
        memtables_sealed_max: options.memtables_sealed_max as u64,
    };
    assert_eq!(Pacing::new(&options, MIB), bounds);
}

#[test]
fn a_unit_takes_at_least_as_long_as_the_limit_says() {
    let none = debt(0, 0);
    // Limit in MiB/s, MiB written, milliseconds taken, debt, pause in milliseconds.
    let rows = [
        (256, 32, 0, none, 125),
        (256, 32, 25, none, 100),
        (256, 32, 125, none, 0),
        (256, 32, 9_999, none, 0),
        (1, 32, 1_000, none, 31_000),
        (256, 0, 0, none, 0),
        // Without a limit nothing pauses.
        (0, 32, 0, none, 0),
        // Debt comes first.
        (256, 32, 0, debt(7, 1), 125),
        (256, 32, 0, debt(8, 0), 0),
        (256, 32, 0, debt(12, 0), 0),
        (256, 32, 0, debt(0, 2), 0),
        (256, 32, 0, debt(0, 3), 0),
    ];
    for (limit, written, took, debt, pause) in rows {
        let planned = plan_pause(written * MIB, millis(took), debt, &pacing(limit * MIB));
        assert_eq!(planned, millis(pause), "{limit} {written} {took} {debt:?}");
    }
    let endless = plan_pause(u64::MAX, Duration::ZERO, none, &pacing(1));
    assert_eq!(endless, Duration::from_nanos(u64::MAX));
}

#[test]
fn a_held_task_flushes_or_waits() {
    let free = Held::default();
    let paced = Held { paced_until: at(1_500), ..free };
    let failed = Held { failed_until: at(6_000), ..free };
    let both = Held { paced_until: at(1_500), failed_until: at(6_000) };
    let wait = |span| Turn::Wait(millis(span));
    // Milliseconds now, what holds back, debt, turn.
    let rows = [
        (1_000, free, debt(0, 0), Turn::Everything),
        (1_000, free, debt(0, 1), Turn::Everything),
        (1_000, paced, debt(0, 0), wait(500)),
        (1_000, paced, debt(7, 0), wait(500)),
        (1_000, paced, debt(7, 1), Turn::Flush),
        (1_000, paced, debt(8, 0), Turn::Everything),
        (1_000, paced, debt(0, 2), Turn::Everything),
        (1_500, paced, debt(0, 0), Turn::Everything),
        // After a failure debt hurries nothing but flushes.
        (1_000, failed, debt(0, 0), wait(5_000)),
        (1_000, failed, debt(12, 0), wait(5_000)),
        (1_000, failed, debt(12, 3), Turn::Flush),
        (6_000, failed, debt(12, 3), Turn::Everything),
        (1_000, both, debt(0, 0), wait(5_000)),
        (2_000, both, debt(0, 0), wait(4_000)),
    ];
    for (now, held, debt, turn) in rows {
        assert_eq!(plan_turn(at(now), held, debt, &pacing(MIB)), turn, "{now} {held:?} {debt:?}");
        assert_eq!(
            held.is_over(at(now)),
            now >= 6_000 || held == free || (held == paced && now >= 1_500)
        );
    }
}

#[test]
fn an_engine_that_allows_one_sealed_memtable_is_paced_until_there_is_one() {
    for memtables_sealed_max in [0, 1, 2] {
        let pacing = Pacing { memtables_sealed_max, ..pacing(MIB) };
        assert_eq!(plan_pause(MIB, Duration::ZERO, debt(0, 0), &pacing), millis(1_000));
        assert_eq!(plan_pause(MIB, Duration::ZERO, debt(0, 1), &pacing), Duration::ZERO);
    }
}
