//! The story of a broken promise: everything that happened to its key, in order of time, for a person to read.
//!
//! ```text
//! I1/P1 no lost acked write: the acked write (…) is missing at n0, n1, and no write had seen it
//! key default/k, siblings, owners n0 n1 n2 (dc0)
//! a = 00000000000000a1 of n0
//!
//!        12.000 ms  c1 → n0 QUORUM put v7 after {a:1}  ⇒ 19.000 ms acked by 2, {a:2}   ◀
//!        14.000 ms  seen: v7 under a:2
//!        15.000 ms  n0 holds a:2
//!        30.000 ms  n0 forgot everything
//!           end     n0 stores a:2 = v7
//! ```
//!
//! Incarnations are letters in order of appearance. `◀` marks the operations that prove the violation.

use std::collections::BTreeMap;
use std::fmt::Write;

use atoll_protocol::ids::Incarnation;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::record::{CellBody, Record};
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::{Context, Dot};

use super::view::{KeyView, winner};
use crate::history::{
    Final, History, KeyId, Op, OpId, OpKind, Outcome, ReadCell, ValueId, Violation,
};

/// Short names of incarnations.
struct Letters<'a> {
    history: &'a History,
    names: BTreeMap<Incarnation, String>,
}

/// What happened to the key of `violation`, or to the operations that it names.
pub fn account(history: &History, violation: &Violation) -> String {
    let mut letters = Letters { history, names: BTreeMap::new() };
    let mut lines = Vec::new();
    match violation.key.and_then(|id| Some((id, history.keys.get(id.0)?))) {
        Some((id, key)) => {
            let view = KeyView::new(history, id, key);
            lines.extend(operations(&view.ops, violation, &mut letters));
            lines.extend(evidence(history, id, &mut letters));
        }
        None => {
            let named = violation.ops.iter().filter_map(|&id| Some((id, history.ops.get(id.0)?)));
            lines.extend(operations(&named.collect::<Vec<_>>(), violation, &mut letters));
        }
    }
    lines.extend(
        history.forgettings.iter().map(|f| (f.at, format!("n{} forgot everything", f.node.0))),
    );
    lines.sort();
    let ending = violation.key.map(|id| endings(history, id, &mut letters)).unwrap_or_default();
    let mut story = format!("{}: {}\n", violation.invariant, violation.detail);
    story.push_str(&heading(history, violation.key));
    story.push_str(&letters.legend());
    story.push('\n');
    for (at, line) in lines {
        let _ = writeln!(story, "{:>16}  {line}", millis(at));
    }
    story.push_str(&ending);
    story
}

fn heading(history: &History, id: Option<KeyId>) -> String {
    let Some(key) = id.and_then(|id| history.keys.get(id.0)) else {
        return String::new();
    };
    let conflict = match key.conflict {
        Conflict::Siblings => "siblings",
        Conflict::Lww => "lww",
    };
    let mut owners: BTreeMap<u8, String> = BTreeMap::new();
    for (node, dc) in &key.owners {
        let _ = write!(owners.entry(dc.0).or_default(), " n{}", node.0);
    }
    let owners: Vec<_> = owners.iter().map(|(dc, nodes)| format!("{nodes} (dc{dc})")).collect();
    let name = key.key.escape_ascii();
    format!("key {}/{name}, {conflict}, owners{}\n", key.keyspace, owners.join(","))
}

fn operations(
    ops: &[(OpId, &Op)],
    violation: &Violation,
    letters: &mut Letters<'_>,
) -> Vec<(MonoTime, String)> {
    let mut lines = Vec::new();
    for (id, op) in ops {
        let session = if op.in_session { " in session" } else { "" };
        let asked = format!("c{}{session} → n{} {}", op.client, op.node.0, op.level);
        let kind = kind_words(&op.kind, letters);
        let end = op.end.map(|end| format!("{} ", millis(end))).unwrap_or_default();
        let outcome = outcome_words(&op.outcome, letters);
        let mark = if violation.ops.contains(id) { "   ◀" } else { "" };
        lines.push((op.start, format!("{asked} {kind}  ⇒ {end}{outcome}{mark}")));
    }
    lines
}

fn kind_words(kind: &OpKind, letters: &mut Letters<'_>) -> String {
    let mut after = |context: &Option<Context>| match context {
        Some(context) => format!(" after {}", letters.context(context)),
        None => " blindly".to_owned(),
    };
    match kind {
        OpKind::Get => "get".to_owned(),
        OpKind::Put { value, length, context, expires } => {
            let ttl = if *expires { ", expiring" } else { "" };
            format!("put {} ({length} bytes{ttl}){}", value_words(*value), after(context))
        }
        OpKind::Delete { context } => format!("delete{}", after(context)),
    }
}

fn outcome_words(outcome: &Outcome, letters: &mut Letters<'_>) -> String {
    match outcome {
        Outcome::Pending => "under way".to_owned(),
        Outcome::Acked { context, acked } => {
            format!("acked by {acked}, {}", letters.context(context))
        }
        Outcome::Got { context, cells, answered, .. } => {
            let cells: Vec<String> = cells.iter().map(|cell| letters.cell(cell)).collect();
            let context = letters.context(context);
            format!("got [{}] from {answered}, {context}", cells.join(", "))
        }
        Outcome::Failed(failure) => format!("failed: {failure}"),
        Outcome::NoAnswer => "no answer".to_owned(),
    }
}

/// What the simulator saw of the key.
fn evidence(history: &History, id: KeyId, letters: &mut Letters<'_>) -> Vec<(MonoTime, String)> {
    let mut lines = Vec::new();
    for ((_, dot), sighting) in history.cells.iter().filter(|((key, _), _)| *key == id) {
        let content = sighting.value.map_or_else(|| "a tombstone".to_owned(), value_words);
        let dot = letters.dot(*dot);
        let written = sighting.timestamp.0;
        lines.push((sighting.first, format!("seen: {content} under {dot}, timestamp {written}")));
    }
    for ((_, dot), nodes) in history.held_since.iter().filter(|((key, _), _)| *key == id) {
        for (node, at) in nodes {
            lines.push((*at, format!("n{} holds {}", node.0, letters.dot(*dot))));
        }
    }
    for ((_, dot), nodes) in history.holders.iter().filter(|((key, _), _)| *key == id) {
        let since = history.held_since.get(&(id, *dot));
        for (node, at) in nodes {
            // Seen once is told above.
            if since.and_then(|since| since.get(node)) != Some(at) {
                lines.push((*at, format!("n{} still holds {}", node.0, letters.dot(*dot))));
            }
        }
    }
    let conflicts = history.dot_conflicts.iter().filter(|conflict| conflict.key == id);
    lines.extend(conflicts.map(|conflict| {
        (conflict.at, format!("{} is bound again: {}", letters.dot(conflict.dot), conflict.detail))
    }));
    lines
}

fn endings(history: &History, id: KeyId, letters: &mut Letters<'_>) -> String {
    let mut text = String::new();
    let owners = history.keys.get(id.0).map(|key| key.owners.as_slice()).unwrap_or_default();
    for (node, _) in owners {
        let stored = match history.finals.get(&(id, *node)) {
            Some(Final::Record(record)) => record_words(history, (id, record), letters),
            Some(Final::Absent) => "nothing".to_owned(),
            Some(Final::Unreadable(reason)) => format!("what cannot be read: {reason}"),
            None => "what was not recorded".to_owned(),
        };
        let _ = writeln!(text, "{:>16}  n{} stores {stored}", "end", node.0);
    }
    text
}

fn record_words(
    history: &History,
    (id, record): (KeyId, &Record),
    letters: &mut Letters<'_>,
) -> String {
    let mut words = Vec::new();
    for (dot, cell) in record.cells() {
        let sighting = history.cells.get(&(id, dot));
        let content = match (&cell.body, sighting.and_then(|sighting| sighting.value)) {
            (CellBody::Tombstone, _) => "a tombstone".to_owned(),
            (CellBody::Value(_), Some(value)) => value_words(value),
            (CellBody::Value(bytes), None) => format!("{} bytes", bytes.len()),
        };
        words.push(format!("{} = {content}", letters.dot(dot)));
    }
    let token = history.keys.get(id.0).map_or(0, |key| key.token);
    format!("{}; {}", words.join(", "), letters.context(&record.context(token)))
}

fn value_words(value: ValueId) -> String {
    format!("v{:x}", value.0)
}

fn millis(at: MonoTime) -> String {
    let micros = at.as_nanos() / 1_000;
    format!("{}.{:03} ms", micros / 1_000, micros % 1_000)
}

impl Letters<'_> {
    fn dot(&mut self, dot: Dot) -> String {
        format!("{}:{}", self.name(dot.incarnation), dot.counter)
    }

    fn cell(&mut self, cell: &ReadCell) -> String {
        let value = cell.value.map_or_else(|| "garbage".to_owned(), value_words);
        format!("{} = {value}", self.dot(cell.dot))
    }

    fn context(&mut self, context: &Context) -> String {
        let named: Vec<String> = context
            .entries()
            .map(|(incarnation, counter)| self.dot(Dot { incarnation, counter }))
            .collect();
        let at = winner(context).map_or(0, |(timestamp, _)| timestamp.0);
        format!("{{{}}} at {at}", named.join(" "))
    }

    fn name(&mut self, incarnation: Incarnation) -> String {
        let next = letter(self.names.len());
        self.names.entry(incarnation).or_insert(next).clone()
    }

    fn legend(&self) -> String {
        let mut text = String::new();
        for (incarnation, name) in &self.names {
            let mut nodes = self.history.incarnations.iter();
            let node = nodes.find(|(_, had)| had.contains(incarnation));
            let of = node.map_or_else(String::new, |(node, _)| format!(" of n{}", node.0));
            let _ = writeln!(text, "{name} = {incarnation}{of}");
        }
        text
    }
}

/// `a` to `z`, then `a1` to `z1`, and so on.
fn letter(position: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(position % 26).unwrap_or(0));
    match position / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}
