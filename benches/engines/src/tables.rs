//! Markdown for people: what was measured, what was left to settle, and how Atoll compares.
//!
//! Per value size three tables. Rates and CPU are medians with their extremes; percentiles are medians of the rounds'
//! percentiles; a maximum, of latencies or of stalls, is the largest of all rounds.
//!
//! A phase during which others had much of the machine says little: such phases are listed below the tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::engine::EngineName;
use crate::phase::{Phase, Scenario};
use crate::report::{PhaseReport, RunReport};
use crate::summary::{Figure, Rounds, Spread};
use crate::targets;

const MIB: f64 = 1_024.0 * 1_024.0;

/// Above this share of the machine in other hands a phase is void: half a core of two. The kernel's own threads, which
/// write the page cache back, stay below it.
const DISTURBED_SHARE: f64 = 0.25;

/// All tables of `runs`.
pub(crate) fn render(runs: &[RunReport]) -> String {
    let mut text = String::new();
    let sizes: BTreeSet<usize> = runs.iter().map(|run| run.value_bytes).collect();
    for value_bytes in sizes {
        // Writing to a string cannot fail.
        let _ = tables_of(runs, value_bytes, &mut text);
    }
    text
}

fn tables_of(runs: &[RunReport], value_bytes: usize, text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n## Values of {value_bytes} B\n")?;
    let shapes: BTreeSet<_> = runs
        .iter()
        .filter(|run| run.value_bytes == value_bytes)
        .map(|run| (run.scenario, run.records, run.cache_bytes))
        .collect();
    for (scenario, records, cache_bytes) in shapes {
        let cache_mib = cache_bytes as f64 / MIB;
        match scenario {
            Scenario::Bulk | Scenario::Cached => {
                writeln!(text, "{scenario}: {records} records, cache {cache_mib:.0} MiB\n")?;
            }
            Scenario::Durable => writeln!(text, "{scenario}: a sync per write, no fill before\n")?,
        }
    }
    text.push_str(
        "| phase | engine | ops/s [min-max] | p50 us | p99 | p99.9 | p99.99 | max | > 100 ms \
         | CPU us/op all [min-max] | clients | write amp | space amp | read B/op | peak RSS MiB \
         | others, steal % | n |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    let rows = rows(runs, value_bytes);
    for (phase, engine, rounds) in &rows {
        phase_row(*phase, *engine, rounds, text)?;
    }
    if rows.iter().any(|(_, _, rounds)| rounds.any().is_some_and(|one| one.settle.is_some())) {
        text.push_str(
            "\n| phase | engine | settle s [min-max] | CPU us/op settled [min-max] \
             | write amp settled [min-max] | written MiB: process | device | on disk MiB | space amp |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
    }
    for (phase, engine, rounds) in &rows {
        settle_row(*phase, *engine, rounds, text)?;
    }
    ratio_table(runs, value_bytes, text)?;
    disturbances(runs, value_bytes, text)
}

fn rows(runs: &[RunReport], value_bytes: usize) -> Vec<(Phase, EngineName, Rounds<'_>)> {
    let engines: BTreeSet<EngineName> = runs.iter().map(|run| run.engine).collect();
    let mut rows = Vec::new();
    for phase in Phase::all() {
        for engine in &engines {
            let rounds = Rounds::of(runs, *engine, value_bytes, phase);
            if rounds.count() > 0 {
                rows.push((phase, *engine, rounds));
            }
        }
    }
    rows
}

fn phase_row(
    phase: Phase,
    engine: EngineName,
    rounds: &Rounds<'_>,
    text: &mut String,
) -> std::fmt::Result {
    let median = |figure: Figure, show: fn(f64) -> String| {
        rounds.spread(figure).map(|spread| show(spread.median)).unwrap_or_default()
    };
    let max = |figure: Figure, show: fn(f64) -> String| {
        rounds.spread(figure).map(|spread| show(spread.max)).unwrap_or_default()
    };
    let percent = |figure: Figure| median(figure, |share| format!("{:.0}", share * 100.0));
    writeln!(
        text,
        "| {phase} | {engine} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {}, {} | {} |",
        with_extremes(rounds.spread(|one| Some(one.rate())), thousands),
        median(|one| Some(one.latency?.p50_us), microseconds),
        median(|one| Some(one.latency?.p99_us), microseconds),
        median(|one| Some(one.latency?.p999_us), microseconds),
        median(|one| Some(one.latency?.p9999_us), microseconds),
        max(|one| Some(one.latency?.max_us), microseconds),
        max(|one| Some(one.latency?.stalls as f64), |stalls| format!("{stalls:.0}")),
        with_extremes(rounds.spread(|one| Some(one.cpu_us())), decimals),
        median(|one| Some(one.client_cpu_us()), decimals),
        median(PhaseReport::write_amplification, hundredths),
        median(PhaseReport::space_amplification, hundredths),
        median(|one| Some(one.read_bytes_per_operation()), |bytes| format!("{bytes:.0}")),
        median(|one| Some(one.peak_memory_bytes as f64 / MIB), |mib| format!("{mib:.0}")),
        percent(|one| Some(one.cost.others_share)),
        percent(|one| Some(one.cost.steal_share)),
        rounds.count(),
    )
}

fn settle_row(
    phase: Phase,
    engine: EngineName,
    rounds: &Rounds<'_>,
    text: &mut String,
) -> std::fmt::Result {
    let Some(seconds) = rounds.spread(|one| Some(one.settle?.seconds)) else {
        return Ok(());
    };
    let median = |figure: Figure, show: fn(f64) -> String| {
        rounds.spread(figure).map(|spread| show(spread.median)).unwrap_or_default()
    };
    writeln!(
        text,
        "| {phase} | {engine} | {} | {} | {} | {} | {} | {} | {} |",
        with_extremes(Some(seconds), decimals),
        with_extremes(rounds.spread(|one| Some(one.cpu_us_settled())), decimals),
        with_extremes(rounds.spread(PhaseReport::write_amplification), hundredths),
        median(
            |one| Some((one.cost.write_bytes + one.settle?.write_bytes) as f64 / MIB),
            |mib| format!("{mib:.0}"),
        ),
        median(|one| Some(one.device_write_bytes? as f64 / MIB), |mib| format!("{mib:.0}")),
        median(|one| Some(one.disk_bytes as f64 / MIB), |mib| format!("{mib:.0}")),
        median(PhaseReport::space_amplification, hundredths),
    )
}

fn ratio_table(runs: &[RunReport], value_bytes: usize, text: &mut String) -> std::fmt::Result {
    let rows = targets::judge(runs, value_bytes);
    if rows.is_empty() {
        return Ok(());
    }
    text.push_str(
        "\n| Atoll against | atoll | rival | best rival | ratio or figure [min-max] | target | |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.what,
            thousands(row.ours),
            row.theirs.map(thousands).unwrap_or_default(),
            row.rival,
            with_extremes(Some(row.judged), hundredths),
            row.target,
            row.verdict,
        )?;
    }
    Ok(())
}

fn disturbances(runs: &[RunReport], value_bytes: usize, text: &mut String) -> std::fmt::Result {
    let of_size = runs.iter().filter(|run| run.value_bytes == value_bytes);
    let disturbed = of_size.flat_map(|run| {
        let lost = |one: &&PhaseReport| one.cost.others_share + one.cost.steal_share;
        let phases = run.phases.iter().filter(move |one| lost(one) > DISTURBED_SHARE);
        phases.map(move |one| format!("{} {} in round {}", run.engine, one.phase, run.round))
    });
    let disturbed: Vec<String> = disturbed.collect();
    if disturbed.is_empty() {
        return Ok(());
    }
    let percent = DISTURBED_SHARE * 100.0;
    writeln!(
        text,
        "\nVoid, because others had more than {percent:.0} % of the machine: {}.",
        disturbed.join(", "),
    )
}

fn with_extremes(spread: Option<Spread>, show: fn(f64) -> String) -> String {
    match spread {
        None => String::new(),
        Some(spread) => {
            format!("{} [{}-{}]", show(spread.median), show(spread.min), show(spread.max))
        }
    }
}

fn thousands(number: f64) -> String {
    match number {
        number if number >= 100_000.0 => format!("{:.0} k", number / 1_000.0),
        number if number >= 1_000.0 => format!("{:.1} k", number / 1_000.0),
        number if number >= 100.0 => format!("{number:.0}"),
        number => format!("{number:.2}"),
    }
}

fn microseconds(number: f64) -> String {
    match number {
        number if number >= 1_000.0 => format!("{:.1} ms", number / 1_000.0),
        number if number >= 100.0 => format!("{number:.0}"),
        number => format!("{number:.1}"),
    }
}

fn decimals(number: f64) -> String {
    format!("{number:.1}")
}

fn hundredths(number: f64) -> String {
    format!("{number:.2}")
}

#[cfg(test)]
mod tests {
    use super::render;
    use crate::engine::EngineName::{Atoll, Rocksdb};
    use crate::phase::Phase;
    use crate::summary::tests::run;

    #[test]
    fn every_row_has_as_many_cells_as_its_table() {
        let runs = [run(Atoll, Phase::Fill, 0, 250_000), run(Rocksdb, Phase::Fill, 0, 90_000)];
        let text = render(&runs);
        let mut cells = None;
        for line in text.lines() {
            let count = line.starts_with('|').then(|| line.matches('|').count());
            assert!(cells.is_none() || count.is_none() || cells == count, "{text}");
            cells = count;
        }
        assert!(text.contains("| fill | atoll | 250 k [250 k-250 k] |"), "{text}");
        assert!(text.contains("2.78 [2.78-2.78] | >= 1.5 | pass |"), "{text}");
    }
}
