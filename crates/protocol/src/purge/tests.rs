//! Frontiers by table, and a model of a few replicas that purge while messages are under way.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const KEY: u64 = 7;

fn dot(incarnation: u64, counter: u64) -> Dot {
    Dot { incarnation: Incarnation(incarnation), counter }
}

fn cell(at: u64, expires_at: Option<u64>, body: Option<&'static str>) -> Cell {
    Cell {
        timestamp: Timestamp(at),
        expires_at: expires_at.map(WallTime::from_micros),
        body: match body {
            Some(value) => CellBody::Value(Bytes::from_static(value.as_bytes())),
            None => CellBody::Tombstone,
        },
    }
}

fn put(record: &mut Record, dot: Dot, cell: Cell) {
    let context = record.context(KEY);
    record.apply_put(dot, cell, &context);
}

fn frontier(at: u64, counters: &[(u64, u64)]) -> PurgeFrontier {
    let mut frontier = PurgeFrontier::at(WallTime::from_micros(at));
    counters.iter().for_each(|(of, counter)| frontier.raise(Incarnation(*of), *counter));
    frontier
}

fn is_all(frontier: &PurgeFrontier, record: &Record) -> bool {
    frontier.trim(&mut record.clone(), None) == Trimmed::All
}

#[test]
fn of_several_cells_only_the_dead_are_forgotten() {
    let mut record = Record::empty(Conflict::Siblings);
    put(&mut record, dot(1, 4), cell(10, None, None));
    let blind = Context::new(KEY);
    record.apply_put(dot(2, 9), cell(11, None, Some("value")), &blind);
    record.apply_put(dot(3, 1), cell(12, Some(30), Some("short")), &blind);
    let live = |record: &Record| record.cells().map(|(dot, _)| dot).collect::<Vec<_>>();
    let mut trimmed = record.clone();
    assert_eq!(frontier(20, &[(1, 4), (2, 9), (3, 1)]).trim(&mut trimmed, None), Trimmed::Some);
    assert_eq!(live(&trimmed), [dot(2, 9), dot(3, 1)]);
    assert_eq!(frontier(30, &[(3, 1)]).trim(&mut trimmed, None), Trimmed::Some);
    assert_eq!(live(&trimmed), [dot(2, 9)]);
    assert_eq!(frontier(30, &[(2, 9)]).trim(&mut trimmed, None), Trimmed::Nothing);
    // A deletion that has seen what not all owners have: without it, its record would forget that.
    let mut deleted = record.clone();
    put(&mut deleted, dot(1, 5), cell(40, None, None));
    assert_eq!(frontier(50, &[(1, 5), (2, 8), (3, 1)]).trim(&mut deleted, None), Trimmed::Nothing);
    assert_eq!(live(&deleted), [dot(1, 5)]);
}

#[test]
fn only_what_is_dead_and_seen_by_all_is_purged() {
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        let mut record = Record::empty(conflict);
        put(&mut record, dot(1, 4), cell(10, None, Some("value")));
        assert!(!is_all(&frontier(99, &[(1, 9)]), &record), "somebody reads it");
        let mut expiring = Record::empty(conflict);
        put(&mut expiring, dot(1, 4), cell(10, Some(50), Some("value")));
        assert!(!is_all(&frontier(49, &[(1, 9)]), &expiring));
        assert!(is_all(&frontier(50, &[(1, 9)]), &expiring));

        put(&mut record, dot(2, 3), cell(20, None, None));
        assert!(is_all(&frontier(20, &[(1, 4), (2, 3)]), &record));
        assert!(!is_all(&frontier(20, &[(1, 4), (2, 2)]), &record), "the deletion is too new");
        let is_lww = conflict == Conflict::Lww;
        assert_eq!(is_all(&frontier(20, &[(2, 3)]), &record), is_lww, "what it covers counts");
        assert_eq!(is_all(&frontier(19, &[(1, 4), (2, 3)]), &record), !is_lww);
    }
}

#[test]
fn what_was_seen_superseded_is_refused_and_the_rest_is_not() {
    let mut incoming = Record::empty(Conflict::Siblings);
    put(&mut incoming, dot(1, 4), cell(10, None, Some("old")));
    let blind = Context::new(KEY);
    incoming.apply_put(dot(2, 9), cell(11, None, Some("new")), &blind);
    let (absent, seen) = (Record::empty(Conflict::Siblings), frontier(20, &[(1, 4), (2, 8)]));
    assert!(seen.concerns(&incoming));
    let mut stripped = incoming.clone();
    assert_eq!(seen.strip(&mut stripped, &absent), [dot(1, 4)]);
    let left: Vec<Dot> = stripped.cells().map(|(dot, _)| dot).collect();
    assert_eq!(left, [dot(2, 9)]);
    let mut same = incoming.clone();
    assert_eq!(seen.strip(&mut same, &incoming), [], "it is here: nothing superseded it");
    assert_eq!(same, incoming);
    assert!(!frontier(20, &[(1, 3), (2, 8)]).concerns(&incoming), "all of it may be news");
    let mut all = incoming.clone();
    frontier(20, &[(1, 4), (2, 9)]).strip(&mut all, &absent);
    assert!(all.is_empty());
}

#[test]
fn frontiers_join_and_include() {
    let (one, two) = (frontier(5, &[(1, 4)]), frontier(9, &[(1, 2), (3, 1)]));
    let mut joined = one.clone();
    joined.join(&two);
    assert_eq!(joined, frontier(9, &[(1, 4), (3, 1)]));
    assert!(joined.includes(&one) && joined.includes(&two) && !one.includes(&two));
    assert!(joined.includes(&PurgeFrontier::default()));
    assert!(!one.includes(&frontier(6, &[(1, 4)])), "its time is later");
}

#[test]
fn a_session_looks_only_for_what_may_be_there() {
    let mut session = Context::new(KEY);
    for (of, counter) in [(1, 4), (2, 9)] {
        session.observe(Incarnation(of), counter);
    }
    session.observe_timestamp(Timestamp(33));
    let unseen = frontier(20, &[(1, 4), (2, 8)]).unseen(&session, KEY);
    assert_eq!(unseen.entries().collect::<Vec<_>>(), [(Incarnation(2), 9)]);
    assert_eq!(unseen.timestamp(), Timestamp(33));
    let none = frontier(20, &[(1, 4), (2, 9)]).unseen(&session, KEY);
    assert_eq!(none.entries().count(), 0);
}

#[test]
fn a_record_is_dead_since_its_last_value_went() {
    let now = WallTime::from_micros(100);
    let mut record = Record::empty(Conflict::Siblings);
    put(&mut record, dot(1, 1), cell(10, Some(60), Some("a")));
    record.apply_put(dot(2, 1), cell(20, Some(150), Some("b")), &Context::new(KEY));
    let last = WallTime::from_micros(150);
    assert_eq!(Dead::of(&record, now), Dead::No { expires_at: Some(last) });
    assert_eq!(Dead::of(&record, last), Dead::Since(last));
    put(&mut record, dot(2, 2), cell(70, None, None));
    assert_eq!(Dead::of(&record, now), Dead::Since(WallTime::from_micros(70)));
    put(&mut record, dot(2, 3), cell(80, None, Some("c")));
    assert_eq!(Dead::of(&record, now), Dead::No { expires_at: None });
}

/// What happens in the model: three owners of one key; messages may be as late as they like.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A put or delete at an owner; its record goes to the others.
    Write { at: usize, what: What, seen: Seen },
    /// A message that is under way arrives; it stays under way, too.
    Arrive { message: usize },
    /// All owners agree, and purge; some of them hear nothing of the last.
    Purge { missing: Option<usize> },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..3, any::<bool>(), any::<bool>()).prop_map(|(at, deletes, blind)| {
            let what = if deletes { What::Deletion } else { What::Value };
            let seen = if blind { Seen::Nothing } else { Seen::Everything };
            Step::Write { at, what, seen }
        }),
        5 => (0_usize..64).prop_map(|message| Step::Arrive { message }),
        2 => prop::option::of(0_usize..3).prop_map(|missing| Step::Purge { missing }),
    ]
}

#[derive(Clone, Copy, Debug)]
enum What {
    Value,
    Deletion,
}

/// What the client had read of that owner before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Everything,
}

#[derive(Debug)]
struct Model {
    records: [Record; 3],
    frontiers: [PurgeFrontier; 3],
    minted: [u64; 3],
    messages: Vec<(usize, Record)>,
    clock: u64,
    /// Writes that some client had seen when it wrote; and those of them that all owners have seen superseded.
    superseded: Vec<Dot>,
    gone: Vec<Dot>,
}

impl Model {
    fn new(conflict: Conflict) -> Self {
        Self {
            records: [(); 3].map(|()| Record::empty(conflict)),
            frontiers: [(); 3].map(|()| PurgeFrontier::default()),
            minted: [0; 3],
            messages: Vec::new(),
            clock: 1,
            superseded: Vec::new(),
            gone: Vec::new(),
        }
    }

    fn write(&mut self, at: usize, what: What, seen: Seen) {
        let record = &mut self.records[at];
        let context = match seen {
            Seen::Nothing => Context::new(KEY),
            Seen::Everything => {
                self.superseded.extend(record.cells().map(|(dot, _)| dot));
                record.context(KEY)
            }
        };
        self.minted[at] += 1;
        self.clock += 1;
        let latest = record.timestamp_max().max(self.frontiers[at].timestamp());
        let timestamp = Timestamp::next(WallTime::from_micros(self.clock), latest);
        let body = match what {
            What::Value => CellBody::Value(Bytes::new()),
            What::Deletion => CellBody::Tombstone,
        };
        let cell = Cell { timestamp, expires_at: None, body };
        record.apply_put(dot(at as u64, self.minted[at]), cell, &context);
        let copy = record.clone();
        self.messages.extend((0..3).filter(|to| *to != at).map(|to| (to, copy.clone())));
    }

    /// What of it was purged there.
    fn arrive(&mut self, to: usize, mut record: Record) -> Vec<Dot> {
        let stale = self.frontiers[to].strip(&mut record, &self.records[to]);
        if stale.is_empty() || record.cells().next().is_some() {
            self.records[to].join(&record);
        }
        stale
    }

    fn exchange(&mut self, from: usize, to: usize) {
        let record = self.records[from].clone();
        let stale = self.arrive(to, record);
        let frontier = self.frontiers[from].clone();
        frontier.trim(&mut self.records[from], Some(&stale));
    }

    fn mend(&mut self) {
        for _ in 0..2 {
            for owner in 1..3 {
                self.exchange(owner, 0);
                self.exchange(0, owner);
            }
        }
    }

    fn purge(&mut self, missing: &[usize]) {
        self.clock += 1;
        let mut frontier = PurgeFrontier::at(WallTime::from_micros(self.clock));
        (0..3).for_each(|of| frontier.raise(Incarnation(of as u64), self.minted[of]));
        self.mend();
        self.gone.clone_from(&self.superseded);
        self.frontiers.iter_mut().for_each(|own| own.join(&frontier));
        for (owner, record) in self.records.iter_mut().enumerate() {
            if !missing.contains(&owner) {
                frontier.trim(record, None);
            }
        }
    }
}

proptest! {
    /// Whatever arrives, and however late: what was deleted does not come back, and replicas that agree go on agreeing.
    #[test]
    fn nothing_purged_comes_back(
        steps in prop::collection::vec(step(), 0..60),
        is_lww in any::<bool>(),
    ) {
        let conflict = if is_lww { Conflict::Lww } else { Conflict::Siblings };
        let mut model = Model::new(conflict);
        for step in steps {
            match step {
                Step::Write { at, what, seen } => model.write(at, what, seen),
                Step::Arrive { .. } if model.messages.is_empty() => {}
                Step::Arrive { message } => {
                    let (to, record) = model.messages[message % model.messages.len()].clone();
                    let _ = model.arrive(to, record);
                }
                Step::Purge { missing } => model.purge(missing.as_slice()),
            }
            let mut live = model.records.iter().flat_map(Record::cells).map(|(dot, _)| dot);
            let back = live.find(|dot| model.gone.contains(dot));
            prop_assert!(is_lww || back.is_none(), "{back:?}: {model:?}");
        }
        model.mend();
        prop_assert_eq!(&model.records[0], &model.records[1]);
        prop_assert_eq!(&model.records[0], &model.records[2]);
        // Everything once more, late.
        let before = model.records.clone();
        for (to, record) in model.messages.clone() {
            let _ = model.arrive(to, record);
        }
        model.mend();
        prop_assert_eq!(before, model.records);
    }
}
